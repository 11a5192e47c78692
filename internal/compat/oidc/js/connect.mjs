// Connects a stock client with the token of the environment, and prints what
// the server makes of it.
import {createRequire} from 'node:module';

const require = createRequire(import.meta.url); // unlike import, it looks at NODE_PATH
const {create} = require('socketcluster-client');

const socket = create({
  hostname: 'localhost',
  port: process.env.PORT,
  autoReconnect: false,
  authEngine: {
    loadToken: async () => process.env.TOKEN,
    saveToken: async () => {},
    removeToken: async () => process.env.TOKEN,
  },
});
const {isAuthenticated, authError} = await socket.listener('connect').once();
const answer = {isAuthenticated, error: authError?.message ?? '', name: authError?.name ?? '', isBadToken: authError?.isBadToken ?? false};
if (isAuthenticated) answer.user = await socket.invoke('whoami');
console.log(JSON.stringify(answer));
socket.disconnect();
