// Shortens the time for which npm clients wait before they connect again, by
// default 10 to 20 seconds and then more, in a page or in Node.js. Their other
// timers, such as those for pings, last 10, 20 or 30 seconds exactly.
(() => {
  const slow = globalThis.setTimeout;
  globalThis.setTimeout = (run, ms, ...args) => {
    const waits = ms > 10_000 && ms <= 60_000 && ![20_000, 30_000].includes(ms);
    return slow(run, waits ? ms / 100 : ms, ...args);
  };
})();
