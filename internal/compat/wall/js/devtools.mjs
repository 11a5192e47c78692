// Runs an application with a counter whose state Redux DevTools monitor: by the
// npm package that CLIENT in the environment names, over PORT. MODULES is the
// folder of the packages.
//
// Each line of standard input is an action, such as {"type":"A","by":1}. Each
// state is printed, as {"count":…}.
import {createRequire} from 'node:module';
import {createInterface} from 'node:readline';
import './hurry.js';

const require = createRequire(process.env.MODULES + '/');
const options = {hostname: '127.0.0.1', port: Number(process.env.PORT), realtime: true, name: 'counter'};

const reduce = (state = {count: 0}, action) => ({count: state.count + (action.by ?? 0)});

// Each of them returns a function that dispatches an action.
const clients = {
  '@redux-devtools/remote': async () => {
    const {devToolsEnhancer} = await import(require.resolve('@redux-devtools/remote'));
    return redux(require('redux'), devToolsEnhancer(options));
  },
  'remote-redux-devtools': () => redux(require('redux-4'), require('remote-redux-devtools').default(options)),
  remotedev: () => {
    // It has no listener for the errors of its socket, which are thrown then. A
    // page goes on after such an error.
    process.on('uncaughtException', error => console.error(error));
    const {connect, extractState} = require('remotedev');
    const devTools = connect(options);
    let state = reduce(undefined, {});
    const show = next => {
      state = next;
      console.log(JSON.stringify(state));
    };
    const dispatch = action => {
      show(reduce(state, action));
      devTools.send(action, state);
    };
    devTools.subscribe(message => {
      if (message.type === 'START') devTools.init(state);
      if (message.type === 'DISPATCH') show(extractState(message));
      if (message.type === 'ACTION') dispatch(new Function(`return ${message.payload}`)());
    });
    devTools.init(state);
    return dispatch;
  }
};

function redux({createStore}, enhancer) {
  const store = createStore(reduce, enhancer);
  store.subscribe(() => console.log(JSON.stringify(store.getState())));
  return store.dispatch;
}

const dispatch = await clients[process.env.CLIENT]();
createInterface({input: process.stdin}).on('line', line => dispatch(JSON.parse(line))).on('close', () => process.exit(0));
