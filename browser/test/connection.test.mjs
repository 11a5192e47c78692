import assert from 'node:assert/strict';
import {test} from 'node:test';
import {FakeWebSocket, collect, collectNames, idle, invokeUnheard, lastWebSocket, memoryEngine, newSocket, open, openSocket,
  token} from './fake.mjs';

test('HS-2, GT-1: the first packet is the handshake, with cid 1 and the stored token or null', async () => {
  const {socket, server} = await openSocket();
  assert.deepEqual(server.sent, ['{"event":"#handshake","data":{"authToken":null},"cid":1}']);
  assert.equal(socket.state, 'open');
  assert.equal(socket.id, 'X');

  const stored = token({username: 'bob'});
  const second = await openSocket({authEngine: memoryEngine(stored)}, {isAuthenticated: true});
  assert.equal(second.server.sent[0], `{"event":"#handshake","data":{"authToken":"${stored}"},"cid":1}`);
});

test('CL-3: addresses', () => {
  const uri = (options) => newSocket({autoConnect: false, hostname: 'h', ...options}).uri();
  assert.equal(uri({port: 80}), 'ws://h/socketcluster/');
  assert.equal(uri({port: 443, secure: true}), 'wss://h/socketcluster/');
  assert.equal(uri({port: 8443, secure: true}), 'wss://h:8443/socketcluster/');
  assert.equal(uri({port: '80'}), 'ws://h:80/socketcluster/');
  assert.equal(uri({port: 99, path: '/p/'}), 'ws://h:99/p/');
  assert.equal(uri({port: 80, query: {a: 1, b: ['x', 'y z']}}), 'ws://h/socketcluster/?a=1&b=x&b=y+z');
  assert.equal(uri({port: 80, query: 'a=1&b=2'}), 'ws://h/socketcluster/?a=1&b=2');
});

test('CL-1, CL-2: defaults come from the page, and bad options are refused', (t) => {
  globalThis.location = {protocol: 'https:', hostname: 'example.com', port: ''};
  t.after(() => delete globalThis.location);
  const socket = newSocket({autoConnect: false, hostname: undefined, port: undefined});
  assert.equal(socket.uri(), 'wss://example.com/socketcluster/');
  assert.equal(socket.authTokenName, 'socketcluster.authToken.example.com:443');
  assert.throws(() => newSocket({ackTimeout: 2 ** 31}), {name: 'InvalidArgumentsError', message: /ackTimeout value/});
  assert.throws(() => newSocket({WebSocket: {}}), {name: 'InvalidArgumentsError'});
});

test('CL-1: the times of the defaults', async (t) => {
  t.mock.timers.enable({apis: ['setTimeout', 'Date'], now: 1e12});
  const socket = newSocket({autoReconnect: undefined});
  const aborts = collect(socket.listener('connectAbort'));
  assert.equal(socket.state, 'connecting'); // autoConnect
  t.mock.timers.tick(19999);
  await idle();
  assert.deepEqual(aborts, []);
  t.mock.timers.tick(1);
  await idle();
  assert.deepEqual(aborts.map(({code}) => code), [4007]);
  const {pendingReconnectTimeout: delay} = socket;
  assert.ok(delay >= 10000 && delay <= 20000, `${delay} ms`);

  const server = await open(socket);
  let failed;
  socket.invoke('p').catch((error) => (failed = error.name));
  t.mock.timers.tick(9999);
  await idle();
  assert.equal(failed, undefined);
  t.mock.timers.tick(1);
  await idle();
  assert.equal(failed, 'TimeoutError');
  assert.equal(server.uri, 'ws://h:8000/socketcluster/');
});

test('PP-1, PP-8: an empty message is answered by an empty message', async () => {
  const {server} = await openSocket();
  server.deliver('');
  assert.equal(server.sent[1], '');
});

test('QK-40, HS-10: no pong precedes the handshake', async () => {
  let release;
  const authEngine = {...memoryEngine(), loadToken: () => new Promise((resolve) => (release = resolve))};
  newSocket({authEngine});
  const server = lastWebSocket();
  server.accept();
  await idle();
  server.deliver('');
  assert.deepEqual(server.sent, []);
  release(null);
  await idle();
  server.deliver('');
  assert.deepEqual(server.sent, ['{"event":"#handshake","data":{"authToken":null},"cid":1}', '']);
});

