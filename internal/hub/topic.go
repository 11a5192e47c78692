package hub

import "sync"

// listKeep is the capacity below which a subscriber list is not shrunk.
const listKeep = 8

// removed is the index of a subscription that has ended.
const removed = -1

// topic is a channel while it has subscribers. When the last one leaves, it is
// closed for good; the next subscriber gets a new topic.
type topic struct {
	name    string
	mu      sync.Mutex
	entries []entry
	closed  bool

	// The first subscription and its entry are here, because most channels have
	// one subscriber.
	first Subscription
	lone  [1]entry
}

// entry keeps the subscriber beside the subscription, so that a publication can
// go through the list without following a pointer that it does not need.
type entry struct {
	subscriber   Subscriber
	subscription *Subscription
}

// Subscription ties one subscriber to one channel.
type Subscription struct {
	topic *topic
	index int32 // in topic.entries, guarded by topic.mu

	// Epoch belongs to the subscriber: the hub neither reads nor writes it.
	Epoch uint32
}

// Channel returns the name of the channel.
func (s *Subscription) Channel() string {
	return s.topic.name
}

// add returns nil if the topic is closed.
func (t *topic) add(s Subscriber) *Subscription {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil
	}
	var sub *Subscription
	if t.first.topic == nil {
		sub, t.entries = &t.first, t.lone[:0]
	} else {
		sub = new(Subscription)
	}
	sub.topic, sub.index = t, int32(len(t.entries))
	t.entries = append(t.entries, entry{s, sub})
	return sub
}

// discard removes the subscription, moves the last one to its place, and closes
// the topic if none is left.
func (t *topic) discard(sub *Subscription) (last bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if sub.index == removed {
		return false
	}
	n := len(t.entries) - 1
	moved := t.entries[n]
	t.entries[sub.index] = moved
	moved.subscription.index = sub.index
	sub.index = removed
	t.entries[n] = entry{}
	t.entries = t.entries[:n]
	switch {
	case n == 0:
		t.entries = nil
		t.closed = true
	case cap(t.entries) > listKeep && n <= cap(t.entries)/4:
		t.entries = append(make([]entry, 0, 2*n), t.entries...)
	}
	return n == 0
}

func (t *topic) publish(p *Publication) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range t.entries {
		t.entries[i].subscriber.Deliver(p, t.entries[i].subscription)
	}
	return len(t.entries)
}

func (t *topic) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.entries)
}
