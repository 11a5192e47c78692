package cluster

import (
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

// A subscription of NATS outlives the last subscriber of its channel by lingerTime, because
// many come back: a page is loaded again, a connection is replaced. To end a subscription and
// begin it again costs all nodes more than to keep it. At most maxLeaving linger, so that a
// client that runs through names takes little memory. Channels with history do not linger:
// what comes there would have to be taken in.
const (
	lingerTime = 5 * time.Second
	maxLeaving = 10_000
)

// leave keeps the subscription of a channel for lingerTime, and reports whether it does.
// c.mu is held.
func (c *channels) leave(channel string) bool {
	if c.shut || c.subs[channel] == nil || len(c.leaving) >= maxLeaving || c.n.history.rule(channel) != nil {
		return false
	}
	c.leaving[channel] = time.Now()
	c.lingering.Store(int64(len(c.leaving)))
	if !c.sweeping {
		c.sweeping = true
		c.over.Go(c.sweep)
	}
	return true
}

// back takes over the subscription of a channel that lingers, and reports whether there is
// one. c.mu is held.
func (c *channels) back(channel string) bool {
	_, ok := c.leaving[channel]
	delete(c.leaving, channel)
	c.lingering.Store(int64(len(c.leaving)))
	return ok
}

// isLeaving reports whether nobody is subscribed to a channel any more.
func (c *channels) isLeaving(channel string) bool {
	if c.lingering.Load() == 0 {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.leaving[channel]
	return ok
}

// sweep ends subscriptions that have lingered for long enough, until none is left.
func (c *channels) sweep() {
	ticker := time.NewTicker(lingerTime / 5)
	defer ticker.Stop()
	for more := true; more; {
		select {
		case <-ticker.C:
		case <-c.done:
			return
		}
		var due []*nats.Subscription
		due, more = c.left()
		for _, sub := range due {
			_ = sub.Unsubscribe() // fails only if the connection has been closed
		}
	}
}

// left takes out the subscriptions that have lingered for long enough. more is false if none
// is left.
func (c *channels) left() (due []*nats.Subscription, more bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for channel, since := range c.leaving {
		if time.Since(since) >= lingerTime {
			due = append(due, c.take(channel))
		}
	}
	c.sweeping = len(c.leaving) > 0
	return due, c.sweeping
}

// take takes out the subscription of a channel, nil if there is none. c.mu is held.
func (c *channels) take(channel string) *nats.Subscription {
	sub := c.subs[channel]
	delete(c.subs, channel)
	c.back(channel)
	c.dropped += droppedOf(sub)
	delete(c.slow, channel)
	return sub
}

// end ends the subscription of a channel at once, if there is one.
func (c *channels) end(channel string) error {
	c.mu.Lock()
	sub := c.take(channel)
	c.mu.Unlock()
	if sub == nil {
		return nil
	}
	if err := sub.Unsubscribe(); err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	return nil
}
