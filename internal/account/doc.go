// Package account counts the bytes that the server holds for connections. Each
// connection has a [Ledger], which counts them by kind. All ledgers, outboxes
// and publications count together in one [Budget], which reports when there are
// too many.
//
// # Ordering
//
// The changes of a ledger count in the order in which they are made.
// [Ledger.Take] has no queue: the first waiter that finds room gets it.
//
// # Blocking
//
// [Ledger.Take] waits for room. Nothing else waits, and the locks of ledgers
// are leaves: everything else may be called with any lock held. The function
// that a budget calls runs on the goroutine that counted, and must neither
// block nor lock.
//
// # Ownership
//
// A ledger belongs to one connection, and outlives it: the bytes that handlers
// of a closed connection still hold are orphaned, and count in the budget until
// the handlers return.
//
// # Accuracy
//
// A budget has 16 shards, which report to the total when they have changed by
// 1/1024 of the limit. So counting touches no memory that all processors share,
// and the total is wrong by at most 16/1024, about 1.6%. [Budget.Used] is
// exact, except for concurrent changes. Both figures are chosen here.
//
// # Units
//
// All sizes are in bytes. A budget counts what callers report. Memory that the
// collector has not freed yet, and memory that the allocator wastes, come in
// addition.
package account
