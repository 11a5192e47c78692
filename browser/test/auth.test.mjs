import assert from 'node:assert/strict';
import {test} from 'node:test';
import {collect, collectNames, idle, lastWebSocket, memoryEngine, newSocket, open, openSocket, token} from './fake.mjs';

const bob = token({username: 'bob', exp: 1});
const ann = token({username: 'änn'});

function setToken(server, signedToken) {
  server.deliver(JSON.stringify({event: '#setAuthToken', data: {token: signedToken}}));
}

test('AUTH-53, DOC-1: names under which the token is stored', () => {
  assert.equal(newSocket({autoConnect: false}).authTokenName, 'socketcluster.authToken.h:8000');
  const named = newSocket({autoConnect: false, authTokenName: 'socketcluster.authToken'});
  assert.equal(named.authTokenName, 'socketcluster.authToken');
});

test('AUTH-50: localStorage is used where it works', async (t) => {
  const items = new Map();
  const fake = {
    getItem: (key) => items.get(key) ?? null,
    setItem: (key, value) => items.set(key, value),
    removeItem: (key) => items.delete(key),
  };
  Object.defineProperty(globalThis, 'localStorage', {value: fake, configurable: true});
  t.after(() => delete globalThis.localStorage);
  const {socket, server} = await openSocket({authTokenName: 'name'});
  setToken(server, bob);
  await idle();
  assert.deepEqual([...items], [['name', bob]]);
  await socket.deauthenticate();
  assert.deepEqual([...items], []);
});

test('AUTH-61, DOC-6: tabs share the stored token, and use it when they connect next', async (t) => {
  const items = new Map();
  const fake = {
    getItem: (key) => items.get(key) ?? null,
    setItem: (key, value) => items.set(key, value),
    removeItem: (key) => items.delete(key),
  };
  Object.defineProperty(globalThis, 'localStorage', {value: fake, configurable: true});
  t.after(() => delete globalThis.localStorage);
  const first = await openSocket();
  const second = await openSocket();
  setToken(first.server, bob);
  await idle();
  assert.equal(first.socket.authState, 'authenticated');
  assert.equal(second.socket.authState, 'unauthenticated');
  assert.equal(second.server.sent.length, 1);
  second.socket.disconnect();
  const next = await open(second.socket, {isAuthenticated: true});
  assert.equal(JSON.parse(next.sent[0]).data.authToken, bob);
  assert.deepEqual(second.socket.authToken, {username: 'bob', exp: 1});
});

test('AUTH-50, AUTH-59: without localStorage the token lives in the socket and is presented again', async () => {
  const {socket, server} = await openSocket();
  setToken(server, bob);
  await idle();
  const other = await openSocket();
  assert.equal(JSON.parse(other.server.sent[0]).data.authToken, null); // It has a memory of its own.
  socket.disconnect();
  assert.equal(socket.authState, 'authenticated');
  const next = await open(socket, {isAuthenticated: true});
  assert.equal(next.sent[0], `{"event":"#handshake","data":{"authToken":"${bob}"},"cid":2}`);
});

test('AUTH-54: a token from the server authenticates, requests waiting channels and is stored', async () => {
  const authEngine = memoryEngine();
  const {socket, server} = await openSocket({authEngine});
  socket.subscribe('wfa', {waitForAuth: true});
  const changes = collect(socket.listener('authStateChange'));
  const authentications = collect(socket.listener('authenticate'));
  setToken(server, ann);
  await idle();
  assert.deepEqual(socket.authToken, {username: 'änn'});
  assert.equal(socket.signedAuthToken, ann);
  assert.equal(authEngine.stored, ann);
  assert.equal(server.sent[1], '{"event":"#subscribe","data":{"channel":"wfa","waitForAuth":true},"cid":2}');
  const identity = {signedAuthToken: ann, authToken: {username: 'änn'}};
  assert.deepEqual(changes, [{oldAuthState: 'unauthenticated', newAuthState: 'authenticated', ...identity}]);
  setToken(server, bob); // CF-2: another user, without a logout between.
  await idle();
  assert.equal(changes.length, 1);
  assert.deepEqual(authentications.map(({authToken}) => authToken.username), ['änn', 'bob']);
});

