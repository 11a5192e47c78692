// Prints the public names of the npm packages, by class.
import {createServer} from 'node:http';
import {createRequire} from 'node:module';

const require = createRequire(import.meta.url);
const server = require('socketcluster-server');
// What the server itself depends on, in the copies that it has.
const requireOfServer = createRequire(require.resolve('socketcluster-server'));
const AGAction = requireOfServer('./action');
const AGRequest = requireOfServer('ag-request');
const AuthEngine = requireOfServer('ag-auth');
const client = require('socketcluster-client');
const AGChannel = createRequire(require.resolve('socketcluster-client'))('ag-channel');

const isPublic = (name) => name !== 'constructor' && !name.startsWith('_');
const own = (object) => Object.keys(object).filter(isPublic);

function inherited(object) {
  const names = new Set();
  for (let p = object; p && p !== Object.prototype; p = Object.getPrototypeOf(p)) {
    for (const name of Object.getOwnPropertyNames(p)) if (isPublic(name)) names.add(name);
  }
  return [...names];
}

const agServer = server.attach(createServer(), {authKey: 'x'});
const agClient = client.create({autoConnect: false});
console.log(JSON.stringify({
  'package of the server': own(server),
  'package of the client': own(client),
  AGServer: inherited(agServer),
  'options of AGServer': own(agServer.options),
  AGServerSocket: inherited(server.AGServerSocket.prototype),
  AGRequest: inherited(new AGRequest(agClient, 1, 'p')),
  AGAction: inherited(new AGAction()),
  AuthEngine: inherited(AuthEngine.prototype),
  Broker: inherited(agServer.brokerEngine),
  Exchange: inherited(agServer.exchange),
  AGChannel: inherited(AGChannel.prototype),
}));
process.exit();
