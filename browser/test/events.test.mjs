import assert from 'node:assert/strict';
import {test} from 'node:test';
import {collect, idle, invokeUnheard, lastWebSocket, newSocket, open, openSocket} from './fake.mjs';

test('RPC-1, CL-18, DOC-14: the text of transmits and calls; calls alone have an id', async () => {
  const {socket, server} = await openSocket();
  socket.transmit('t');
  socket.transmit('t', null);
  socket.transmit('t', 1);
  invokeUnheard(socket, 'p', 1);
  invokeUnheard(socket, 'p');
  socket.transmitPublish('x', 5);
  socket.invokePublish('x').catch(() => {});
  assert.deepEqual(server.sent.slice(1), [
    '{"event":"t"}',
    '{"event":"t","data":null}',
    '{"event":"t","data":1}',
    '{"event":"p","data":1,"cid":2}',
    '{"event":"p","cid":3}',
    '{"event":"#publish","data":{"channel":"x","data":5}}',
    '{"event":"#publish","data":{"channel":"x"},"cid":4}',
  ]);
});

test('TR-21: bytes become an object with base64 text', async () => {
  const {socket, server} = await openSocket();
  socket.transmit('t', {file: new Uint8Array([1, 2, 255]).buffer});
  assert.equal(server.sent[1], '{"event":"t","data":{"file":{"base64":true,"data":"AQL/"}}}');
});

test('RPC-18: answers resolve or reject, with the fields of the error', async () => {
  const {socket, server} = await openSocket();
  const answers = ['{"rid":2,"data":0}', '{"rid":3}',
    '{"rid":4,"error":{"message":"m","name":"LoginError","tries":3,"stack":"no","__proto__":{"evil":1}}}',
    '{"rid":5,"error":"boom"}', '{"rid":6,"error":{}}'];
  const calls = answers.map(() => socket.invoke('p'));
  for (const answer of answers) server.deliver(answer);
  assert.equal(await calls[0], 0);
  assert.equal(await calls[1], undefined);
  const error = await calls[2].catch((reason) => reason);
  assert.ok(error instanceof Error);
  assert.deepEqual([error.name, error.message, error.tries], ['LoginError', 'm', 3]);
  assert.notEqual(error.stack, 'no');
  assert.equal(error.evil, undefined);
  assert.equal(await calls[3].catch((reason) => reason), 'boom');
  await assert.rejects(calls[4], {name: 'Error', message: 'Invalid error message format'});
});

test('CL-15: a call that nobody answers times out, also while it waits for a connection', async (t) => {
  t.mock.timers.enable({apis: ['setTimeout', 'Date']});
  const {socket, server} = await openSocket({ackTimeout: 100});
  const sent = socket.invoke('p');
  const short = socket.invoke('q', null, {ackTimeout: 10});
  const errors = collect(socket.listener('error'));
  t.mock.timers.tick(10);
  await assert.rejects(short, {name: 'TimeoutError', message: 'Event response for q event timed out'});
  t.mock.timers.tick(90);
  await assert.rejects(sent, {name: 'TimeoutError'});
  server.deliver('{"rid":2,"data":"too late"}');
  await idle();
  assert.deepEqual(errors, []);

  const offline = newSocket({ackTimeout: 100});
  const queued = offline.invoke('p');
  t.mock.timers.tick(100);
  await assert.rejects(queued, {name: 'TimeoutError'});
  const opened = await open(offline);
  assert.equal(opened.sent.length, 1);
});

test('CL-14: sending on a closed socket connects it', async () => {
  const {socket} = await openSocket();
  socket.disconnect();
  socket.transmit('again');
  assert.equal(socket.state, 'connecting');
  const server = await open(socket);
  assert.deepEqual(server.sent, ['{"event":"#handshake","data":{"authToken":null},"cid":2}', '{"event":"again"}']);
});

test('TR-19: binary messages are raw, whatever is in them', async () => {
  const {socket, server} = await openSocket();
  assert.equal(server.binaryType, 'arraybuffer');
  const news = collect(socket.receiver('n'));
  const raw = collect(socket.listener('raw'));
  const {buffer} = new TextEncoder().encode('{"event":"n","data":1}');
  server.deliver(buffer);
  server.deliver(new ArrayBuffer(0));
  await idle();
  assert.deepEqual(news, []);
  assert.deepEqual(raw.map(({message}) => message), [buffer, new ArrayBuffer(0)]);
  assert.equal(server.sent.length, 1); // No pong.
});

