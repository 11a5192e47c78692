'use strict';

// A stand-in for scc-state, which is not among the npm packages: it tells the workers
// where the broker is. No publication passes through it.

const http = require('http');
const socketClusterServer = require('socketcluster-server');

const httpServer = http.createServer();
const agServer = socketClusterServer.attach(httpServer);
const brokers = new Set();

async function serveBroker(socket) {
  for await (const request of socket.procedure('sccBrokerJoinCluster')) {
    const { searchParams } = new URL(socket.request.url, 'ws://127.0.0.1');
    brokers.add(`ws://127.0.0.1:${searchParams.get('instancePort')}`);
    request.end();
  }
}

async function serveWorker(socket) {
  for await (const request of socket.procedure('sccWorkerJoinCluster')) {
    if (brokers.size === 0) {
      request.error(new Error('There is no broker yet')); // the worker asks again
      continue;
    }
    request.end({ sccBrokerURIs: [...brokers], sccWorkerURIs: [], time: Date.now() });
  }
}

(async () => {
  for await (const { socket } of agServer.listener('connection')) {
    serveBroker(socket);
    serveWorker(socket);
  }
})();

process.on('SIGTERM', () => process.exit(0));

httpServer.listen(Number(process.env.PORT || 0), '127.0.0.1', () => {
  const { address, port } = httpServer.address();
  console.log(`listening on ${address}:${port}`);
});