test('PP-7: only pings keep the connection; without them it ends with 4000', async (t) => {
  t.mock.timers.enable({apis: ['setTimeout', 'Date']});
  const {socket, server} = await openSocket({}, {pingTimeout: 1000});
  const disconnects = collect(socket.listener('disconnect'));
  t.mock.timers.tick(900);
  server.deliver('');
  t.mock.timers.tick(900);
  server.deliver('{"event":"other traffic"}');
  assert.equal(socket.state, 'open');
  t.mock.timers.tick(100);
  await idle();
  assert.equal(server.closedWith.code, 4000);
  assert.deepEqual(disconnects, [{code: 4000, reason: 'Server ping timed out'}]);
});

test('PP-6: pingTimeoutDisabled switches the timer off', async (t) => {
  t.mock.timers.enable({apis: ['setTimeout', 'Date']});
  const {socket, server} = await openSocket({pingTimeoutDisabled: true}, {pingTimeout: 1000});
  t.mock.timers.tick(100000);
  assert.equal(socket.state, 'open');
  socket.transmit('late');
  assert.equal(server.sent[1], '{"event":"late"}');
});

test('HS-15: a handshake status without pingTimeout keeps the connection', async (t) => {
  t.mock.timers.enable({apis: ['setTimeout', 'Date']});
  const {socket} = await openSocket({}, {pingTimeout: undefined});
  t.mock.timers.tick(10000);
  assert.equal(socket.state, 'open');
});

test('PP-9: a stale connection is replaced before something is sent', async (t) => {
  t.mock.timers.enable({apis: ['Date']}); // A sleeping computer: the clock goes on, the timers do not fire.
  const {socket, server} = await openSocket({}, {pingTimeout: 1000});
  t.mock.timers.tick(1000);
  socket.transmit('after sleep');
  assert.deepEqual(server.closedWith,
    {code: 1000, reason: 'Stale socket was disconnected by the client to initiate a new connection'});
  const next = await open(socket);
  assert.notEqual(next, server);
  assert.deepEqual(next.sent.slice(1), ['{"event":"after sleep"}']);
  assert.equal(server.sent.length, 1);
});

test('CL-6: connectTimeout ends the opening with 4007, ackTimeout the handshake with 4003', async (t) => {
  t.mock.timers.enable({apis: ['setTimeout', 'Date']});
  const socket = newSocket({connectTimeout: 500, ackTimeout: 200});
  const aborts = collect(socket.listener('connectAbort'));
  const errors = collect(socket.listener('error'));
  t.mock.timers.tick(500);
  await idle();
  assert.deepEqual(aborts, [{code: 4007, reason: 'Client connection establishment timed out'}]);

  socket.connect();
  lastWebSocket().accept();
  await idle();
  t.mock.timers.tick(200);
  await idle();
  assert.deepEqual(aborts[1], {code: 4003, reason: 'TimeoutError: Event response for #handshake event timed out'});
  assert.equal(lastWebSocket().closedWith.code, 4003);
  assert.deepEqual(errors.map(({error}) => error.name),
    ['SocketProtocolError', 'TimeoutError', 'SocketProtocolError']);
});

test('CL-6: a WebSocket error while connecting is 1006', async () => {
  const socket = newSocket();
  const closes = collect(socket.listener('close'));
  lastWebSocket().onerror({});
  lastWebSocket().drop(1002);
  await idle();
  assert.deepEqual(closes, [{code: 1006, reason: 'Socket hung up'}]);
});

test('CL-34: a WebSocket constructor that throws is an error event and a 1006', async () => {
  class Refusing {
    constructor() {
      throw new SyntaxError('bad address');
    }
  }
  const socket = newSocket({autoConnect: false, WebSocket: Refusing});
  const errors = collect(socket.listener('error'));
  const aborts = collect(socket.listener('connectAbort'));
  socket.connect();
  await idle();
  assert.equal(errors[0].error.message, 'bad address');
  assert.deepEqual(aborts, [{code: 1006, reason: 'Socket hung up'}]);
  assert.equal(socket.state, 'closed');
});

