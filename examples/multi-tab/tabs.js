// The tabs of a browser share the token in localStorage, but a client reads it
// only when it connects. This makes a tab follow the others: it logs in, out
// and over to another user when one of them does. It works with this project's
// browser client and with socketcluster-client.

/** Lets a client follow those of the other tabs. */
export function followTabs(socket) {
  const name = socket.authTokenName;

  async function follow() {
    // The storage and not the event tells what is true now.
    const token = localStorage.getItem(name);
    if (token === null) {
      if (socket.authState === 'authenticated') await socket.deauthenticate();
      return;
    }
    // A renewed token of the same user is the other tab's affair: each
    // connection gets its own, and following those could go round in circles.
    if (userOf(token) === userOf(socket.signedAuthToken)) return;
    if (socket.state === 'connecting') await socket.listener('connect').once();
    // One that is closed presents the token when it connects again.
    if (socket.state === 'open') await socket.authenticate(token);
  }

  // One change after the other: two at once would both send the newest token.
  let last = Promise.resolve();
  function followOrWarn() {
    last = last.then(follow).catch((error) => console.warn('The token of another tab was not accepted:', error.message));
  }

  // The browser tells the other tabs, and not the one that makes the change.
  addEventListener('storage', ({storageArea, key}) => {
    if (storageArea === localStorage && (key === name || key === null)) followOrWarn(); // null: all was cleared
  });

  // A token that ends may be older than the one that another tab has stored.
  // The browser client leaves that one alone, and this tab takes it over;
  // socketcluster-client removes it, which logs the other tabs out.
  (async () => {
    for await (const _ of socket.listener('removeAuthToken')) followOrWarn();
  })();
}

/** The user that a token names; "" without a token. The server is the one who verifies it. */
function userOf(token) {
  try {
    const payload = token.split('.')[1].replaceAll('-', '+').replaceAll('_', '/');
    return JSON.parse(atob(payload)).username;
  } catch {
    return '';
  }
}
