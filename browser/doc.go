// Package browser carries the project's own JavaScript client and serves it.
//
// The client is one ES module without dependencies, socketcluster.js, typed by socketcluster.d.ts. It speaks version 2
// of the SocketCluster protocol and offers a subset of the API of the npm package socketcluster-client 20, so that a
// page written for this module also runs with the stock client.
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
// Batching, codec engines, channel prefixes and the per-stream management methods are left out. Where both have a
// feature, the module deviates only to repair: a token is stored only after the server accepted it, no pong is sent
// before the handshake, falsy subscription data is sent, names such as toString are ordinary names, an automatic
// reconnect happens at most once a second, a transmit that is lost in the queue is reported by an error event, and a
// logout wins over an answer to what was sent before it.
//
// # Ordering, blocking and bounds
//
// The module never calls application code synchronously. Every consumer of a stream has a queue of its own, in order
// of arrival and bounded to 10000 items; a consumer that falls behind loses the oldest ones and the socket emits an
// error event. As many events may wait for a connection. Times are milliseconds. The names and texts on the wire, the
// close codes and the default times are those of the protocol and of the stock client.
//
// The Go functions may be called from any goroutine and never block.
package browser
