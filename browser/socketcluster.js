/*
 * Browser client for the SocketCluster protocol, version 2.
 *
 * The API is a subset of socketcluster-client 20, so that a page can be written once and served with either. Nothing
 * here calls application code synchronously: events, messages and requests are put into the queue of every consumer
 * that was created before, and are read with `for await`. A consumer sees only what arrives after its creation.
 */

const CONNECTING = 'connecting';
const OPEN = 'open';
const CLOSED = 'closed';
const AUTHENTICATED = 'authenticated';
const UNAUTHENTICATED = 'unauthenticated';
const PENDING = 'pending';
const SUBSCRIBED = 'subscribed';
const UNSUBSCRIBED = 'unsubscribed';

// Cap of each consumer's queue and of the queue of events that wait for a connection. A page that reads more slowly
// than the server sends must lose messages rather than memory.
const MAX_QUEUED = 10_000;
// Timers of browsers keep their delay in a signed 32-bit integer; a greater one would fire at once.
const MAX_TIMEOUT = 2 ** 31 - 1;
// Some close codes ask for a reconnect without back-off. A server that accepts and then closes with such a code is
// still tried at most once in this time (ms).
const MIN_RECONNECT_INTERVAL = 1000;
// A close frame carries at most 125 bytes, two of which are the code.
const MAX_REASON_BYTES = 123;
const MAX_POSITION = 128;
const STORAGE_PROBE = '__scLocalStorageTest';

const RECONNECT_AT_ONCE = new Set([1005, 4000, 4001]);
const FIRST_PERMANENT_CODE = 4500;

// What a close code means; used where the peer gave no reason. 1000 and 1001 are ordinary ends, not errors.
const ORDINARY_CLOSE = new Map([[1000, 'Socket closed normally'], [1001, 'Socket was disconnected']]);
const ABNORMAL_CLOSE = new Map([
  [1002, 'A WebSocket protocol error was encountered'],
  [1003, 'Server terminated socket because it received invalid data'],
  [1005, 'Socket closed without status code'],
  [1006, 'Socket hung up'],
  [1007, 'Message format was incorrect'],
  [1008, 'Encountered a policy violation'],
  [1009, 'Message was too big to process'],
  [1010, 'Client ended the connection because the server did not comply with extension requirements'],
  [1011, 'Server encountered an unexpected fatal condition'],
  [4000, 'Server ping timed out'],
  [4001, 'Client pong timed out'],
  [4002, 'Server failed to sign auth token'],
  [4003, 'Failed to complete handshake'],
  [4004, 'Client failed to save auth token'],
  [4005, 'Did not receive #handshake from client before timeout'],
  [4006, 'Failed to bind socket to message broker'],
  [4007, 'Client connection establishment timed out'],
  [4008, 'Server rejected handshake from client'],
  [4009, 'Server received a message before the client handshake'],
]);

// ---- Errors: matched by name, because those from the server are plain Error objects too ----

function makeError(name, message, fields) {
  return Object.assign(new Error(message), {name}, fields);
}

function timeoutError(event) {
  return makeError('TimeoutError', `Event response for ${event} event timed out`);
}

function badConnectionError(event, type, code, reason) {
  return makeError('BadConnectionError', `Event ${event} was aborted due to a bad connection`, {
    type,
    code: code || 1001,
    reason: reason || (ORDINARY_CLOSE.get(code || 1001) ?? ''),
  });
}

function socketProtocolError(code, reason) {
  const suffix = typeof reason === 'string' ? ` and reason: ${reason}` : '';
  const message = ABNORMAL_CLOSE.get(code) ?? `Socket connection closed with status code ${code}${suffix}`;
  return makeError('SocketProtocolError', message, {code});
}

/** Turns the error of a response into what the caller catches; null when the response is a success. */
function hydrateError(wire) {
  if (wire === null || typeof wire !== 'object') return wire || null;
  const error = new Error(typeof wire.message === 'string' ? wire.message : 'Invalid error message format');
  if (typeof wire.name === 'string') error.name = wire.name;
  for (const [key, value] of Object.entries(wire)) {
    // Names that any Error has, __proto__ among them, are not the peer's to set.
    if (!(key in error)) error[key] = value;
  }
  return error;
}

/** Turns what a procedure failed with into the error of a response. Stack and cause stay here. */
function dehydrateError(error) {
  if (typeof error === 'function') return `[function ${error.name || 'anonymous'}]`;
  if (error !== null && typeof error === 'object') {
    const {stack, cause, ...fields} = error;
    return {message: error.message, ...fields};
  }
  // A falsy error would read as success at the other side.
  return error || {message: 'The procedure failed without an error', name: 'UnknownError'};
}

// ---- Codec ----

function encode(value) {
  return JSON.stringify(value, (key, item) => (item instanceof ArrayBuffer ? encodeBytes(item) : item));
}

function encodeBytes(buffer) {
  let binary = '';
  for (const byte of new Uint8Array(buffer)) binary += String.fromCharCode(byte);
  return {base64: true, data: btoa(binary)};
}

