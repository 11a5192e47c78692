package cluster

import (
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// NATS drops publications of other nodes that do not fit into their queue, and those that come
// while an outside NATS cannot be reached. Channels with history get them from there.
// Subscribers of others are told.

// dropEvery is how often subscribers are told of drops, while there are any.
const dropEvery = 500 * time.Millisecond

// drops is what a node knows of a subscription of which NATS has dropped something.
type drops struct {
	sub  *nats.Subscription
	told int // how many were dropped when subscribers were told
}

// failed takes an error that NATS reports about a subscription. NATS reports only the first
// of several drops.
func (c *channels) failed(sub *nats.Subscription, err error) {
	if sub == nil || !errors.Is(err, nats.ErrSlowConsumer) || !strings.HasPrefix(sub.Subject, c.prefix) {
		return
	}
	channel, ok := parseToken(sub.Subject[len(c.prefix):])
	if !ok {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.shut || c.subs[channel] != sub || c.slow[channel] != nil {
		return
	}
	c.slow[channel] = &drops{sub: sub}
	if !c.watching {
		c.watching = true
		c.over.Go(c.watchDrops)
	}
}

// watchDrops tells subscribers of drops until nobody is subscribed to those channels any
// more: what has been dropped once may be again.
func (c *channels) watchDrops() {
	ticker := time.NewTicker(dropEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-c.done:
			return
		}
		channels, more := c.newDrops()
		c.tell(channels)
		if !more {
			return
		}
	}
}

// newDrops returns the channels of which something has been dropped that nobody has been told
// of. more is false if there is nothing left to watch.
func (c *channels) newDrops() (channels []string, more bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for channel, d := range c.slow {
		count, err := d.sub.Dropped()
		if err != nil { // it has ended
			delete(c.slow, channel)
			continue
		}
		if count > d.told {
			d.told = count
			if _, left := c.leaving[channel]; !left {
				channels = append(channels, channel)
			}
		}
	}
	c.watching = len(c.slow) > 0
	return channels, c.watching
}

// tell tells the subscribers of channels without history that publications are lost.
func (c *channels) tell(channels []string) {
	kept := 0
	for _, channel := range channels {
		if c.n.history.follower(channel) != nil {
			kept++
			continue
		}
		c.lose(channel, "", Lost{})
	}
	if kept > 0 {
		c.n.history.suspect()
	}
	if lost := len(channels) - kept; lost > 0 {
		c.n.o.Logger.Warn("cluster: publications are lost: the node is too slow, or could not reach NATS", slog.Int("channels", lost))
	}
}

// reconnected tells subscribers that the node could not reach NATS for a time.
func (c *channels) reconnected() {
	c.mu.Lock()
	channels := make([]string, 0, len(c.subs))
	for channel := range c.subs {
		channels = append(channels, channel)
	}
	c.mu.Unlock()
	c.tell(channels)
	c.n.history.suspect() // also those that have no subscribers here
}
