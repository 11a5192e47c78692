package socketcluster

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/account"
	"github.com/socketcluster-go/socketcluster/internal/hub"
	"github.com/socketcluster-go/socketcluster/wire"
)

// When the token of a socket changes, its subscriptions are authorized again:
// the inbound middleware sees a Subscribe action for each of them, with Again
// set. What it blocks is kicked out, but for subscriptions that the client has
// asked for with waitForAuth. Those the client goes on to take for its own
// after a logout, so that they are suspended, and resumed by the next login
// that middleware lets in.

// subscribeOptions is what a client has sent with a subscription, as far as it is
// needed to authorize it again. Most subscriptions have none.
type subscribeOptions struct {
	waitForAuth bool
	suspended   bool // the socket is not in the channel at present
	data        json.RawMessage
}

// size is how much of the budget it takes.
func (o subscribeOptions) size(channel string) int {
	n := len(o.data) + optionsCost
	if o.suspended {
		n += len(channel) // which nobody else has
	}
	return n
}

// round asks middleware about the subscriptions of a socket for one epoch. It has
// goroutines and a deadline of its own, so that it never waits for what the
// client has sent or does not read. The next epoch takes its place at once; what
// middleware still says to this one is void then.
//
// The socket's mu guards it.
type round struct {
	epoch  uint32
	began  time.Time
	older  map[*hub.Subscription]time.Time // since when those wait that an earlier round has not approved
	alarm  *time.Timer                     // at the next deadline
	ctx    context.Context
	cancel context.CancelFunc
	todo   []question
	asking int // goroutines
}

// since is from when on a subscription waits. The deadline counts from there, also
// where one epoch follows the other.
func (r *round) since(sub *hub.Subscription) time.Time {
	if since, ok := r.older[sub]; ok {
		return since
	}
	return r.began
}

// question is whether a subscription may go on, or a suspended one be resumed.
type question struct {
	channel string
	sub     *hub.Subscription // nil: it is suspended
}

// roundWidth is how many questions of a socket middleware is asked at a time, so
// that one that takes long does not keep the others from their verdict.
const roundWidth = 32

