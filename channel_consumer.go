package socketcluster

import (
	"bytes"
	"context"
	"encoding/json"
	"sync"

	"github.com/socketcluster-go/socketcluster/internal/hub"
)

// channelQueue is how many publications wait for a loop over a channel.
const channelQueue = 1024

// channelConsumer is a loop over a channel as the hub sees it. The hub must
// not be held up, so that a full queue loses its oldest publication.
type channelConsumer struct {
	mu    sync.Mutex
	queue []json.RawMessage
	ready chan struct{} // holds one token while queue is not empty
	gone  chan struct{} // closed when the channel has been left
}

func newChannelConsumer() *channelConsumer {
	return &channelConsumer{ready: make(chan struct{}, 1), gone: make(chan struct{})}
}

// Deliver implements hub.Subscriber.
func (c *channelConsumer) Deliver(p *hub.Publication) {
	c.mu.Lock()
	if len(c.queue) == channelQueue {
		c.queue = c.queue[1:]
	}
	c.queue = append(c.queue, bytes.Clone(p.Data))
	c.mu.Unlock()
	select {
	case c.ready <- struct{}{}:
	default:
	}
}

func (c *channelConsumer) read(ctx context.Context, done <-chan struct{}, yield func(json.RawMessage) bool) {
	for {
		c.mu.Lock()
		batch := c.queue
		c.queue = nil
		c.mu.Unlock()
		for _, raw := range batch {
			if ctx.Err() != nil || !yield(raw) {
				return
			}
		}
		if len(batch) > 0 {
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
