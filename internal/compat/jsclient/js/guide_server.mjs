// The server's side of the guide on authentication, for socketcluster-server.
// The project's documentation shows the samples beside their Go twins; the
// tests run them against the same clients.
import {createHash} from 'node:crypto';
import {createServer} from 'node:http';
import {createRequire} from 'node:module';

const require = createRequire(import.meta.url);
const socketClusterServer = require('socketcluster-server');
const jwt = require('jsonwebtoken');

const sha256 = text => createHash('sha256').update(text).digest('hex');
const users = {alice123: {username: 'alice123', passwordHash: sha256('thisisapassword654'), channels: ['news', "alice's"]}};

// Like the collation of many a database, it finds a name in any case.
function findUser({username, password} = {}) {
  const name = typeof username === 'string' ? username.toLowerCase() : '';
  const user = Object.hasOwn(users, name) ? users[name] : null;
  return user?.passwordHash === sha256(String(password)) ? user : null;
}

// sample: auth key
function attach(httpServer, authKey) {
  return socketClusterServer.attach(httpServer, {authKey});
}
// end

// sample: http login
async function httpLogin(agServer, {username, password}) {
  const user = findUser({username, password});
  if (!user) return null; // 401
  const claims = {username: user.username, channels: user.channels}; // as the table has the name
  return agServer.auth.signToken(claims, agServer.signatureKey, {expiresIn: '24h'});
}
// end

// sample: sign elsewhere
function signElsewhere(authKey, username, channels) {
  return jwt.sign({username, channels}, authKey, {expiresIn: '1h'});
}
// end

// sample: login
function loginError() {
  return Object.assign(new Error('Invalid user credentials'), {name: 'LoginError'});
}

async function serveLogin(socket) {
  for await (const request of socket.procedure('login')) {
    const {username, password} = request.data ?? {}; // a loop that throws is the end of it
    const user = findUser({username, password});
    if (!user) {
      request.error(loginError());
      continue; // a return would leave the next login without an answer
    }
    request.end();
    socket.setAuthToken({username: user.username, channels: user.channels});
  }
}
// end

// sample: logout
async function serveLogout(socket) {
  for await (const request of socket.procedure('logout')) {
    socket.deauthenticate();
    request.end();
  }
}
// end

// sample: publish rule
function guardPublish(agServer) {
  agServer.setMiddleware(agServer.MIDDLEWARE_INBOUND, async stream => {
    for await (const action of stream) {
      const {channels} = action.socket.authToken ?? {};
      if (action.type === action.PUBLISH_IN && !(Array.isArray(channels) && channels.includes(action.channel))) {
        const error = new Error(`You may not publish to ${action.channel}`);
        error.name = 'PublishError';
        action.block(error);
        continue;
      }
      action.allow();
    }
  });
}
// end

// sample: renewal
function renewTokens(socket, every, life) {
  let timer = null;

  function renew() {
    if (!socket.authToken) return;
    const {iat, exp, nbf, jti, ...claims} = socket.authToken;
    socket.setAuthToken(claims, {expiresIn: life, jwtid: crypto.randomUUID()});
  }

  async function on(event, handle) {
    for await (const data of socket.listener(event)) handle(data);
  }

  on('authStateChange', ({newAuthState}) => {
    clearInterval(timer);
    if (newAuthState === socket.AUTHENTICATED) timer = setInterval(renew, every);
  });
  on('disconnect', () => clearInterval(timer));
}
// end

// sample: events
function watch(agServer, log) {
  async function on(event, tell) {
    for await (const data of agServer.listener(event)) log(tell(data));
  }
  on('connection', ({isAuthenticated}) => `connected, known: ${isAuthenticated}`);
  on('authentication', ({authToken}) => `${authToken.username} is in`);
  on('deauthentication', ({oldAuthToken}) => `${oldAuthToken?.username} is out`);
  on('badSocketAuthToken', ({authError}) => `refused: ${authError.name}`);
  on('disconnection', ({code}) => `gone: ${code}`);
}
// end

// sample: middleware
function houseRules(agServer) {
  agServer.setMiddleware(agServer.MIDDLEWARE_INBOUND, async stream => {
    for await (const action of stream) {
      if (action.type === action.AUTHENTICATE && action.authToken.iss === 'elsewhere') {
        const error = new Error('Tokens from elsewhere are not taken');
        error.name = 'IssuerError';
        action.block(error);
      } else if (action.type === action.SUBSCRIBE && action.channel === 'staff') {
        action.block(); // without a reason
      } else if (action.type === action.PUBLISH_IN && typeof action.data !== 'string') {
        const error = new Error('Only text can be published');
        error.name = 'PublishError';
        action.block(error);
      } else if (action.type === action.PUBLISH_IN) {
        action.allow({data: action.data.toUpperCase()});
      } else {
        action.allow();
      }
    }
  });
}
// end

// sample: expiry
function loginForAMoment(socket, claims) {
  return socket.setAuthToken(claims, {expiresIn: '1s'});
}
// end

async function serveMoment(socket) {
  for await (const request of socket.procedure('moment')) {
    await loginForAMoment(socket, {username: 'alice123'});
    request.end();
  }
}

const log = [];

export const steps = {
  // serveGuide runs the samples on the stock server and returns its port.
  // house has it use houseRules instead of guardPublish.
  async serveGuide(authKey, every, life, house) {
    const httpServer = createServer();
    const agServer = attach(httpServer, authKey);
    if (house) {
      houseRules(agServer);
    } else {
      guardPublish(agServer);
    }
    watch(agServer, line => log.push(line));
    (async () => {
      for await (const {socket} of agServer.listener('connection')) {
        serveLogin(socket);
        serveLogout(socket);
        serveMoment(socket);
        renewTokens(socket, every, life);
      }
    })();
    httpServer.on('request', async (request, response) => {
      let body = '';
      for await (const chunk of request) body += chunk;
      const token = await httpLogin(agServer, JSON.parse(body));
      response.statusCode = token ? 200 : 401;
      response.end(token ?? 'Invalid user credentials');
    });
    await new Promise(resolve => httpServer.listen(0, '127.0.0.1', resolve));
    return httpServer.address().port;
  },
  signElsewhere,
  guideLog: () => log
};
