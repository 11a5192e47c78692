// What a page in TypeScript does with the browser client. It is compiled and
// never run; a line under @ts-expect-error must not compile.
import {create, type Socket} from '../../../../browser/socketcluster.js';

interface Message {
  from: string;
  text: string;
}

async function page(): Promise<void> {
  const socket: Socket = create({hostname: 'localhost', port: 8000, autoReconnectOptions: {initialDelay: 100}});
  const status = await socket.listener('connect').once();
  const authenticated: boolean = status.isAuthenticated;
  if (!authenticated) await socket.invoke('login', {username: 'alice', password: 'secret'});

  const chat = socket.subscribe('chat', {waitForAuth: true, priority: 1, data: {since: 0}});
  for await (const message of chat) {
    const {from, text}: Message = message;
    await chat.invokePublish({from, text});
    break;
  }
  for await (const request of socket.procedure('ask')) request.end(request.data);
  for await (const data of socket.receiver('note')) console.log(data);
  for await (const {error} of socket.listener('error')) console.log(error.message);
  await socket.authenticate('token');
  await socket.deauthenticate();
  socket.disconnect(1000, 'bye');

  // @ts-expect-error: there is no such event
  socket.listener('conect');
  // @ts-expect-error: a port is no object
  create({port: {}});
  // @ts-expect-error: the state is one of three
  const state: 'closing' = socket.state;
  void state;
}

void page;
