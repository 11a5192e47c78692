package socketcluster

import (
	"bytes"
	"context"
	"encoding/json"
	"iter"
	"sync"

	"github.com/socketcluster-go/socketcluster/internal/hub"
	"github.com/socketcluster-go/socketcluster/internal/loop"
	"github.com/socketcluster-go/socketcluster/wire"
)

// The limits of what waits for a loop over a channel: this number of
// publications, and of bytes, or a single larger publication.
const (
	channelQueue      = 1024
	channelQueueBytes = 1 << 20
)

// Subscription is a subscription of the server itself to a channel. It begins
// with the call of [Exchange.Subscribe], and ends with the context of that
// call, with Close, or with its loop, which ends with the server.
//
// Publications wait for the loop in a queue of at most 1024, and at most 1 MiB
// or one larger publication. A loop that falls further behind misses the oldest
// publications, so it never delays publishers; Dropped counts them. Waiting
// publications count against Limits.Budget, each once, however many loops and
// sockets wait for it.
type Subscription struct {
	ctx   context.Context
	srv   *Server
	loop  *loop.Lossy[*hub.Publication]
	end   func()
	unbid func() bool // stops waiting for the end of ctx
}

// Subscribe subscribes the server to a channel. It waits for the broker until ctx ends.
func (x *Exchange) Subscribe(ctx context.Context, channel string) (*Subscription, error) {
	if err := x.join(ctx, channel); err != nil {
		return nil, err
	}
	l := loop.NewLossy(channelQueue, channelQueueBytes, func(p *hub.Publication) { p.Shared.Release() })
	sub := x.srv.hub.Subscribe(channel, channelLoop{l})
	s := &Subscription{ctx: ctx, srv: x.srv, loop: l}
	s.end = sync.OnceFunc(func() {
		x.srv.hub.Unsubscribe(sub)
		l.End()
		_ = x.routes.Leave(ctx, channel) // waits for the broker, until ctx ends
	})
	s.unbid = context.AfterFunc(ctx, s.end) // the loop may never begin
	return s, nil
}

// All returns the data of the publications as a sequence for a for loop. The
// loop owns the data. A subscription has only one loop, whose end ends the
// subscription. It does not tell what the broker has lost: see [Messages].
func (s *Subscription) All() iter.Seq[json.RawMessage] {
	return func(yield func(json.RawMessage) bool) {
		s.read(func(p *hub.Publication) bool { return p.Lost != nil || yield(bytes.Clone(p.Data)) })
	}
}

// read is the loop over the subscription.
func (s *Subscription) read(yield func(*hub.Publication) bool) {
	defer s.Close()
	s.loop.Read(s.ctx, s.srv.ctx.Done(), yield)
}

// Close ends the subscription and its loop. Publications that wait for the loop are
// lost. Close waits for the broker until the context of the subscription ends.
func (s *Subscription) Close() {
	s.unbid()
	s.end()
}

// Dropped returns the number of publications that the loop has missed because
// it was too slow.
func (s *Subscription) Dropped() uint64 { return s.loop.Lost() }

// channelLoop is a loop over a channel as a subscriber of the hub. Its waiting
// publications are shared with the outboxes and with other loops, and count in
// the budget once.
type channelLoop struct{ *loop.Lossy[*hub.Publication] }

// Deliver implements hub.Subscriber. A codec's frame may be smaller than the data.
func (l channelLoop) Deliver(p *hub.Publication, _ *hub.Subscription) {
	p.Shared.Take()
	l.Write(p, max(p.Size(), len(p.Data)))
}

// Messages is [Subscription.All] with the data decoded into a T by
// [wire.Unmarshal], so a []byte arrives as it was published. If the data does
// not fit, the loop gets an error, and may continue. It also gets a *[LostError] in the
// place of publications that the broker has lost, if it can tell.
func Messages[T any](s *Subscription) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		s.read(func(p *hub.Publication) bool {
			var v T
			if p.Lost != nil {
				return yield(v, lostError(p))
			}
			err := wire.Unmarshal(bytes.Clone(p.Data), &v)
			return yield(v, err)
		})
	}
}