test('CL-16, CL-18: what waits for a connection that fails is lost, and calls learn it', async () => {
  const socket = newSocket();
  const errors = collect(socket.listener('error'));
  assert.equal(await socket.transmit('t'), undefined); // At once.
  const call = socket.invoke('p', 1);
  socket.transmitPublish('a', 2);
  const publication = socket.invokePublish('a', 3);
  lastWebSocket().drop(1006);
  for (const lost of [call, publication]) {
    await assert.rejects(lost, {name: 'BadConnectionError', type: 'connectAbort', code: 1006, reason: 'Socket hung up'});
  }
  await idle();
  assert.deepEqual(errors.map(({error}) => error.name), ['BadConnectionError', 'BadConnectionError', 'SocketProtocolError']);
  const server = await open(socket);
  assert.equal(server.sent.length, 1); // Nothing but the handshake.
  const answer = socket.invoke('p');
  server.deliver(JSON.stringify({rid: JSON.parse(server.sent[1]).cid, data: 'done'}));
  assert.equal(await answer, 'done');
});

test('ST-15: streams outlive connections', async () => {
  const {socket, server} = await openSocket();
  const received = collect(socket.receiver('n'));
  const called = collect(socket.procedure('p'));
  const published = collect(socket.subscribe('a'));
  const deliver = (to, data) => {
    to.deliver(`{"event":"n","data":${data}}`);
    to.deliver(`{"event":"p","data":${data},"cid":${data}}`);
    to.deliver(`{"event":"#publish","data":{"channel":"a","data":${data}}}`);
  };
  deliver(server, 1);
  socket.reconnect();
  deliver(await open(socket), 2);
  await idle();
  assert.deepEqual(received, [1, 2]);
  assert.deepEqual(called.map(({data}) => data), [1, 2]);
  assert.deepEqual(published, [1, 2]);
});

test('QK-44: a transmit that is lost before it was sent is reported', async () => {
  const socket = newSocket();
  const errors = collect(socket.listener('error'));
  socket.transmit('lost');
  socket.disconnect();
  await idle();
  assert.deepEqual(errors.map(({error}) => error.message), ['Event lost was aborted due to a bad connection']);
});

test('TR-22: what JSON cannot carry fails the call and sends nothing', async () => {
  const {socket, server} = await openSocket();
  const cycle = {};
  cycle.self = cycle;
  await assert.rejects(socket.invoke('p', cycle), TypeError);
  const errors = collect(socket.listener('error'));
  socket.transmit('t', 1n);
  await idle();
  assert.equal(errors.length, 1);
  assert.equal(server.sent.length, 1);
});

test('the queue for a connection is bounded', async () => {
  const socket = newSocket();
  const calls = [];
  for (let i = 0; i < 10000; i++) calls.push(socket.invoke('p').catch((error) => error.name));
  await assert.rejects(socket.invoke('p'), {name: 'ResourceLimitError'});
  socket.disconnect();
  assert.equal(await calls[0], 'BadConnectionError');
  await Promise.all(calls);
});

test('TR-23, TR-24: batches in order, packets told from raw messages', async () => {
  const {socket, server} = await openSocket();
  const news = collect(socket.receiver('n'));
  const raw = collect(socket.listener('raw'));
  const messages = collect(socket.listener('message'));
  const call = socket.invoke('p');
  server.deliver(' [{"event":"n","data":1},{"event":"n","cid":"text","data":2},{"rid":2,"data":"ok"},{"event":"n"}]');
  server.deliver('[]');
  for (const message of ['plain', '{broken', '5', '{"rid":"2"}']) server.deliver(message);
  const bytes = new ArrayBuffer(1);
  server.deliver(bytes);
  await idle();
  assert.deepEqual(news, [1, 2, undefined]);
  assert.equal(await call, 'ok');
  assert.deepEqual(raw.map(({message}) => message), ['plain', '{broken', '5', '{"rid":"2"}', bytes]);
  assert.equal(messages.length, 7);
});

