'use strict';

// What the servers offer their clients, whichever version of
// socketcluster-server they run on. ../server/main.go offers the same.
//
// A socket s has, in both versions, the methods token, subscriptions, setToken,
// confirmToken, logout, call, send, sendBatch, sendRaw, kick, publish and
// disconnect, and the fields notes and requested.

function namedError(name, message, fields) {
  return Object.assign(new Error(message), { name, ...fields });
}

// Meeting passes a value by name to those who wait for it, in any order.
class Meeting {
  constructor() {
    this.promises = new Map();
  }
  entry(name) {
    if (!this.promises.has(name)) {
      const entry = {};
      entry.promise = new Promise((resolve) => { entry.resolve = resolve; });
      this.promises.set(name, entry);
    }
    return this.promises.get(name);
  }
  tell(name, value) {
    this.entry(name).resolve(value);
  }
  wait(name) {
    return this.entry(name).promise;
  }
}

// Notes are what a client has transmitted.
class Notes {
  constructor() {
    this.all = [];
    this.wake = () => {};
  }
  add(data) {
    this.all.push(data);
    this.wake();
  }
  async wait(count) {
    while (this.all.length < count) await new Promise((resolve) => { this.wake = resolve; });
    return this.all;
  }
}

const closings = new Meeting();
const silences = new Meeting();

// left is told how the server has seen a client leave.
function left(s, code, reason) {
  closings.tell(s.name, { code, reason: String(reason || '') });
}

// A procedure gets the socket, the data, and a function that answers early.
const procedures = {
  echo: (s, data) => data,
  // fail fails with a text, or with an error that has these fields.
  fail: (s, data) => {
    if (typeof data === 'string') throw data;
    const { name, message, ...fields } = data;
    throw namedError(name, message, fields);
  },
  crash: () => { throw new TypeError('the password of the database is wrong'); },

  // silent tells those who wait in silenced, and never answers.
  silent: (s) => {
    silences.tell(s.name);
    return new Promise(() => {});
  },
  silenced: (s, name) => silences.wait(name),

  login: (s, username) => s.setToken({ username }),
  loginConfirmed: (s, username) => s.confirmToken({ username }),
  loginAfterAnswer: (s, username, answer) => {
    answer();
    return s.setToken({ username });
  },
  loginBriefly: (s, username) => s.confirmToken({ username, exp: Math.ceil(Date.now() / 1000) + 1 }),
  logout: (s) => s.logout(),
  whoami: (s) => s.token()?.username ?? null,

  callBack: async (s, { procedure, data }) => {
    try {
      return { answer: await s.call(procedure, data) };
    } catch ({ name, message, reason }) {
      return { error: { name, message, reason } };
    }
  },
  sendBack: (s, { event, from, to }) => {
    for (let i = from; i <= to; i++) s.send(event, i);
  },
  sendBatch: (s, { event, from, to }) => {
    const all = [];
    for (let i = from; i <= to; i++) all.push(i);
    s.sendBatch(event, all);
  },
  sendRaw: (s, message) => { s.sendRaw(message); },
  bytes: () => Buffer.from([0, 1, 254, 255]),
  received: (s, count) => s.notes.wait(count),

  requested: (s) => s.requested,
  subscriptions: (s) => s.subscriptions().sort(),
  kick: (s, { channel, message }) => { s.kick(channel, message); },
  publish: (s, { channel, data }) => { s.publish(channel, data); },

  name: (s, name) => { s.name = name; },
  closing: (s, name) => closings.wait(name),
  leave: (s, { code, reason }) => {
    s.disconnect(code, reason);
    return new Promise(() => {});
  },
  exit: (s, status) => process.exit(status),
};

// run runs a procedure, and passes its end to answer and fail.
async function run(procedure, s, data, answer, fail) {
  let early = false;
  try {
    const value = await procedures[procedure](s, data, () => {
      early = true;
      answer();
    });
    if (!early) answer(value);
  } catch (error) {
    fail(error);
  }
}

// requestOf describes a request for a channel.
function requestOf(channel, data) {
  return data === undefined ? channel : `${channel} ${JSON.stringify(data)}`;
}

// refusal returns why a client may not use a channel: an error, true for no
// reason, or null.
function refusal(s, channel, errorName) {
  if (channel.startsWith('secret.')) return true;
  if (channel.startsWith('private.') && !s.token()) return namedError(errorName, 'Log in first');
  return null;
}

// doorError returns why a client may not connect, or null.
function doorError(url) {
  return url.includes('refuse=') ? namedError('DoorError', 'You may not enter') : null;
}

const refusedCode = 4501;

function options(extra) {
  return {
    path: '/socketcluster/',
    authKey: process.env.AUTH_KEY,
    pingInterval: Number(process.env.PING_INTERVAL),
    pingTimeout: Number(process.env.PING_TIMEOUT),
    perMessageDeflate: { threshold: 64 },
    ...extra,
  };
}

function listen(httpServer) {
  process.on('SIGTERM', () => process.exit(0));
  httpServer.listen(Number(process.env.PORT), '127.0.0.1', () => {
    const { address, port } = httpServer.address();
    console.log(`listening on ${address}:${port}`);
  });
}

module.exports = { Notes, names: Object.keys(procedures), run, left, requestOf, refusal, doorError, refusedCode, options, listen };
