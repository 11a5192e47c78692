// Stock clients that publish and subscribe until standard input ends. They print what
// happens, a line of JSON each. A line on standard input makes them stop publishing.
// ADDR is the address of the balancer, and CHANNELS is a list of channels with history.
import {createRequire} from 'node:module';
import {createInterface} from 'node:readline';
import {recovery} from '../../../../browser/recovery.js';

const require = createRequire(import.meta.url); // unlike import, it looks at NODE_PATH
const socketClusterClient = require('socketcluster-client');

const [hostname, port] = process.env.ADDR.split(':');
const channels = JSON.parse(process.env.CHANNELS);
const steady = channels.filter(channel => channel.startsWith('history.steady-'));
const subscribers = 2, publishers = 4, every = 250; // milliseconds

const clock = () => performance.timeOrigin + performance.now();
const print = line => process.stdout.write(JSON.stringify(line) + '\n');
const note = (event, tookMs = 0) => print({clock: clock(), tookMs, event});

let calm = false;
const sockets = [];

function create(options) {
  const socket = socketClusterClient.create({
    hostname, port: Number(port), connectTimeout: 3000, ackTimeout: 10000,
    autoReconnectOptions: {initialDelay: 50, randomness: 200, multiplier: 1, maxDelay: 250},
    ...options
  });
  sockets.push(socket);
  (async () => { for await (const _ of socket.listener('error')); })(); // connections end
  return socket;
}

// drop ends the connection of a subscriber now and then, without a farewell.
function drop(socket) {
  setTimeout(() => {
    if (calm) return;
    socket.transport?.socket?.terminate();
    drop(socket);
  }, 2000 + Math.random() * 20000);
}

const missing = new Set();
let there = false;
function see() {
  if (there !== (missing.size === 0)) print({there: there = !there});
}

for (let i = 0; i < subscribers; i++) {
  const who = `stock-${i}`;
  const socket = create({codecEngine: recovery({
    onLost: (channel, from = 0, to = 0) => note({kind: 'lost', who, channel, from, to})
  })});
  for (const channel of channels) {
    const key = who + ' ' + channel;
    missing.add(key);
    const subscription = socket.subscribe(channel);
    (async () => {
      for await (const {p, n} of subscription) note({kind: 'got', who, channel, publisher: p, n});
    })();
    (async () => {
      for await (const _ of subscription.listener('subscribe')) {
        note({kind: 'subscribed', who, channel});
        missing.delete(key);
        see();
      }
    })();
  }
  (async () => {
    for await (const _ of socket.listener('disconnect')) {
      note({kind: 'ended', who});
      for (const channel of channels) missing.add(who + ' ' + channel);
      see();
    }
  })();
  drop(socket);
}

// Each publishes on channels of its own turn, one publication after the other.
for (let i = 0; i < publishers; i++) {
  const who = `stock-publisher-${i}`;
  const socket = create();
  (async () => {
    for (let n = 1; !calm; n++) {
      await new Promise(resolve => setTimeout(resolve, every));
      if (socket.state !== 'open') await socket.listener('connect').once();
      const channel = steady[(i + n) % steady.length];
      const begun = clock();
      let kind = 'acked', what;
      try {
        await socket.invokePublish(channel, {p: who, n});
      } catch (error) {
        [kind, what] = ['unsure', error.message];
      }
      note({kind, who, channel, n, what}, clock() - begun);
    }
  })();
}

const input = createInterface({input: process.stdin});
input.on('line', () => { calm = true; });
input.on('close', () => {
  for (const socket of sockets) socket.disconnect();
  setTimeout(() => process.exit(0), 100);
});
