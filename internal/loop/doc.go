// Package loop provides the queues between the writers of a stream and the for
// loops over it.
//
// A [Loop] loses nothing: writers wait while it is full. A [Lossy] never makes
// writers wait, and loses its oldest items. A [Set] has the loops of a
// connection by the names of their streams.
//
// # Ordering
//
// A loop gets items in the order in which one goroutine has written them.
// Finish comes after the items that were written before it. End and the end of
// a context do not wait for them.
//
// # Blocking
//
// Loop.Write and Deliver wait for room in a queue of 16 items, until the loop
// has ended. Nothing else waits, unless the functions of the caller do.
//
// # Ownership
//
// Each loop gets a copy of an item that is delivered to several. An item of a
// Lossy is passed to release once, after it was yielded or instead; release may
// be called with the lock of the Lossy held. A Set has no lock of its own: a
// lock of the owner guards it. The owner must not hold that lock during Release
// and End if the functions that were passed to Deliver take it.
package loop
