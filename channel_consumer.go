package socketcluster

import (
	"bytes"
	"context"
	"encoding/json"
	"sync"

	"github.com/socketcluster-go/socketcluster/internal/hub"
)

// What waits for a loop over a channel: so many publications, of so many bytes,
// or a single one that is larger.
const (
	channelQueue      = 1024
	channelQueueBytes = 1 << 20
)

// channelConsumer is a loop over a channel as the hub sees it. The hub must
// not be held up, so that a full queue loses its oldest publications.
//
// What is queued is shared with the outboxes and with other loops, and counts
// in the budget once. Only the loop gets a copy, which is its own.
type channelConsumer struct {
	mu    sync.Mutex
	queue []*hub.Publication
	bytes int           // of what is in queue
	ready chan struct{} // holds one token while queue is not empty
	gone  chan struct{} // closed when the channel has been left
}

func newChannelConsumer() *channelConsumer {
	return &channelConsumer{ready: make(chan struct{}, 1), gone: make(chan struct{})}
}

// queuedSize is what a publication makes a queue hold. A codec's frame may be
// smaller than the data.
func queuedSize(p *hub.Publication) int { return max(p.Size(), len(p.Data)) }

// Deliver implements hub.Subscriber.
func (c *channelConsumer) Deliver(p *hub.Publication, _ *hub.Subscription) {
	size := queuedSize(p)
	p.Shared.Take()
	c.mu.Lock()
	for len(c.queue) > 0 && (len(c.queue) == channelQueue || c.bytes+size > channelQueueBytes) {
		c.popLocked().Shared.Release()
	}
	c.queue = append(c.queue, p)
	c.bytes += size
	c.mu.Unlock()
	select {
	case c.ready <- struct{}{}:
	default:
	}
}

// popLocked takes the oldest publication off the queue, which must not be
// empty. mu must be held.
func (c *channelConsumer) popLocked() *hub.Publication {
	p := c.queue[0]
	c.queue[0] = nil
	if c.queue = c.queue[1:]; len(c.queue) == 0 {
		c.queue = nil
	}
	c.bytes -= queuedSize(p)
	return p
}

// pop returns the oldest publication, or nil.
func (c *channelConsumer) pop() *hub.Publication {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) == 0 {
		return nil
	}
	return c.popLocked()
}

// leave drops what waits, once nothing more is delivered.
func (c *channelConsumer) leave() {
	close(c.gone)
	for p := c.pop(); p != nil; p = c.pop() {
		p.Shared.Release()
	}
}

func (c *channelConsumer) read(ctx context.Context, done <-chan struct{}, yield func(json.RawMessage) bool) {
	for {
		if p := c.pop(); p != nil {
			if !take(ctx, p, yield) {
				return
			}
			continue
		}
		select {
		case <-c.ready:
		case <-c.gone: // it is the second loop
			return
		case <-ctx.Done():
			return
		case <-done:
			return
		}
	}
}

// take gives a publication to a loop. It reports false when the loop is over.
func take(ctx context.Context, p *hub.Publication, yield func(json.RawMessage) bool) bool {
	defer p.Shared.Release()
	return ctx.Err() == nil && yield(bytes.Clone(p.Data))
}
