import assert from 'node:assert/strict';
import {test} from 'node:test';
import {recovery} from '../recovery.js';

const publish = (channel, position, data) => JSON.stringify({event: '#publish', data: {channel, position, data}});
const subscribe = (engine, cid, channel) => JSON.parse(engine.encode({event: '#subscribe', cid, data: {channel}})).data;

// take decodes a message and reads what the client reads of it.
function take(engine, text) {
  const packets = [engine.decode(text)].flat();
  for (const {data} of packets) void [data?.channel, data?.data];
  return packets;
}

test('a subscription continues where it was', () => {
  const engine = recovery();
  assert.deepEqual(subscribe(engine, 1, 'a'), {channel: 'a'});
  take(engine, '{"rid":1,"data":{"position":"e.9.1"}}');
  assert.deepEqual(subscribe(engine, 2, 'a'), {channel: 'a', since: 'e.9.1'});
  assert.equal(engine.decode(publish('a', 'e.a.1', 5)).data.data, 5);
  take(engine, '{"rid":2,"data":{"position":"e.a.1"}}');
  assert.deepEqual(subscribe(engine, 3, 'a'), {channel: 'a', since: 'e.a.1'});
  assert.deepEqual(subscribe(engine, 4, 'b'), {channel: 'b'});
  engine.encode({event: '#unsubscribe', cid: 5, data: 'a'});
  assert.deepEqual(subscribe(engine, 6, 'a'), {channel: 'a'});
  take(engine, publish('a', 'e.b.1', 6));
  take(engine, '{"event":"#kickOut","data":{"channel":"a"}}');
  assert.deepEqual(subscribe(engine, 7, 'a'), {channel: 'a'});
});

test('what is not newer is dropped, also in a batch', () => {
  const engine = recovery();
  const seen = text => take(engine, text).length;
  assert.deepEqual(['e.z.1', 'e.z.1', 'e.y.2', 'e.10.1', 'e.11.1', 'e.9.1', 'f.1.1', 'f.1.1'].map(p => seen(publish('a', p, 1))),
    [1, 0, 0, 1, 1, 0, 1, 0]);
  assert.equal(seen(`[${publish('a', 'f.1.1', 1)},${publish('a', 'f.2.1', 2)},${publish('b', 'f.1.1', 3)}]`), 2);
  assert.equal(seen('{"event":"#publish","data":{"channel":"a","data":1}}'), 1);
});

test('what the client decodes and does not read is not seen', () => {
  const lost = [];
  const engine = recovery({onLost: (...args) => lost.push(args)});
  subscribe(engine, 1, 'a');
  take(engine, '{"rid":1,"data":{"position":"e.1.1"}}');
  take(engine, publish('a', 'e.2.1', 1));
  subscribe(engine, 2, 'a');
  engine.decode(`[${publish('a', 'e.3.1', 1)},${publish('a', 'e.4.1', 1)}]`);
  engine.decode('{"rid":2,"data":{"position":"e.4.1","lost":{}}}');
  engine.decode('{"event":"#kickOut","data":{"channel":"a"}}');
  assert.deepEqual([subscribe(engine, 3, 'a'), lost], [{channel: 'a', since: 'e.2.1'}, []]);
  assert.deepEqual(take(engine, publish('a', 'e.3.1', 1)).length, 1);
});

test('the answer to a subscription tells what is lost, and where the channel is', () => {
  const lost = [];
  const engine = recovery({onLost: (...args) => lost.push(args)});
  take(engine, publish('a', 'e.50.1', 1));
  subscribe(engine, 1, 'a');
  take(engine, '{"rid":1,"data":{"position":"e.40.1","lost":{}}}');
  assert.deepEqual(subscribe(engine, 2, 'a'), {channel: 'a', since: 'e.40.1'});
  take(engine, '{"rid":2,"data":{"position":"e.60.1","lost":{"from":3,"to":4}}}');
  assert.deepEqual(lost, [['a', undefined, undefined], ['a', 3, 4]]);
  subscribe(engine, 3, 'a');
  take(engine, '{"rid":3,"error":{"message":"no"}}');
  take(engine, '{"rid":3,"data":{"position":"e.99.1"}}'); // nobody waits for it any more
  assert.deepEqual(subscribe(engine, 4, 'a'), {channel: 'a', since: 'e.60.1'});
  engine.encode({event: '#handshake', cid: 1, data: {}});
  take(engine, '{"rid":4,"data":{"position":"e.99.1"}}'); // the answer to another call
  assert.deepEqual(subscribe(engine, 5, 'a'), {channel: 'a', since: 'e.60.1'});
  take(engine, publish('a', 'e.61.1', 1)); // it is live, and comes before the answer
  take(engine, '{"rid":5,"data":{"position":"e.60.1","lost":{}}}');
  assert.deepEqual(subscribe(engine, 6, 'a'), {channel: 'a', since: 'e.61.1'});
  take(engine, '{"rid":6}'); // nothing is kept any more
  assert.deepEqual(subscribe(engine, 7, 'a'), {channel: 'a'});
});

