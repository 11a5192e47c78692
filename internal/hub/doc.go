// Package hub maps channels to their subscribers on this server and fans
// publications out to them.
//
// # Ordering
//
// Each channel has one order of publications: every subscriber gets them in
// that order. There is no order between channels. Subscribe and Unsubscribe
// have their place in the same order: a subscriber gets exactly the
// publications between the two. After Unsubscribe has returned, no Deliver for
// that subscription starts.
//
// # Blocking
//
// Methods wait only for locks. Publish holds the lock of its channel while it
// delivers, so Deliver must neither block nor call the hub; it is meant to push
// to an outbox. The lock of a shard is never held while a channel is locked or
// waited for: a large fan-out delays its own channel only.
//
// # Sets
//
// A [Set] has the subscriptions of one subscriber. It has no lock, and the hub
// does not know it: its owner guards it, and changes both in one step.
//
// # Names
//
// A channel name may be any string; none has a special meaning.
//
// # Memory
//
// A channel exists while it has subscribers. The subscriber lists and the maps
// of channels shrink when three quarters of them are unused. The number of
// shards (64) is chosen here: far more than the number of cores that publish at
// the same time.
package hub
