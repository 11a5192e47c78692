// An OpenID Connect provider with two clients: the example, and another
// application. Whoever fills in the login form is who they say.
import {createServer} from 'node:http';
import {createRequire} from 'node:module';
import {pathToFileURL} from 'node:url';

const require = createRequire(import.meta.url); // unlike import, it looks at NODE_PATH
const {default: Provider} = await import(pathToFileURL(require.resolve('oidc-provider')));

// The port of the example is not known yet. Native applications may have any
// port on a loopback address (RFC 8252 section 7.3).
const client = (id) => ({
  client_id: id,
  client_secret: `the secret of ${id}`,
  application_type: 'native',
  redirect_uris: ['http://localhost/callback'],
  grant_types: ['authorization_code'],
  response_types: ['code'],
});

const server = createServer();
server.listen(0, '127.0.0.1', () => {
  const {port} = server.address();
  const provider = new Provider(`http://127.0.0.1:${port}`, {
    clients: [client('chat'), client('bank')],
    pkce: {required: () => true},
    cookies: {keys: ['a key of these tests']},
  });
  server.on('request', provider.callback());
  console.log(`listening on 127.0.0.1:${port}`);
});

process.on('SIGTERM', () => {
  server.close();
  server.closeAllConnections();
});
