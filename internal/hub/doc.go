// Package hub maps channels to their subscribers on this server and fans
// publications out to them.
//
// # Ordering
//
// Each channel has one order of publications: every subscriber gets them in
// that order. There is no order between channels. Subscribe and Unsubscribe
// take their place in the same order: a subscriber gets exactly the
// publications between the two, and after Unsubscribe has returned no Deliver
// for that subscription starts.
//
// # Blocking
//
// No method waits for anything but locks. Publish holds the lock of its channel
// while it delivers, so a Subscriber must not block in Deliver nor call the hub
// from it; pushing to an outbox is what it is meant to do. The lock of a shard
// is never held while a channel is locked or waited for: a large fan-out delays
// its own channel only.
//
// # Sets
//
// A [Set] has the subscriptions of one subscriber. It has no lock, and the hub does
// not know it: its owner guards it, and makes a change of both one step.
//
// # Names
//
// A channel name is any string; the hub gives none a meaning.
//
// # Memory
//
// A channel exists while it has subscribers. The subscriber lists and the maps
// of channels shrink when three quarters of them are unused. The number of
// shards (64) is chosen here: far more than cores that publish at once.
package hub