/** Parses text that begins like a packet or a batch of packets; everything else is returned as it came. */
function decode(message) {
  if (typeof message !== 'string' || !/^[ \t\r\n]*[{[]/.test(message)) return message;
  try {
    return JSON.parse(message);
  } catch {
    return message;
  }
}

/** Reads the claims of a signed token without verifying it: that is for the server to do. */
function readClaims(signedToken) {
  const part = typeof signedToken === 'string' ? signedToken.split('.')[1] : undefined;
  if (part === undefined) return null;
  let text = part;
  try {
    const binary = atob(part.replaceAll('-', '+').replaceAll('_', '/'));
    text = new TextDecoder().decode(Uint8Array.from(binary, (char) => char.charCodeAt(0)));
    return JSON.parse(text);
  } catch {
    return text;
  }
}

// ---- Positions in the history of a channel ----

/** What a position says, of which history it is and its number there; undefined for what is none. */
function parsePosition(text) {
  if (typeof text !== 'string' || text.length > MAX_POSITION) return undefined;
  const found = /^([^.]*)\.([0-9a-z]+)\.[0-9a-z]+$/.exec(text);
  return found ? {text, epoch: found[1], number: found[2]} : undefined;
}

/** Compares numbers of a base of 36, which may be too large for a Number. Another history is newer. */
function isNewer(position, known) {
  if (!known || position.epoch !== known.epoch) return true;
  const [a, b] = [position.number, known.number];
  return a.length !== b.length ? a.length > b.length : a > b;
}

// ---- Streams ----

class Consumer {
  #queue = [];
  #waiting = [];
  #ended = false;
  #overflowed = false;
  #timeout;
  #onEnd;
  #onOverflow;

  constructor(timeout, onEnd, onOverflow) {
    this.#timeout = timeout;
    this.#onEnd = onEnd;
    this.#onOverflow = onOverflow;
  }

  write(value) {
    const waiter = this.#waiting.shift();
    if (waiter) {
      waiter({value, done: false});
      return;
    }
    if (this.#queue.length >= MAX_QUEUED) {
      this.#queue.shift();
      // Marked first: the report itself may be written to this very consumer.
      const report = !this.#overflowed;
      this.#overflowed = true;
      if (report) this.#onOverflow();
    }
    this.#queue.push(value);
  }

  next() {
    if (this.#queue.length > 0) {
      const value = this.#queue.shift();
      if (this.#queue.length === 0) this.#overflowed = false;
      return Promise.resolve({value, done: false});
    }
    if (this.#ended) return Promise.resolve({value: undefined, done: true});
    return new Promise((resolve, reject) => {
      let timer;
      const waiter = (result) => {
        clearTimeout(timer);
        resolve(result);
      };
      if (this.#timeout !== undefined) {
        timer = setTimeout(() => {
          this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
          this.return();
          reject(makeError('TimeoutError', 'Stream consumer iteration timed out'));
        }, Math.min(this.#timeout, MAX_TIMEOUT));
      }
      this.#waiting.push(waiter);
    });
  }

  /** Ends the iteration after what is queued already. */
  close() {
    if (this.#ended) return;
    this.#ended = true;
    this.#onEnd();
    for (const waiter of this.#waiting.splice(0)) waiter({value: undefined, done: true});
  }

  /** Ends the iteration now; called by the language when a loop is left. */
  return() {
    this.#queue = [];
    this.close();
    return Promise.resolve({value: undefined, done: true});
  }

  [Symbol.asyncIterator]() { return this; }
}

class Stream {
  #join;

  constructor(join) {
    this.#join = join;
  }

  createConsumer(timeout) { return this.#join(timeout); }
  [Symbol.asyncIterator]() { return this.createConsumer(); }

  async next(timeout) {
    const consumer = this.createConsumer(timeout);
    const result = await consumer.next();
    consumer.return();
    return result;
  }

  /** The next value; stays pending when the stream ends instead. */
  async once(timeout) {
    const {value, done} = await this.next(timeout);
    return done ? new Promise(() => {}) : value;
  }
}

/** Consumers by stream name. A name costs memory only while somebody reads it. */
class StreamGroup {
  #consumers = new Map();
  #onOverflow;
  #onEmpty;

  constructor(onOverflow, onEmpty = () => {}) {
    this.#onOverflow = onOverflow;
    this.#onEmpty = onEmpty;
  }

  stream(name) { return new Stream((timeout) => this.join(name, timeout)); }

  join(name, timeout) {
    let consumers = this.#consumers.get(name);
    if (!consumers) this.#consumers.set(name, (consumers = new Set()));
    const onEnd = () => {
      consumers.delete(consumer);
      if (consumers.size === 0 && this.#consumers.get(name) === consumers) this.#consumers.delete(name);
      if (this.#consumers.size === 0) this.#onEmpty();
    };
    const consumer = new Consumer(timeout, onEnd, () => this.#onOverflow(name));
    consumers.add(consumer);
    return consumer;
  }

  write(name, value) { for (const consumer of this.#consumers.get(name) ?? []) consumer.write(value); }

  closeAll() {
    for (const consumers of this.#consumers.values()) for (const consumer of consumers) consumer.close();
  }

  killAll() {
    for (const consumers of this.#consumers.values()) for (const consumer of consumers) consumer.return();
  }
}

// ---- Token storage ----

/** Keeps tokens in localStorage, or in memory where the browser denies it or there is none. */
class TokenStore {
  #memory = null;

  constructor() {
    try {
      // Some private modes offer a storage whose every write fails, and some pages may not even touch it.
      localStorage.setItem(STORAGE_PROBE, '1');
      localStorage.removeItem(STORAGE_PROBE);
    } catch {
      this.#memory = new Map();
    }
  }

  async loadToken(name) {
    return this.#memory ? (this.#memory.get(name) ?? null) : localStorage.getItem(name);
  }

  async saveToken(name, token) {
    if (this.#memory) this.#memory.set(name, token);
    else localStorage.setItem(name, token);
    return token;
  }

  async removeToken(name) {
    const old = await this.loadToken(name);
    if (this.#memory) this.#memory.delete(name);
    else localStorage.removeItem(name);
    return old;
  }
}

// ---- One WebSocket, from its opening to its end ----

function isLegalCloseCode(code) {
  return code === 1000 || (Number.isInteger(code) && code >= 3000 && code <= 4999);
}

function truncateReason(reason) {
  const {read} = new TextEncoder().encodeInto(reason, new Uint8Array(MAX_REASON_BYTES));
  return reason.slice(0, read);
}

/** A procedure call of the server. It is answered on the connection it came by, or not at all. */
class Request {
  #reply;

  constructor(socket, packet, reply) {
    this.socket = socket;
    this.id = packet.cid;
    this.procedure = packet.event;
    this.data = packet.data;
    this.sent = false;
    this.#reply = reply;
  }

  end(data) { this.#respond({rid: this.id, data}); }
  error(error) { this.#respond({rid: this.id, error: dehydrateError(error)}); }

  #respond(response) {
    if (this.sent) throw makeError('InvalidActionError', `Response to request ${this.id} has already been sent`);
    this.sent = true;
    this.#reply(this, response);
  }
}

/**
 * The transport. Its owner gets: loadToken(), nextCid(), onOpen(status, token), onEnd(type, code, reason),
 * onTransmit(event, data), onInvoke(packet), onEvent(name, payload), onError(error). After onEnd it reports only replies
 * that came too late, as errors.
 */
class Connection {
  state = CONNECTING;
  lastPing = Date.now();
  pingTimeout;
  #options;
  #owner;
  #webSocket = null;
  #calls = new Map();
  #handshakeSent = false;
  #connectTimer;
  #pingTimer;

  constructor(options, owner) {
    this.#options = options;
    this.#owner = owner;
    this.pingTimeout = options.connectTimeout;
  }

  open(uri) {
    try {
      this.#webSocket = new this.#options.WebSocket(uri);
    } catch (error) {
      this.#owner.onError(error);
      this.end(1006);
      return;
    }
    const webSocket = this.#webSocket;
    webSocket.binaryType = 'arraybuffer';
    // The handlers stay attached to the very end; those that find the connection ended do nothing.
    webSocket.onopen = () => this.#shakeHands();
    webSocket.onmessage = (event) => this.#receive(event.data);
    webSocket.onerror = () => {
      if (this.state === CONNECTING) this.end(1006);
    };
    webSocket.onclose = (event) => this.end(event.code ?? 1005, event.reason);
    this.#connectTimer = setTimeout(() => this.end(4007, undefined, 4007), this.#options.connectTimeout);
  }

  async #shakeHands() {
    if (this.state === CLOSED) return;
    clearTimeout(this.#connectTimer);
    this.#restartPingTimer();
    let token;
    try {
      token = await this.#owner.loadToken();
    } catch (error) {
      this.#failHandshake(error);
      return;
    }
    if (this.state === CLOSED) return;
    const call = {
      event: '#handshake',
      data: JSON.stringify({authToken: token ?? null}),
      settle: (error, status) => this.#finishHandshake(error, status, token ?? null),
    };
    call.timer = setTimeout(() => {
      this.forget(call);
      call.settle(timeoutError(call.event));
    }, this.#options.ackTimeout);
    this.#handshakeSent = true;
    this.write(call);
  }

  #finishHandshake(error, status, token) {
    if (this.state === CLOSED) return;
    if (!error && (status === null || typeof status !== 'object')) {
      error = makeError('InvalidMessageError', 'The server answered the handshake without a status');
    }
    if (error) {
      this.#failHandshake(error);
      return;
    }
    this.state = OPEN;
    // Without a usable timeout from the server the one for connecting stays.
    if (status.pingTimeout > 0) this.pingTimeout = Math.min(status.pingTimeout, MAX_TIMEOUT);
    this.#restartPingTimer();
    this.#owner.onOpen(status, token);
  }

  #failHandshake(cause) {
    if (this.state === CLOSED) return;
    const error = cause instanceof Error ? cause : makeError('Error', String(cause));
    const code = isLegalCloseCode(error.statusCode) ? error.statusCode : 4003;
    this.#owner.onError(error);
    this.end(code, String(error), code);
  }

  /** Ends the connection; a frameCode sends a close frame, everything else only lets go of the WebSocket. */
  end(code, reason, frameCode, frameReason) {
    if (this.state === CLOSED) return;
    const type = this.state === OPEN ? 'disconnect' : 'connectAbort';
    this.state = CLOSED;
    clearTimeout(this.#connectTimer);
    clearTimeout(this.#pingTimer);
    const knownReason = reason || (ABNORMAL_CLOSE.get(code) ?? reason);
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    for (const call of calls) {
      clearTimeout(call.timer);
      call.settle(badConnectionError(call.event, type, code, knownReason));
    }
    if (frameCode !== undefined) this.#webSocket?.close(frameCode, frameReason);
    else this.#webSocket?.close();
    this.#owner.onEnd(type, code, knownReason);
  }

  /** Sends an event, and when its call wants an answer, remembers it under a new cid. */
  write(call) {
    const data = call.data === undefined ? '' : `,"data":${call.data}`;
    let cid = '';
    if (call.settle) {
      call.cid = this.#owner.nextCid();
      this.#calls.set(call.cid, call);
      cid = `,"cid":${call.cid}`;
    } else {
      clearTimeout(call.timer);
    }
    this.#send(`{"event":${JSON.stringify(call.event)}${data}${cid}}`);
  }

  forget(call) { this.#calls.delete(call.cid); }

  reply(request, response) {
    let text;
    try {
      text = encode(response);
    } catch (error) {
      // The caller must not wait for its timeout because of a value that JSON cannot carry.
      text = encode({rid: request.id, error: {message: 'The response could not be encoded', name: 'InvalidMessageError'}});
      this.#owner.onError(error);
    }
    if (this.state === CLOSED) {
      this.#owner.onError(makeError('BadConnectionError',
        `Response to ${request.procedure} was not sent because the WebSocket is not open`));
      return;
    }
    this.#send(text);
  }

  #send(text) {
    // While the WebSocket is closing, its close event is about to settle everything.
    if (this.#webSocket.readyState === 1) this.#webSocket.send(text);
  }

  #restartPingTimer() {
    this.lastPing = Date.now();
    if (this.#options.pingTimeoutDisabled) return;
    clearTimeout(this.#pingTimer);
    this.#pingTimer = setTimeout(() => this.end(4000, undefined, 4000), this.pingTimeout);
  }

  #receive(message) {
    if (this.state === CLOSED) return;
    this.#owner.onEvent('message', {message});
    if (message === '') {
      this.#restartPingTimer();
      // Strict servers close a connection on which anything precedes the handshake, a pong included.
      if (this.#handshakeSent) this.#send('');
      return;
    }
    const decoded = decode(message);
    for (const packet of Array.isArray(decoded) ? decoded : [decoded]) this.#dispatch(packet, message);
  }

  #dispatch(packet, message) {
    if (this.state === CLOSED) return;
    if (typeof packet?.event === 'string') {
      if (typeof packet.cid === 'number') this.#owner.onInvoke(packet);
      else this.#owner.onTransmit(packet.event, packet.data);
    } else if (typeof packet?.rid === 'number') {
      const call = this.#calls.get(packet.rid);
      if (!call) return;
      this.#calls.delete(packet.rid);
      clearTimeout(call.timer);
      call.settle(hydrateError(packet.error), packet.data);
    } else {
      this.#owner.onEvent('raw', {message});
    }
  }
}

// ---- Channels ----

// Key of a channel's messages beside the names of its events, which are strings.
const MESSAGES = Symbol('messages');

/** A view of one channel: iterating over it yields its messages. The state belongs to the socket. */
class Channel extends Stream {
  #socket;
  #streams;

  constructor(name, socket, streams) {
    super((timeout) => streams.join(name, MESSAGES, timeout));
    this.name = name;
    this.#socket = socket;
    this.#streams = streams;
  }

  get state() { return this.#socket.getChannelState(this.name); }
  get options() { return this.#socket.getChannelOptions(this.name); }
  listener(event) { return new Stream((timeout) => this.#streams.join(this.name, event, timeout)); }
  subscribe(options) { this.#socket.subscribe(this.name, options); }
  unsubscribe() { this.#socket.unsubscribe(this.name); }
  isSubscribed(includePending) { return this.#socket.isSubscribed(this.name, includePending); }
  transmitPublish(data) { return this.#socket.transmitPublish(this.name, data); }
  invokePublish(data) { return this.#socket.invokePublish(this.name, data); }

  /** Ends the loops over this channel and its listeners after what is queued; the subscription stays. */
  close() { this.#streams.group(this.name)?.closeAll(); }

  /** Ends the loops over this channel and its listeners now; the subscription stays. */
  kill() { this.#streams.group(this.name)?.killAll(); }
}

/** Streams by channel, then by event: no channel name can be taken for another channel's event. */
class ChannelStreams {
  #groups = new Map();
  #onOverflow;

  constructor(onOverflow) {
    this.#onOverflow = onOverflow;
  }

  group(channel) { return this.#groups.get(channel); }

  join(channel, key, timeout) {
    let group = this.#groups.get(channel);
    if (!group) {
      group = new StreamGroup(() => this.#onOverflow(channel), () => {
        if (this.#groups.get(channel) === group) this.#groups.delete(channel);
      });
      this.#groups.set(channel, group);
    }
    return group.join(key, timeout);
  }

  write(channel, key, value) { this.#groups.get(channel)?.write(key, value); }
}

// ---- The socket ----

const DEFAULTS = {
  path: '/socketcluster/',
  query: {},
  autoConnect: true,
  autoReconnect: true,
  connectTimeout: 20_000,
  ackTimeout: 10_000,
  pingTimeoutDisabled: false,
};
const RECONNECT_DEFAULTS = {initialDelay: 10_000, randomness: 10_000, multiplier: 1.5, maxDelay: 60_000};
const STALE = 'Stale socket was disconnected by the client to initiate a new connection';
const SUPERSEDED = 'Socket was disconnected by the client to initiate a new connection';

/** Fills in what the options leave open, from the page's own address where there is one. */
function completeOptions(options) {
  const page = globalThis.location;
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value != null));
  const complete = {...DEFAULTS, secure: page?.protocol === 'https:', WebSocket: globalThis.WebSocket, ...given};
  complete.hostname ??= page?.hostname || 'localhost';
  complete.port ??= page?.port || (complete.secure ? 443 : 80);
  complete.authTokenName ??= `socketcluster.authToken.${complete.hostname}:${complete.port}`;
  complete.autoReconnectOptions = {...RECONNECT_DEFAULTS, ...complete.autoReconnectOptions};
  for (const name of ['connectTimeout', 'ackTimeout']) {
    if (complete[name] <= MAX_TIMEOUT) continue;
    throw makeError('InvalidArgumentsError', `The ${name} value provided exceeded the maximum amount allowed`);
  }
  if (typeof complete.WebSocket !== 'function') {
    throw makeError('InvalidArgumentsError', 'There is no global WebSocket; pass one as the WebSocket option');
  }
  return complete;
}

class Socket {
  id = null;
  state = CLOSED;
  authState = UNAUTHENTICATED;
  authToken = null;
  signedAuthToken = null;
  pendingReconnect = false;
  pendingReconnectTimeout = null;
  connectAttempts = 0;

  #options;
  #auth;
  #connection = null;
  #connectedAt = 0;
  #reconnectTimer;
  #lastCid = 0;
  #queue = new Set();
  #channels = new Map();
  // Storage operations run one after another, so that a logout cannot be overtaken by the save before it.
  #storage = Promise.resolve();
  // What a #removeAuthToken is about: the token that was in force last, and the last one that the server has refused.
  #heldToken = null;
  #refusedToken = null;
  // Counts local logouts: an answer to what was sent before one must not log the user in again.
  #logouts = 0;
  #listeners = new StreamGroup((name) => this.#reportOverflow(`listener ${name}`));
  #receivers = new StreamGroup((name) => this.#reportOverflow(`receiver ${name}`));
  #procedures = new StreamGroup((name) => this.#reportOverflow(`procedure ${name}`));
  #channelStreams = new ChannelStreams((name) => this.#reportOverflow(`channel ${name}`));

  constructor(options) {
    this.#options = completeOptions(options);
    this.#auth = this.#options.authEngine ?? new TokenStore();
    if (this.#options.autoConnect) this.connect();
  }

  get authTokenName() { return this.#options.authTokenName; }

  uri() {
    const {secure, hostname, port, path, query} = this.#options;
    // Only the number is recognized as the scheme's own port; text is what somebody wants to see in the address.
    const authority = port === (secure ? 443 : 80) ? hostname : `${hostname}:${port}`;
    const pairs = typeof query === 'string' ? query
      : Object.entries(query).flatMap(([key, value]) => [value].flat().map((item) => [key, item]));
    const search = new URLSearchParams(pairs).toString();
    return `${secure ? 'wss' : 'ws'}://${authority}${path}${search && `?${search}`}`;
  }

  // -- Connection --

  connect(options) {
    if (options) {
      const complete = completeOptions({...this.#options, ...options});
      if (this.state !== CLOSED) this.disconnect(1000, SUPERSEDED);
      this.#options = complete;
    }
    if (this.state !== CLOSED) return;
    this.#cancelReconnect();
    this.state = CONNECTING;
    this.#connectedAt = Date.now();
    this.#emit('connecting', {});
    let logouts;
    const connection = new Connection(this.#options, {
      loadToken: async () => {
        logouts = this.#logouts;
        const token = await this.#store(() => this.#auth.loadToken(this.authTokenName));
        return logouts === this.#logouts ? token : null;
      },
      nextCid: () => ++this.#lastCid,
      onOpen: (status, token) => this.#onOpen(status, token, logouts !== this.#logouts),
      onEnd: (type, code, reason) => this.#onEnd(type, code, reason),
      onTransmit: (event, data) => this.#onTransmit(event, data),
      onInvoke: (packet) => {
        this.#onInvoke(new Request(this, packet, (request, response) => connection.reply(request, response)));
      },
      onEvent: (name, payload) => this.#emit(name, payload),
      onError: (error) => this.#emitError(error),
    });
    this.#connection = connection;
    connection.open(this.uri());
  }

  disconnect(code, reason) {
    code ||= 1000;
    if (typeof code !== 'number') {
      throw makeError('InvalidArgumentsError', 'If specified, the code argument must be a number');
    }
    if (!isLegalCloseCode(code)) {
      throw makeError('InvalidArgumentsError', 'The code argument must be 1000 or in the range 3000 to 4999');
    }
    if (this.state === CLOSED) {
      this.#cancelReconnect();
      return;
    }
    const text = reason === undefined ? undefined : truncateReason(String(reason));
    this.#connection.end(code, text, code, text);
  }

  reconnect(code, reason) {
    this.disconnect(code, reason);
    this.connect();
  }

  #onOpen(status, token, loggedOut) {
    this.state = OPEN;
    this.id = status.id;
    this.connectAttempts = 0;
    const isAuthenticated = Boolean(status.isAuthenticated) && !loggedOut;
    if (!status.isAuthenticated) this.#refusedToken = token;
    if (isAuthenticated) this.#becomeAuthenticated(token);
    else this.#becomeUnauthenticated();
    this.#requestPendingSubscriptions();
    const payload = {...status, isAuthenticated, authToken: token};
    if (status.authError) payload.authError = hydrateError(status.authError);
    this.#emit('connect', payload);
    for (const call of this.#takeQueue()) this.#connection.write(call);
  }

  #onEnd(type, code, reason) {
    this.state = CLOSED;
    this.id = null;
    for (const call of this.#takeQueue()) {
      clearTimeout(call.timer);
      this.#failCall(call, badConnectionError(call.event, type, code, reason));
    }
    for (const channel of this.#channels.values()) this.#leaveChannel(channel, PENDING);
    this.#emit(type, {code, reason});
    this.#emit('close', {code, reason});
    if (!ORDINARY_CLOSE.has(code)) this.#emitError(socketProtocolError(code, reason));
    this.#cancelReconnect();
    if (this.#options.autoReconnect && code !== 1000 && code < FIRST_PERMANENT_CODE) this.#scheduleReconnect(code);
  }

  #scheduleReconnect(code) {
    const {initialDelay, randomness, multiplier, maxDelay} = this.#options.autoReconnectOptions;
    const attempt = this.connectAttempts++;
    let delay = Math.round(Math.round(initialDelay + randomness * Math.random()) * multiplier ** attempt);
    if (attempt === 0 && RECONNECT_AT_ONCE.has(code)) {
      delay = Math.max(0, this.#connectedAt + MIN_RECONNECT_INTERVAL - Date.now());
    }
    this.pendingReconnect = true;
    this.pendingReconnectTimeout = Math.min(delay, maxDelay, MAX_TIMEOUT);
    this.#reconnectTimer = setTimeout(() => this.connect(), this.pendingReconnectTimeout);
  }

  #cancelReconnect() {
    clearTimeout(this.#reconnectTimer);
    this.pendingReconnect = false;
    this.pendingReconnectTimeout = null;
  }

  // -- Events and calls --

  /** Resolves at once; an event that is lost before it was sent is reported by an error event. */
  async transmit(event, data, options) {
    this.#enqueue(event, data, options);
  }

  invoke(event, data, options) {
    return new Promise((resolve, reject) => {
      this.#enqueue(event, data, options, (error, result) => (error ? reject(error) : resolve(result)));
    });
  }

  transmitPublish(channel, data) { return this.transmit('#publish', {channel, data}); }
  invokePublish(channel, data) { return this.invoke('#publish', {channel, data}); }
  listener(event) { return this.#listeners.stream(event); }
  receiver(event) { return this.#receivers.stream(event); }
  procedure(name) { return this.#procedures.stream(name); }

  #enqueue(event, data, options, settle) {
    const call = {event: String(event), settle};
    try {
      call.data = encode(data);
    } catch (error) {
      this.#failCall(call, error);
      return;
    }
    // Timers stop while a computer sleeps; the clock tells that the server cannot have waited for us.
    const connection = this.#connection;
    if (this.state === OPEN && !this.#options.pingTimeoutDisabled
      && Date.now() - connection.lastPing >= connection.pingTimeout) this.disconnect(1000, STALE);
    if (this.state === CLOSED) this.connect();
    if (this.#queue.size >= MAX_QUEUED) {
      this.#failCall(call, makeError('ResourceLimitError', `Too many events wait for a connection to send ${event}`));
      return;
    }
    call.timer = setTimeout(() => {
      this.#queue.delete(call);
      this.#connection.forget(call);
      this.#failCall(call, timeoutError(call.event));
    }, Math.min(options?.ackTimeout ?? this.#options.ackTimeout, MAX_TIMEOUT));
    if (this.state === OPEN) this.#connection.write(call);
    else this.#queue.add(call);
  }

  #takeQueue() {
    const calls = [...this.#queue];
    this.#queue.clear();
    return calls;
  }

  #failCall(call, error) {
    if (call.settle) call.settle(error);
    else this.#emitError(error);
  }

  // A switch compares names; a lookup in an object would find toString and __proto__.
  #onTransmit(event, data) {
    switch (event) {
      case '#publish':
        this.#onPublish(this.#channels.get(data?.channel), data);
        break;
      case '#lost':
        this.#onLost(this.#channels.get(data?.channel), data);
        break;
      case '#kickOut':
        this.#onKickOut(this.#channels.get(data?.channel), data?.message);
        break;
      case '#setAuthToken':
        if (data) this.#acceptToken(data.token, (error) => this.#emitError(error));
        break;
      case '#removeAuthToken':
        this.#loseToken();
        break;
      default:
        this.#receivers.write(event, data);
    }
  }

  #onInvoke(request) {
    if (request.procedure === '#setAuthToken') {
      this.#acceptToken(request.data?.token, (error) => request.error(error));
      if (!request.sent) request.end();
    } else if (request.procedure === '#removeAuthToken') {
      this.#loseToken();
      request.end();
    } else {
      this.#procedures.write(request.procedure, request);
    }
  }

  #emit(event, payload) { this.#listeners.write(event, payload); }
  #emitError(error) { this.#emit('error', {error}); }

  #reportOverflow(stream) {
    this.#emitError(makeError('ResourceLimitError', `A consumer of ${stream} is too slow and has lost its oldest items`));
  }

  // -- Authentication --

  /** Resolves with {isAuthenticated, authError}; rejects when the server calls the token bad or does not answer. */
  authenticate(signedToken) {
    const logouts = this.#logouts;
    return new Promise((resolve, reject) => {
      // Settled by callback, not by promise: a #removeAuthToken right behind the answer must find it applied.
      this.#enqueue('#authenticate', signedToken, {}, (error, status) => {
        if (error) {
          // A lost connection says nothing about the token.
          if (error.name !== 'BadConnectionError' && error.name !== 'TimeoutError') {
            this.#refusedToken = signedToken;
            this.#becomeUnauthenticated();
          }
          reject(error);
          return;
        }
        let authError = hydrateError(status?.authError);
        if (typeof status?.isAuthenticated !== 'boolean') {
          authError = makeError('InvalidMessageError', 'The server answered #authenticate without a status');
        }
        const isAuthenticated = status?.isAuthenticated === true && logouts === this.#logouts;
        if (isAuthenticated) {
          this.#becomeAuthenticated(signedToken);
          this.#saveToken(signedToken);
        } else {
          if (status?.isAuthenticated !== true) this.#refusedToken = signedToken;
          this.#becomeUnauthenticated();
        }
        resolve({isAuthenticated, authError});
      });
    });
  }

  /** Logs out here and, when connected, on the server. Works offline too. */
  async deauthenticate() {
    this.#logouts++;
    if (this.state !== CLOSED) this.#enqueue('#removeAuthToken');
    await this.#dropToken();
  }

  #acceptToken(token, onInvalid) {
    if (typeof token !== 'string' || token === '') {
      onInvalid(makeError('InvalidMessageError', 'No token data provided by #setAuthToken event'));
      return;
    }
    this.#becomeAuthenticated(token);
    this.#saveToken(token);
  }

  /** The server takes the token away. What another tab has stored since is another login, which this is not about. */
  #loseToken() {
    const lost = [this.#heldToken, this.#refusedToken];
    this.#dropToken(async () => {
      const stored = await this.#auth.loadToken(this.authTokenName);
      return lost.includes(stored) ? this.#auth.removeToken(this.authTokenName) : null;
    });
  }

  #dropToken(remove = () => this.#auth.removeToken(this.authTokenName)) {
    const removed = this.#store(remove).then(
      (oldAuthToken) => this.#emit('removeAuthToken', {oldAuthToken}),
      (error) => this.#emitError(error),
    );
    this.#becomeUnauthenticated();
    return removed;
  }

  #saveToken(token) {
    this.#store(() => this.#auth.saveToken(this.authTokenName, token, {})).catch((error) => this.#emitError(error));
  }

  #store(operation) {
    const result = this.#storage.then(operation);
    this.#storage = result.catch(() => {});
    return result;
  }

  #becomeAuthenticated(signedAuthToken) {
    const oldAuthState = this.authState;
    const authToken = readClaims(signedAuthToken);
    Object.assign(this, {authState: AUTHENTICATED, signedAuthToken, authToken});
    this.#heldToken = signedAuthToken;
    if (oldAuthState !== AUTHENTICATED) {
      this.#requestPendingSubscriptions();
      this.#emit('authStateChange', {oldAuthState, newAuthState: AUTHENTICATED, signedAuthToken, authToken});
    }
    this.#emit('authenticate', {signedAuthToken, authToken});
  }

  #becomeUnauthenticated() {
    if (this.authState === UNAUTHENTICATED) return;
    const {authState: oldAuthState, authToken: oldAuthToken, signedAuthToken: oldSignedAuthToken} = this;
    Object.assign(this, {authState: UNAUTHENTICATED, signedAuthToken: null, authToken: null});
    this.#emit('authStateChange', {oldAuthState, newAuthState: UNAUTHENTICATED});
    this.#emit('deauthenticate', {oldSignedAuthToken, oldAuthToken});
  }

  // -- Channels --

  subscribe(name, {waitForAuth, priority, data, last} = {}) {
    const options = {waitForAuth: Boolean(waitForAuth)};
    if (priority != null) options.priority = priority;
    if (data !== undefined) options.data = data;
    if (last != null) options.last = last;
    const known = this.#channels.get(name);
    if (known) {
      known.options = options;
    } else {
      // The position is that of the last message. asked is what it was at the first request without an answer, also on an earlier
      // connection: what is lost is in the answer, behind what is not.
      const channel = {name, options, state: PENDING, request: null, position: undefined, asked: undefined};
      this.#channels.set(name, channel);
      this.#requestSubscription(channel);
    }
    return this.channel(name);
  }

  unsubscribe(name) {
    const channel = this.#channels.get(name);
    if (!channel) return;
    this.#leaveChannel(channel, UNSUBSCRIBED);
    if (this.state === OPEN) this.#connection.write({event: '#unsubscribe', data: encode(name)});
  }

  channel(name) { return new Channel(name, this, this.#channelStreams); }

  subscriptions(includePending) {
    return [...this.#channels.keys()].filter((name) => this.isSubscribed(name, includePending));
  }

  isSubscribed(name, includePending) {
    const channel = this.#channels.get(name);
    return channel !== undefined && (Boolean(includePending) || channel.state === SUBSCRIBED);
  }

  getChannelState(name) { return this.#channels.get(name)?.state ?? UNSUBSCRIBED; }
  getChannelOptions(name) { return {...this.#channels.get(name)?.options}; }

  #requestPendingSubscriptions() {
    const pending = [...this.#channels.values()].filter((channel) => channel.state === PENDING);
    pending.sort((a, b) => (b.options.priority ?? 0) - (a.options.priority ?? 0));
    for (const channel of pending) this.#requestSubscription(channel);
  }

  #mayRequest(channel) { return !channel.options.waitForAuth || this.authState === AUTHENTICATED; }

  #requestSubscription(channel) {
    if (this.state !== OPEN || channel.request || !this.#mayRequest(channel)) return;
    const {waitForAuth, data, last} = channel.options;
    const options = {...(waitForAuth && {waitForAuth}), ...(data !== undefined && {data})};
    channel.asked ??= channel.position;
    const from = channel.asked ? {since: channel.asked.text} : {...(last > 0 && {last})};
    const call = {event: '#subscribe'};
    call.settle = (error, answer) => {
      channel.request = null;
      if (!error) this.#enterChannel(channel, options, answer);
      // A lost connection leaves the channel pending for the next one.
      else if (error.name !== 'BadConnectionError') this.#failChannel(channel, error, options);
    };
    channel.request = call;
    try {
      call.data = encode({channel: channel.name, ...options, ...from});
    } catch (error) {
      call.settle(error);
      return;
    }
    // Without a timer: middleware of the server may take its time, and the connection's end settles the call.
    this.#connection.write(call);
  }

  #enterChannel(channel, subscriptionOptions, answer) {
    const change = {oldChannelState: channel.state, newChannelState: SUBSCRIBED, subscriptionOptions};
    channel.state = SUBSCRIBED;
    this.#emitOnChannel(channel.name, 'subscribeStateChange', change);
    this.#emitOnChannel(channel.name, 'subscribe', {subscriptionOptions});
    this.#emit('subscribeStateChange', {channel: channel.name, ...change});
    this.#emit('subscribe', {channel: channel.name, subscriptionOptions});
    const position = parsePosition(answer?.position);
    const {asked} = channel;
    channel.asked = undefined;
    if (!position) {
      channel.position = undefined; // nothing is kept
      return;
    }
    // What was missed has come before the answer, and so may have what was published meanwhile.
    const {lost} = answer;
    if (isNewer(position, channel.position) || (lost && channel.position === asked)) channel.position = position;
    if (lost) this.#tellLost(channel, lost);
  }

  #onPublish(channel, message) {
    if (!channel) return;
    const position = parsePosition(message.position);
    if (position) {
      if (!isNewer(position, channel.position)) return;
      channel.position = position;
    }
    this.#channelStreams.write(channel.name, MESSAGES, message.data);
  }

  #onLost(channel, report) {
    if (!channel) return;
    const {position, lost} = report;
    channel.position = parsePosition(position) ?? channel.position;
    this.#tellLost(channel, lost ?? {});
  }

  #tellLost(channel, {from, to}) {
    const payload = {from, to, position: channel.position?.text};
    this.#emitOnChannel(channel.name, 'lost', payload);
    this.#emit('lost', {channel: channel.name, ...payload});
  }

  #failChannel(channel, error, subscriptionOptions) {
    // Logged out while the request was under way: the refusal is due to that, and the next login tries again.
    if (!this.#mayRequest(channel)) return;
    this.#channels.delete(channel.name);
    this.#emitOnChannel(channel.name, 'subscribeFail', {error, subscriptionOptions});
    this.#emit('subscribeFail', {error, channel: channel.name, subscriptionOptions});
  }

  #leaveChannel(channel, newChannelState) {
    // The answer to a request under way concerns nobody any more, whatever is requested next.
    if (channel.request) this.#connection.forget(channel.request);
    channel.request = null;
    const oldChannelState = channel.state;
    channel.state = newChannelState;
    if (newChannelState === UNSUBSCRIBED) this.#channels.delete(channel.name);
    if (oldChannelState !== SUBSCRIBED) return;
    const change = {oldChannelState, newChannelState};
    this.#emitOnChannel(channel.name, 'subscribeStateChange', change);
    this.#emitOnChannel(channel.name, 'unsubscribe', {});
    this.#emit('subscribeStateChange', {channel: channel.name, ...change});
    this.#emit('unsubscribe', {channel: channel.name});
  }

  #onKickOut(channel, message) {
    if (!channel) return;
    this.#emit('kickOut', {channel: channel.name, message});
    this.#emitOnChannel(channel.name, 'kickOut', {message});
    this.#leaveChannel(channel, UNSUBSCRIBED);
  }

  #emitOnChannel(name, event, payload) { this.#channelStreams.write(name, event, payload); }
}

// The constants are readable on the class and on every socket.
for (const [name, value] of Object.entries({
  CONNECTING, OPEN, CLOSED, AUTHENTICATED, UNAUTHENTICATED, PENDING, SUBSCRIBED, UNSUBSCRIBED,
})) {
  for (const target of [Socket, Socket.prototype]) Object.defineProperty(target, name, {value, enumerable: true});
}

/** Creates a socket, and unless autoConnect is false connects it. */
export function create(options = {}) {
  return new Socket(options);
}
