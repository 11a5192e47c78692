// Steps on stock clients that get, or send, very many messages: without a diary.
import {createRequire} from 'node:module';

const require = createRequire(import.meta.url); // unlike import, it looks at NODE_PATH
const socketClusterClient = require('socketcluster-client');

let readers = [];

function create(port) {
  return socketClusterClient.create({hostname: '127.0.0.1', port, autoReconnect: false});
}

// read reads publications, whose data begins with their number, until there are so
// many or the client has been closed. It tells how many came in order, and the code
// of the close.
async function read(socket, subscription, total) {
  const result = {got: 0, code: 0};
  socket.listener('close').once().then(({code}) => {
    result.code = code;
    subscription.closeOutput();
  });
  for await (const data of subscription) {
    if (!data.startsWith(`${result.got} `) || ++result.got === total) break;
  }
  return {...result};
}

export const steps = {
  // burstReaders connects clients and subscribes them to a channel, of which each
  // reads so many publications.
  async burstReaders(port, count, channel, total) {
    readers = await Promise.all(Array.from({length: count}, async () => {
      const socket = create(port);
      const subscription = socket.subscribe(channel);
      const result = read(socket, subscription, total);
      await subscription.listener('subscribe').once();
      return {socket, result};
    }));
  },

  // burstResults waits until they have.
  burstResults: () => Promise.all(readers.map(({result}) => result)),

  // burstPublish publishes as fast as a client can.
  async burstPublish(port, channel, total, size) {
    const socket = create(port);
    await socket.listener('connect').once();
    for (let i = 0; i < total; i++) socket.transmitPublish(channel, `${i} `.padEnd(size, 'x'));
  },

  burstEnd() {
    for (const {socket} of readers) socket.disconnect();
    readers = [];
  }
};
