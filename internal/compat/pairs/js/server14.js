'use strict';

// The server on socketcluster-server 14, which speaks version 1.

const http = require('http');
const socketClusterServer = require('socketcluster-server-14');
const { Notes, names, run, left, requestOf, refusal, doorError, refusedCode, options, listen } = require('./procedures.js');

class Socket {
  constructor(socket) {
    this.socket = socket;
    this.notes = new Notes();
    this.requested = [];
  }
  token() { return this.socket.authToken; }
  subscriptions() { return this.socket.subscriptions(); }
  setToken(claims) { this.socket.setAuthToken(claims); }
  confirmToken(claims) { return this.confirmed((done) => this.socket.setAuthToken(claims, {}, done)); }
  logout() { this.socket.deauthenticate(); }
  call(procedure, data) { return this.confirmed((done) => this.socket.emit(procedure, data, done)); }
  send(event, data) { this.socket.emit(event, data); }
  sendBatch(event, all) {
    for (const data of all) this.socket.sendObject({ event, data }, { batch: true });
  }
  sendRaw(message) { this.socket.send(message); }
  kick(channel, message) { this.socket.kickOut(channel, message); }
  disconnect(code, reason) { this.socket.disconnect(code, reason); }
  publish(channel, data) { scServer.exchange.publish(channel, data); }

  confirmed(begin) {
    return new Promise((resolve, reject) => {
      begin((error, data) => (error ? reject(error) : resolve(data)));
    });
  }
}

const httpServer = http.createServer();
const scServer = socketClusterServer.attach(httpServer, options({ middlewareEmitWarnings: false }));
const sockets = new WeakMap();

function mySocket(socket) {
  if (!sockets.has(socket)) sockets.set(socket, new Socket(socket));
  return sockets.get(socket);
}

scServer.addMiddleware(scServer.MIDDLEWARE_HANDSHAKE_SC, ({ socket }, next) => {
  next(doorError(socket.request.url), refusedCode);
});

scServer.addMiddleware(scServer.MIDDLEWARE_SUBSCRIBE, ({ socket, channel, data }, next) => {
  const s = mySocket(socket);
  s.requested.push(requestOf(channel, data));
  next(refusal(s, channel, 'SubscribeError'));
});

scServer.addMiddleware(scServer.MIDDLEWARE_PUBLISH_IN, ({ socket, channel }, next) => {
  next(refusal(mySocket(socket), channel, 'PublishError'));
});

scServer.on('connection', (socket) => {
  const s = mySocket(socket);
  for (const name of names) {
    socket.on(name, (data, respond) => {
      run(name, s, data, (value) => respond(null, value), (error) => respond(error));
    });
  }
  socket.on('note', (data) => s.notes.add(data));
  socket.on('disconnect', (code, reason) => left(s, code, reason));
});

scServer.on('warning', () => {});

listen(httpServer);
