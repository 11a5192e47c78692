// Command bridgehost lets the mocha suites of the npm packages
// socketcluster-server and socketcluster-client judge this library. The suites
// run in Node.js; a bridge stands in there for the JavaScript server and hands
// all that it is asked to this program, over the control protocol (version 1,
// described in CONTROL.md beside the bridge): JSON objects, one to a line, on
// standard input and output. Standard error is for people; -v writes the
// server's log to it. scripts/js-suites.sh builds this program and runs the suites.
//
// # Ordering
//
// Commands are carried out in the order in which they come. The next one is
// taken when the one before has ended or has begun to wait for somebody, a
// client or the bridge, so that two calls of a client leave in their order
// and an answer of the bridge can always be read.
//
// All output passes one queue. The library calls the handlers of events where
// they happen, and each handler adds its line there; the snapshots on a line
// are taken as it is added.
//
// # Blocking
//
// Nothing that the library waits for waits for the bridge, except for what
// the bridge is to decide: middleware, tokens, and the broker's overrides.
// Questions have no time limit; those that are never answered last as long as
// the process, which is as long as the suite.
//
// # Units
//
// Numbers on the control channel are those of JavaScript: milliseconds, but
// seconds for authDefaultExpiry and expiresIn.
//
// # Parity
//
// Where the library is stricter than the JavaScript server and has a switch
// for it, the switch is set: short keys are accepted, calls that nobody
// handles stay unanswered, and requests are kept. Names, texts and defaults on
// the control channel are those of socketcluster-server 20.
//
// Three things are less than the protocol offers: properties other than the
// keys and allowClientPublish cannot be set while a server runs, overrides of the broker are asked
// for the first and the last subscriber of a channel alone, and snapshots do
// not say whether a socket is batching.
package main
