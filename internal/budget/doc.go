// Package budget counts the bytes that many hold together, and tells when
// there are too many.
//
// # Accuracy
//
// Each holder counts in a shard, and shards report to the total when they have
// changed by 1/1024 of the limit. So counting touches no memory that all
// processors share, and the total is at most 16/1024, about 1.6%, behind.
// [Budget.Used] is exact but for what changes meanwhile. Both figures are chosen
// here.
//
// # Blocking
//
// Nothing here waits or locks: all of it may be called with any lock held. The
// function that is told of too much runs on the goroutine that has
// counted, and must neither block nor lock.
//
// # Units
//
// All sizes are bytes. What is counted is what the holders say: memory that the
// collector has not got back yet, and what the allocator wastes, come on top.
package budget
