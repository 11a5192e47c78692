// Package loop provides the queues between those who write to a stream and the for
// loops over it.
//
// A [Loop] loses nothing: writers wait while it is full. A [Lossy] never makes them
// wait, and loses its oldest items. A [Set] holds the loops of a connection by the
// names of their streams.
//
// # Ordering
//
// A loop gets items in the order in which one goroutine has written them. Finish
// comes after what was written before it; End and the end of a context do not wait
// for that.
//
// # Blocking
//
// Loop.Write and Deliver wait for room in a queue of 16 items, until the loop has
// ended. Nothing else waits, except for the functions that are given.
//
// # Ownership
//
// What is delivered to several loops is a copy for each. An item of a Lossy is passed
// to release, once, after it was yielded or in its place; release may be called with
// the lock of the Lossy. A Set has no lock: its owner has, and must not hold it where
// the functions that Deliver was given take it, in Release and End.
package loop