for (const [name, error, code, reason] of [
  ['HS-21, CL-7: with a status code', {message: 'm', name: 'E', statusCode: 4501}, 4501, 'E: m'],
  ['CL-7: without a status code', {message: 'm', name: 'E'}, 4003, 'E: m'],
  ['QK-28: as text', 'nope', 4003, 'Error: nope'],
  ['QK-7: with a status code that no close frame can carry', {message: 'm', name: 'E', statusCode: 500}, 4003, 'E: m'],
]) {
  test(`a refused handshake, ${name}`, async () => {
    const socket = newSocket();
    const errors = collect(socket.listener('error'));
    const aborts = collect(socket.listener('connectAbort'));
    const server = lastWebSocket();
    server.accept();
    await idle();
    server.deliver(JSON.stringify({rid: 1, error}));
    await idle();
    assert.deepEqual(aborts, [{code, reason}]);
    assert.equal(server.closedWith.code, code);
    assert.equal(errors.length, 2);
    assert.equal(String(errors[0].error), reason);
    assert.equal(errors[1].error.name, 'SocketProtocolError');
    assert.equal(errors[1].error.code, code);
  });
}

test('AUTH-51: a token that cannot be loaded ends the handshake with 4003', async () => {
  const authEngine = {...memoryEngine(), loadToken: async () => { throw new Error('no keyring'); }};
  const socket = newSocket({authEngine});
  const aborts = collect(socket.listener('connectAbort'));
  lastWebSocket().accept();
  await idle();
  assert.deepEqual(aborts, [{code: 4003, reason: 'Error: no keyring'}]);
});

test('CL-8, GT-7: after the handshake come subscriptions by priority, then what was queued', async () => {
  const socket = newSocket({autoConnect: false});
  socket.transmit('early', 1);
  invokeUnheard(socket, 'earlyRpc');
  socket.subscribe('chan');
  socket.subscribe('chanP', {priority: 5, data: {q: 1}});
  socket.subscribe('wfa', {waitForAuth: true});
  const server = await open(socket);
  assert.deepEqual(server.sent.slice(1), [
    '{"event":"#subscribe","data":{"channel":"chanP","data":{"q":1}},"cid":2}',
    '{"event":"#subscribe","data":{"channel":"chan"},"cid":3}',
    '{"event":"early","data":1}',
    '{"event":"earlyRpc","cid":4}',
  ]);
});

test('CL-9, CF-25, RPC-14: the order of events at a loss, calls rejected first', async () => {
  const {socket, server} = await openSocket();
  socket.subscribe('a');
  server.deliver('{"rid":2}');
  await idle();
  const order = collectNames(socket, ['subscribeStateChange', 'unsubscribe', 'disconnect', 'close', 'error']);
  socket.invoke('p').catch((error) => {
    order.push('rejection');
    assert.equal(error.name, 'BadConnectionError');
    assert.equal(error.message, 'Event p was aborted due to a bad connection');
    assert.deepEqual([error.type, error.code, error.reason], ['disconnect', 4444, 'bye']);
  });
  server.drop(4444, 'bye');
  await idle();
  assert.deepEqual(order, ['rejection', 'subscribeStateChange', 'unsubscribe', 'disconnect', 'close', 'error']);
  assert.equal(socket.getChannelState('a'), 'pending');
});

test('CL-10: close codes without a table text carry code and reason; 1000 and 1001 are no errors', async () => {
  for (const [code, reason, message] of [
    [1006, '', 'Socket hung up'],
    [4444, 'bye', 'Socket connection closed with status code 4444 and reason: bye'],
    [1001, '', undefined],
    [1000, '', undefined],
  ]) {
    const {socket, server} = await openSocket();
    const errors = collect(socket.listener('error'));
    server.drop(code, reason);
    await idle();
    assert.deepEqual(errors.map(({error}) => error.message), message ? [message] : []);
    if (message) assert.equal(errors[0].error.code, code);
  }
});

test('CL-13, TR-33, QK-18: disconnect checks its code before it changes anything, and cuts a long reason', async () => {
  const {socket, server} = await openSocket();
  assert.throws(() => socket.disconnect('4000'),
    {name: 'InvalidArgumentsError', message: 'If specified, the code argument must be a number'});
  assert.throws(() => socket.disconnect(1006), {name: 'InvalidArgumentsError'});
  assert.equal(socket.state, 'open');
  socket.disconnect(4501, 'ä'.repeat(100));
  assert.equal(socket.state, 'closed');
  assert.equal(server.closedWith.code, 4501);
  assert.equal(server.closedWith.reason, 'ä'.repeat(61));
});