test('a loss is told although the connection ends before the answer', () => {
  const lost = [];
  const engine = recovery({onLost: (...args) => lost.push(args)});
  take(engine, publish('a', 'e.5.1', 1));
  subscribe(engine, 1, 'a');
  assert.equal(take(engine, publish('a', 'e.50.1', 1)).length, 1); // and what was between is lost
  engine.encode({event: '#handshake', cid: 1, data: {}});
  assert.deepEqual(subscribe(engine, 2, 'a'), {channel: 'a', since: 'e.5.1'});
  assert.equal(take(engine, `[${publish('a', 'e.50.1', 1)},${publish('a', 'e.51.1', 2)}]`).length, 1);
  take(engine, '{"rid":2,"data":{"position":"e.51.1","lost":{"from":6,"to":9}}}');
  assert.deepEqual(lost, [['a', 6, 9]]);
  assert.deepEqual(subscribe(engine, 3, 'a'), {channel: 'a', since: 'e.51.1'});
  engine.encode({event: '#unsubscribe', cid: 4, data: 'a'});
  assert.deepEqual(subscribe(engine, 5, 'a'), {channel: 'a'});
});

test('a loss is told while the channel is live, if the client reads it', () => {
  const lost = [];
  const engine = recovery({onLost: (...args) => lost.push(args)});
  take(engine, publish('a', 'e.5.1', 1));
  const told = data => JSON.stringify({event: '#lost', data});
  take(engine, told({channel: 'a', position: 'e.9.1', lost: {from: 6, to: 9}}));
  assert.equal(take(engine, `[${publish('a', 'e.9.1', 1)},${publish('a', 'e.a.1', 2)}]`).length, 1);
  take(engine, told({channel: 'b', lost: {}}));
  engine.decode(told({channel: 'a', position: 'e.z.1', lost: {}}));
  assert.deepEqual(lost, [['a', 6, 9], ['b', undefined, undefined]]);
  assert.deepEqual([subscribe(engine, 1, 'a'), subscribe(engine, 2, 'b')], [{channel: 'a', since: 'e.a.1'}, {channel: 'b'}]);
  assert.deepEqual(take(engine, '{"event":"#lost"}'), [{event: '#lost'}]);
});

test('a new subscription begins with the last publications', () => {
  assert.deepEqual(subscribe(recovery({last: 5}), 1, 'a'), {channel: 'a', last: 5});
  const engine = recovery({last: channel => channel === 'a' ? 2 : 0});
  assert.deepEqual([subscribe(engine, 1, 'a'), subscribe(engine, 2, 'b')], [{channel: 'a', last: 2}, {channel: 'b'}]);
});

test('other messages pass, also those of another codec', () => {
  const engine = recovery();
  assert.equal(engine.decode('#1'), '#1');
  assert.equal(engine.decode(null), null);
  assert.equal(engine.encode({event: 'x', data: new Uint8Array([1, 2])}), '{"event":"x","data":{"base64":true,"data":"AQI="}}');
  const codec = {encode: object => [object], decode: message => message};
  const wrapped = recovery({codec});
  assert.deepEqual(wrapped.encode({event: '#subscribe', cid: 1, data: {channel: 'a'}}), [{event: '#subscribe', cid: 1, data: {channel: 'a'}}]);
  assert.deepEqual(wrapped.encode([{event: 'x'}]), [[{event: 'x'}]]);
});
