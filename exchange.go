package socketcluster

import (
	"context"
	"iter"
	"log/slog"
	"time"

	"github.com/socketcluster-go/socketcluster/broker"
	"github.com/socketcluster-go/socketcluster/broker/mem"
	"github.com/socketcluster-go/socketcluster/internal/guard"
	"github.com/socketcluster-go/socketcluster/internal/hub"
	"github.com/socketcluster-go/socketcluster/internal/route"
)

// Exchange publishes and subscribes on behalf of the server. It does not run
// inbound middleware; [PublishOut] runs for each socket that receives a
// publication.
type Exchange struct {
	srv    *Server
	routes *route.Table // nil: all publications reach this node
}

func newExchange(srv *Server) *Exchange {
	x := &Exchange{srv: srv}
	if _, local := srv.cfg.Broker.(*mem.Broker); !local {
		x.routes = route.New((*routeBroker)(srv))
	}
	return x
}

// routeBroker calls the broker for routes. It may run on goroutines in which
// nobody else recovers.
type routeBroker Server

// Subscribe implements route.Broker.
func (b *routeBroker) Subscribe(ctx context.Context, channel string) error {
	return guard.Call(b.log, "Broker.Subscribe", func() error { return b.cfg.Broker.Subscribe(ctx, channel) })
}

// Unsubscribe implements route.Broker.
func (b *routeBroker) Unsubscribe(ctx context.Context, channel string) {
	if b.down.Load() {
		return
	}
	err := guard.Call(b.log, "Broker.Unsubscribe", func() error { return b.cfg.Broker.Unsubscribe(ctx, channel) })
	if err != nil {
		b.log.Error("broker failed to unsubscribe", slog.String("channel", channel), slog.Any("error", err))
	}
}

// Publish sends data to all subscribers of a channel, on all nodes. When it
// returns nil, the broker has accepted it; with the broker of a single process,
// the subscribers have it in their outboxes. Publications of one caller stay in
// order.
//
// A publisher keeps the pace of the subscribers on this node that read well: if
// more than Limits.Outbox bytes wait for one of them, Publish waits, after it
// has delivered, until half of that is left. It waits at most 250 ms for each
// subscriber, and at most 50 ms for one that accepts nothing, so that slow ones
// do not delay the others; their unread messages stay in the server. If a
// subscriber was too slow, Publish does not wait for it again until it has read
// everything. It waits for all at the same time. The end of ctx ends the wait,
// but not the publication. With a context from [NoWait], Publish does not wait.
// Publications of clients wait in the same way, which delays what these clients
// send next; on a channel that the broker keeps, for 250 ms at most.
func (x *Exchange) Publish(ctx context.Context, channel string, data any) error {
	raw, err := encodeData(data)
	if err != nil {
		return err
	}
	_, err = x.publish(ctx, nil, channel, "", raw)
	return err
}

// publish is Publish, for the server itself or for a socket, whose publication may have
// an id. It returns the position of the publication, "" if the channel keeps nothing.
func (x *Exchange) publish(ctx context.Context, from *Socket, channel, id string, data []byte) (position string, err error) {
	if x.srv.down.Load() {
		return "", ErrServerClosed
	}
	if x.routes == nil && from != nil && from.here { // whose broker would only call Deliver
		(*sink)(x).deliver(channel, "", data, true) // what handles here has the frames written by Crew.Flush
	} else {
		err = guard.Call(x.srv.log, "Broker.Publish", func() (err error) {
			if h, ok := x.srv.cfg.Broker.(broker.Historian); ok {
				position, err = h.PublishOnce(ctx, channel, id, data)
				return err
			}
			return x.srv.cfg.Broker.Publish(ctx, channel, data)
		})
	}
	if err != nil {
		return "", err
	}
	x.published(from, channel, position, data)
	x.awaitReaders(ctx, channel)
	return position, nil
}

// published emits the event of a publication. Most servers have no handler for it.
func (x *Exchange) published(from *Socket, channel, position string, data []byte) {
	if !x.srv.listeners.has(kindPublish) {
		return
	}
	e := PublishEvent{from, channel, cloneRaw(data), position}
	if from != nil {
		from.emit(e)
		return
	}
	x.srv.listeners.call(e, x.srv.log)
}

// sink is the exchange as the broker sees it.
type sink Exchange

// Deliver implements broker.Sink: it passes a publication to the subscribers on
// this node. It waits for none of them, because a broker delivers for all nodes
// and channels; publishers wait, on their own node.
func (x *sink) Deliver(channel string, data []byte) { x.deliver(channel, "", data, false) }

// DeliverAt implements broker.PositionSink, as Deliver does broker.Sink.
func (x *sink) DeliverAt(channel, position string, data []byte) {
	x.deliver(channel, position, data, false)
}

// deliver is Deliver. With later, the caller has the frames written by Crew.Flush.
func (x *sink) deliver(channel, position string, data []byte, later bool) {
	count := x.srv.counters.publications.Add(1)
	if !x.srv.hub.Has(channel) {
		return
	}
	p := (*Exchange)(x).publication(channel, position, data, uint8(count))
	p.Later = later
	n := x.srv.hub.Publish(p)
	p.Shared.Settle()
	x.srv.counters.deliveries.Add(uint64(n))
}

// publication returns a publication for the hub; see complete.
func (x *Exchange) publication(channel, position string, data []byte, shard uint8) *hub.Publication {
	buf := publishPacket(channel, position, data)
	p := &hub.Publication{Channel: channel, Position: position}
	if data != nil {
		// The frame ends with the data and two closing braces.
		p.Data = buf[len(buf)-2-len(data) : len(buf)-2 : len(buf)-2]
	}
	return x.complete(p, buf, shard)
}

// complete completes a publication whose packet is in buf. Its bytes count against a shard
// of the budget until Shared.Settle has been called and all subscribers have sent it.
func (x *Exchange) complete(p *hub.Publication, buf []byte, shard uint8) *hub.Publication {
	p.At = time.Duration(x.srv.moment(time.Now()))
	p.Frame = x.srv.seal(buf)
	p.Deflated = x.srv.deflateShared(p.Frame)
	held := p.Size()
	if x.srv.cfg.Codec != nil {
		held += len(buf) // the data is in another buffer than the frame
	}
	p.Shared.Init(x.srv.budget.Shard(shard), held)
	return p
}

// join makes the broker deliver a channel to this node. It waits for the broker
// until ctx ends. routes.Leave undoes it.
func (x *Exchange) join(ctx context.Context, channel string) error {
	if x.srv.down.Load() {
		return ErrServerClosed
	}
	return x.routes.Join(ctx, channel)
}

// Subscriptions yields the channels that have subscribers on this node, in no
// particular order.
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

// IsSubscribed reports whether a channel has subscribers on this node.
func (x *Exchange) IsSubscribed(channel string) bool { return x.srv.hub.Has(channel) }

// NumSubscribers returns the number of subscribers that a channel has on this
// node.
func (x *Exchange) NumSubscribers(channel string) int { return x.srv.hub.Count(channel) }

// Forward transmits the publications on a channel from now on to a socket, as
// events with the given name, until ctx ends or the socket closes. Usually ctx
// is the context of the socket, because that of a handler may end with the
// handler, see [Server.WrapHandlers]. The socket need not be subscribed. A
// client that does not read misses the oldest publications, like a slow loop
// over a [Subscription].
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
