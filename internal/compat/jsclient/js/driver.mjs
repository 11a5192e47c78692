// Runs steps on stock clients for the Go tests.
//
// Each line of standard input is {"id":…,"step":"…","args":[…]}; each is
// answered by one line on standard output, {"id":…,"value":…} or
// {"id":…,"error":{…}}. Steps start in the order of the lines and run side by
// side. The process ends with its input. CLIENT in the environment makes them
// steps on a client up to v14, of the package of that name.
import {createInterface} from 'node:readline';
import * as burst from './burst.mjs';
import * as clients from './clients.mjs';
import * as clients14 from './clients14.mjs';
import * as codecs from './codecs.mjs';
import * as guideServer from './guide_server.mjs';
import * as tokens from './tokens.mjs';

const steps = process.env.CLIENT
  ? clients14.steps
  : {...clients.steps, ...burst.steps, ...codecs.steps, ...guideServer.steps, ...tokens.steps};

// What crosses the pipe of an error is its name, message and own properties.
function plain(key, value) {
  return value instanceof Error ? {name: value.name, message: value.message, ...value} : value;
}

function answer(line) {
  process.stdout.write(JSON.stringify(line, plain) + '\n');
}

async function run({id, step, args}) {
  try {
    if (!steps[step]) throw new Error(`there is no step ${step}`);
    answer({id, value: await steps[step](...args)});
  } catch (error) {
    answer({id, error});
  }
}

const input = createInterface({input: process.stdin});
input.on('line', line => run(JSON.parse(line)));
input.on('close', () => process.exit(0));
