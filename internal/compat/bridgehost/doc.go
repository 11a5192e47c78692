// Command bridgehost lets the mocha suites of the npm packages
// socketcluster-server and socketcluster-client test this library. The suites
// run in Node.js. There a bridge replaces the JavaScript server, and passes all
// requests to this program over the control protocol (version 1, described in
// CONTROL.md beside the bridge): JSON objects, one on each line, on standard
// input and output. Standard error is for people; -v writes the server's log to
// it. scripts/js-suites.sh builds this program and runs the suites.
//
// # Ordering
//
// Commands are executed in the order in which they arrive. The next one begins
// when the previous one has ended, or has begun to wait for a client or the
// bridge. So two calls of a client leave in their order, and an answer of the
// bridge can always be read.
//
// All output passes through one queue. The library calls event handlers where
// the events happen, and each handler adds its line to the queue; the snapshots
// on a line are taken when it is added.
//
// # Blocking
//
// The library waits for the bridge only where the bridge decides: for
// middleware, tokens, and overrides of the broker. Questions have no time
// limit; those that are never answered last as long as the process, which is as
// long as the suite.
//
// # Units
//
// Numbers on the control channel are those of JavaScript: milliseconds, but
// seconds for authDefaultExpiry and expiresIn.
//
// # Parity
//
// If the library is stricter than the JavaScript server and has a switch for
// that, the switch is set: short keys are accepted, calls without a handler
// stay unanswered, and requests are kept. Names, texts and defaults on the
// control channel are those of socketcluster-server 20.
//
// Three things are less than the protocol offers: properties other than the
// keys and allowClientPublish cannot be set while a server runs, overrides of
// the broker run only for the first and the last subscriber of a channel, and
// snapshots do not show whether a socket is batching.
package main
