// Package browser carries the project's own JavaScript client and serves it.
//
// The client is one ES module without dependencies, socketcluster.js, typed by
// socketcluster.d.ts. It speaks version 2 of the SocketCluster protocol and
// offers a subset of the API of the npm package socketcluster-client 20, so
// that a page written for this module also runs with the stock client.
//
//	mux.Handle("GET /socketcluster.js", browser.Handler())
//
//	<script type="module">
//	  import {create} from '/socketcluster.js';
//	  const socket = create();
//	</script>
//
// # Differences from the stock client
//
// The module has no batching, codec engines, channel prefixes or methods that
// manage single streams. Where both clients have a feature, the module deviates
// only to fix faults. It stores a token only after the server has accepted it,
// sends no pong before the handshake, sends falsy subscription data, treats
// names such as toString as ordinary names, reconnects by itself at most once a
// second, and reports a transmit that is lost in the queue by an error event. A
// logout overrides the answers to earlier messages. On channels that keep what is
// published, it gets what it missed while it was away; subscribe has the option
// last, and the socket and the channel emit an event lost.
//
// # Ordering, blocking and bounds
//
// The module never calls application code synchronously. Every consumer of a
// stream has a queue of its own, in order of arrival and bounded to 10000
// items. A consumer that falls behind loses the oldest items, and the socket
// emits an error event. As many events may wait for a connection. Times are in
// milliseconds. The names and texts on the wire, the close codes and the
// default times are those of the protocol and of the stock client.
//
// The Go functions may be called from any goroutine and never block.
package browser
