// Package route decides which channels this node wants of its broker, and keeps
// the broker's calls for each channel in order.
//
// A channel has a route while somebody on this node has joined it: a socket, or a
// loop of the server's. The broker is called for the first who joins and the last
// who leaves.
//
// # Ordering
//
// Calls for one channel never overlap, and alternate: Subscribe until it has
// succeeded, then Unsubscribe. Who joins or leaves meanwhile waits, and then looks
// at what is wanted by now: a route that is left and joined again before the broker
// has been called goes on without a call. Calls for different channels run side by
// side.
//
// # Blocking
//
// [Table.Join] waits for the broker, so that publications arrive when it returns.
// [Table.Leave] waits for the broker too, until its context ends. The broker is
// called with the lock of the route held, but with no other one.
//
// # Ownership
//
// The broker gets the values of a context but not its end, as a route is for
// others too.
package route
