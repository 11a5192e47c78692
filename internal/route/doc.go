// Package route decides which channels this node needs from its broker, and
// keeps the broker's calls for each channel in order.
//
// A channel has a route while somebody on this node has joined it: a socket, or
// a loop of the server. The broker is called when the first one joins and when
// the last one leaves.
//
// # Ordering
//
// Calls for one channel never overlap, and alternate: Subscribe until it has
// succeeded, then Unsubscribe. Those who join or leave during a call wait, and
// then act on the current state: a route that is left and joined again before
// the broker has been called continues without a call. Calls for different
// channels run concurrently.
//
// # Blocking
//
// [Table.Join] waits for the broker, so that publications arrive when it
// returns nil. [Table.Leave] waits for the broker too. Both wait until their
// context ends. The broker is called with the lock of the route held, but with
// no other lock; with a context that can end, on a goroutine of its own.
//
// # Ownership
//
// The broker gets the values of a context but not its end, because others use
// the route too.
package route
