'use strict';

// The contract server on the stock JavaScript packages: the twin of
// ../../contract. Both read the same environment and behave alike, so that one
// test suite or one load generator can be pointed at either.

const fs = require('fs');
const http = require('http');
const https = require('https');
const socketClusterServer = require('socketcluster-server');

const env = process.env;
const options = { path: '/socketcluster/' };
if (env.AUTH_KEY) {
  options.authKey = env.AUTH_KEY;
  options.authAlgorithm = 'HS256';
}
if (env.ORIGINS) options.origins = env.ORIGINS.split(',');
if (env.PING_INTERVAL) options.pingInterval = Number(env.PING_INTERVAL);

if (env.COMPRESSION) {
  options.perMessageDeflate = { threshold: 1024, zlibDeflateOptions: { level: Number(env.COMPRESSION) } };
}

const httpServer = env.TLS_CERT
  ? https.createServer({ cert: fs.readFileSync(env.TLS_CERT), key: fs.readFileSync(env.TLS_KEY) })
  : http.createServer();
const agServer = socketClusterServer.attach(httpServer, options);

// With SCC_STATE_PORT it is a worker of a cluster of the stock packages.
let joined = Promise.resolve();
if (env.SCC_STATE_PORT) {
  const client = require('scc-broker-client').attach(agServer.brokerEngine, {
    instanceId: String(process.pid),
    stateServerHost: '127.0.0.1',
    stateServerPort: Number(env.SCC_STATE_PORT),
  });
  (async () => {
    for await (const { error } of client.listener('error')) console.error(error);
  })();
  joined = client.listener('updateBrokers').once();
}

function namedError(name, message) {
  const error = new Error(message);
  error.name = name;
  return error;
}

function isRefused(action) {
  return typeof action.channel === 'string' && action.channel.startsWith('private.') && !action.socket.authToken;
}

agServer.setMiddleware(agServer.MIDDLEWARE_INBOUND, async (stream) => {
  for await (const action of stream) {
    if (action.type === action.SUBSCRIBE && isRefused(action)) {
      action.block(namedError('SubscribeError', 'Private channels need an auth token'));
    } else if (action.type === action.PUBLISH_IN && isRefused(action)) {
      action.block(namedError('PublishError', 'Private channels need an auth token'));
    } else {
      action.allow();
    }
  }
});

async function serveEcho(socket, name) {
  for await (const request of socket.procedure(name)) {
    request.end(request.data);
  }
}

async function serveLogin(socket) {
  for await (const request of socket.procedure('login')) {
    const username = request.data && request.data.username;
    if (typeof username !== 'string') {
      request.error(namedError('LoginError', 'The username must be a string'));
      continue;
    }
    try {
      await socket.setAuthToken({ username, channels: ['news', `room/${username}`, `user/${username}`] });
      request.end();
    } catch (error) {
      request.error(namedError('LoginError', 'The token could not be set'));
    }
  }
}

(async () => {
  for await (const { socket } of agServer.listener('connection')) {
    serveEcho(socket, 'echo');
    for (let i = 0; i < Number(env.HANDLERS || 0); i++) serveEcho(socket, `echo.${i}`);
    serveLogin(socket);
  }
})();

process.on('SIGTERM', () => process.exit(0));

httpServer.listen(Number(env.PORT || 0), '127.0.0.1', async () => {
  await joined;
  const { address, port } = httpServer.address();
  console.log(`listening on ${address}:${port}`);
});
