// The demo page. It uses only what socketcluster-client 20 and the project's own browser client have in common, so the
// server may put either of them behind ./client.js. Text of other people reaches the page through textContent alone.

import {create} from './client.js';

const CHAT = 'chat';
const STAFF = 'room/staff';
const MAX_LOG_ROWS = 200;
const MAX_TEXT = 500; // characters that the server takes
const MAX_PEOPLE = 50;
const SLOW = 500; // milliseconds after which a message is shown as on its way
const LOW_LIFETIME = 60; // seconds
const CLIENT_KINDS = new Map([['browser', 'browser module'], ['stock', 'stock npm']]);

const $ = (id) => document.getElementById(id);

const config = await loadConfig();
const tokenName = config.tokenName ?? 'socketcluster.authToken';
const socket = create({
  authTokenName: tokenName,
  autoConnect: false, // Connected below, when everything listens.
  autoReconnectOptions: {initialDelay: 1000, randomness: 1000, multiplier: 1.5, maxDelay: 10_000},
});

// What the page knows about the session besides the socket's own state. What somebody has begun to write is kept for
// the author, also while the session is over.
const session = {username: null, signedToken: null, rights: null, renewals: 0, loggingOut: null, author: null};
// A lost connection, and when the client tries to make a new one (null: not at all).
const loss = {lost: false, nextTry: null};
// Tells the other tabs whom a logout is about. Logins are no matter of theirs: two tabs may show two users.
const logouts = new BroadcastChannel(`${tokenName}.logouts`);

async function loadConfig() {
  try {
    const response = await fetch('config.json');
    return response.ok ? await response.json() : {};
  } catch {
    return {}; // The page works without; it only cannot tell which client it got.
  }
}

// ---- Small helpers ----