test('disconnect while connecting aborts, and calls learn why (CL-17)', async () => {
  const socket = newSocket();
  const order = collectNames(socket, ['connectAbort', 'disconnect']);
  const call = socket.invoke('p');
  socket.disconnect();
  await assert.rejects(call, {name: 'BadConnectionError', type: 'connectAbort', code: 1000, reason: 'Socket closed normally'});
  await idle();
  assert.deepEqual(order, ['connectAbort']);
});

test('CL-5: connect with options replaces the connection; without it does nothing while one lives', async () => {
  const {socket, server} = await openSocket();
  socket.connect();
  assert.equal(lastWebSocket(), server);
  socket.connect({path: '/other/'});
  assert.deepEqual(server.closedWith,
    {code: 1000, reason: 'Socket was disconnected by the client to initiate a new connection'});
  assert.equal(lastWebSocket().uri, 'ws://h:8000/other/');
  assert.equal(socket.authTokenName, 'socketcluster.authToken.h:8000');
});

test('nothing of an ended connection reaches the next one', async () => {
  const {socket, server} = await openSocket();
  const received = collect(socket.receiver('news'));
  socket.reconnect();
  const next = await open(socket);
  server.deliver('{"event":"news","data":"old"}');
  server.drop(4501);
  next.deliver('{"event":"news","data":"new"}');
  await idle();
  assert.deepEqual(received, ['new']);
  assert.equal(socket.state, 'open');
});

test('CL-11, CL-12: back-off grows and is capped', async (t) => {
  t.mock.timers.enable({apis: ['setTimeout', 'Date']});
  const autoReconnectOptions = {initialDelay: 50, randomness: 0, multiplier: 1.5, maxDelay: 120};
  const socket = newSocket({autoReconnect: true, autoReconnectOptions});
  const delays = [];
  for (let i = 0; i < 5; i++) {
    lastWebSocket().onerror({});
    delays.push(socket.pendingReconnectTimeout);
    t.mock.timers.tick(socket.pendingReconnectTimeout);
    assert.equal(socket.state, 'connecting');
  }
  assert.deepEqual(delays, [50, 75, 113, 120, 120]);
});

test('CL-11: which codes reconnect', async (t) => {
  t.mock.timers.enable({apis: ['setTimeout', 'Date'], now: 1e12});
  for (const [code, delay] of [[4000, 0], [4001, 0], [1005, 0], [1006, 10000], [1000, null], [4500, null], [4499, 10000]]) {
    const {socket, server} = await openSocket({autoReconnect: true, autoReconnectOptions: {randomness: 0}});
    t.mock.timers.tick(5000);
    server.drop(code);
    assert.equal(socket.pendingReconnectTimeout, delay, `code ${code}`);
    socket.disconnect();
    assert.equal(socket.pendingReconnect, false);
  }
});

test('QK-41: after an own code it connects again, unless the code is final', async () => {
  for (const [code, again] of [[4444, true], [1000, false], [4500, false]]) {
    const {socket} = await openSocket({autoReconnect: true});
    socket.disconnect(code);
    assert.equal(socket.pendingReconnect, again, `code ${code}`);
    socket.disconnect();
    assert.equal(socket.pendingReconnect, false);
  }
});

test('CF-26: connect and disconnect in a row tell each step once', async () => {
  const socket = newSocket();
  const order = collectNames(socket, ['connecting', 'connect', 'connectAbort', 'disconnect', 'close']);
  socket.disconnect();
  socket.connect();
  socket.reconnect();
  await open(socket);
  socket.disconnect(4501, 'bye');
  await idle();
  assert.deepEqual(order, ['connectAbort', 'close', 'connecting', 'connectAbort', 'close', 'connecting', 'connect', 'disconnect', 'close']);
});

test('QK-42: a server that accepts and closes with 1005 is not tried in a tight loop', async (t) => {
  t.mock.timers.enable({apis: ['setTimeout', 'Date'], now: 1e12});
  const {socket, server} = await openSocket({autoReconnect: true});
  server.drop(1005);
  assert.equal(socket.pendingReconnectTimeout, 1000);
  const before = FakeWebSocket.opened.length;
  t.mock.timers.tick(999);
  assert.equal(FakeWebSocket.opened.length, before);
  t.mock.timers.tick(1);
  assert.equal(FakeWebSocket.opened.length, before + 1);
});
