'use strict';

// The broker of the stock packages, which takes its settings from the environment. It
// does not say when it listens.

const net = require('net');

process.on('SIGTERM', () => process.exit(0));

require('scc-broker');

const port = Number(process.env.SCC_BROKER_SERVER_PORT);

function announce() {
  const probe = net.connect(port, '127.0.0.1', () => {
    probe.destroy();
    console.log(`listening on 127.0.0.1:${port}`);
  });
  probe.on('error', () => setTimeout(announce, 50));
}
announce();
