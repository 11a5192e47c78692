package socketcluster

import (
	"context"
	"iter"
	"log/slog"
	"time"

	"github.com/socketcluster-go/socketcluster/broker/mem"
	"github.com/socketcluster-go/socketcluster/internal/hub"
	"github.com/socketcluster-go/socketcluster/internal/route"
	"github.com/socketcluster-go/socketcluster/wire"
)

// Exchange publishes and subscribes on behalf of the server. It passes no
// inbound middleware; [PublishOut] runs for each socket that receives.
type Exchange struct {
	srv    *Server
	routes *route.Table // nil: publications reach this node without
}

func newExchange(srv *Server) *Exchange {
	x := &Exchange{srv: srv}
	if _, local := srv.cfg.Broker.(*mem.Broker); !local {
		x.routes = route.New((*routeBroker)(srv))
	}
	return x
}

// routeBroker is the broker as it is called for routes.
type routeBroker Server

// Subscribe implements route.Broker.
func (b *routeBroker) Subscribe(ctx context.Context, channel string) error {
	return b.cfg.Broker.Subscribe(ctx, channel)
}

// Unsubscribe implements route.Broker. It may run on goroutines on which nobody
// else would recover.
func (b *routeBroker) Unsubscribe(ctx context.Context, channel string) {
	if b.down.Load() {
		return
	}
	err := protect(b.log, "Broker.Unsubscribe", func() error { return b.cfg.Broker.Unsubscribe(ctx, channel) })
	if err != nil {
		b.log.Error("broker failed to unsubscribe", slog.String("channel", channel), slog.Any("error", err))
	}
}

// Publish sends data to all subscribers of a channel, on all nodes. When it
// returns nil, the broker has accepted it; the subscribers on this node have
// it in their outboxes. Publications of one caller stay in order.
//
// A publisher keeps to the pace of those subscribers on this node that read
// well: when more than Limits.Outbox bytes wait for one of them, Publish waits,
// after it has delivered, until half of that is left. It waits for each of them
// for 250 ms at most from then on, and for one that takes nothing for 50 ms,
// so that slow ones do not hold up the others; what they have not read stays
// with the server. One that was too slow for that is not waited for until it has
// read everything. All are waited for at the same time. The end of ctx ends the
// wait, not the publication, and with a context of [NoWait] there is none. What
// clients publish waits in the same way, and with it what they send next.
func (x *Exchange) Publish(ctx context.Context, channel string, data any) error {
	raw, err := encodeData(data)
	if err != nil {
		return err
	}
	return x.publish(ctx, channel, raw)
}

func (x *Exchange) publish(ctx context.Context, channel string, data []byte) error {
	if x.srv.down.Load() {
		return ErrServerClosed
	}
	if err := x.srv.cfg.Broker.Publish(ctx, channel, data); err != nil {
		return err
	}
	x.awaitReaders(ctx, channel)
	return nil
}

// sink is the exchange as the broker sees it.
type sink Exchange

// Deliver implements broker.Sink: it hands a publication to the subscribers
// on this node. It waits for none of them, as a broker delivers for all nodes and
// channels; publishers wait, on their own node.
func (x *sink) Deliver(channel string, data []byte) {
	count := x.srv.counters.publications.Add(1)
	if !x.srv.hub.Has(channel) {
		return
	}
	buf := wire.AppendPublish(packetBuffer(channel, data), channel, data)
	p := &hub.Publication{Channel: channel, At: time.Duration(x.srv.moment(time.Now()))}
	if data != nil {
		// The frame ends with the data and two closing braces.
		p.Data = buf[len(buf)-2-len(data) : len(buf)-2 : len(buf)-2]
	}
	p.Frame = x.srv.seal(buf)
	p.Deflated = x.srv.deflateShared(p.Frame)
	held := p.Size()
	if x.srv.cfg.Codec != nil {
		held += len(buf) // what the data is in is not the frame
	}
	p.Shared.Init(x.srv.budget.Shard(uint8(count)), held)
	n := x.srv.hub.Publish(p)
	p.Shared.Settle()
	x.srv.counters.deliveries.Add(uint64(n))
}

// join makes the broker deliver a channel to this node. What it begins,
// routes.Leave ends.
func (x *Exchange) join(ctx context.Context, channel string) error {
	if x.srv.down.Load() {
		return ErrServerClosed
	}
	return x.routes.Join(ctx, channel)
}

// Subscriptions yields the channels that somebody on this node is subscribed
// to, in no order.
func (x *Exchange) Subscriptions() iter.Seq[string] {
	names := x.srv.hub.Channels()
	return func(yield func(string) bool) {
		for _, n := range names {
			if !yield(n) {
				return
			}
		}
	}
}

// IsSubscribed reports whether somebody on this node is subscribed to a channel.
func (x *Exchange) IsSubscribed(channel string) bool { return x.srv.hub.Has(channel) }

// NumSubscribers is how many subscribers a channel has on this node.
func (x *Exchange) NumSubscribers(channel string) int { return x.srv.hub.Count(channel) }

// Forward transmits what is published on a channel from now on to a socket, as an
// event of its own, until ctx ends or the socket closes. The context of a handler may
// end with the handler, see [Server.WrapHandlers]; that of the socket is the usual one.
// The socket need not be subscribed. A client that does not read misses the oldest
// publications, as a slow loop over a [Subscription] does.
func (x *Exchange) Forward(ctx context.Context, channel string, to *Socket, event string) error {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(to.Context(), cancel)
	end := func() {
		stop()
		cancel()
	}
	sub, err := x.Subscribe(ctx, channel)
	if err != nil {
		end()
		return err
	}
	go func() {
		defer end()
		for raw := range sub.All() {
			if to.Transmit(ctx, event, raw) != nil {
				return
			}
		}
	}()
	return nil
}