// beginRound has middleware asked about all that is not approved in the present
// epoch. mu must be held.
func (s *Socket) beginRound() {
	last := s.endRound()
	if s.state != Open || !s.guarded() {
		return
	}
	r := &round{epoch: s.token.epoch.Load(), began: time.Now()}
	first := r.began
	for sub := range s.subs.All() {
		if sub.Epoch == r.epoch || sub.Epoch == lostEpoch {
			continue
		}
		r.todo = append(r.todo, question{sub.Channel(), sub})
		if last != nil && sub.Epoch != last.epoch {
			if r.older == nil {
				r.older = make(map[*hub.Subscription]time.Time)
			}
			r.older[sub] = last.since(sub)
			first = earlier(first, r.older[sub])
		}
	}
	if s.ext != nil && s.ext.suspended > 0 && s.token.Load() != nil {
		for channel, o := range s.ext.options {
			if o.suspended {
				r.todo = append(r.todo, question{channel, nil})
			}
		}
	}
	if len(r.todo) == 0 {
		return
	}
	timeout := s.srv.cfg.Timeouts.Reauthorize
	// Not the context of the socket, which needs mu; destroy ends the round.
	r.ctx, r.cancel = context.WithDeadline(context.WithValue(context.Background(), socketKey{}, s), r.began.Add(timeout))
	r.alarm = time.AfterFunc(time.Until(first.Add(timeout)), func() { s.overdue(r) })
	r.asking = min(len(r.todo), roundWidth)
	s.extend().round = r
	for range r.asking {
		go s.ask(r)
	}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// endRound ends the round that there is, and returns it, or nil. mu must be held.
func (s *Socket) endRound() *round {
	if s.ext == nil || s.ext.round == nil {
		return nil
	}
	r := s.ext.round
	s.ext.round = nil
	r.alarm.Stop()
	r.cancel()
	return r
}

// ask is a goroutine of a round.
func (s *Socket) ask(r *round) {
	s.count(account.Handlers, workerCost)
	defer s.count(account.Handlers, -workerCost)
	var left []string
	for {
		q, ok := s.nextQuestion(r)
		if !ok {
			break
		}
		blocked := s.authorizeAgain(r.ctx, q.channel)
		switch {
		case q.sub == nil:
			s.resume(r, q.channel, blocked)
		case s.verdict(r, q.sub, blocked):
			left = append(left, q.channel)
		}
	}
	// Only now, as the broker and event handlers may take their time.
	_ = s.haveLeft(s.unending(), left...)
}

// nextQuestion takes a question of a round, unless that is over.
func (s *Socket) nextQuestion(r *round) (q question, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ext.round == r && len(r.todo) > 0 {
		q, r.todo = r.todo[0], r.todo[1:]
		return q, true
	}
	if r.asking--; r.asking == 0 && s.ext.round == r {
		s.endRound()
	}
	return question{}, false
}

// authorizeAgain asks the inbound middleware about a subscription.
func (s *Socket) authorizeAgain(ctx context.Context, channel string) *wire.Error {
	return s.srv.runMiddleware(ctx, s, &Subscribe{Socket: s, Channel: channel, Data: s.optionsOf(channel).data, Again: true})
}

// verdict does what middleware says about a subscription. It reports true if
// the socket has left the channel.
func (s *Socket) verdict(r *round, sub *hub.Subscription, blocked *wire.Error) (left bool) {
	s.mu.Lock()
	if s.ext.round != r || s.subs.Get(sub.Channel()) != sub {
		s.mu.Unlock()
		return false
	}
	if blocked == nil {
		s.approve(sub, r.epoch)
		s.mu.Unlock()
		return false
	}
	s.lose(sub)
	loggedOut := s.token.Load() == nil
	s.mu.Unlock()
	return s.expel(sub, blocked, loggedOut)
}

// overdue takes for blocked what has no verdict at its deadline, and ends a round
// in which nothing else is asked.
func (s *Socket) overdue(r *round) {
	s.mu.Lock()
	if s.ext.round != r {
		s.mu.Unlock()
		return
	}
	now, timeout := time.Now(), s.srv.cfg.Timeouts.Reauthorize
	next := r.began.Add(timeout)
	loggedOut := s.token.Load() == nil
	var lost []*hub.Subscription
	for sub := range s.subs.All() {
		if sub.Epoch == r.epoch || sub.Epoch == lostEpoch {
			continue
		}
		if end := r.since(sub).Add(timeout); now.Before(end) {
			next = earlier(next, end)
			continue
		}
		s.lose(sub)
		lost = append(lost, sub)
	}
	if now.Before(next) {
		r.alarm.Reset(next.Sub(now))
	} else {
		s.endRound()
	}
	s.mu.Unlock()
	if len(lost) == 0 {
		return
	}
	s.srv.log.Warn("subscriptions ended: middleware did not decide about them within Config.Timeouts.Reauthorize",
		slog.String("socket", s.id), slog.Int("subscriptions", len(lost)), slog.Duration("timeout", s.srv.cfg.Timeouts.Reauthorize))
	var left []string
	for _, sub := range lost {
		if s.expel(sub, errOverdue, loggedOut) {
			left = append(left, sub.Channel())
		}
	}
	_ = s.haveLeft(s.unending(), left...)
}

var errOverdue = &wire.Error{Name: wire.ErrTimeout.Name, Message: "The subscription was not authorized again in time"}

// expel ends a subscription that is lost, and tells the client. After a logout
// it may suspend it instead. It reports true if the socket was in the channel.
// Neither the broker nor the event handlers have been told; see haveLeft.
func (s *Socket) expel(sub *hub.Subscription, why *wire.Error, loggedOut bool) bool {
	channel := sub.Channel()
	message, err := encodeData(why.Message)
	if err != nil {
		message = nil
	}
	return s.exit(channel, sub, func(o subscribeOptions) {
		if o.waitForAuth && loggedOut {
			o.suspended = true
			s.storeOptions(channel, o)
			s.ext.suspended++
			if s.token.Load() != nil { // a login since, whose round does not know of it
				s.beginRound()
			}
			return
		}
		s.sendLocked(wire.AppendKickOut(packetBuffer(channel, message), channel, message))
	})
}

// haveLeft tells the broker and the event handlers which channels the socket
// has been taken out of. It waits for the broker until ctx ends, and returns its
// error then.
func (s *Socket) haveLeft(ctx context.Context, channels ...string) (err error) {
	for _, channel := range channels {
		err = cmp.Or(s.srv.exchange.routes.Leave(ctx, channel), err)
	}
	s.drainEvents()
	return err
}

func (s *Socket) optionsOf(channel string) subscribeOptions {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ext == nil {
		return subscribeOptions{}
	}
	return s.ext.options[channel]
}

// storeOptions remembers the options of a subscription. mu must be held.
func (s *Socket) storeOptions(channel string, o subscribeOptions) {
	s.forgetOptions(channel)
	if !o.waitForAuth && o.data == nil || s.srv.cfg.Compat.KeepSubscriptions {
		return
	}
	x := s.extend()
	if x.options == nil {
		x.options = make(map[string]subscribeOptions)
	}
	x.options[channel] = o
	s.count(account.Subscriptions, o.size(channel))
}

// forgetOptions reports whether the subscription was suspended. mu must be
// held.
func (s *Socket) forgetOptions(channel string) (suspended bool) {
	if s.ext == nil {
		return false
	}
	o, ok := s.ext.options[channel]
	if !ok {
		return false
	}
	if o.suspended {
		s.ext.suspended--
	}
	s.count(account.Subscriptions, -o.size(channel))
	delete(s.ext.options, channel)
	return o.suspended
}

// forgetSuspended drops a suspended subscription, if there is one.
func (s *Socket) forgetSuspended(channel string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.forgetOptions(channel)
}

// isSuspended tells whether a subscription is suspended. mu must be held.
func (s *Socket) isSuspended(channel string) bool {
	return s.ext != nil && s.ext.options[channel].suspended
}

// suspendedLocked counts the suspended subscriptions to other channels. mu
// must be held.
func (s *Socket) suspendedLocked(channel string) int {
	if s.ext == nil {
		return 0
	}
	n := s.ext.suspended
	if s.ext.options[channel].suspended {
		n--
	}
	return n
}

// resume takes a socket back into a channel, or tells the client that it is
// out of it for good.
func (s *Socket) resume(r *round, channel string, blocked *wire.Error) {
	if blocked == nil {
		options := s.optionsOf(channel)
		options.suspended = false
		raw := withData(json.RawMessage(`{"waitForAuth":true}`), options.data)
		if blocked = s.subscribe(channel, raw, options, r.epoch, true); blocked == nil || blocked == errStale {
			return
		}
		s.srv.log.Warn("a suspended subscription could not be resumed", slog.String("socket", s.id), slog.Any("error", blocked))
	}
	message, err := encodeData(blocked.Message)
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token.epoch.Load() == r.epoch && s.state == Open && s.forgetOptions(channel) {
		s.sendLocked(wire.AppendKickOut(packetBuffer(channel, message), channel, message))
	}
}
