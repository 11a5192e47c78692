import assert from 'node:assert/strict';
import {test} from 'node:test';
import {collect, collectNames, idle, open, openSocket, token} from './fake.mjs';

test('PS-1, QK-43: the text of subscriptions; falsy data is data', async () => {
  const {socket, server} = await openSocket();
  socket.subscribe('a');
  socket.subscribe('b', {priority: 3, data: 0});
  socket.subscribe('c', {data: null});
  assert.deepEqual(server.sent.slice(1), [
    '{"event":"#subscribe","data":{"channel":"a"},"cid":2}',
    '{"event":"#subscribe","data":{"channel":"b","data":0},"cid":3}',
    '{"event":"#subscribe","data":{"channel":"c","data":null},"cid":4}',
  ]);
});

test('CL-21, CL-29: success changes the state, with events on channel and socket', async () => {
  const {socket, server} = await openSocket();
  const channel = socket.subscribe('a', {data: 1});
  const onChannel = collect(channel.listener('subscribe'));
  const changes = collect(socket.listener('subscribeStateChange'));
  const onSocket = collect(socket.listener('subscribe'));
  assert.equal(channel.state, 'pending');
  assert.deepEqual([socket.isSubscribed('a'), socket.isSubscribed('a', true)], [false, true]);
  server.deliver('{"rid":2}');
  await idle();
  assert.equal(channel.state, 'subscribed');
  assert.deepEqual(socket.subscriptions(), ['a']);
  assert.deepEqual(onChannel, [{subscriptionOptions: {data: 1}}]);
  assert.deepEqual(onSocket, [{channel: 'a', subscriptionOptions: {data: 1}}]);
  assert.deepEqual(changes,
    [{channel: 'a', oldChannelState: 'pending', newChannelState: 'subscribed', subscriptionOptions: {data: 1}}]);
});

test('CL-21: a refused subscription is gone, and is told on channel and socket', async () => {
  const {socket, server} = await openSocket();
  const channel = socket.subscribe('a');
  const onChannel = collect(channel.listener('subscribeFail'));
  const onSocket = collect(socket.listener('subscribeFail'));
  server.deliver('{"rid":2,"error":{"message":"no","name":"E"}}');
  await idle();
  assert.equal(channel.state, 'unsubscribed');
  assert.equal(String(onChannel[0].error), 'E: no');
  assert.deepEqual([onSocket[0].channel, onSocket[0].subscriptionOptions], ['a', {}]);
});

test('CL-21: subscription data that JSON cannot carry fails the subscription', async () => {
  const {socket, server} = await openSocket();
  const failures = collect(socket.listener('subscribeFail'));
  socket.subscribe('a', {data: 1n});
  await idle();
  assert.equal(failures.length, 1);
  assert.equal(server.sent.length, 1);
});

test('CL-21: a refusal after a logout leaves a waitForAuth channel pending', async () => {
  const {socket, server} = await openSocket();
  server.deliver(JSON.stringify({event: '#setAuthToken', data: {token: token({})}}));
  const channel = socket.subscribe('a', {waitForAuth: true});
  const failures = collect(socket.listener('subscribeFail'));
  socket.deauthenticate();
  server.deliver('{"rid":2,"error":{"message":"no"}}');
  await idle();
  assert.equal(channel.state, 'pending');
  assert.deepEqual(failures, []);
});

test('CL-21, CF-25: subscriptions have no timeout', async (t) => {
  t.mock.timers.enable({apis: ['setTimeout', 'Date']});
  const {socket, server} = await openSocket({ackTimeout: 100}, {pingTimeout: 100000});
  const channel = socket.subscribe('a');
  t.mock.timers.tick(5000);
  server.deliver('{"rid":2}');
  assert.equal(channel.state, 'subscribed');
});

test('CL-20: a known channel only takes the new options', async () => {
  const {socket, server} = await openSocket();
  socket.subscribe('a');
  const again = socket.subscribe('a', {waitForAuth: true, priority: 2, data: 'd'});
  assert.equal(server.sent.length, 2);
  assert.deepEqual(again.options, {waitForAuth: true, priority: 2, data: 'd'});
});

