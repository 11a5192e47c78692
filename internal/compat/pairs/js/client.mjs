// Runs the steps of the cases on clients of socketcluster-client.
//
// Each line of standard input is {"id":…,"client":"…","step":"…","args":[…]};
// each is answered by one line on standard output: {"id":…,"value":…}, without a
// value if it is undefined, or {"id":…,"error":{…}}. Steps begin in the order of
// the lines and run side by side. The process ends with its input.
import {createRequire} from 'node:module';
import {createInterface} from 'node:readline';

const require = createRequire(import.meta.url); // unlike import, it looks at NODE_PATH
const socketClusterClient = require('socketcluster-client');

// What crosses the pipe of an error is its name, message and own properties.
function plain(key, value) {
  return value instanceof Error ? {...value, name: value.name, message: value.message} : value;
}

const show = value => value === undefined ? 'undefined' : JSON.stringify(value, plain);
const userOf = token => token?.username ?? 'nobody';

// descriptions says what the diary has of each event.
const descriptions = {
  connecting: () => '',
  connect: () => '',
  connectAbort: ({code, reason}) => ` ${code} ${reason ?? ''}`,
  disconnect: ({code, reason}) => ` ${code} ${reason ?? ''}`,
  close: ({code, reason}) => ` ${code} ${reason ?? ''}`,
  error: ({error}) => error.name === 'Error' ? ' of the system' : ` ${error.name}: ${error.message}`,
  subscribe: ({channel}) => ` ${channel}`,
  subscribeRequest: ({channel}) => ` ${channel}`,
  subscribeFail: ({channel, error}) => ` ${channel} ${error.name}`,
  subscribeStateChange: ({channel, oldChannelState, newChannelState}) => ` ${channel} ${oldChannelState}>${newChannelState}`,
  unsubscribe: ({channel}) => ` ${channel}`,
  kickOut: ({channel, message}) => ` ${channel} ${show(message)}`,
  authenticate: ({authToken}) => ` ${userOf(authToken)}`,
  deauthenticate: ({oldAuthToken}) => ` ${userOf(oldAuthToken)}`,
  authStateChange: ({oldAuthState, newAuthState}) => ` ${oldAuthState}>${newAuthState}`
};

// List is what has come, for one reader who waits for a number of entries.
class List {
  constructor() {
    this.entries = [];
    this.wake = () => {};
  }
  add(entry) {
    this.entries.push(entry);
    this.wake();
  }
  more() { return new Promise(resolve => { this.wake = resolve; }); }
  async take(count) {
    while (this.entries.length < count) await this.more();
    return this.entries.splice(0);
  }
  // await waits until an entry has come so often, and takes none.
  async await(entry, count) {
    while (this.entries.filter(e => e === entry).length < count) await this.more();
  }
}

// outcome waits for one of two events of a socket or channel.
async function outcome(good, bad, failure) {
  const failed = await Promise.race([good.once().then(() => null), bad.once()]);
  if (failed) throw failure(failed);
}

class Client {
  constructor({reconnectAfter, compress, ...options}) {
    this.socket = socketClusterClient.create({
      hostname: '127.0.0.1',
      autoConnect: false,
      autoReconnect: reconnectAfter !== undefined,
      autoReconnectOptions: {initialDelay: reconnectAfter, randomness: 0, multiplier: 1, maxDelay: reconnectAfter},
      ...options,
      wsOptions: {perMessageDeflate: compress ? {threshold: 64} : false}
    });
    this.diary = new List();
    this.notes = new List();
    this.pingList = new List();
    this.rawList = new List();
    this.messageList = new List();
    this.changes = new List(); // of the store, and the events about it
    this.publicationLists = new Map();
    const {emit} = this.socket;
    this.socket.emit = (event, data) => {
      if (descriptions[event]) this.diary.add((event + descriptions[event](data)).trim());
      if (event === 'removeAuthToken') this.changes.add(`${event} ${data.oldAuthToken ?? ''}`.trim());
      if (event === 'raw') this.rawList.add(String(data.message));
      if (event === 'message') this.messageList.add(String(data.message));
      if (event === 'message' && data.message === '') this.pingList.add(data.message);
      return emit.call(this.socket, event, data);
    };
    this.noteChanges(this.socket.auth);
    this.serve('greet', request => request.end({greeting: `Hello ${request.data}`}));
    this.serve('refuse', request => {
      request.error(Object.assign(new Error('I would rather not'), {name: 'RefusedError', reason: {why: request.data}}));
    });
    this.receive('note', this.notes);
  }

