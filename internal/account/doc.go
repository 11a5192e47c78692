// Package account counts the bytes that connections make the server hold. Each
// connection has a [Ledger], which counts them by kind. All ledgers, outboxes and
// publications count together in one [Budget], which reports when there are too
// many.
//
// # Ordering
//
// The changes of a ledger count in the order in which they are made. [Ledger.Take]
// has no queue: the first of those that wait, and finds room, gets it.
//
// # Blocking
//
// [Ledger.Take] waits for room. Nothing else waits, and the locks of ledgers are
// leaves: all else may be called with any lock held. The function that a budget
// calls runs on the goroutine that has counted, and must neither block nor lock.
//
// # Ownership
//
// A ledger belongs to one connection, and outlives it: what handlers of a closed
// connection still hold is orphaned, and counts in the budget until they return.
//
// # Accuracy
//
// A budget has 16 shards, which report to the total when they have changed by
// 1/1024 of the limit. So counting touches no memory that all processors share,
// and the total is at most 16/1024, about 1.6%, behind. [Budget.Used] is exact but
// for what changes meanwhile. Both figures are chosen here.
//
// # Units
//
// All sizes are bytes. What is counted is what callers report: memory that the
// collector has not freed yet, and what the allocator wastes, come on top.
package account