test('AUTH-54, CF-24: as a call it is answered; a failing store is only an error event', async () => {
  const authEngine = {...memoryEngine(), saveToken: async () => { throw new Error('full'); }};
  const {socket, server} = await openSocket({authEngine});
  const errors = collect(socket.listener('error'));
  server.deliver(JSON.stringify({event: '#setAuthToken', data: {token: bob}, cid: 7}));
  server.deliver('{"event":"#setAuthToken","cid":8}');
  await idle();
  assert.deepEqual(server.sent.slice(1), ['{"rid":7}',
    '{"rid":8,"error":{"message":"No token data provided by #setAuthToken event","name":"InvalidMessageError"}}']);
  assert.equal(socket.authState, 'authenticated');
  assert.deepEqual(errors.map(({error}) => error.message), ['full']);
});

test('QK-39: #setAuthToken without a token changes nothing', async () => {
  const authEngine = memoryEngine();
  const {socket, server} = await openSocket({authEngine});
  const errors = collect(socket.listener('error'));
  server.deliver('{"event":"#setAuthToken","data":{}}');
  server.deliver('{"event":"#setAuthToken","data":{"token":""}}');
  server.deliver('{"event":"#setAuthToken"}');
  await idle();
  assert.equal(socket.authState, 'unauthenticated');
  assert.equal(authEngine.stored, null);
  assert.deepEqual(errors.map(({error}) => error.name), ['InvalidMessageError', 'InvalidMessageError']);
});

test('AUTH-55: #removeAuthToken logs out, and as a call is answered', async () => {
  const authEngine = memoryEngine(bob);
  const {socket, server} = await openSocket({authEngine}, {isAuthenticated: true});
  const order = collectNames(socket, ['authStateChange', 'deauthenticate', 'removeAuthToken']);
  const logouts = collect(socket.listener('deauthenticate'));
  const removals = collect(socket.listener('removeAuthToken'));
  server.deliver('{"event":"#removeAuthToken"}');
  await idle();
  server.deliver('{"event":"#removeAuthToken","cid":10}');
  await idle();
  assert.deepEqual(order, ['authStateChange', 'deauthenticate', 'removeAuthToken', 'removeAuthToken']);
  assert.deepEqual(logouts, [{oldSignedAuthToken: bob, oldAuthToken: {username: 'bob', exp: 1}}]);
  assert.deepEqual(removals, [{oldAuthToken: bob}, {oldAuthToken: null}]);
  assert.equal(server.sent.at(-1), '{"rid":10}');
  assert.equal(socket.signedAuthToken, null);
});

test('AUTH-55, AUTH-61: a token that ends in one tab leaves the newer login of another one in the storage', async () => {
  const authEngine = memoryEngine(bob);
  const stale = await openSocket({authEngine}, {isAuthenticated: true});
  const newer = await openSocket({authEngine}, {isAuthenticated: true});
  setToken(newer.server, ann);
  await idle();
  for (const removal of ['{"event":"#removeAuthToken"}', '{"event":"#removeAuthToken","cid":10}']) {
    const removals = collect(stale.socket.listener('removeAuthToken'));
    stale.server.deliver(removal);
    await idle();
    assert.equal(stale.socket.authState, 'unauthenticated');
    assert.deepEqual(removals, [{oldAuthToken: null}]);
    assert.equal(authEngine.stored, ann);
  }
  // It is the newer one's to remove, when its time has come, and anybody's who logs out.
  const removals = collect(newer.socket.listener('removeAuthToken'));
  newer.server.deliver('{"event":"#removeAuthToken"}');
  await idle();
  assert.deepEqual(removals, [{oldAuthToken: ann}]);
  assert.equal(authEngine.stored, null);
  setToken(newer.server, ann);
  await stale.socket.deauthenticate();
  assert.equal(authEngine.stored, null);
});

test('AUTH-36, AUTH-56, AUTH-61: a token that was refused is removed, and not the one that another tab stores meanwhile', async () => {
  const refusals = {
    handshake: async (authEngine) => openSocket({authEngine}),
    authenticate: async (authEngine) => {
      authEngine.stored = null;
      const opened = await openSocket({authEngine});
      authEngine.stored = bob; // Another tab has stored it, and this one follows.
      const result = opened.socket.authenticate(bob).catch(() => {});
      opened.server.deliver('{"rid":2,"error":{"name":"AuthTokenInvalidError","message":"no","isBadToken":true}}');
      await result;
      return opened;
    },
    'authenticate, resolved': async (authEngine) => {
      authEngine.stored = null;
      const opened = await openSocket({authEngine});
      authEngine.stored = bob;
      const result = opened.socket.authenticate(bob);
      opened.server.deliver('{"rid":2,"data":{"isAuthenticated":false,"authError":null}}');
      await result;
      return opened;
    },
  };
  for (const [name, refuse] of Object.entries(refusals)) {
    for (const meanwhile of [false, true]) {
      const authEngine = memoryEngine(bob);
      const {server} = await refuse(authEngine);
      if (meanwhile) authEngine.stored = ann;
      server.deliver('{"event":"#removeAuthToken"}');
      await idle();
      assert.equal(authEngine.stored, meanwhile ? ann : null, `${name}, another one stored: ${meanwhile}`);
    }
  }
});

