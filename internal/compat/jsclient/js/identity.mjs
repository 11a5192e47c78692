// What a stock client and the server think of who the client is. It runs in
// Node.js and in a page: create is socketClusterClient.create.

import * as guide from './guide.mjs';

let clients = 0;

const turn = () => new Promise(resolve => setTimeout(resolve, 0));

// within ends a wait that has no end. It is far above what a loaded machine
// needs, and below the time limits of the tests.
async function within(promise) {
  let timer;
  const hang = new Promise((_, reject) => { timer = setTimeout(reject, 8_000, new Error('waits for ever')); });
  try {
    return await Promise.race([promise, hang]);
  } finally {
    clearTimeout(timer);
  }
}

// The ways of a page to become somebody. A page that finds another identity
// than it expects there says so.
const ways = {
  // The client presents its token in the handshake, if it has one.
  handshake() {},

  // A page exchanges its identity later.
  async authenticate(socket, token) {
    await socket.authenticate(token).catch(() => {});
  },

  // A page that reads its identity as soon as the call is answered.
  async login(socket) {
    await guide.shortLogin(socket, {username: 'alice'});
    if (socket.authState !== 'authenticated') return 'the call is answered before the client has its token';
  },

  // A page that listens before it calls.
  async loginWhileListening(socket) {
    await guide.login(socket, {username: 'alice'});
  },

  // A page that waits for the token after the call.
  async loginThenListen(socket) {
    await guide.lateLogin(socket, {username: 'alice'});
  },

  // A page that logs out, and waits for the loss of its token after the call.
  async logoutThenListen(socket) {
    await ways.loginWhileListening(socket);
    await socket.invoke('logout');
    await socket.listener('deauthenticate').once();
  }
};

// attempt connects a client, goes a way, and returns what is wrong in the end:
// null if client and server agree, and it is want that they agree on.
async function attempt(create, {way, token, want, options, batch}) {
  const socket = create({autoConnect: false, autoReconnect: false, authTokenName: `identity.${++clients}`, ...options});
  const stored = way === 'authenticate' ? null : token;
  try {
    if (stored) await socket.auth.saveToken(socket.authTokenName, stored);
    socket.connect();
    await within(socket.listener('connect').once());
    if (batch) await socket.invoke('batch');
    const wrong = await within(ways[way](socket, token));
    if (wrong) return wrong;
    const server = await socket.invoke('whoami');
    await turn();
    const client = {
      username: socket.authToken?.username ?? null,
      signed: socket.signedAuthToken,
      stored: await socket.auth.loadToken(socket.authTokenName)
    };
    if (client.username !== want || server.username !== want) {
      return `client: ${client.username}, server: ${server.username}, want ${want}`;
    }
    if (client.signed !== server.signed || client.stored !== server.signed) {
      return `${want} has tokens of their own: client ${client.signed}, stored ${client.stored}, server ${server.signed}`;
    }
    return null;
  } catch (error) {
    return String(error);
  } finally {
    socket.disconnect();
    await socket.auth.removeToken(socket.authTokenName);
  }
}

// attempts makes so many attempts, some of them side by side, and returns what
// was wrong, and how often. It makes no more after the first that hangs.
export async function attempts(create, count, plan) {
  const wrong = {};
  let left = count;
  await Promise.all(Array.from({length: 8}, async () => {
    while (left-- > 0) {
      const what = await attempt(create, plan);
      if (!what) continue;
      wrong[what] = (wrong[what] ?? 0) + 1;
      if (what.includes('waits for ever')) left = 0;
    }
  }));
  return wrong;
}
