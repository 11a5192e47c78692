package socketcluster

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/socketcluster-go/socketcluster/broker"
	"github.com/socketcluster-go/socketcluster/internal/account"
	"github.com/socketcluster-go/socketcluster/internal/hub"
	"github.com/socketcluster-go/socketcluster/wire"
)

// When the token of a socket changes, its subscriptions are authorized again:
// the inbound middleware sees a Subscribe action for each of them, with Again
// set. If it blocks one, the socket is kicked out, except from subscriptions
// that the client made with waitForAuth. After a logout, the client still
// considers those as its own. So they are suspended, and resumed by the next
// login if middleware allows it.

// subscribeOptions has the options that a client sent with a subscription, as
// far as they are needed to authorize it again. Most subscriptions have none.
type subscribeOptions struct {
	waitForAuth bool
	suspended   bool // the socket is currently not in the channel
	data        json.RawMessage
	from        broker.From // where a suspended one continues, if the channel keeps what is published
}

// size returns the bytes that the options take of the budget.
func (o subscribeOptions) size(channel string) int {
	n := len(o.data) + optionsCost
	if o.suspended {
		n += len(channel) // not counted elsewhere
	}
	return n
}

// round runs middleware for the subscriptions of a socket in one epoch. It has
// goroutines and a deadline of its own, so it never waits for messages that the
// client has sent or does not read. The next epoch replaces it at once; later
// decisions for this one are void.
//
// The socket's mu guards it.
type round struct {
	epoch  uint32
	began  time.Time
	older  map[*hub.Subscription]time.Time // since when subscriptions wait that an earlier round has not approved
	alarm  *time.Timer                     // at the next deadline
	ctx    context.Context
	cancel context.CancelFunc
	todo   []question
	asking int // goroutines
}

// since returns the time since which a subscription waits. The deadline counts
// from there, even if one epoch follows another.
func (r *round) since(sub *hub.Subscription) time.Time {
	if since, ok := r.older[sub]; ok {
		return since
	}
	return r.began
}

// question is whether a subscription may continue, or a suspended one may be
// resumed.
type question struct {
	channel string
	sub     *hub.Subscription // nil: it is suspended
}

// roundWidth is the number of questions of a socket that middleware gets at a
// time, so that a slow one does not delay the others.
const roundWidth = 32

// beginRound starts a round for everything that is not approved in the current
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
	// This is not the context of the socket, which needs mu; destroy ends the
	// round.
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

// endRound ends the current round, if any, and returns it, or nil. mu must be
// held.
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
			if s.resume(r.epoch, q.channel, blocked) {
				go s.resumeLater(r.epoch, q.channel)
			}
		case s.verdict(r, q.sub, blocked):
			left = append(left, q.channel)
		}
	}
	// This comes last, because the broker and event handlers may be slow.
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

// authorizeAgain runs the inbound middleware for a subscription.
func (s *Socket) authorizeAgain(ctx context.Context, channel string) *wire.Error {
	return s.srv.runMiddleware(ctx, s, &Subscribe{Socket: s, Channel: channel, Data: s.optionsOf(channel).data, Again: true})
}

// verdict applies the decision of middleware about a subscription. It returns
// true if the socket has left the channel.
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

// overdue treats subscriptions without a verdict at their deadline as blocked,
// and ends a round without further questions.
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
		slog.String("socket", s.ID()), slog.Int("subscriptions", len(lost)), slog.Duration("timeout", s.srv.cfg.Timeouts.Reauthorize))
	var left []string
	for _, sub := range lost {
		if s.expel(sub, errOverdue, loggedOut) {
			left = append(left, sub.Channel())
		}
	}
	_ = s.haveLeft(s.unending(), left...)
}

var errOverdue = &wire.Error{Name: wire.ErrTimeout.Name, Message: "The subscription was not authorized again in time"}

// expel ends a lost subscription, and notifies the client. After a logout it
// may suspend it instead. It returns true if the socket was in the channel. It
// notifies neither the broker nor the event handlers; see haveLeft.
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
			if s.token.Load() != nil { // a login since then, whose round does not know of it
				s.beginRound()
			}
			return
		}
		s.sendLocked(kickOutPacket(channel, message))
	})
}

// haveLeft notifies the broker and the event handlers of the channels from
// which the socket has been removed. It waits for the broker until ctx ends,
// and then returns its error.
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
	return s.isSuspended(channel) && s.forgetOptions(channel)
}

// isSuspended reports whether a subscription is suspended. mu must be held.
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

// resume puts a socket back into a channel, or notifies the client that it has
// left the channel for good. It reports whether the broker cannot read what it keeps at the moment:
// then it is to be tried again.
func (s *Socket) resume(epoch uint32, channel string, blocked *wire.Error) (again bool) {
	if blocked == nil {
		options := s.optionsOf(channel)
		options.suspended = false
		raw := withData(json.RawMessage(`{"waitForAuth":true}`), options.data)
		e := entering{channel: channel, raw: raw, options: options, epoch: epoch, from: options.from, resume: true}
		_, err, failure := s.subscribe(&e)
		switch {
		case e.waits(failure):
			return true
		case err == nil || err == errStale:
			return false
		}
		s.srv.log.Warn("a suspended subscription could not be resumed", slog.String("socket", s.ID()), slog.Any("error", err))
		blocked = err
	}
	message, err := encodeData(blocked.Message)
	if err != nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token.epoch.Load() == epoch && s.state == Open && s.forgetOptions(channel) {
		s.sendLocked(kickOutPacket(channel, message))
	}
	return false
}

// resumeLater resumes a subscription as soon as the broker can read what it keeps, if it is suspended
// until then and the epoch lasts: the client considers it as its own. It does not hold up the round.
func (s *Socket) resumeLater(epoch uint32, channel string) {
	s.count(account.Handlers, workerCost)
	defer s.count(account.Handlers, -workerCost)
	s.srv.log.Debug("a suspended subscription waits, as the broker cannot read what it keeps", slog.String("socket", s.ID()), slog.String("channel", channel))
	for again := true; again; {
		s.waitFor(nil, joinPause)
		s.mu.Lock()
		wanted := s.state == Open && s.isSuspended(channel)
		s.mu.Unlock()
		again = wanted && s.token.epoch.Load() == epoch && s.resume(epoch, channel, nil)
	}
}
