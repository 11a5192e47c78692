// Steps on clients up to v14, which speak by callbacks: the last one, or the one
// of the package that CLIENT in the environment names. They have the names,
// arguments and results of those in clients.mjs.
import {createRequire} from 'node:module';
import {Diary} from './diary.mjs';

const require = createRequire(import.meta.url); // unlike import, it looks at NODE_PATH
const {create, connect} = require(process.env.CLIENT ?? 'socketcluster-client-14');
const open = create ?? connect; // up to v5

// What the events carry, as one object.
const payloads = {
  connect: status => status,
  connectAbort: (code, reason) => ({code, reason}),
  disconnect: (code, reason) => ({code, reason}),
  close: (code, reason) => ({code, reason}),
  error: error => ({error}),
  message: message => ({message}),
  raw: message => ({message}),
  subscribe: channel => ({channel}),
  subscribeFail: (error, channel) => ({error, channel}),
  unsubscribe: channel => ({channel}),
  kickOut: (message, channel) => ({message, channel}),
  authenticate: signedAuthToken => ({signedAuthToken}),
  deauthenticate: signedAuthToken => ({signedAuthToken}),
  authStateChange: change => change,
  removeAuthToken: signedAuthToken => ({signedAuthToken})
};

const clients = new Map();

class Client extends Diary {
  constructor(options) {
    super();
    this.socket = open({
      hostname: '127.0.0.1', autoConnect: false, autoReconnect: false, multiplex: false, ...options
    });
    for (const [event, payload] of Object.entries(payloads)) {
      this.socket.on(event, (...args) => this.note(event, payload(...args)));
    }
  }
}

function mustFind(id) {
  const client = clients.get(id);
  if (!client) throw new Error(`there is no client ${id}`);
  return client;
}

const on = fn => (id, ...args) => fn(mustFind(id), ...args);

// called makes a promise of a function that takes a callback.
const called = fn => new Promise((resolve, reject) => fn((error, data) => error ? reject(error) : resolve(data)));

export const steps = {
  async create(id, {codec, ...options}, stored) {
    if (codec) options.codecEngine = require(codec);
    const client = new Client(options);
    clients.set(id, client);
    const {auth, authTokenName} = client.socket;
    if (stored !== null) await called(done => auth.saveToken(authTokenName, stored, {}, done));
  },

  connect: on(client => {
    client.socket.connect();
    return client.wait('connect');
  }),

  dial: on(client => client.socket.connect()),

  wait: on((client, event) => client.wait(event)),

  diary: on(client => client.diary.splice(0)),

  messages: on(client => client.messages),

  state: on(async ({socket}) => ({
    state: socket.state,
    authState: socket.authState,
    authToken: socket.authToken,
    signedAuthToken: socket.signedAuthToken,
    stored: await called(done => socket.auth.loadToken(socket.authTokenName, done)),
    tokenName: socket.authTokenName,
    pendingReconnect: socket.pendingReconnect
  })),

  invoke: on(({socket}, procedure, data) => called(done => socket.emit(procedure, data, done))),
  transmit: on(({socket}, event, data) => { socket.emit(event, data); }),
  deauthenticate: on(({socket}) => called(done => socket.deauthenticate(done))),
  publish: on(({socket}, channel, data) => called(done => socket.publish(channel, data, done))),
  disconnect: on(({socket}, code, reason) => socket.disconnect(code, reason)),

  // authenticate gives both of what the callback gets.
  authenticate: on(({socket}, token) => new Promise(resolve =>
    socket.authenticate(token, (error, status) => resolve({error, status})))),

  // subscribe ends with the server's verdict.
  subscribe: on(({socket}, channel, options) => called(done => {
    const subscription = socket.subscribe(channel, options);
    subscription.once('subscribe', () => done());
    subscription.once('subscribeFail', error => done(error));
  })),

  // subscribeBatched subscribes to several channels by one message.
  subscribeBatched: on(({socket}, channels) => Promise.all(channels.map(channel => new Promise((resolve, reject) => {
    const subscription = socket.subscribe(channel, {batch: true});
    subscription.once('subscribe', resolve);
    subscription.once('subscribeFail', reject);
  })))),

  unsubscribe: on(({socket}, channel) => socket.unsubscribe(channel)),

  nextPublication: on(({socket}, channel) => new Promise(resolve => {
    const handler = data => {
      socket.unwatch(channel, handler);
      resolve(data);
    };
    socket.watch(channel, handler);
  })),

  // collect starts to note the data of a channel, collected returns it.
  collect: on((client, channel) => {
    client.collected = [];
    client.socket.watch(channel, data => client.collected.push(data));
  }),
  collected: on(client => client.collected),

  // procedure answers the server's calls of a name: with twice their data, or
  // with an error if that is no number.
  procedure: on(({socket}, name) => {
    socket.on(name, (data, respond) => {
      if (typeof data === 'number') {
        respond(null, 2 * data);
      } else {
        respond(Object.assign(new Error('No number'), {name: 'MathError', given: data}));
      }
    });
  }),

  // receive notes what the server transmits under a name, as an event.
  receive: on((client, name) => { client.socket.on(name, data => client.note(name, data)); })
};
