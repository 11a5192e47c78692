package cluster

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/socketcluster-go/socketcluster/broker"
	"github.com/socketcluster-go/socketcluster/internal/guard"
)

// Publications of other nodes come through a few queues, each with a goroutine. A
// channel always has the same one, so that its order holds. NATS drops what does not
// fit.
const (
	numQueues   = 4
	queueLength = 16 << 10
)

// channels is the broker of a node.
type channels struct {
	n      *Node
	prefix string // of the subjects of channels
	seed   maphash.Seed
	queues [numQueues]chan *nats.Msg
	done   chan struct{}
	over   sync.WaitGroup

	mu      sync.Mutex
	sink    broker.Sink // nil before Start
	subs    map[string]*nats.Subscription
	dropped uint64 // by NATS, of subscriptions that have ended
	shut    bool

	slow     map[string]*drops // by channel
	watching bool              // watchDrops runs

	leaving   map[string]time.Time // since when a channel has no subscriber; its subscription lingers
	lingering atomic.Int64         // how many those are
	sweeping  bool                 // sweep runs
}

func newChannels(n *Node) *channels {
	c := &channels{n: n, prefix: n.subject("l."), seed: maphash.MakeSeed(), done: make(chan struct{}), subs: make(map[string]*nats.Subscription), slow: make(map[string]*drops), leaving: make(map[string]time.Time)}
	for i := range c.queues {
		c.queues[i] = make(chan *nats.Msg, queueLength)
	}
	return c
}

// errStarted is the error of a broker that is given to a second server.
var errStarted = errors.New("cluster: the broker of a node belongs to one server")

// errWitness is the error of a server with the broker of a witness.
var errWitness = errors.New("cluster: a node with Options.Witness takes no server")

// errClosed is the error of a node that has been closed.
var errClosed = errors.New("cluster: the node has been closed")

// Start implements broker.Broker.
func (c *channels) Start(_ context.Context, sink broker.Sink) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.shut:
		return errClosed
	case c.n.o.Witness:
		return errWitness
	case c.sink != nil:
		return errStarted
	}
	c.sink = sink
	for _, queue := range c.queues {
		c.over.Go(func() { c.deliver(queue, sink) })
	}
	return nil
}

// deliver passes what other nodes have published to the sink.
func (c *channels) deliver(queue chan *nats.Msg, sink broker.Sink) {
	for {
		select {
		case msg := <-queue:
			channel, ok := parseToken(msg.Subject[len(c.prefix):])
			if !ok || c.isLeaving(channel) {
				continue // no node publishes there, or nobody is subscribed any more
			}
			if msg.Header.Get(seqHeader) != "" {
				if f := c.n.history.follower(channel); f != nil {
					f.live(msg)
					continue
				}
				if c.n.history.rule(channel) != nil {
					continue // nobody is subscribed any more
				}
				// The node that stored it has a rule for the channel, and this one has
				// none: for its subscribers, it is a plain channel.
			}
			data := msg.Data
			if len(data) == 0 {
				data = nil // there is none; null is not empty
			}
			_ = c.pass(sink, channel, data) // it is logged
		case <-c.done:
			return
		}
	}
}

// pass passes a publication to the sink.
func (c *channels) pass(sink broker.Sink, channel string, data []byte) error {
	return guard.Call(c.n.o.Logger, "Sink.Deliver", func() error {
		sink.Deliver(channel, data)
		return nil
	}, slog.String("channel", channel))
}

// passAt passes a publication of a channel with history to the sink.
func (c *channels) passAt(channel string, at Position, data []byte) {
	sink := c.getSink()
	if s, ok := sink.(broker.PositionSink); ok {
		_ = guard.Call(c.n.o.Logger, "Sink.DeliverAt", func() error { // it is logged
			s.DeliverAt(channel, at.String(), data)
			return nil
		}, slog.String("channel", channel))
		return
	}
	_ = c.pass(sink, channel, data) // it is logged
}