test('PS-6, CL-24: messages reach their channel only, pending included', async () => {
  const {socket, server} = await openSocket();
  const a = collect(socket.subscribe('a'));
  const other = collect(socket.channel('other'));
  server.deliver('{"event":"#publish","data":{"channel":"a","data":{"n":1}}}');
  server.deliver('{"event":"#publish","data":{"channel":"other","data":2}}');
  server.deliver('{"event":"#publish"}');
  server.deliver('{"event":"#publish","data":null}');
  await idle();
  assert.deepEqual(a, [{n: 1}]);
  assert.deepEqual(other, []);
});

test('PS-4, CL-23: unsubscribing cancels an outstanding request and sends the name itself', async () => {
  const {socket, server} = await openSocket();
  const channel = socket.subscribe('a');
  channel.unsubscribe();
  channel.subscribe();
  assert.deepEqual(server.sent.slice(2),
    ['{"event":"#unsubscribe","data":"a"}', '{"event":"#subscribe","data":{"channel":"a"},"cid":3}']);
  const subscriptions = collect(socket.listener('subscribe'));
  server.deliver('{"rid":2}');
  await idle();
  assert.deepEqual([channel.state, subscriptions.length], ['pending', 0]);
  server.deliver('{"rid":3}');
  assert.equal(channel.state, 'subscribed');
  const order = collectNames(socket, ['subscribeStateChange', 'unsubscribe']);
  channel.unsubscribe();
  await idle();
  assert.deepEqual(order, ['subscribeStateChange', 'unsubscribe']);
});

test('PS-7, CL-25: a kick-out ends the subscription for good; of an unknown channel it is ignored', async () => {
  const {socket, server} = await openSocket();
  const channel = socket.subscribe('a');
  server.deliver('{"rid":2}');
  const onSocket = collect(socket.listener('kickOut'));
  const onChannel = collect(channel.listener('kickOut'));
  const order = collectNames(socket, ['kickOut', 'subscribeStateChange', 'unsubscribe']);
  server.deliver('{"event":"#kickOut","data":{"channel":"unknown","message":"?"}}');
  server.deliver('{"event":"#kickOut","data":{"channel":"a","message":"bye"}}');
  await idle();
  assert.deepEqual(onSocket, [{channel: 'a', message: 'bye'}]);
  assert.deepEqual(onChannel, [{message: 'bye'}]);
  assert.deepEqual(order, ['kickOut', 'subscribeStateChange', 'unsubscribe']);
  socket.disconnect();
  const next = await open(socket);
  assert.equal(next.sent.length, 1);
});

test('CL-26: after a reconnect all channels are requested again, highest priority first', async () => {
  const {socket, server} = await openSocket();
  for (const [name, options] of [['low', {priority: -1}], ['a'], ['b'], ['high', {priority: 1}], ['auth', {waitForAuth: true}]]) {
    socket.subscribe(name, options);
  }
  server.deliver('[{"rid":2},{"rid":3},{"rid":4},{"rid":5}]');
  socket.reconnect();
  const next = await open(socket);
  assert.deepEqual(next.sent.slice(1).map((text) => JSON.parse(text).data.channel), ['high', 'a', 'b', 'low']);
  assert.deepEqual(socket.subscriptions(true), ['low', 'a', 'b', 'high', 'auth']);
});

test('CL-31: what a socket knows about its channels', async () => {
  const {socket, server} = await openSocket();
  const look = (name) => [socket.getChannelState(name), socket.isSubscribed(name), socket.isSubscribed(name, true)];
  const options = {waitForAuth: false, priority: 2, data: {q: 1}};
  socket.subscribe('a', options);
  socket.subscribe('b');
  assert.equal(socket.channel('other').name, 'other');
  server.deliver('{"rid":2}');
  assert.deepEqual(look('a'), ['subscribed', true, true]);
  assert.deepEqual(look('b'), ['pending', false, true]);
  assert.deepEqual(look('other'), ['unsubscribed', false, false]);
  assert.deepEqual([socket.subscriptions(), socket.subscriptions(true)], [['a'], ['a', 'b']]);
  assert.deepEqual(socket.getChannelOptions('a'), options);
  assert.deepEqual(socket.getChannelOptions('other'), {});
  assert.equal(server.sent.length, 3); // The channel that was only looked at is not subscribed to.
});

