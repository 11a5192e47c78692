package hub

import (
	"hash/maphash"
	"time"

	"github.com/socketcluster-go/socketcluster/broker"
	"github.com/socketcluster-go/socketcluster/internal/account"
)

const shardCount = 64

// Publication is one message to a channel. It is shared by all subscribers and
// immutable: Data is the raw payload and Frame the complete frame that each
// local subscriber gets. Deflated is the frame for subscribers that understand
// compressed ones, or nil if there is none.
type Publication struct {
	Channel  string
	Position string // in the history of the channel, "" if it has none
	Data     []byte
	Frame    []byte
	Deflated []byte

	// Lost is what will not come if this is no publication but the report of that. It has
	// no Data.
	Lost *broker.Lost

	// At is the time of the publication. The hub does not use it; its clock is
	// a matter of publishers and subscribers.
	At time.Duration

	// Later reports that the publisher has the frames written when it has published
	// everything. The hub does not use it.
	Later bool

	// Shared counts the frames as long as a subscriber has one of them. The hub
	// does not use it; it is a matter of publishers and subscribers.
	Shared account.Shared
}

// Size returns the size of the frames in bytes. If compressing was not worth
// it, Frame and Deflated may be the same frame.
func (p *Publication) Size() int {
	if len(p.Deflated) == 0 || len(p.Frame) > 0 && &p.Deflated[0] == &p.Frame[0] {
		return len(p.Frame)
	}
	return len(p.Frame) + len(p.Deflated)
}

// Subscriber receives publications. Deliver is called with the channel locked:
// it must neither block nor call the hub. sub is the subscription by which p
// comes.
type Subscriber interface {
	Deliver(p *Publication, sub *Subscription)
}

// Hub has the subscriptions of this server. Its methods are safe for concurrent
// use.
type Hub struct {
	seed   maphash.Seed
	shards [shardCount]shard
}

// New returns a hub without channels.
func New() *Hub {
	return &Hub{seed: maphash.MakeSeed()}
}

// Subscribe adds s to the channel. The hub does not check for duplicates: a
// subscriber that subscribes twice receives everything twice.
func (h *Hub) Subscribe(channel string, s Subscriber) *Subscription {
	sh := h.shard(channel)
	for {
		t := sh.obtain(channel)
		if sub := t.add(s); sub != nil {
			return sub
		}
		// The last subscriber left in between, and is about to remove it.
		sh.remove(t)
	}
}

// Unsubscribe ends the subscription. It is O(1). Calls after the first do
// nothing.
func (h *Hub) Unsubscribe(sub *Subscription) {
	if sub.topic.discard(sub) {
		h.shard(sub.topic.name).remove(sub.topic)
	}
}

// Publish delivers p to all subscribers of its channel and returns their
// number.
func (h *Hub) Publish(p *Publication) int {
	t := h.shard(p.Channel).find(p.Channel)
	if t == nil {
		return 0
	}
	return t.publish(p)
}

// Has reports whether the channel has subscribers.
func (h *Hub) Has(channel string) bool {
	return h.Count(channel) > 0
}

// Count returns the number of subscribers of the channel.
func (h *Hub) Count(channel string) int {
	t := h.shard(channel).find(channel)
	if t == nil {
		return 0
	}
	return t.count()
}

// Channels returns the names of all channels that have subscribers, in no
// particular order.
func (h *Hub) Channels() []string {
	var names []string
	for i := range h.shards {
		names = h.shards[i].appendNames(names)
	}
	return names
}

func (h *Hub) shard(channel string) *shard {
	return &h.shards[maphash.String(h.seed, channel)%shardCount]
}
