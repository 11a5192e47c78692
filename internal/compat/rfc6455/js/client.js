// Calls, publishes and subscribes with the stock client while its WebSocket
// compresses. Standard input is {port, perMessageDeflate, size}; standard output
// is {extensions, echoed, published, read, written}, the last two in bytes.
'use strict';
const {text} = require('node:stream/consumers');
const socketcluster = require('socketcluster-client');

async function run({port, perMessageDeflate, size}) {
  const socket = socketcluster.create({
    hostname: '127.0.0.1', port, wsOptions: {perMessageDeflate}, autoReconnect: false,
  });
  await socket.listener('connect').once();
  const data = {rows: Array.from({length: size}, (_, id) => ({id, name: 'alice', note: 'κόσμε'}))};
  const wanted = JSON.stringify(data);
  const echoed = JSON.stringify(await socket.invoke('echo', data)) === wanted;
  const channel = socket.subscribe('room');
  await channel.listener('subscribe').once();
  const next = channel.createConsumer().next();
  await channel.invokePublish(data);
  const published = JSON.stringify((await next).value) === wanted;
  const ws = socket.transport.socket;
  const {bytesRead, bytesWritten} = ws._socket;
  socket.disconnect();
  return {extensions: ws.extensions, echoed, published, read: bytesRead, written: bytesWritten};
}

text(process.stdin).then(input => run(JSON.parse(input))).then(result => console.log(JSON.stringify(result)));