test('AUTH-55, AUTH-61: a token under way to the server is not the one that ends', async () => {
  const authEngine = memoryEngine(bob);
  const {socket, server} = await openSocket({authEngine}, {isAuthenticated: true});
  authEngine.stored = ann; // Another tab has logged in, and this one follows.
  const result = socket.authenticate(ann);
  server.deliver('{"event":"#removeAuthToken"}'); // of the old token, sent before the server saw the new one
  await idle();
  assert.equal(authEngine.stored, ann);
  server.deliver('{"rid":2,"data":{"isAuthenticated":true,"authError":null}}');
  assert.equal((await result).isAuthenticated, true);
  assert.equal(socket.signedAuthToken, ann);
});

test('AUTH-56, AUTH-60, GT-3: an expired token opens unauthenticated, with the error on the connect event', async () => {
  const authEngine = memoryEngine(bob);
  const socket = newSocket({autoConnect: false, authEngine});
  const order = collectNames(socket, ['connect', 'removeAuthToken']);
  const connects = collect(socket.listener('connect'));
  socket.connect();
  const server = lastWebSocket();
  server.accept();
  await idle();
  const authError = {message: 'jwt expired', name: 'AuthTokenExpiredError', expiry: '2026-11-23T11:04:56.000Z', isBadToken: true};
  server.deliver(JSON.stringify({rid: 1, data: {id: 'X', pingTimeout: 1000, authError, isAuthenticated: false}}));
  server.deliver('{"event":"#removeAuthToken"}');
  await idle();
  const [status] = connects;
  assert.ok(status.authError instanceof Error);
  assert.equal(status.authError.name, 'AuthTokenExpiredError');
  assert.equal(status.authError.expiry, '2026-11-23T11:04:56.000Z');
  assert.deepEqual([status.id, status.isAuthenticated, status.authToken], ['X', false, bob]);
  assert.equal(authEngine.stored, null);
  assert.deepEqual(order, ['connect', 'removeAuthToken']);
});

test('AUTH-56: a token that is not active yet stays stored', async () => {
  const authEngine = memoryEngine(bob);
  await openSocket({authEngine}, {authError: {message: 'jwt not active', isBadToken: false}});
  assert.equal(authEngine.stored, bob);
});

test('AUTH-57, GT-4: authenticate stores the token on success', async () => {
  const authEngine = memoryEngine();
  const {socket, server} = await openSocket({authEngine});
  const result = socket.authenticate(ann);
  assert.equal(server.sent[1], `{"event":"#authenticate","data":"${ann}","cid":2}`);
  server.deliver('{"rid":2,"data":{"isAuthenticated":true,"authError":null}}');
  assert.deepEqual(await result, {isAuthenticated: true, authError: null});
  assert.equal(socket.signedAuthToken, ann);
  assert.equal(authEngine.stored, ann);
});

test('QK-38, DOC-17: a refusal resolves, logs out and stores nothing', async () => {
  const authEngine = memoryEngine();
  const {socket, server} = await openSocket({authEngine});
  setToken(server, bob);
  const result = socket.authenticate(ann);
  server.deliver('{"rid":2,"data":{"isAuthenticated":false,"authError":{"message":"blocked","name":"E"}}}');
  const {isAuthenticated, authError} = await result;
  assert.equal(isAuthenticated, false);
  assert.ok(authError instanceof Error);
  assert.equal(String(authError), 'E: blocked');
  assert.equal(socket.authState, 'unauthenticated');
  assert.equal(authEngine.stored, bob);
});

test('QK-37: an answer without a status is a failure', async () => {
  const {socket, server} = await openSocket();
  const result = socket.authenticate(ann);
  server.deliver('{"rid":2}');
  assert.equal((await result).isAuthenticated, false);
  assert.equal((await socket.authState), 'unauthenticated');
});

