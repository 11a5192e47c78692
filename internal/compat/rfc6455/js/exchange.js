// Sends messages, pings and close codes to an echo server with the npm package
// ws. Standard input is one JSON object, {url, perMessageDeflate, messages,
// pings, codes}; standard output is {extensions, checked, failures}.
'use strict';
const {once} = require('node:events');
const {text} = require('node:stream/consumers');
const {WebSocket} = require('ws');

const failures = [];
let checked = 0;

function check(name, ok) {
  checked++;
  if (!ok) failures.push(name);
}

async function open({url, perMessageDeflate}) {
  const client = new WebSocket(url, {perMessageDeflate, rejectUnauthorized: false, maxPayload: 1 << 21});
  await once(client, 'open');
  return client;
}

// parts sends a payload in fragments.
function parts(client, payload, binary) {
  const third = Math.floor(payload.length / 3);
  client.send(payload.subarray(0, third), {binary, fin: false});
  client.send(payload.subarray(third, 2 * third), {binary, fin: false});
  client.send(payload.subarray(2 * third), {binary, fin: true});
}

async function exchange(job) {
  const client = await open(job);
  const {extensions} = client;
  for (const {name, binary, payload} of job.messages) {
    const bytes = Buffer.from(payload, 'base64');
    for (const [how, send] of [['whole', () => client.send(bytes, {binary})], ['in parts', () => parts(client, bytes, binary)]]) {
      const before = client._socket.bytesRead;
      const answer = once(client, 'message');
      send();
      const [data, isBinary] = await answer;
      check(`${name} ${how}`, isBinary === binary && bytes.equals(data));
      if (name === 'zeros') {
        const read = client._socket.bytesRead - before;
        check(`${name} ${how} came as ${read} bytes`, (read < 10_000) === (extensions !== ''));
      }
    }
  }
  for (const payload of job.pings) {
    const answer = once(client, 'pong');
    client.ping(Buffer.from(payload, 'base64'));
    check(`ping ${payload}`, (await answer)[0].toString('base64') === payload);
  }
  client.close(1000);
  await once(client, 'close');
  for (const code of job.codes) {
    const other = await open(job);
    other.close(code, 'bye');
    const [got] = await once(other, 'close');
    check(`close ${code}`, got === code);
  }
  return {extensions, checked, failures};
}

text(process.stdin).then(input => exchange(JSON.parse(input))).then(result => console.log(JSON.stringify(result)));
