import assert from 'node:assert/strict';
import {test} from 'node:test';
import {collect, idle, open, openSocket} from './fake.mjs';

const at = (position, data) => JSON.stringify({event: '#publish', data: {channel: 'a', position, data}});

/** Reconnects, and returns the server and what it was asked for. */
async function reconnect(socket) {
  socket.reconnect();
  const server = await open(socket);
  const {data, cid} = JSON.parse(server.sent.at(-1));
  return {server, data, cid};
}

test('a channel continues where it was, on any connection, and nothing comes twice', async () => {
  const {socket, server: first} = await openSocket();
  const got = collect(socket.subscribe('a', {last: 5}));
  const lost = collect(socket.listener('lost'));
  assert.equal(first.sent[1], '{"event":"#subscribe","data":{"channel":"a","last":5},"cid":2}');
  first.deliver(at('e.8.1', 8)); // the connection ends before the answer
  let {server, data, cid} = await reconnect(socket);
  assert.deepEqual(data, {channel: 'a', since: 'e.8.1'});
  // What is live may come before the answer, which is behind then. A number may have more digits.
  for (const message of [at('e.z.1', 9), at('e.10.1', 10), `{"rid":${cid},"data":{"position":"e.z.1"}}`, at('e.10.1', 0), at('e.9.1', 0), at('e.11.2', 11)]) server.deliver(message);
  ({server, data, cid} = await reconnect(socket));
  assert.deepEqual(data, {channel: 'a', since: 'e.11.2'});
  server.deliver(`{"rid":${cid},"data":{"position":"e.20.2"}}`);
  server.deliver(`[${at('f.1.1', 12)},${at('f.1.1', 0)},${at('x', 13)},${at(`f.${'2'.repeat(200)}.1`, 14)},${at(undefined, 15)}]`);
  ({server, data, cid} = await reconnect(socket));
  assert.deepEqual(data, {channel: 'a', since: 'f.1.1'});
  await idle();
  assert.deepEqual([got, lost], [[8, 9, 10, 11, 12, 13, 14, 15], []]);
  server.deliver(`{"rid":${cid}}`); // nothing is kept any more
  ({data} = await reconnect(socket));
  assert.deepEqual(data, {channel: 'a', last: 5});
});

test('a channel that was left or taken away begins anew', async () => {
  const {socket, server} = await openSocket();
  const asked = () => JSON.parse(server.sent.at(-1)).data;
  socket.subscribe('a');
  server.deliver('{"rid":2,"data":{"position":"e.1.1"}}');
  socket.unsubscribe('a');
  socket.subscribe('a', {last: 1});
  assert.deepEqual(asked(), {channel: 'a', last: 1});
  server.deliver('{"rid":3,"data":{"position":"e.1.1"}}');
  server.deliver('{"event":"#kickOut","data":{"channel":"a"}}');
  socket.subscribe('a', {last: 0});
  assert.deepEqual(asked(), {channel: 'a'});
});

test('the answer tells what is lost, and where the channel is', async () => {
  const {socket, server: first} = await openSocket();
  const channel = socket.subscribe('a');
  const onSocket = collect(socket.listener('lost'));
  const onChannel = collect(channel.listener('lost'));
  const got = collect(channel);
  first.deliver('{"rid":2,"data":{"position":"e.50.1"}}');
  let {server, data, cid} = await reconnect(socket);
  for (const [frames, answer, since, ...told] of [
    [[at('e.60.1', 1)], '"position":"e.60.1","lost":{"from":3,"to":4}', 'e.60.1', {from: 3, to: 4, position: 'e.60.1'}],
    [[], '"position":"e.40.1","lost":{}', 'e.40.1', {from: undefined, to: undefined, position: 'e.40.1'}], // it has lost its end
    [[at('f.5.1', 2), at('f.6.1', 3)], '"position":"f.5.1","lost":{}', 'f.6.1', {from: undefined, to: undefined, position: 'f.6.1'}],
    [[], '"position":"f.6.1"', 'f.6.1'],
  ]) {
    for (const frame of frames) server.deliver(frame);
    server.deliver(`{"rid":${cid},"data":{${answer}}}`);
    await idle();
    assert.deepEqual(onChannel.splice(0), told);
    assert.deepEqual(onSocket.splice(0), told.map((lost) => ({channel: 'a', ...lost})));
    ({server, data, cid} = await reconnect(socket));
    assert.deepEqual(data, {channel: 'a', since});
  }
  assert.deepEqual(got, [1, 2, 3]);
});

test('a loss is told although the connection ends before the answer', async () => {
  const {socket, server: first} = await openSocket();
  const got = collect(socket.subscribe('a'));
  const lost = collect(socket.listener('lost'));
  first.deliver('{"rid":2,"data":{"position":"e.5.1"}}');
  let {server, data, cid} = await reconnect(socket);
  server.deliver(at('e.50.1', 1)); // what was between is lost, which the answer would have said
  ({server, data, cid} = await reconnect(socket));
  assert.deepEqual(data, {channel: 'a', since: 'e.5.1'});
  for (const message of [at('e.50.1', 1), at('e.51.1', 2), `{"rid":${cid},"data":{"position":"e.51.1","lost":{"from":6,"to":9}}}`]) server.deliver(message);
  await idle();
  assert.deepEqual([got, lost], [[1, 2], [{channel: 'a', from: 6, to: 9, position: 'e.51.1'}]]);
  ({data} = await reconnect(socket));
  assert.deepEqual(data, {channel: 'a', since: 'e.51.1'});
});

test('a loss is told while the channel is live', async () => {
  const {socket, server: first} = await openSocket();
  const channel = socket.subscribe('a');
  const onSocket = collect(socket.listener('lost'));
  const onChannel = collect(channel.listener('lost'));
  const got = collect(channel);
  first.deliver('{"rid":2,"data":{"position":"e.50.1"}}');
  const told = (lost) => first.deliver(JSON.stringify({event: '#lost', data: lost}));
  told({channel: 'b', position: 'e.70.1', lost: {}});
  told();
  told({channel: 'a', position: 'e.60.1', lost: {from: 3, to: 4}});
  first.deliver(at('e.60.1', 0));
  first.deliver(at('e.61.1', 1));
  told({channel: 'a', lost: {}});
  told({channel: 'a', position: 'f.0.1'});
  await idle();
  assert.deepEqual(onChannel, [{from: 3, to: 4, position: 'e.60.1'}, {from: undefined, to: undefined, position: 'e.61.1'},
    {from: undefined, to: undefined, position: 'f.0.1'}]);
  assert.deepEqual(onSocket, onChannel.map((lost) => ({channel: 'a', ...lost})));
  assert.deepEqual(got, [1]);
  const {data} = await reconnect(socket);
  assert.deepEqual(data, {channel: 'a', since: 'f.0.1'});
});