test('AUTH-36, AUTH-57, AUTH-59, CF-24: a bad token rejects and logs out; a lost connection keeps the state', async () => {
  const {socket, server} = await openSocket();
  setToken(server, bob);
  const lost = socket.authenticate(ann);
  socket.reconnect();
  await assert.rejects(lost, {name: 'BadConnectionError'});
  assert.equal(socket.authState, 'authenticated');
  const next = await open(socket, {isAuthenticated: true});
  const {cid} = JSON.parse(next.sent[0]);
  const bad = socket.authenticate('x');
  next.deliver(`{"rid":${cid + 1},"error":{"message":"invalid signature","name":"AuthTokenInvalidError","isBadToken":true}}`);
  await assert.rejects(bad, {name: 'AuthTokenInvalidError', isBadToken: true});
  assert.equal(socket.authState, 'unauthenticated');
});

test('a token taken back right behind the answer to #authenticate stays taken back', async () => {
  const authEngine = memoryEngine();
  const {socket, server} = await openSocket({authEngine});
  socket.authenticate(ann);
  server.deliver('[{"rid":2,"data":{"isAuthenticated":true,"authError":null}},{"event":"#removeAuthToken"}]');
  await idle();
  assert.equal(socket.authState, 'unauthenticated');
  assert.equal(authEngine.stored, null);
});

test('AUTH-58, GT-5: deauthenticate tells the server; offline it only forgets', async () => {
  const authEngine = memoryEngine(bob);
  const {socket, server} = await openSocket({authEngine}, {isAuthenticated: true});
  await socket.deauthenticate();
  assert.equal(server.sent[1], '{"event":"#removeAuthToken"}');
  assert.equal(authEngine.stored, null);

  const offline = newSocket({autoConnect: false, authEngine: memoryEngine(bob)});
  const removals = collect(offline.listener('removeAuthToken'));
  await offline.deauthenticate();
  await idle();
  assert.deepEqual(removals, [{oldAuthToken: bob}]);
  assert.equal(offline.state, 'closed');
});

test('a logout during the handshake is not undone by the handshake', async () => {
  const authEngine = memoryEngine(bob);
  const socket = newSocket({authEngine});
  const server = lastWebSocket();
  server.accept();
  await idle();
  socket.subscribe('wfa', {waitForAuth: true});
  socket.deauthenticate();
  server.deliver('{"rid":1,"data":{"id":"X","pingTimeout":1000,"isAuthenticated":true}}');
  await idle();
  assert.equal(socket.authState, 'unauthenticated');
  assert.deepEqual(server.sent.slice(1), ['{"event":"#removeAuthToken"}']);
});

test('a logout while the token is being loaded keeps it out of the handshake', async () => {
  let release;
  const authEngine = {...memoryEngine(), loadToken: () => new Promise((resolve) => (release = resolve))};
  const socket = newSocket({authEngine});
  const server = lastWebSocket();
  server.accept();
  await idle();
  socket.deauthenticate();
  release(bob);
  await idle();
  assert.deepEqual(server.sent, ['{"event":"#handshake","data":{"authToken":null},"cid":1}']);
});

test('a logout is not undone by the answer to an authenticate sent before it', async () => {
  const authEngine = memoryEngine();
  const {socket, server} = await openSocket({authEngine});
  const result = socket.authenticate(ann);
  socket.deauthenticate();
  server.deliver('{"rid":2,"data":{"isAuthenticated":true,"authError":null}}');
  assert.equal((await result).isAuthenticated, false);
  await idle();
  assert.equal(socket.authState, 'unauthenticated');
  assert.equal(authEngine.stored, null);
});

test('AUTH-52: claims are read without verification; what is not JSON stays text', async () => {
  const {socket, server} = await openSocket();
  for (const [text, claims] of [['nodots', null], ['a.bm90IGpzb24.c', 'not json'], ['a.%%%.c', '%%%'], ['a.e30.c', {}]]) {
    setToken(server, text);
    assert.deepEqual(socket.authToken, claims);
  }
});

test('GT-2, AUTH-62: login works whichever of token and answer comes first', async () => {
  for (const tokenFirst of [true, false]) {
    const {socket, server} = await openSocket();
    const login = Promise.all([socket.invoke('login', {username: 'bob'}), socket.listener('authenticate').once()]);
    assert.equal(server.sent[1], '{"event":"login","data":{"username":"bob"},"cid":2}');
    if (tokenFirst) setToken(server, bob);
    server.deliver('{"rid":2}');
    if (!tokenFirst) setToken(server, bob);
    await login;
    assert.equal(socket.authToken.username, 'bob');
  }
});
