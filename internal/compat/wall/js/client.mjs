// Runs the scenario of the wall with an npm client: the one of the package that
// CLIENT in the environment names. The steps are those of the other tests with
// such clients. STEPS says by which of the two interfaces the client speaks, PORT
// where the server is, CODEC names the package of its codec, if any, and FAILING
// the steps that are known to fail.
//
// Each step prints {"step":"…"} on a line, with "error" if it has failed.

const {steps} = await import(`../../jsclient/js/${process.env.STEPS}.mjs`);
const failing = process.env.FAILING.split(',');
const [stepTimeout, failTimeout] = [25_000, 1000];
const [id, channel] = [1, 'members'];

// The options that a client has for quick attempts to connect again.
const options = {
  port: Number(process.env.PORT),
  autoReconnect: true,
  autoReconnectOptions: {initialDelay: 20, randomness: 0, maxDelay: 50}
};
if (process.env.CODEC) options.codec = process.env.CODEC;

function within(promise, timeout) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error('does not end')), timeout);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

async function step(name, run) {
  try {
    await within(run(), failing.includes(name) ? failTimeout : stepTimeout);
    console.log(JSON.stringify({step: name}));
  } catch (error) {
    console.log(JSON.stringify({step: name, error: `${error?.message ?? error}`}));
  }
}

function want(got, wanted) {
  if (got !== wanted) throw new Error(`got ${JSON.stringify(got)}, want ${JSON.stringify(wanted)}`);
}

async function receive(text) {
  const next = steps.nextPublication(id, channel);
  await steps.publish(id, channel, text);
  want(await next, text);
}

await steps.create(id, options, null);
await step('connect', () => steps.connect(id));
await step('pings', () => steps.invoke(id, 'pings', null));
await step('call', async () => {
  want(await steps.invoke(id, 'half', 42), 21);
});
await step('error', async () => {
  try {
    await steps.invoke(id, 'half', 7);
  } catch (error) {
    want(error.message ?? error, 'Odd');
    return;
  }
  throw new Error('no error');
});
await step('event', async () => {
  steps.receive(id, 'noted');
  await steps.transmit(id, 'note', 'hello');
  want(await steps.wait(id, 'noted'), 'hello');
});
await step('called', async () => {
  steps.procedure(id, 'double');
  want(await steps.invoke(id, 'callMe', 21), 42);
});
await step('login', async () => {
  await steps.invoke(id, 'login', {username: 'alice', password: 'secret'});
  want(await steps.invoke(id, 'whoami', null), 'alice');
});
await step('subscribe', async () => {
  // Not by the listener of the channel: that of v18 loses the event.
  steps.subscribe(id, channel).catch(() => {});
  const refusal = await Promise.race([steps.wait(id, 'subscribe').then(() => null), steps.wait(id, 'subscribeFail')]);
  if (refusal) throw refusal.error;
});
await step('publish', () => steps.publish(id, channel, 'nobody waits for it'));
await step('receive', () => receive('hello'));
await step('reconnect', async () => {
  await steps.transmit(id, 'drop', null);
  await steps.wait(id, 'connect');
  await steps.wait(id, 'subscribe');
  want(await steps.invoke(id, 'whoami', null), 'alice');
  await receive('still here');
});
process.exit(0);