function element(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

function timeElement(date, options = {}) {
  const format = {hour: '2-digit', minute: '2-digit', hourCycle: 'h23', ...options};
  const node = element('time', '', date.toLocaleTimeString([], format));
  node.dateTime = date.toISOString();
  return node;
}

function appendRow(log, row) {
  log.append(row);
  while (log.children.length > MAX_LOG_ROWS) log.firstElementChild.remove();
}

/** Keeps a log at its end, whatever is added and however its height changes, unless the reader has scrolled up. */
function followEnd(log) {
  let [following, top] = [true, 0];
  const follow = () => {
    if (following) log.scrollTop = log.scrollHeight;
    top = log.scrollTop;
  };
  log.addEventListener('scroll', () => {
    const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    // A log that has just become lower is not at its end either, but nobody has scrolled up.
    following = atEnd || (following && log.scrollTop >= top);
    top = log.scrollTop;
  });
  new ResizeObserver(follow).observe(log);
  new MutationObserver(follow).observe(log, {childList: true});
}

/** Sets a text that may be read aloud only when it is another one. */
function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Shows an alert. One with a cause ends when the cause does. */
function showAlert(id, text, cause = '') {
  const alert = $(id);
  alert.textContent = text ?? '';
  alert.hidden = !text;
  alert.dataset.cause = cause;
}

/** Makes a change of the page. If the focus is on what goes away by it, a field that is of use now gets it. */
function keepFocus(change, next = isLoggedIn() ? 'chat-input' : 'username') {
  const focused = document.activeElement;
  change();
  const lost = !focused.isConnected || focused.disabled || focused.closest('[hidden]');
  if (focused !== document.body && lost) $(next).focus();
}

/** Text of whatever somebody else has sent. String() would call a toString that may be anything but a function. */
function asText(value) {
  return typeof value === 'string' ? value : JSON.stringify(value) ?? '';
}

function errorText(error) {
  return error instanceof Error ? error.message : asText(error);
}

/** Tells whether an error says nothing but that there was no way to the server or back. */
function isConnectionError(error) {
  return ['BadConnectionError', 'TimeoutError'].includes(error?.name);
}

function isLoggedIn() {
  return socket.authState === 'authenticated';
}

function claimedName(claims) {
  return asText(claims?.username ?? claims?.sub ?? 'somebody');
}

// ---- Connection and event log ----

function renderConnection() {
  const connection = $('connection');
  connection.textContent = socket.state;
  connection.dataset.state = socket.state;
  $('socket-id').textContent = socket.id ?? 'none';
  renderLoss();
}

function renderLoss() {
  const {lost, nextTry} = loss;
  keepFocus(() => { $('away').hidden = !lost; });
  setText($('away-text'), !lost ? '' : nextTry === null ? 'The connection has ended.' : 'The server is away.');
  const seconds = Math.max(1, Math.ceil((nextTry - Date.now()) / 1000));
  $('away-next').textContent = socket.state === 'connecting' ? 'Connecting…' : nextTry === null ? '' : `Next try in ${seconds} s.`;
}

function logEvent(name, tone, detail) {
  const row = element('div', 'event');
  row.dataset.event = name;
  row.append(timeElement(new Date(), {second: '2-digit'}), element('span', `name ${tone}`, name));
  if (detail) row.append(element('span', 'detail', detail));
  appendRow($('event-log'), row);
}

/** Runs a handler for each event, after the event was logged. */
async function on(name, tone, describe, handle = () => {}) {
  for await (const event of socket.listener(name)) {
    logEvent(name, tone, describe(event));
    handle(event);
    renderConnection();
  }
}

function describeClose({code, reason}) {
  return reason ? `${code} · ${reason}` : String(code);
}

on('connecting', 'wait', () => '');
on('connect', 'good', ({id, isAuthenticated}) => `${id} · ${isAuthenticated ? 'authenticated' : 'guest'}`, onConnect);
on('connectAbort', 'bad', describeClose, onClose);
on('disconnect', 'wait', describeClose, onClose);
on('error', 'bad', ({error}) => `${error?.name ?? 'Error'}: ${errorText(error)}`);
on('authStateChange', '', ({oldAuthState, newAuthState}) => `${oldAuthState} → ${newAuthState}`);
on('authenticate', 'good', ({authToken}) => claimedName(authToken), onAuthenticate);
on('deauthenticate', 'wait', ({oldAuthToken}) => claimedName(oldAuthToken), onDeauthenticate);
on('removeAuthToken', 'wait', () => 'the stored token was removed');
on('subscribe', 'good', ({channel}) => channel, onSubscribe);
on('subscribeFail', 'bad', ({channel, error}) => `${channel} · ${errorText(error)}`, onSubscribeFail);
on('unsubscribe', '', ({channel}) => channel, renderChannels);
on('kickOut', 'bad', ({channel, message}) => (message ? `${channel} · ${asText(message)}` : channel), onKickOut);

function onClose() {
  // A login over HTTP connects again at once.
  if (socket.state === 'closed') {
    loss.lost = true;
    loss.nextTry = socket.pendingReconnect ? Date.now() + socket.pendingReconnectTimeout : null;
  }
  renderChannels();
}

function onConnect({authError}) {
  Object.assign(loss, {lost: false, nextTry: null});
  if ($('auth-error').dataset.cause === 'connection') showAlert('auth-error', null);
  if (authError) showAlert('auth-error', `The stored token was refused: ${errorText(authError)}`);
}

// ---- Session ----

function onAuthenticate({signedAuthToken, authToken}) {
  const username = claimedName(authToken);
  if (session.username !== username) {
    session.renewals = 0;
    stopFollowing(session.username);
    if (session.author !== username) forgetDrafts();
  } else if (session.signedToken !== signedAuthToken) {
    session.renewals++;
    flashRenewal();
  }
  const rights = JSON.stringify([username, authToken?.channels]);
  // A refused subscription is tried again only when the token grants something else than before.
  if (session.rights !== rights) {
    follow(`user/${username}`);
    follow(STAFF);
  }
  Object.assign(session, {username, author: username, rights, signedToken: signedAuthToken});
  showAlert('auth-error', null);
  $('password').value = '';
  renderSession();
}

function onDeauthenticate({oldAuthToken}) {
  if (session.loggingOut === null) {
    const expired = oldAuthToken?.exp * 1000 <= Date.now();
    showAlert('auth-error', expired ? 'Your session has expired. Please log in again.' : 'Your session was ended.');
  }
  stopFollowing(session.username);
  const note = session.loggingOut;
  Object.assign(session, {username: null, signedToken: null, rights: null, renewals: 0, loggingOut: null});
  // Requested again by the client itself as soon as somebody is logged in.
  follow(STAFF);
  renderSession(note);
}

function flashRenewal() {
  const badge = $('token-renewed');
  badge.classList.remove('fresh');
  badge.getBoundingClientRect(); // Makes the browser notice the removal, so that the animation starts anew.
  badge.classList.add('fresh');
}

function renderSession(note) {
  const loggedIn = isLoggedIn();
  const {username, renewals} = session;
  const status = $('status');
  status.textContent = loggedIn ? `logged in as ${username}` : 'logged out';
  status.title = loggedIn ? username : '';
  status.dataset.auth = socket.authState;
  $('status-note').textContent = loggedIn ? 'The session survives a reload.' : note || 'Guests may read the chat.';
  $('avatar').textContent = loggedIn ? [...username][0] ?? '?' : '?';
  $('avatar').classList.toggle('known', loggedIn);
  keepFocus(() => {
    $('login-form').hidden = loggedIn;
    $('logout').hidden = !loggedIn;
    for (const id of ['chat-input', 'chat-send']) $(id).disabled = !loggedIn;
    for (const button of document.querySelectorAll('.unsent button')) button.disabled = !loggedIn;
    renderChannels();
  });
  $('chat-input').placeholder = loggedIn ? 'Write to everybody' : 'Log in to write';
  $('auth-state').textContent = socket.authState;
  const badge = $('token-renewed');
  badge.dataset.count = renewals;
  badge.textContent = `renewed ×${renewals}`;
  badge.hidden = renewals === 0;
  renderClaims(loggedIn ? socket.authToken : null);
  renderExpiry();
}

function renderClaims(claims) {
  $('token-claims').replaceChildren(...Object.entries(claims ?? {}).map(([name, value]) => {
    const row = element('div');
    const detail = element('dd', '', typeof value === 'string' ? value : JSON.stringify(value, null, 1));
    if (['exp', 'iat', 'nbf'].includes(name) && Number.isFinite(value)) {
      detail.append(element('small', '', new Date(value * 1000).toLocaleString()));
    }
    row.append(element('dt', '', name), detail);
    return row;
  }));
  $('claims').hidden = !claims;
}

function formatSeconds(total) {
  const days = Math.floor(total / 86400);
  const parts = [Math.floor(total / 3600) % 24, Math.floor(total / 60) % 60, total % 60];
  if (days === 0 && parts[0] === 0) parts.shift();
  const clock = parts.map((part, i) => (i === 0 ? String(part) : String(part).padStart(2, '0'))).join(':');
  return days > 0 ? `${days} d ${clock}` : clock;
}

function renderExpiry() {
  const claims = isLoggedIn() ? socket.authToken : null;
  const left = Math.ceil((claims?.exp ?? NaN) - Date.now() / 1000);
  const [text, level, note] = claims === null ? ['no token', 'none', '']
    : Number.isNaN(left) ? ['never expires', 'none', '']
      : left <= 0 ? ['expired', 'over', '']
        : [formatSeconds(left), left <= LOW_LIFETIME ? 'low' : 'fine', 'until it expires'];
  const expiry = $('token-expiry');
  expiry.textContent = text;
  expiry.dataset.level = level;
  $('token-expiry-note').textContent = note;
  const life = $('token-life');
  const span = claims?.exp - claims?.iat;
  life.hidden = !(span > 0);
  life.value = span > 0 ? Math.min(1, Math.max(0, left / span)) : 0;
}

setInterval(() => {
  renderExpiry();
  renderLoss();
  renderLoginWait();
}, 1000);

// ---- Login and logout ----

let loggingIn = false;

/** Runs a login, one at a time, and shows why it failed. */
async function logIn(login) {
  if (loggingIn || !$('login-form').reportValidity()) return;
  const setBusy = (busy) => {
    loggingIn = busy;
    // Not disabled, or the focus would be lost.
    for (const id of ['login-ws', 'login-http']) $(id).ariaDisabled = String(busy);
  };
  showAlert('auth-error', null);
  setBusy(true);
  try {
    await login({username: $('username').value, password: $('password').value});
  } catch (error) {
    showLoginError(error);
    $('password').focus();
    $('password').select();
  } finally {
    setBusy(false);
  }
}

function showLoginError(error) {
  if (isConnectionError(error)) {
    showAlert('auth-error', 'There is no connection to the server. Please try again.', 'connection');
    return;
  }
  showAlert('auth-error', errorText(error));
  if (!(error?.retryAfter > 0)) return;
  const wait = element('span');
  wait.id = 'login-wait';
  wait.role = 'timer'; // or each second would be read aloud
  wait.dataset.until = Date.now() + error.retryAfter * 1000;
  $('auth-error').append('. ', wait);
  renderLoginWait();
}

function renderLoginWait() {
  const wait = $('login-wait');
  if (!wait) return;
  const left = Math.ceil((wait.dataset.until - Date.now()) / 1000);
  if (left > 0) wait.textContent = `Try again in ${formatSeconds(left)}.`;
  else showAlert('auth-error', null);
}

// The token comes by a frame of its own; the authenticate event shows it.
function logInOverWebSocket(credentials) {
  return socket.invoke('login', credentials);
}

async function logInOverHTTP(credentials) {
  const response = await fetch('login', {
    method: 'POST',
    headers: {'Content-Type': 'application/json'},
    body: JSON.stringify(credentials),
  }).catch((cause) => { throw Object.assign(new Error('The request failed', {cause}), {name: 'BadConnectionError'}); });
  const text = await response.text();
  let body = {};
  try {
    body = JSON.parse(text) ?? {};
  } catch {
    // A failure may be explained in plain text.
  }
  if (!response.ok) {
    const message = body.error?.message ?? body.message ?? body.error ?? (text.trim() || `HTTP status ${response.status}`);
    throw Object.assign(new Error(message), {retryAfter: body.error?.retryAfter});
  }
  if (typeof body.token !== 'string') throw new Error('The server answered without a token');
  localStorage.setItem(tokenName, body.token);
  // The handshake of the next connection presents the stored token.
  socket.disconnect();
  socket.connect();
}

$('login-form').addEventListener('submit', (event) => {
  event.preventDefault();
  logIn(logInOverWebSocket);
});
$('login-http').addEventListener('click', () => logIn(logInOverHTTP));
function logOut(note) {
  session.loggingOut = note;
  showAlert('auth-error', null);
  // First, or the server's kick-out would meet the subscription that waits for the next login.
  stopFollowing(session.username);
  forgetDrafts();
  socket.deauthenticate();
}

$('logout').addEventListener('click', () => {
  logouts.postMessage(session.username);
  logOut('');
});
logouts.addEventListener('message', ({data: username}) => {
  if (isLoggedIn() && username === session.username) logOut('You have logged out in another tab.');
});
$('reconnect').addEventListener('click', () => socket.connect());
$('events-clear').addEventListener('click', () => $('event-log').replaceChildren());

function offerDemoUsers(users) {
  if (!Array.isArray(users) || users.length === 0) return;
  $('demo-users').hidden = false;
  for (const {username} of users) meet(username);
  $('demo-user-list').replaceChildren(...users.map(({username, password}) => {
    const chip = element('button', 'chip', username);
    chip.type = 'button';
    chip.title = `Fill in ${username} and the password`;
    chip.addEventListener('click', () => {
      $('username').value = username;
      $('password').value = password;
      $('login-ws').focus();
    });
    return chip;
  }));
}

// ---- Channels ----

// Names with a reading loop. A loop outlives its subscription and serves the next one of the same name.
const readers = new Set();
// Private channels shown on the page: whether the server has let this user in, and what it has said against it.
const followed = new Map();
// To whom one may write: demo users, and who has written.
const people = new Set();

function meet(name) {
  if (typeof name !== 'string' || name === '' || name.includes('/') || people.size >= MAX_PEOPLE) return;
  people.add(name);
  renderChannelChoice();
}

function describeAudience(channel) {
  if (channel === `user/${session.username}`) return 'to you';
  return channel.startsWith('user/') ? `to ${channel.slice('user/'.length)}` : channel;
}

function renderMessage(message, channel) {
  const from = asText(message?.from ?? 'unknown');
  meet(message?.from);
  const row = element('article', from === session.username ? 'message mine' : 'message');
  const meta = element('p', 'meta');
  // The names of others may have marks of another direction of writing.
  meta.append(element('bdi', '', from));
  if (channel !== CHAT) meta.append(' · ', element('bdi', '', describeAudience(channel)));
  const sent = new Date(['number', 'string'].includes(typeof message?.at) ? message.at : NaN);
  if (!Number.isNaN(sent.getTime())) meta.append(' · ', timeElement(sent));
  row.append(meta, element('p', 'text', asText(message?.text ?? '(no text)')));
  return row;
}

async function read(name, log) {
  if (readers.has(name)) return;
  readers.add(name);
  for await (const message of socket.channel(name)) appendRow(log, renderMessage(message, name));
}

function follow(name) {
  read(name, $('private-log'));
  followed.set(name, {granted: false, refusal: null});
  socket.subscribe(name, {waitForAuth: true});
  renderChannels();
}

/** Lets go of one user's private channels, before the next one sees the page. */
function stopFollowing(username) {
  if (username === null) return;
  for (const name of [...followed.keys()]) {
    socket.unsubscribe(name);
    followed.delete(name);
  }
  $('private-log').replaceChildren();
  showAlert('private-error', null);
  showAlert('chat-error', null);
}

function onSubscribe({channel}) {
  if (channel === CHAT) showAlert('chat-error', null);
  if (followed.has(channel)) followed.set(channel, {granted: true, refusal: null});
  renderChannels();
}

function refuse(channel, label, reason) {
  if (channel === CHAT) showAlert('chat-error', reason);
  if (followed.has(channel)) followed.set(channel, {granted: false, refusal: {label, reason}});
  renderChannels();
}

function onSubscribeFail({channel, error}) {
  refuse(channel, 'no access', errorText(error));
}

function onKickOut({channel, message}) {
  refuse(channel, 'kicked out', asText(message ?? 'The server ended this subscription.'));
}

function stateTone(state) {
  return {subscribed: 'good', pending: 'wait'}[state] ?? '';
}

function renderChannels() {
  const chatState = socket.channel(CHAT).state;
  $('chat-state').textContent = chatState;
  $('chat-state').className = `badge ${stateTone(chatState)}`;
  $('private-channels').replaceChildren(...[...followed].map(([name, {refusal}]) => {
    const state = socket.channel(name).state;
    const refused = refusal !== null && state === 'unsubscribed';
    const row = element('li');
    const label = state === 'pending' && !isLoggedIn() ? 'after login' : state;
    const badge = element('span', `badge ${refused ? 'bad' : stateTone(state)}`, refused ? refusal.label : label);
    badge.dataset.testid = 'channel-state';
    badge.dataset.channel = name;
    badge.dataset.state = refused ? 'refused' : state;
    row.append(element('code', '', name), badge);
    if (refused) row.append(element('p', 'reason', refusal.reason));
    return row;
  }));
  renderChannelChoice();
}

/** Offers the people and the channels that this user may write to. */
function renderChannelChoice() {
  const own = `user/${session.username}`;
  const choice = new Map();
  if (isLoggedIn()) {
    if (config.directMessages) for (const name of people) choice.set(`user/${name}`, `Direct message to ${name}`);
    choice.delete(own);
    for (const [name, {granted}] of followed) if (granted) choice.set(name, name === own ? `${name} (you)` : name);
  }
  const select = $('private-channel');
  const chosen = select.value;
  if ([...choice.keys()].join() !== [...select.options].map((option) => option.value).join()) {
    select.replaceChildren(...[...choice].map(([name, label]) => new Option(label, name, false, name === chosen)));
  }
  select.hidden = choice.size === 0;
  for (const id of ['private-channel', 'private-input', 'private-send']) $(id).disabled = choice.size === 0;
  $('private-input').placeholder = choice.size > 0 ? 'Write privately' : isLoggedIn() ? 'No private channel' : 'Log in to write';
}

// ---- Writing ----

/** Says how much of a text is too much. It is neither cut nor sent. */
function checkLength(name) {
  const input = $(`${name}-input`);
  const length = [...input.value.trim()].length;
  const tooLong = length > MAX_TEXT;
  setText($(`${name}-length`), tooLong ? `${length} of ${MAX_TEXT} characters: please shorten the text.` : '');
  input.ariaInvalid = String(tooLong);
  return !tooLong;
}

/** Publishes a text. Unless the server confirms it, it stays on the page, to be sent again. */
async function send(name, channel, text, row = element('li')) {
  const from = session.username;
  const wasOpen = socket.state === 'open';
  const isForgotten = () => from !== session.author;
  const remove = () => keepFocus(() => row.remove(), `${name}-input`);
  const show = (note, ...buttons) => {
    if (isForgotten()) return;
    keepFocus(() => row.replaceChildren(element('p', 'text', text), element('p', 'note', note), ...buttons), `${name}-input`);
    if (!row.isConnected) $(`${name}-unsent`).append(row);
  };
  const button = (label, act) => {
    const node = element('button', 'button small', label);
    node.type = 'button';
    node.disabled = !isLoggedIn();
    node.addEventListener('click', act);
    return node;
  };
  const slow = setTimeout(show, SLOW, 'Sending…');
  if (row.isConnected) show('Sending…'); // and is not sent again twice
  try {
    await socket.invokePublish(channel, {from, text, at: Date.now()});
    remove();
    // Others read what is written to them alone; the author gets it from nobody.
    if (name === 'private' && from === session.username && !followed.get(channel)?.granted) {
      appendRow($('private-log'), renderMessage({from, text, at: Date.now()}, channel));
    }
  } catch (error) {
    const note = !isConnectionError(error) ? `Not sent: ${errorText(error)}`
      : wasOpen ? 'Not confirmed by the server.' : 'Not sent.';
    const target = channel === CHAT ? '' : ` (${channel})`;
    show(note + target, button('Send again', () => send(name, channel, text, row)), button('Discard', remove));
  } finally {
    clearTimeout(slow);
    if (isForgotten()) row.remove();
  }
}

function startComposer(name, chooseChannel) {
  const input = $(`${name}-input`);
  input.addEventListener('input', () => checkLength(name));
  $(`${name}-form`).addEventListener('submit', (event) => {
    event.preventDefault();
    const text = input.value.trim();
    if (!text || !checkLength(name)) return;
    input.value = '';
    send(name, chooseChannel(), text);
  });
}

/** Forgets what one user has written and not sent, before the next one sees the page. */
function forgetDrafts() {
  session.author = null;
  for (const name of ['chat', 'private']) {
    $(`${name}-input`).value = '';
    checkLength(name);
    $(`${name}-unsent`).replaceChildren();
  }
}

startComposer('chat', () => CHAT);
startComposer('private', () => $('private-channel').value);

// ---- Start ----

$('client-kind').textContent = CLIENT_KINDS.get(config.client) ?? 'unknown';
$('client-kind').dataset.kind = config.client ?? 'unknown';
offerDemoUsers(config.users);
for (const id of ['chat-log', 'private-log', 'event-log']) followEnd($(id));
read(CHAT, $('chat-log'));
socket.subscribe(CHAT);
follow(STAFF);
renderSession();
socket.connect();
renderConnection();
