'use strict';

// Two servers of one process that share a broker. The second one listens at a port that the
// test knows.

const http = require('http');
const socketClusterServer = require('socketcluster-server');

const { AUTH_KEY: authKey, SECOND_PORT: secondPort } = process.env;

function listen(port, options) {
  const httpServer = http.createServer();
  const agServer = socketClusterServer.attach(httpServer, { authKey, ...options });
  return new Promise((resolve) => {
    httpServer.listen(port, '127.0.0.1', () => resolve({ agServer, port: httpServer.address().port }));
  });
}

process.on('SIGTERM', () => process.exit(0));

(async () => {
  const first = await listen(0);
  await listen(Number(secondPort), { brokerEngine: first.agServer.brokerEngine });
  console.log(`listening on 127.0.0.1:${first.port}`);
})();
