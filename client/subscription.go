package client

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/internal/loop"
	"github.com/socketcluster-go/socketcluster/wire"
)

// Subscription is a subscription of the client to a channel. It begins with the
// call of [Client.Subscribe], and ends with the context of that call, with Close,
// with its loop, or when the server refuses it or kicks the client out. It goes
// on with the next connection when one is lost. Several subscriptions to a
// channel are independent of each other; the server knows one.
//
// Publications wait for the loop in a queue, see [Limits].Queue. A loop that falls
// further behind misses the oldest publications; Dropped counts them.
type Subscription struct {
	c    *Client
	ch   *channel
	ctx  context.Context
	loop *loop.Lossy[message]  // nil with fn
	fn   func(json.RawMessage) // of SubscribeFunc, or nil

	onLost func(*socketcluster.LostError) // of OnLost, or nil

	unbid     func() bool   // stops waiting for the end of ctx
	confirmed chan struct{} // closed when the server has confirmed it, or it has ended
	over      chan struct{} // closed when it has ended

	// The client's mu guards these.
	isConfirmed bool
	isOver      bool
	isEnded     bool // so is its loop
	err         error
}

// message is what a loop gets: a publication, or the report of a loss.
type message struct {
	data json.RawMessage
	lost *socketcluster.LostError // in place of data
}

// A SubscribeOption is an option of [Client.Subscribe].
type SubscribeOption func(*subscribeOptions)

type subscribeOptions struct {
	waitForAuth bool
	priority    int
	data        json.RawMessage
	last        int
	pending     bool
	fn          func(json.RawMessage)
	onLost      func(*socketcluster.LostError)
	err         error
}

// WaitForAuth makes a subscription wait for a login, now and after each
// connection. Use it for each channel that needs a login: without it, a
// subscription before the login is refused.
func WaitForAuth() SubscribeOption { return func(o *subscribeOptions) { o.waitForAuth = true } }

// Priority sets the order in which subscriptions are requested after a
// connection: the highest first. Default: 0.
func Priority(n int) SubscribeOption { return func(o *subscribeOptions) { o.priority = n } }

// Data sends data with the request, for the middleware of the server. See
// [Client.Transmit] for what data can be.
func Data(data any) SubscribeOption {
	return func(o *subscribeOptions) { o.data, o.err = encodeData(data) }
}

// Last makes a subscription begin with the last n publications of a channel that keeps
// them, or with all that it keeps. It is for a channel that the client does not want
// yet: a second subscription to it begins with what comes next.
func Last(n int) SubscribeOption {
	return func(o *subscribeOptions) {
		if o.last = n; n < 0 {
			o.err = fmt.Errorf("client: Last: n is %d; it must not be negative", n)
		}
	}
}

// PendingOK makes Subscribe return at once. [Subscription.Wait] waits for the
// server.
func PendingOK() SubscribeOption { return func(o *subscribeOptions) { o.pending = true } }

// OnLost makes fn get what of the channel will not come, in order with the functions of
// [Client.SubscribeFunc] and on their goroutine: what a [LostEvent] reports, and, when
// the client is subscribed again to a channel that keeps nothing, that whatever was
// published meanwhile is lost, with From and To 0. The latter no event reports. fn must
// not call a method of the client that waits, and must not change the error. A panic is
// logged, and ends nothing.
func OnLost(fn func(*socketcluster.LostError)) SubscribeOption {
	return func(o *subscribeOptions) { o.onLost = fn }
}

// Subscribe subscribes the client to a channel, and waits until the server has
// confirmed or refused it, or ctx ends. A refusal is a *[wire.Error]. It does not
// connect the client: it waits for the next connection, and with [WaitForAuth]
// for a login.
//
// ctx is also the context of the subscription, which ends with it. To bound only
// the wait, use [PendingOK] and [Subscription.Wait].
//
// If the client already wants the channel, the options replace the earlier ones
// for the next request.
func (c *Client) Subscribe(ctx context.Context, name string, opts ...SubscribeOption) (*Subscription, error) {
	var o subscribeOptions
	for _, option := range opts {
		option(&o)
	}
	if o.err != nil {
		return nil, o.err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	sub := &Subscription{
		c: c, ctx: ctx, fn: o.fn, onLost: o.onLost,
		confirmed: make(chan struct{}),
		over:      make(chan struct{}),
	}
	if sub.fn == nil {
		sub.loop = loop.NewLossy(c.opts.Limits.Queue, c.opts.Limits.QueueBytes, func(message) {})
	}
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil, ErrClosed
	}
	ch := c.channels[name]
	if ch == nil {
		c.subCount++
		ch = &channel{name: name, number: c.subCount, state: Pending}
		if c.channels == nil {
			c.channels = make(map[string]*channel)
		}
		c.channels[name] = ch
	}
	ch.options = o
	ch.subs = append(ch.subs, sub)
	sub.ch = ch
	if ch.state == Subscribed {
		sub.confirm()
	}
	sub.unbid = context.AfterFunc(ctx, func() { sub.leave(context.Cause(ctx)) })
	c.request(ch)
	c.mu.Unlock()
	if o.pending {
		return sub, nil
	}
	if err := sub.Wait(ctx); err != nil {
		sub.Close()
		return nil, err
	}
	return sub, nil
}

