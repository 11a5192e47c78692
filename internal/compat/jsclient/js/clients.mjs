// Steps on stock clients from v15 on, each known by a number that the test has
// chosen: the last one, or the one of the package that CLIENT in the environment
// names.
import {createRequire} from 'node:module';
import {recovery} from '../../../../browser/recovery.js';
import {Diary} from './diary.mjs';
import * as guide from './guide.mjs';
import {attempts} from './identity.mjs';

const require = createRequire(import.meta.url); // unlike import, it looks at NODE_PATH
const socketClusterClient = require(process.env.CLIENT ?? 'socketcluster-client');

const clients = new Map();

// Client is a socket with its diary.
class Client extends Diary {
  constructor(options) {
    super();
    this.socket = socketClusterClient.create({hostname: '127.0.0.1', autoConnect: false, autoReconnect: false, ...options});
    const emit = this.socket.emit;
    this.socket.emit = (event, data) => {
      this.note(event, data);
      return emit.call(this.socket, event, data);
    };
  }
}

function mustFind(id) {
  const client = clients.get(id);
  if (!client) throw new Error(`there is no client ${id}`);
  return client;
}

// on makes a step out of a function of a client.
const on = fn => (id, ...args) => fn(mustFind(id), ...args);

export const steps = {
  // The option codec names the package of a codec, and recover has those of the module
  // for recovery.
  async create(id, {codec, recover, ...options}, stored) {
    if (codec) options.codecEngine = require(codec);
    const lost = [];
    if (recover) options.codecEngine = recovery({...recover, codec: options.codecEngine, onLost: (...args) => lost.push(args)});
    const client = new Client(options);
    client.lost = lost;
    clients.set(id, client);
    if (stored !== null) await client.socket.auth.saveToken(client.socket.authTokenName, stored);
  },

  attempts: (count, plan) => attempts(o => socketClusterClient.create({hostname: '127.0.0.1', ...o}), count, plan),

  connect: on(client => {
    client.socket.connect();
    return client.wait('connect');
  }),

  // dial connects without waiting, for connections that are to fail.
  dial: on(client => client.socket.connect()),

  wait: on((client, event) => client.wait(event)),

  // forget drops the events of a name that nobody has waited for.
  forget: on((client, event) => { client.byEvent.delete(event); }),

  diary: on(client => client.diary.splice(0)),

  messages: on(client => client.messages),

  state: on(async ({socket}) => ({
    state: socket.state,
    authState: socket.authState,
    authToken: socket.authToken,
    signedAuthToken: socket.signedAuthToken,
    stored: await socket.auth.loadToken(socket.authTokenName),
    tokenName: socket.authTokenName,
    pendingReconnect: socket.pendingReconnect
  })),

  invoke: on(({socket}, procedure, data) => socket.invoke(procedure, data)),
  transmit: on(({socket}, event, data) => socket.transmit(event, data)),

  // invokeBytes calls with bytes in a field, in one of the forms that JavaScript has.
  invokeBytes: on(({socket}, procedure, form, hex) => {
    const buffer = Buffer.from(hex, 'hex');
    return socket.invoke(procedure, {name: form, blob: form === 'Buffer' ? buffer : Uint8Array.from(buffer).buffer});
  }),

  authenticate: on(({socket}, token) => socket.authenticate(token)),
  deauthenticate: on(({socket}) => socket.deauthenticate()),
  publish: on(({socket}, channel, data) => socket.invokePublish(channel, data)),
  disconnect: on(({socket}, code, reason) => socket.disconnect(code, reason)),

  // subscribe ends with the server's verdict: null, or the error.
  subscribe: on(async ({socket}, channel, options) => {
    const subscription = socket.subscribe(channel, options);
    const refusal = await Promise.race([
      subscription.listener('subscribe').once().then(() => null),
      subscription.listener('subscribeFail').once()
    ]);
    if (refusal) throw refusal.error;
  }),

  // nextPublication waits for data on a channel that is subscribed already.
  nextPublication: on(({socket}, channel) => socket.channel(channel).once()),

  // procedure answers the server's calls of a name: with twice their data, or
  // with an error if that is no number.
  procedure: on(({socket}, name) => {
    (async () => {
      for await (const request of socket.procedure(name)) {
        if (typeof request.data === 'number') {
          request.end(2 * request.data);
        } else {
          request.error(Object.assign(new Error('No number'), {name: 'MathError', given: request.data}));
        }
      }
    })();
  }),

  // receive notes what the server transmits under a name, as an event.
  receive: on((client, name) => {
    (async () => {
      for await (const data of client.socket.receiver(name)) client.note(name, data);
    })();
  }),

  // collect starts to note the data of a channel, collected returns it once there is
  // so much.
  collect: on((client, channel) => {
    client.collected = [];
    (async () => {
      for await (const data of client.socket.channel(channel)) client.collected.push(data);
    })();
  }),
  collected: on(async (client, count = 0) => {
    while (client.collected.length < count) await new Promise(resolve => setTimeout(resolve, 5));
    return client.collected;
  }),

  // leaveAt disconnects when the data of a channel is a value.
  leaveAt: on(async ({socket}, channel, value) => {
    for await (const data of socket.channel(channel)) if (data === value) break;
    socket.disconnect();
  }),

  // recovered waits until so much has been collected, and returns it, and what is lost.
  recovered: on(async (client, count) => {
    while (client.collected.length < count) await new Promise(resolve => setTimeout(resolve, 5));
    return {all: client.collected, lost: client.lost};
  }),

  // invokeBatched makes several calls that leave in batches.
  invokeBatched: on(async ({socket}, procedure, values) => {
    socket.startBatching();
    try {
      return await Promise.all(values.map(value => socket.invoke(procedure, value)));
    } finally {
      socket.stopBatching();
    }
  }),

  // stall makes a client that never gets its token from its store, and so
  // never sends its handshake.
  stall: on(({socket}) => { socket.auth.loadToken = () => new Promise(() => {}); }),

  // mute keeps a client from answering pings.
  mute: on(({socket}) => {
    const send = socket.transport.send;
    socket.transport.send = function (data) { if (data !== '') send.call(this, data); };
  }),

  // sendRaw sends a message as soon as the WebSocket is open, before the
  // handshake even.
  sendRaw: on(async ({socket}, text) => {
    const webSocket = socket.transport.socket;
    if (webSocket.readyState !== webSocket.OPEN) {
      await new Promise(resolve => webSocket.addEventListener('open', resolve, {once: true}));
    }
    webSocket.send(text);
  }),

  // guide runs a sample of the guide.
  guide: on(({socket}, name, ...args) => guide[name](socket, ...args)),

  // keepInLocalStorage gives the process the localStorage of a browser.
  keepInLocalStorage(name, token) {
    const items = new Map();
    globalThis.localStorage = {
      setItem: (key, value) => { items.set(String(key), String(value)); },
      getItem: key => items.get(String(key)) ?? null,
      removeItem: key => { items.delete(String(key)); }
    };
    guide.keepToken(name, token);
  },
  dropLocalStorage() { delete globalThis.localStorage; }
};
