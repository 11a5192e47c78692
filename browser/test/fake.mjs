// What the tests share: a WebSocket whose other end is the test itself, and readers of streams.
import {afterEach} from 'node:test';
import {create} from '../socketcluster.js';

// Timers of a socket that is left open would keep the process alive.
const sockets = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.disconnect();
});

export class FakeWebSocket {
  static opened = [];
  readyState = 0;
  sent = [];
  closedWith = null;

  constructor(uri) {
    this.uri = uri;
    FakeWebSocket.opened.push(this);
  }

  send(text) {
    if (this.readyState !== 1) throw new Error('send on a WebSocket that is not open');
    this.sent.push(text);
  }

  close(code, reason) {
    this.closedWith ??= {code, reason};
    this.readyState = 2;
  }

  // The server's side.
  accept() {
    this.readyState = 1;
    this.onopen({});
  }

  deliver(message) {
    this.onmessage({data: message});
  }

  drop(code, reason = '') {
    this.readyState = 3;
    this.onclose({code, reason});
  }
}

/** Lets everything run that does not wait for a timer. */
export function idle() {
  return new Promise((resolve) => setImmediate(resolve));
}

export function collect(stream) {
  const items = [];
  (async () => {
    for await (const item of stream) items.push(item);
  })();
  return items;
}

/** Collects the names of events in the order in which they were emitted. */
export function collectNames(socket, names) {
  const order = [];
  for (const name of names) {
    (async () => {
      for await (const _ of socket.listener(name)) order.push(name);
    })();
  }
  return order;
}

/** Calls a procedure whose answer is of no interest. */
export function invokeUnheard(socket, ...args) {
  socket.invoke(...args).catch(() => {});
}

export function lastWebSocket() {
  return FakeWebSocket.opened.at(-1);
}

export function newSocket(options) {
  const socket = create({hostname: 'h', port: 8000, WebSocket: FakeWebSocket, autoReconnect: false, ...options});
  sockets.push(socket);
  return socket;
}

/** Brings a socket to the state open; the handshake is frame 0 of what was sent. */
export async function open(socket, status = {}) {
  socket.connect();
  const server = lastWebSocket();
  server.accept();
  await idle();
  const {cid} = JSON.parse(server.sent[0]);
  server.deliver(JSON.stringify({rid: cid, data: {id: 'X', pingTimeout: 30000, isAuthenticated: false, ...status}}));
  await idle();
  return server;
}

export async function openSocket(options, status) {
  const socket = newSocket({autoConnect: false, ...options});
  const server = await open(socket, status);
  return {socket, server};
}

export function token(claims) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({alg: 'HS256', typ: 'JWT'})}.${part(claims)}.c2ln`;
}

/** An auth engine whose storage the test can look into. */
export function memoryEngine(initial = null) {
  const engine = {
    stored: initial,
    loadToken: async () => engine.stored,
    saveToken: async (name, text) => (engine.stored = text),
    removeToken: async () => {
      const old = engine.stored;
      engine.stored = null;
      return old;
    },
  };
  return engine;
}