  noteChanges(auth) {
    const {saveToken, removeToken} = auth;
    auth.saveToken = async (name, token, options) => {
      const saved = await saveToken.call(auth, name, token, options);
      this.changes.add(`save ${token}`);
      return saved;
    };
    auth.removeToken = async name => {
      const removed = await removeToken.call(auth, name);
      if (removed) this.changes.add(`remove ${removed}`);
      return removed;
    };
  }

  async serve(name, handle) {
    for await (const request of this.socket.procedure(name)) handle(request);
  }

  async receive(name, list) {
    for await (const data of this.socket.receiver(name)) list.add(data);
  }

  publicationsOf(channel) {
    let list = this.publicationLists.get(channel);
    if (!list) {
      list = new List();
      this.publicationLists.set(channel, list);
      (async () => {
        for await (const data of this.socket.channel(channel)) list.add(data);
      })();
    }
    return list;
  }

  connect() {
    const connected = this.socket.listener('connect').once();
    const done = outcome(this.socket.listener('connect'), this.socket.listener('connectAbort'),
      ({code, reason}) => ({name: 'ConnectAbort', message: `${code} ${reason ?? ''}`.trim()}));
    this.socket.connect();
    return done.then(() => connected).then(({isAuthenticated, authError, authToken}) => (
      {isAuthenticated, authError, authToken: authToken ?? ''}));
  }

  // begin connects without waiting.
  begin() { this.socket.connect(); }

  status() {
    const {state, authState, authToken} = this.socket;
    return {state, authState, user: userOf(authToken)};
  }
  stored(count) { return this.changes.take(count); }

  isReconnecting() { return this.socket.pendingReconnect; }

  events(count) { return this.diary.take(count); }
  sees(event, count) { return this.diary.await(event, count); }
  received(count) { return this.notes.take(count); }
  raws(count) { return this.rawList.take(count); }
  // receives waits for a message that contains a text.
  async receives(text) {
    while (!this.messageList.entries.some(m => m.includes(text))) await this.messageList.more();
  }
  async pings(count) { return (await this.pingList.take(count)).length >= count; }

  invoke(procedure, data) { return this.socket.invoke(procedure, data); }
  async login(procedure, data) {
    const [answer] = await Promise.all([this.socket.invoke(procedure, data), this.socket.listener('authenticate').once()]);
    return answer;
  }
  invokeWithin(ackTimeout, procedure, data) { return this.socket.invoke(procedure, data, {ackTimeout}); }
  async transmit(event, data) { await this.socket.transmit(event, data); }
  publish(channel, data) { return this.socket.invokePublish(channel, data); }
  async transmitPublish(channel, data) { await this.socket.transmitPublish(channel, data); }

  async authenticate(token) {
    const {isAuthenticated, authError} = await this.socket.authenticate(token);
    if (!isAuthenticated) throw authError;
  }

  async deauthenticate() { await this.socket.deauthenticate(); }

  disconnect(code, reason) { this.socket.disconnect(code, reason); }

  // want begins to subscribe, and subscribe also waits for the verdict.
  want(channel, options) {
    this.publicationsOf(channel);
    return void this.socket.subscribe(channel, options);
  }

  subscribe(channel, options) {
    const {socket} = this;
    this.publicationsOf(channel);
    const subscription = socket.channel(channel);
    const verdict = outcome(subscription.listener('subscribe'), subscription.listener('subscribeFail'), ({error}) => error);
    socket.subscribe(channel, options);
    return verdict;
  }

  unsubscribe(channel) { this.socket.unsubscribe(channel); }
  channelState(channel) { return this.socket.channel(channel).state; }
  publications(channel, count) { return this.publicationsOf(channel).take(count); }
  processPendingSubscriptions() { this.socket.processPendingSubscriptions(); }
}

const clients = new Map();

const steps = {
  async create(name, options, stored) {
    const client = new Client(options);
    clients.set(name, client);
    if (!stored) return;
    await client.socket.auth.saveToken(client.socket.authTokenName, stored);
    await client.changes.take(1);
  },
  remove(name) {
    const {socket} = clients.get(name);
    socket.disconnect();
    socket.closeAllProcedures();
    socket.closeAllReceivers();
    clients.delete(name);
  }
};

function run(client, step, args) {
  return steps[step] ? steps[step](client, ...args) : clients.get(client)[step](...args);
}

const input = createInterface({input: process.stdin});
input.on('line', async line => {
  const {id, client, step, args} = JSON.parse(line);
  let answer;
  try {
    answer = {id, value: await run(client, step, args)};
  } catch (error) {
    answer = {id, error};
  }
  process.stdout.write(JSON.stringify(answer, plain) + '\n');
});
input.on('close', () => process.exit(0));
