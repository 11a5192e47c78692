// The demo page. It uses only what socketcluster-client 20 and the project's own browser client have in common, so the
// server may put either of them behind ./client.js. Text of other people reaches the page through textContent alone.

import {create} from './client.js';

const CHAT = 'chat';
const STAFF = 'room/staff';
const MAX_LOG_ROWS = 200;
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

// What the page knows about the session besides the socket's own state.
const session = {username: null, signedToken: null, rights: null, renewals: 0, loggingOut: false};

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

/** Appends a row, and follows it unless the reader has scrolled up. */
function appendRow(log, row) {
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  log.append(row);
  while (log.children.length > MAX_LOG_ROWS) log.firstElementChild.remove();
  if (atEnd) log.scrollTop = log.scrollHeight;
}

function showAlert(id, text) {
  const alert = $(id);
  alert.textContent = text ?? '';
  alert.hidden = !text;
}

/** Text of whatever somebody else has sent. String() would call a toString that may be anything but a function. */
function asText(value) {
  return typeof value === 'string' ? value : JSON.stringify(value) ?? '';
}

function errorText(error) {
  return error instanceof Error ? error.message : asText(error);
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
  $('reconnect').hidden = socket.state !== 'closed';
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
on('connectAbort', 'bad', describeClose);
on('disconnect', 'wait', describeClose, renderChannels);
on('error', 'bad', ({error}) => `${error?.name ?? 'Error'}: ${errorText(error)}`);
on('authStateChange', '', ({oldAuthState, newAuthState}) => `${oldAuthState} → ${newAuthState}`);
on('authenticate', 'good', ({authToken}) => claimedName(authToken), onAuthenticate);
on('deauthenticate', 'wait', ({oldAuthToken}) => claimedName(oldAuthToken), onDeauthenticate);
on('removeAuthToken', 'wait', () => 'the stored token was removed');
on('subscribe', 'good', ({channel}) => channel, renderChannels);
on('subscribeFail', 'bad', ({channel, error}) => `${channel} · ${errorText(error)}`, onSubscribeFail);
on('unsubscribe', '', ({channel}) => channel, renderChannels);
on('kickOut', 'bad', ({channel, message}) => (message ? `${channel} · ${asText(message)}` : channel), onKickOut);

function onConnect({authError}) {
  if (authError) showAlert('auth-error', `The stored token was refused: ${errorText(authError)}`);
}

// ---- Session ----

function onAuthenticate({signedAuthToken, authToken}) {
  const username = claimedName(authToken);
  if (session.username !== username) {
    session.renewals = 0;
    stopFollowing(session.username);
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
  Object.assign(session, {username, rights, signedToken: signedAuthToken});
  showAlert('auth-error', null);
  $('password').value = '';
  renderSession();
}

function onDeauthenticate({oldAuthToken}) {
  if (!session.loggingOut) {
    const expired = oldAuthToken?.exp * 1000 <= Date.now();
    showAlert('auth-error', expired ? 'Your session has expired. Please log in again.' : 'Your session was ended.');
  }
  stopFollowing(session.username);
  Object.assign(session, {username: null, signedToken: null, rights: null, renewals: 0, loggingOut: false});
  // Requested again by the client itself as soon as somebody is logged in.
  follow(STAFF);
  renderSession();
}

function flashRenewal() {
  const badge = $('token-renewed');
  badge.classList.remove('fresh');
  badge.getBoundingClientRect(); // Makes the browser notice the removal, so that the animation starts anew.
  badge.classList.add('fresh');
}

function renderSession() {
  const loggedIn = isLoggedIn();
  const {username, renewals} = session;
  const status = $('status');
  status.textContent = loggedIn ? `logged in as ${username}` : 'logged out';
  status.dataset.auth = socket.authState;
  $('status-note').textContent = loggedIn ? 'The session survives a reload.' : 'Guests may read the chat.';
  $('avatar').textContent = loggedIn ? [...username][0] ?? '?' : '?';
  $('avatar').classList.toggle('known', loggedIn);
  $('login-form').hidden = loggedIn;
  $('logout').hidden = !loggedIn;
  for (const id of ['chat-input', 'chat-send', 'private-channel', 'private-input', 'private-send']) $(id).disabled = !loggedIn;
  $('chat-input').placeholder = loggedIn ? 'Write to everybody' : 'Log in to write';
  $('private-input').placeholder = loggedIn ? 'Write privately' : 'Log in to write';
  $('auth-state').textContent = socket.authState;
  const badge = $('token-renewed');
  badge.dataset.count = renewals;
  badge.textContent = `renewed ×${renewals}`;
  badge.hidden = renewals === 0;
  renderClaims(loggedIn ? socket.authToken : null);
  renderExpiry();
  renderChannels();
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

setInterval(renderExpiry, 1000);

// ---- Login and logout ----

/** Runs a login with the form disabled, so that it cannot be sent twice, and shows why it failed. */
async function logIn(login) {
  if (!$('login-form').reportValidity()) return;
  const buttons = [$('login-ws'), $('login-http')];
  showAlert('auth-error', null);
  for (const button of buttons) button.disabled = true;
  try {
    await login({username: $('username').value, password: $('password').value});
  } catch (error) {
    showAlert('auth-error', errorText(error));
    $('password').select();
  } finally {
    for (const button of buttons) button.disabled = false;
  }
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
  });
  const text = await response.text();
  let body = {};
  try {
    body = JSON.parse(text) ?? {};
  } catch {
    // A failure may be explained in plain text.
  }
  if (!response.ok) {
    throw new Error(body.error?.message ?? body.message ?? body.error ?? (text.trim() || `HTTP status ${response.status}`));
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
$('logout').addEventListener('click', () => {
  session.loggingOut = true;
  showAlert('auth-error', null);
  // First, or the server's kick-out would meet the subscription that waits for the next login.
  stopFollowing(session.username);
  socket.deauthenticate();
});
$('reconnect').addEventListener('click', () => socket.connect());
$('events-clear').addEventListener('click', () => $('event-log').replaceChildren());

function offerDemoUsers(users) {
  if (!Array.isArray(users) || users.length === 0) return;
  $('demo-users').hidden = false;
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
// Private channels shown on the page, with what the server said against them.
const followed = new Map();

function renderMessage(message, channel) {
  const from = asText(message?.from ?? 'unknown');
  const row = element('article', from === session.username ? 'message mine' : 'message');
  const meta = element('p', 'meta', channel === CHAT ? from : `${from} · ${channel}`);
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
  followed.set(name, null);
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

function onSubscribeFail({channel, error}) {
  if (channel === CHAT) showAlert('chat-error', errorText(error));
  if (followed.has(channel)) followed.set(channel, {label: 'no access', reason: errorText(error)});
  renderChannels();
}

function onKickOut({channel, message}) {
  const reason = asText(message ?? 'The server ended this subscription.');
  if (channel === CHAT) showAlert('chat-error', reason);
  if (followed.has(channel)) followed.set(channel, {label: 'kicked out', reason});
  renderChannels();
}

function stateTone(state) {
  return {subscribed: 'good', pending: 'wait'}[state] ?? '';
}

function renderChannels() {
  const chatState = socket.channel(CHAT).state;
  $('chat-state').textContent = chatState;
  $('chat-state').className = `badge ${stateTone(chatState)}`;
  $('private-channels').replaceChildren(...[...followed].map(([name, refusal]) => {
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

function renderChannelChoice() {
  const select = $('private-channel');
  const names = isLoggedIn() ? [...followed.keys()] : [];
  if (names.join() === [...select.options].map((option) => option.value).join()) return;
  select.replaceChildren(...names.map((name) => new Option(name, name)));
  select.hidden = names.length === 0;
}

async function publish(channel, input, alertId) {
  const text = input.value.trim();
  if (!text) return;
  showAlert(alertId, null);
  try {
    await socket.invokePublish(channel, {from: session.username, text, at: Date.now()});
    // Unless something else was typed in the meantime.
    if (input.value.trim() === text) input.value = '';
  } catch (error) {
    showAlert(alertId, errorText(error));
  }
}

$('chat-form').addEventListener('submit', (event) => {
  event.preventDefault();
  publish(CHAT, $('chat-input'), 'chat-error');
});
$('private-form').addEventListener('submit', (event) => {
  event.preventDefault();
  publish($('private-channel').value, $('private-input'), 'private-error');
});

// ---- Start ----

$('client-kind').textContent = CLIENT_KINDS.get(config.client) ?? 'unknown';
$('client-kind').dataset.kind = config.client ?? 'unknown';
offerDemoUsers(config.users);
read(CHAT, $('chat-log'));
socket.subscribe(CHAT);
follow(STAFF);
renderSession();
socket.connect();
renderConnection();
