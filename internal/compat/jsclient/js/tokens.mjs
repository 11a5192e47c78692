// Steps with jsonwebtoken, and an application's own HTTP login that uses it.
import {createServer} from 'node:http';
import {createRequire} from 'node:module';

const require = createRequire(import.meta.url);
const jwt = require('jsonwebtoken');

let loginServer;

export const steps = {
  sign: (claims, key, options) => jwt.sign(claims, key, options),
  verify: (token, key, options) => jwt.verify(token, key, options),
  header: token => jwt.decode(token, {complete: true}).header,

  // fetchToken logs in over HTTP, as a page does.
  async fetchToken(url, credentials) {
    const response = await fetch(url, {method: 'POST', body: new URLSearchParams(credentials)});
    const text = await response.text();
    if (!response.ok) throw Object.assign(new Error(text.trim()), {name: 'HTTPError', status: response.status});
    return text;
  },

  // serveLogin starts an HTTP server that signs for anybody who gives a name.
  async serveLogin(key) {
    loginServer = createServer(async (request, response) => {
      let body = '';
      for await (const chunk of request) body += chunk;
      const username = new URLSearchParams(body).get('username');
      response.end(jwt.sign({username, channels: ['news']}, key, {expiresIn: '1h'}));
    });
    await new Promise(resolve => loginServer.listen(0, '127.0.0.1', resolve));
    return loginServer.address().port;
  }
};