test('CF-22, CF-23, CL-20: a channel that waits for a login is requested after one only', async () => {
  const {socket, server} = await openSocket();
  const plain = socket.subscribe('plain');
  const refused = socket.authenticate('x');
  const waiting = socket.subscribe('waiting', {waitForAuth: true});
  server.deliver('{"rid":2}');
  server.deliver('{"rid":3,"error":{"message":"invalid token","name":"AuthTokenInvalidError","isBadToken":true}}');
  await assert.rejects(refused, {name: 'AuthTokenInvalidError'});
  assert.deepEqual([plain.state, waiting.state, server.sent.length], ['subscribed', 'pending', 3]);
  const admitted = socket.authenticate(token({}));
  server.deliver('{"rid":4,"data":{"isAuthenticated":true,"authError":null}}');
  await admitted;
  assert.equal(server.sent[4], '{"event":"#subscribe","data":{"channel":"waiting","waitForAuth":true},"cid":5}');
  server.deliver('{"rid":5}');
  assert.equal(waiting.state, 'subscribed');
  socket.disconnect();
  assert.equal(waiting.state, 'pending');
  assert.equal(socket.authState, 'authenticated');
});

test('CL-28: a logout unsubscribes nothing', async () => {
  const {socket, server} = await openSocket();
  server.deliver(JSON.stringify({event: '#setAuthToken', data: {token: token({})}}));
  const channel = socket.subscribe('a', {waitForAuth: true});
  server.deliver('{"rid":2}');
  await socket.deauthenticate();
  assert.equal(channel.state, 'subscribed');
});

test('QK-34: ending the streams of foo leaves those of foo/bar alone', async () => {
  const {socket, server} = await openSocket();
  const foo = socket.subscribe('foo');
  const bar = socket.subscribe('foo/bar');
  const fooMessages = foo.createConsumer();
  const fooEvents = foo.listener('subscribe').createConsumer();
  const barEvents = bar.listener('subscribe').createConsumer();
  server.deliver('{"event":"#publish","data":{"channel":"foo","data":1}}');
  foo.close();
  assert.deepEqual(await fooMessages.next(), {value: 1, done: false});
  assert.deepEqual(await fooMessages.next(), {value: undefined, done: true});
  assert.deepEqual(await fooEvents.next(), {value: undefined, done: true});
  server.deliver('{"rid":3}');
  assert.equal((await barEvents.next()).done, false);
});

test('ST-5, ST-6: kill drops what is queued, and the name can be used again', async () => {
  const {socket, server} = await openSocket();
  const channel = socket.subscribe('a');
  const consumer = channel.createConsumer();
  server.deliver('{"event":"#publish","data":{"channel":"a","data":1}}');
  channel.kill();
  assert.deepEqual(await consumer.next(), {value: undefined, done: true});
  const again = channel.createConsumer();
  server.deliver('{"event":"#publish","data":{"channel":"a","data":2}}');
  assert.deepEqual(await again.next(), {value: 2, done: false});
});

test('QK-2, QK-45: a channel may be called __proto__', async () => {
  const {socket, server} = await openSocket();
  const messages = collect(socket.subscribe('__proto__'));
  server.deliver('{"rid":2}');
  server.deliver('{"event":"#publish","data":{"channel":"__proto__","data":1}}');
  server.deliver('{"event":"#publish","data":{"channel":"toString","data":1}}');
  server.deliver('{"event":"#kickOut","data":{"channel":"toString"}}');
  await idle();
  assert.deepEqual(messages, [1]);
  assert.deepEqual(socket.subscriptions(), ['__proto__']);
});