// Wait waits until the server has confirmed the subscription, once. It returns
// the reason if the subscription ends before, such as a refusal, [ErrUnsubscribed]
// if Close has ended it, or the error of ctx.
func (s *Subscription) Wait(ctx context.Context) error {
	select {
	case <-s.confirmed:
	case <-ctx.Done():
		return ctx.Err()
	}
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	if s.isConfirmed {
		return nil
	}
	return cmp.Or(s.err, ErrUnsubscribed)
}

// Channel returns the name of the channel.
func (s *Subscription) Channel() string { return s.ch.name }

// All returns the data of the publications as a sequence for a for loop. The
// loop owns the data. A subscription has only one loop, whose end ends the
// subscription. It ends with the subscription, after what has arrived before;
// [Subscription.Err] tells why. It does not tell what is lost: see [LostEvent] and
// [Messages].
func (s *Subscription) All() iter.Seq[json.RawMessage] {
	return func(yield func(json.RawMessage) bool) {
		s.read(func(m message) bool { return m.lost != nil || yield(bytes.Clone(m.data)) })
	}
}

// Messages is [Subscription.All] with the data decoded into a T by
// [wire.Unmarshal]. If the data does not fit, the loop gets an error, and may
// continue. It also gets a *[socketcluster.LostError] in the place of publications that are lost.
func Messages[T any](s *Subscription) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		s.read(func(m message) bool {
			var v T
			if m.lost != nil {
				return yield(v, m.lost)
			}
			err := wire.Unmarshal(bytes.Clone(m.data), &v)
			return yield(v, err)
		})
	}
}

// read is the loop over the subscription.
func (s *Subscription) read(yield func(message) bool) {
	defer s.Close()
	if s.loop == nil {
		return // of SubscribeFunc
	}
	s.loop.Read(s.ctx, s.over, yield)
}

// Close ends the subscription and its loop. Publications that wait for the loop
// are lost. The server is told when no other subscription to the channel is
// left.
func (s *Subscription) Close() { s.leave(nil) }

// Err returns why the subscription has ended: a *[KickOutError], the *[wire.Error]
// of a refusal, [ErrUnsubscribed], [ErrClosed], or the error of its context. It is nil while the
// subscription lives, and after Close or the end of its loop.
func (s *Subscription) Err() error {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	return s.err
}

// Dropped returns the number of publications that the loop has missed because
// it was too slow.
func (s *Subscription) Dropped() uint64 {
	if s.loop == nil {
		return 0
	}
	return s.loop.Lost()
}

// leave ends the subscription for a reason of this side.
func (s *Subscription) leave(reason error) {
	c := s.c
	c.mu.Lock()
	if !s.isOver {
		s.ch.subs = slices.DeleteFunc(s.ch.subs, func(other *Subscription) bool { return other == s })
		if len(s.ch.subs) == 0 && c.channels[s.ch.name] == s.ch {
			c.unsubscribe(s.ch, nil)
		}
		s.finish(reason)
	}
	ended := s.isEnded
	s.isEnded = true
	c.mu.Unlock()
	if !ended && s.loop != nil {
		s.loop.End() // nothing is written to it any more
	}
}

// confirm records that the server has subscribed the client. The client's mu
// must be held.
func (s *Subscription) confirm() {
	if !s.isConfirmed && !s.isOver {
		s.isConfirmed = true
		close(s.confirmed)
	}
}

// finish ends the subscription. Its loop reads what has arrived before. The
// client's mu must be held.
func (s *Subscription) finish(reason error) {
	if s.isOver {
		return
	}
	s.isOver, s.err = true, reason
	s.unbid()
	if !s.isConfirmed {
		close(s.confirmed)
	}
	close(s.over)
}
