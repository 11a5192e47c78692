import {create} from './socketcluster.js';

// The client connects again by itself, after 10 to 20 seconds if nothing is set.
const socket = create({autoReconnectOptions: {initialDelay: 1000, randomness: 1000}});

const find = (id) => document.getElementById(id);
const login = find('login'), room = find('room'), messages = find('messages'), send = find('send');

// attempt shows what goes wrong.
const attempt = async (action) => {
  find('error').textContent = '';
  try {
    await action();
  } catch (error) {
    const wait = error.retryAfter ? ` Try again in ${error.retryAfter} seconds.` : '';
    find('error').textContent = error.message + wait;
  }
};

login.addEventListener('submit', (event) => {
  event.preventDefault();
  attempt(async () => {
    await socket.invoke('login', {username: login.username.value, password: login.password.value});
    login.reset();
  });
});
find('logout').addEventListener('click', () => attempt(() => socket.invoke('logout')));
find('logout-everywhere').addEventListener('click', () => attempt(() => socket.invoke('logoutEverywhere')));
send.addEventListener('submit', (event) => {
  event.preventDefault();
  attempt(async () => {
    await socket.invokePublish(room.value, send.text.value);
    send.reset();
  });
});
room.addEventListener('change', () => enter(room.value));

// enter follows one room, and no longer the one before.
let entered;
const enter = async (channel) => {
  if (entered) socket.unsubscribe(entered);
  entered = channel;
  messages.replaceChildren();
  for await (const {from, text} of socket.subscribe(channel)) {
    if (entered !== channel) break;
    const line = document.createElement('li');
    line.textContent = `${from}: ${text}`;
    messages.append(line);
    if (messages.children.length > 200) messages.firstChild.remove();
  }
};

// show shows who is logged in, and the rooms that the token gives.
const show = () => {
  const token = socket.authState === 'authenticated' ? socket.authToken : null;
  find('user').textContent = token ? `You are ${token.sub}.` : 'You are not logged in.';
  login.hidden = Boolean(token);
  find('logouts').hidden = send.hidden = !token;
  const channels = ['lobby', ...(token?.rooms ?? []).map((name) => `room/${name}`)];
  room.replaceChildren(...channels.map((channel) => new Option(channel)));
  room.value = channels.includes(entered) ? entered : 'lobby';
  if (room.value !== entered) enter(room.value);
};

const follow = async (stream, action) => { for await (const event of stream) action(event); };
follow(socket.listener('connect'), () => { find('connection').textContent = 'open'; show(); });
follow(socket.listener('disconnect'), () => { find('connection').textContent = 'lost, trying again'; });
follow(socket.listener('authStateChange'), show);
follow(socket.listener('subscribeFail'), ({error}) => { find('error').textContent = error.message; });
follow(socket.listener('error'), ({error}) => console.warn(error));
show();
