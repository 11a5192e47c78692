// The client's side of the guide on authentication. docs/PORTING.md shows
// these functions; the tests run them.

// sample: connect status
export async function openScreen(socket) {
  const status = await socket.listener('connect').once();
  if (status.authError) console.error(status.authError.message);
  return status.isAuthenticated ? 'main' : 'login';
}
// end

// sample: keep token
export function keepToken(name, token) {
  localStorage.setItem(name, token);
}
// end

// sample: login
export async function login(socket, credentials) {
  await Promise.all([
    socket.invoke('login', credentials),
    socket.listener('authenticate').once()
  ]);
  return socket.authToken;
}
// end

// sample: late login
export async function lateLogin(socket, credentials) {
  await socket.invoke('login', credentials);
  await socket.listener('authenticate').once(); // for ever, if the token was there first
  return socket.authToken;
}
// end

// sample: short login
export async function shortLogin(socket, credentials) {
  await socket.invoke('login', credentials);
  return socket.authToken; // set already
}
// end

// sample: switch user
export async function switchUser(socket, signedToken) {
  const {isAuthenticated, authError} = await socket.authenticate(signedToken);
  if (authError) throw authError;
  return isAuthenticated;
}
// end