// lose passes on what of a channel will not be delivered. position is where the channel is,
// "" if it keeps nothing.
func (c *channels) lose(channel, position string, lost Lost) {
	s, ok := c.getSink().(broker.PositionSink)
	if !ok {
		return
	}
	_ = guard.Call(c.n.o.Logger, "Sink.Lose", func() error { // it is logged
		s.Lose(channel, position, broker.Lost{From: lost.From, To: lost.To})
		return nil
	}, slog.String("channel", channel))
}

// getSink returns the sink, which those who have subscribed to a channel have.
func (c *channels) getSink() broker.Sink {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sink
}

func (c *channels) subject(channel string) string {
	return string(appendToken(append(make([]byte, 0, len(c.prefix)+len(channel)), c.prefix...), channel))
}

// Publish implements broker.Broker. Others get the publication before it returns,
// or will; if it fails, nobody does. One on a channel with history is stored when it
// returns; if it fails with ErrUncertain, it may be.
func (c *channels) Publish(ctx context.Context, channel string, data []byte) error {
	_, err := c.PublishOnce(ctx, channel, "", data)
	return err
}

// Keeps implements broker.Historian.
func (c *channels) Keeps(channel string) bool { return c.n.history.rule(channel) != nil }

// PublishOnce implements broker.Historian, as Publish does broker.Broker. NATS knows ids
// for two minutes.
func (c *channels) PublishOnce(ctx context.Context, channel, id string, data []byte) (position string, err error) {
	if rule := c.n.history.rule(channel); rule != nil {
		at, err := c.n.history.publish(ctx, rule, channel, id, data)
		if err != nil {
			return "", err
		}
		return at.String(), nil
	}
	if limit := c.n.nc.MaxPayload(); int64(len(data)) > limit {
		return "", fmt.Errorf("cluster: a publication of %d bytes is larger than the %d that NATS carries (max_payload)", len(data), limit)
	}
	if err := checkName(channel); err != nil {
		return "", err
	}
	if err := c.n.nc.Publish(c.subject(channel), data); err != nil {
		return "", fmt.Errorf("cluster: %w", err)
	}
	return "", c.pass(c.getSink(), channel, data)
}

// Subscribe implements broker.Broker.
func (c *channels) Subscribe(ctx context.Context, channel string) error {
	if err := checkName(channel); err != nil {
		return err
	}
	queue := c.queues[maphash.String(c.seed, channel)%numQueues]
	f := c.n.history.follow(channel)
	c.mu.Lock()
	if c.shut {
		c.mu.Unlock()
		return errClosed
	}
	if c.back(channel) {
		c.mu.Unlock()
		return nil
	}
	sub, err := c.n.nc.ChanSubscribe(c.subject(channel), queue)
	if err == nil {
		c.subs[channel] = sub
	}
	c.mu.Unlock()
	if err != nil {
		c.n.history.unfollow(channel)
		return fmt.Errorf("cluster: %w", err)
	}
	err = c.n.members.synced(ctx)
	if err == nil && f != nil {
		err = f.begin(ctx)
	}
	if err != nil {
		c.n.history.unfollow(channel)
		return errors.Join(err, c.end(channel))
	}
	return nil
}

// Unsubscribe implements broker.Broker.
func (c *channels) Unsubscribe(_ context.Context, channel string) error {
	c.mu.Lock()
	lingers := c.leave(channel)
	c.mu.Unlock()
	if lingers {
		return nil
	}
	c.n.history.unfollow(channel)
	return c.end(channel)
}

// Close implements broker.Broker.
func (c *channels) Close() error {
	c.shutDown()
	return nil
}

// shutDown ends all subscriptions, and waits for the deliveries that are under way.
func (c *channels) shutDown() {
	c.mu.Lock()
	if c.shut {
		c.mu.Unlock()
		return
	}
	c.shut = true
	subs := c.subs
	c.subs = nil
	c.mu.Unlock()
	for _, sub := range subs {
		_ = sub.Unsubscribe() // fails only if the connection has been closed
	}
	close(c.done)
	c.over.Wait()
	c.n.history.end()
}