test('QK-45: names of Object.prototype are ordinary names', async () => {
  const {socket, server} = await openSocket();
  const names = ['toString', '__proto__', 'constructor', 'hasOwnProperty'];
  const streams = names.map((name) => collect(socket.receiver(name)));
  const procedures = names.map((name) => collect(socket.procedure(name)));
  for (const name of names) {
    server.deliver(`{"event":"${name}","data":"${name}"}`);
    server.deliver(`{"event":"${name}","cid":1}`);
  }
  await idle();
  assert.deepEqual(streams, names.map((name) => [name]));
  assert.deepEqual(procedures.map((requests) => requests[0].procedure), names);
});

test('RPC-7, RPC-8, CL-19: procedures answer once', async () => {
  const {socket, server} = await openSocket();
  const requests = collect(socket.procedure('p'));
  for (const cid of [10, 11, 12, 13, 14, 15]) server.deliver(`{"event":"p","cid":${cid},"data":"d"}`);
  server.deliver('{"event":"unhandled","cid":99}');
  await idle();
  assert.deepEqual([requests[0].id, requests[0].procedure, requests[0].data, requests[0].sent], [10, 'p', 'd', false]);
  requests[0].end();
  requests[1].end(null);
  requests[2].error('boom');
  requests[3].error(Object.assign(new TypeError('m'), {detail: 1, cause: 'secret'}));
  requests[4].error(undefined);
  requests[5].end(1n);
  assert.throws(() => requests[0].end(),
    {name: 'InvalidActionError', message: 'Response to request 10 has already been sent'});
  assert.deepEqual(server.sent.slice(1), [
    '{"rid":10}',
    '{"rid":11,"data":null}',
    '{"rid":12,"error":"boom"}',
    '{"rid":13,"error":{"message":"m","detail":1}}',
    '{"rid":14,"error":{"message":"The procedure failed without an error","name":"UnknownError"}}', // QK-26
    '{"rid":15,"error":{"message":"The response could not be encoded","name":"InvalidMessageError"}}', // QK-25
  ]);
});

test('RPC-9: an answer after the connection was lost is an error event and goes nowhere', async () => {
  const {socket, server} = await openSocket();
  const requests = collect(socket.procedure('p'));
  server.deliver('{"event":"p","cid":10}');
  await idle();
  socket.reconnect();
  const next = await open(socket);
  const errors = collect(socket.listener('error'));
  requests[0].end();
  await idle();
  assert.match(errors[0].error.message, /WebSocket is not open/);
  assert.equal(server.sent.length, 1);
  assert.equal(next.sent.length, 1);
});

test('ST-2, ST-7: a consumer sees what comes after its creation; once waits, or times out', async (t) => {
  t.mock.timers.enable({apis: ['setTimeout', 'Date']});
  const {socket, server} = await openSocket();
  server.deliver('{"event":"n","data":"early"}');
  const first = socket.receiver('n').once();
  const timed = socket.receiver('never').once(50);
  server.deliver('{"event":"n","data":"one"}');
  server.deliver('{"event":"n","data":"two"}');
  assert.equal(await first, 'one');
  t.mock.timers.tick(50);
  await assert.rejects(timed, {name: 'TimeoutError', message: 'Stream consumer iteration timed out'});
});

test('ST-8, QK-46: leaving a loop ends its consumer for good', async () => {
  const {socket, server} = await openSocket();
  const consumer = socket.receiver('n').createConsumer();
  server.deliver('{"event":"n","data":1}');
  for await (const item of consumer) {
    assert.equal(item, 1);
    break;
  }
  server.deliver('{"event":"n","data":2}');
  assert.deepEqual(await consumer.next(), {value: undefined, done: true});
});

test('ST-16, QK-32: a consumer that does not read loses the oldest items, and that is reported once', async () => {
  const {socket, server} = await openSocket();
  const errors = collect(socket.listener('error'));
  const slow = socket.receiver('n').createConsumer();
  for (let i = 0; i < 10005; i++) server.deliver(`{"event":"n","data":${i}}`);
  await idle();
  assert.deepEqual(errors.map(({error}) => error.name), ['ResourceLimitError']);
  assert.equal((await slow.next()).value, 5);
});
