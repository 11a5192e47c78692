'use strict';

// The server on socketcluster-server 20.

const http = require('http');
const socketClusterServer = require('socketcluster-server');
const { Notes, names, run, left, requestOf, refusal, doorError, refusedCode, options, listen } = require('./procedures.js');

class Socket {
  constructor(socket) {
    this.socket = socket;
    this.notes = new Notes();
    this.requested = [];
  }
  token() { return this.socket.authToken; }
  subscriptions() { return this.socket.subscriptions(); }
  setToken(claims) { return this.socket.setAuthToken(claims); }
  confirmToken(claims) { return this.socket.setAuthToken(claims, { rejectOnFailedDelivery: true }); }
  logout() { this.socket.deauthenticate(); }
  call(procedure, data) { return this.socket.invoke(procedure, data); }
  send(event, data) { this.socket.transmit(event, data); }
  sendBatch(event, all) {
    this.socket.startBatch();
    for (const data of all) this.send(event, data);
    setImmediate(() => this.socket.flushBatch()); // once the packets have passed the outbound stream
  }
  sendRaw(message) { this.socket.send(message); }
  kick(channel, message) { this.socket.kickOut(channel, message); }
  disconnect(code, reason) { this.socket.disconnect(code, reason); }
  publish(channel, data) { agServer.exchange.transmitPublish(channel, data); }
}

const httpServer = http.createServer();
const agServer = socketClusterServer.attach(httpServer, options());
const sockets = new WeakMap();

function mySocket(socket) {
  if (!sockets.has(socket)) sockets.set(socket, new Socket(socket));
  return sockets.get(socket);
}

agServer.setMiddleware(agServer.MIDDLEWARE_HANDSHAKE, async (stream) => {
  for await (const action of stream) {
    const error = action.type === action.HANDSHAKE_SC ? doorError(action.request.url) : null;
    if (error) {
      error.statusCode = refusedCode;
      action.block(error);
    } else {
      action.allow();
    }
  }
});

agServer.setMiddleware(agServer.MIDDLEWARE_INBOUND, async (stream) => {
  for await (const action of stream) {
    const s = mySocket(action.socket);
    let error = null;
    if (action.type === action.SUBSCRIBE) {
      s.requested.push(requestOf(action.channel, action.data));
      error = refusal(s, action.channel, 'SubscribeError');
    } else if (action.type === action.PUBLISH_IN) {
      error = refusal(s, action.channel, 'PublishError');
    }
    if (error === true) {
      action.block();
    } else if (error) {
      action.block(error);
    } else {
      action.allow();
    }
  }
});

async function serve(s, name) {
  for await (const request of s.socket.procedure(name)) {
    run(name, s, request.data, (data) => request.end(data), (error) => request.error(error));
  }
}

async function receive(s) {
  for await (const data of s.socket.receiver('note')) s.notes.add(data);
}

async function watch(s) {
  const { code, reason } = await s.socket.listener('disconnect').once();
  left(s, code, reason);
}

(async () => {
  for await (const { socket } of agServer.listener('connection')) {
    const s = mySocket(socket);
    for (const name of names) serve(s, name);
    receive(s);
    watch(s);
  }
})();

(async () => {
  for await (const { error } of agServer.listener('error')) console.error(error);
})();

listen(httpServer);
