// Steps with jsonwebtoken, and an application's own HTTP login that uses it.
import {createServer} from 'node:http';
import {createRequire} from 'node:module';

const require = createRequire(import.meta.url);
const jwt = require('jsonwebtoken');
// The copy of ms that jsonwebtoken itself reads durations with.
const ms = createRequire(require.resolve('jsonwebtoken'))('ms');

let loginServer;

// outcome is what a call returns or throws, for steps of many calls.
function outcome(call) {
  try {
    return {value: call()};
  } catch (error) {
    return {error};
  }
}

export const steps = {
  sign: (claims, key, options) => jwt.sign(claims, key, options),
  verify: (token, key, options) => jwt.verify(token, key, options),
  signEach: (cases, key, algorithm) =>
    cases.map(([claims, options]) => outcome(() => jwt.sign(claims, key, {algorithm, ...options}))),
  verifyEach: (cases, key, algorithm) =>
    cases.map(([token, options]) => outcome(() => jwt.verify(token, key, {algorithms: [algorithm], ...options}))),
  milliseconds: texts => texts.map(text => ms(text) ?? null),
  header: token => jwt.decode(token, {complete: true}).header,

  // fetchToken logs in over HTTP, as a page does.
  async fetchToken(url, credentials) {
    const response = await fetch(url, {
      method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify(credentials)
    });
    const text = await response.text();
    if (!response.ok) throw Object.assign(new Error(text.trim()), {name: 'HTTPError', status: response.status});
    return text;
  },

  // serveLogin starts an HTTP server that signs for anybody who gives a name.
  async serveLogin(key) {
    loginServer = createServer(async (request, response) => {
      let body = '';
      for await (const chunk of request) body += chunk;
      const {username} = JSON.parse(body);
      response.end(jwt.sign({username, channels: ['news']}, key, {expiresIn: '1h'}));
    });
    await new Promise(resolve => loginServer.listen(0, '127.0.0.1', resolve));
    return loginServer.address().port;
  }
};
