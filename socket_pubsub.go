package socketcluster

import (
	"context"
	"encoding/json"
	"log/slog"

	"github.com/socketcluster-go/socketcluster/broker"
	"github.com/socketcluster-go/socketcluster/internal/account"
	"github.com/socketcluster-go/socketcluster/internal/guard"
	"github.com/socketcluster-go/socketcluster/internal/hub"
	"github.com/socketcluster-go/socketcluster/wire"
)

// checkChannelName refuses names that are too long or empty.
func (s *Socket) checkChannelName(name, what string) *wire.Error {
	if len(name) > s.srv.cfg.Limits.ChannelName {
		s.srv.hit(limitChannelName)
		name = ""
	}
	if name == "" {
		return invalidAction("%s channel name was malformatted", what)
	}
	return nil
}

func (s *Socket) handleSubscribe(p *wire.Packet, isCall bool, expired error) {
	req, ok := s.parseSubscribe(p.Data)
	if !ok {
		s.refuse(p, isCall, invalidAction("Subscribe channel name was malformatted"))
		return
	}
	if err := s.checkChannelName(req.Channel, "Subscribe"); err != nil {
		s.refuse(p, isCall, err)
		return
	}
	if limit := s.srv.cfg.Limits.SubscriptionData; len(req.Data) > limit {
		s.srv.hit(limitSubscriptionData)
		s.refuse(p, isCall, invalidAction("The data of a subscription may have at most %d bytes", limit))
		return
	}
	stored := subscribeOptions{waitForAuth: req.WaitForAuth, data: cloneRaw(req.Data)}
	raw, epoch, ok := s.askToSubscribe(&req, p.ID, isCall, expired)
	if !ok {
		return
	}
	if !isCall {
		// Without an ID there is no answer that could report the outcome
		// (PS-3).
		s.emitError(invalidAction("A #subscribe without a call id was ignored"))
		return
	}
	e := entering{channel: req.Channel, raw: raw, options: stored, epoch: epoch, from: broker.From{Since: req.Since, Last: req.Last}}
	if s.srv.keepsHistory() {
		s.enterAside(p.ID, req, e)
	} else {
		s.enterAndAnswer(p.ID, &req, &e)
	}
}

// entering is a subscription that the middleware has approved in an epoch.
type entering struct {
	channel string
	raw     json.RawMessage // the options, as the middleware has changed them, for the event
	options subscribeOptions
	epoch   uint32
	from    broker.From
	resume  bool     // it was suspended
	join    *joining // nil unless it may wait aside
}

// enterAndAnswer subscribes, and answers the call with an id.
func (s *Socket) enterAndAnswer(id float64, req *wire.Subscribe, e *entering) {
	for stale, waits := 0, 0; stale < maxAsks; {
		past, err, failure := s.subscribe(e)
		switch {
		case s.again(e, failure, waits):
			waits++
		case err == nil:
			s.awaitRoom(0)
			if !s.confirmSubscribed(id, e.channel, past) {
				s.respond(id, nil, brokerError("Failed to subscribe socket to the %s channel - It was kicked out", e.channel))
			}
			return
		case err == errStale:
			stale++
			var ok bool
			if e.raw, e.epoch, ok = s.askToSubscribe(req, id, true, s.expireNow()); !ok {
				return
			}
		default:
			s.emitError(err)
			s.respond(id, nil, err)
			return
		}
	}
	s.emitError(errTokenUnsteady)
	s.respond(id, nil, errTokenUnsteady)
}

// askToSubscribe asks the middleware about a subscription. raw are the options as it has changed them.
// If it has blocked the subscription, the client is told, and ok is false.
func (s *Socket) askToSubscribe(req *wire.Subscribe, id float64, isCall bool, expired error) (raw json.RawMessage, epoch uint32, ok bool) {
	raw = req.Options
	epoch, blocked := s.askMiddleware((*Subscribe)(nil).Type(), expired, func(expired error) *wire.Error {
		a := &Subscribe{Socket: s, Channel: req.Channel, Data: cloneRaw(req.Data), AuthTokenExpired: expired}
		blocked := s.srv.runMiddleware(s.Context(), s, a)
		if string(a.Data) != string(req.Data) {
			raw = withData(req.Options, a.Data)
		}
		return blocked
	})
	if blocked != nil && isCall {
		s.respond(id, nil, blocked)
	}
	return raw, epoch, blocked == nil
}

// confirmSubscribed answers a subscription, unless the socket has already been
// removed from the channel again, perhaps by a handler of the event: the client
// must not take the answer after the #kickOut for a new subscription. Whoever
// removes the socket holds subMu until the #kickOut has been sent, so a refusal
// also comes after it. A subscription that waits for the next login has
// succeeded.
func (s *Socket) confirmSubscribed(id float64, channel string, past broker.Past) bool {
	data, err := pastAnswer(past)
	if err != nil {
		return false
	}
	s.subMu.Lock()
	defer s.subMu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.subs.Get(channel) == nil && !s.isSuspended(channel) && s.state == Open {
		return false
	}
	s.sendLocked(wire.AppendResponse(packetBuffer("", data), id, data))
	return true
}

// withData replaces the data option of a subscription.
func withData(options, data json.RawMessage) json.RawMessage {
	members := make(map[string]json.RawMessage)
	if json.Unmarshal(options, &members) != nil {
		return options
	}
	delete(members, "data")
	if data != nil {
		members["data"] = data
	}
	changed, err := wire.Marshal(members)
	if err != nil {
		return options // the middleware's data is not JSON
	}
	return changed
}

// errStale is the error of a subscription that middleware has approved in an
// epoch that has ended.
var errStale = &wire.Error{Message: "The token has changed meanwhile"}

// subscribe adds the socket to a channel. past is what the client gets of the history of the
// channel. failure is an error of the broker, for which err is.
func (s *Socket) subscribe(e *entering) (past broker.Past, err *wire.Error, failure error) {
	if err := s.mayEnter(e.channel, false); err != nil {
		return past, err, nil
	}
	entered := false
	failure = s.srv.exchange.join(s.unending(), e.channel)
	if failure == nil {
		if h, ok := s.srv.cfg.Broker.(broker.Historian); ok {
			past, entered, err, failure = s.enterBehind(h, *e)
		} else {
			entered, err = s.enter(e, broker.Past{})
		}
		if !entered {
			_ = s.srv.exchange.routes.Leave(s.unending(), e.channel)
		}
	}
	s.drainEvents()
	if failure != nil {
		if !e.waits(failure) {
			s.srv.log.Error("broker failed to subscribe", slog.String("socket", s.ID()), slog.String("channel", e.channel), slog.Any("error", failure))
		}
		return past, brokerError("Failed to subscribe socket to the %s channel", e.channel), failure
	}
	return past, err, nil
}

// mayEnter refuses a subscription to another channel than those of the socket before the handshake,
// or if there would be too many. waiting is whether those that wait count.
func (s *Socket) mayEnter(channel string, waiting bool) *wire.Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != Open {
		return invalidAction("Cannot subscribe socket to a channel before it has completed the handshake")
	}
	if s.subs.Get(channel) != nil {
		return nil
	}
	n := s.subs.Len() + s.suspendedLocked(channel)
	if waiting {
		n += s.joiningOthers(channel)
	}
	if limit := s.srv.cfg.Limits.Channels; n >= limit {
		s.srv.hit(limitChannels)
		return brokerError("Failed to subscribe socket to the %s channel - InvalidActionError: Socket %s tried to exceed the channel subscription limit of %d", channel, s.ID(), limit)
	}
	return nil
}

// enterBehind is enter behind what the client has missed of the history of the channel.
// failure is an error of the broker. The broker delivers nothing on the channel while
// the socket enters.
func (s *Socket) enterBehind(h broker.Historian, e entering) (past broker.Past, entered bool, err *wire.Error, failure error) {
	e.from.Bytes = s.srv.cfg.Limits.Outbox / 2
	failure = guard.Call(s.srv.log, "Broker.Join", func() error {
		return h.Join(s.unending(), e.channel, e.from, func(p broker.Past) {
			past = fitting(e.channel, p, e.from.Bytes)
			entered, err = s.enter(&e, past)
		})
	}, slog.String("channel", e.channel))
	return past, entered, err, failure
}

// enter adds the socket to a channel of the hub, as approved in an epoch. It
// returns false if it did not, or if the socket was in the channel before. The
// publications that the client has missed go before all that come from now on. If it is
// resumed, a report of what is lost goes before those; otherwise the answer has it.
func (s *Socket) enter(e *entering, past broker.Past) (entered bool, err *wire.Error) {
	channel, reported := e.channel, e.resume && past.Lost != nil
	if !reported {
		e.options.from = broker.From{Since: past.Begin}
	}
	s.subMu.Lock()
	defer s.subMu.Unlock()
	sub, entered, err := s.enterHub(e)
	if !entered {
		return false, err
	}
	deliver := func(p *hub.Publication) {
		(*subscriber)(s).Deliver(p, sub)
		p.Shared.Settle()
	}
	if reported {
		deliver(s.srv.exchange.report(channel, past.Begin, *past.Lost))
	}
	for _, m := range past.Publications {
		deliver(s.srv.exchange.publication(channel, m.Position, m.Data, 0))
	}
	return true, err
}

// enterHub is enter without what was missed. subMu must be held.
func (s *Socket) enterHub(e *entering) (sub *hub.Subscription, entered bool, err *wire.Error) {
	channel := e.channel
	s.mu.Lock()
	sub = s.subs.Get(channel)
	s.mu.Unlock()
	if sub == nil {
		// Publications before the socket knows sub are not delivered to it.
		sub = s.srv.hub.Subscribe(channel, (*subscriber)(s))
		begun := sub
		defer func() {
			if !entered {
				s.srv.hub.Unsubscribe(begun)
			}
		}()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.state != Open:
		return nil, false, invalidAction("Cannot subscribe socket to a channel before it has completed the handshake")
	case s.guarded() && !s.token.inForce(e.epoch), e.resume && !s.isSuspended(channel):
		return nil, false, errStale
	case e.join.unwanted():
		return nil, false, brokerError("Failed to subscribe socket to the %s channel - It was unsubscribed meanwhile", channel)
	}
	if entered = s.subs.Get(channel) == nil; entered {
		s.subs.Add(sub)
		s.count(account.Subscriptions, len(channel)+subscriptionCost)
	}
	s.storeOptions(channel, e.options)
	s.approve(sub, e.epoch)
	queue(s, SubscribeEvent{s, channel, e.raw})
	return sub, entered, nil
}

func (s *Socket) handleUnsubscribe(p *wire.Packet, isCall bool) {
	channel, ok := wire.ParseString(p.Data)
	if !ok {
		s.refuse(p, isCall, invalidAction("Unsubscribe channel name was malformatted"))
		return
	}
	stopped, forgotten := s.stopJoining(channel), s.forgetSuspended(channel) // first: it may enter the channel until then
	if !s.unsubscribe(channel, nil) && !stopped && !forgotten {
		s.refuse(p, isCall, s.notSubscribed(channel))
		return
	}
	if isCall {
		s.respond(p.ID, nil, nil)
	}
}

func (s *Socket) notSubscribed(channel string) *wire.Error {
	return brokerError("Failed to unsubscribe socket from the %s channel - InvalidActionError: Socket %s tried to unsubscribe from a channel which it is not subscribed to",
		truncate(channel, s.srv.cfg.Limits.ErrorText), s.ID())
}

// unsubscribe removes the socket from a channel and sends it the packet, if
// there is one. The socket gets nothing from the channel after that. It returns
// false if the socket was not in the channel.
func (s *Socket) unsubscribe(channel string, packet []byte) bool {
	left := s.exitWith(channel, packet)
	if left {
		_ = s.haveLeft(s.unending(), channel)
	}
	return left
}

// exitWith is exit with a packet for the socket, or nil.
func (s *Socket) exitWith(channel string, packet []byte) bool {
	return s.exit(channel, nil, func(subscribeOptions) {
		if packet != nil {
			s.sendLocked(packet)
		}
	})
}

// exit removes the socket from a channel of the hub; if only is not nil, only
// if it is the subscription. then is called with mu held, and with the client's
// options, unless the socket has closed. exit does not notify the broker and
// the event handlers; see haveLeft.
func (s *Socket) exit(channel string, only *hub.Subscription, then func(subscribeOptions)) bool {
	s.subMu.Lock()
	defer s.subMu.Unlock()
	s.mu.Lock()
	sub := s.subs.Get(channel)
	if sub == nil || only != nil && sub != only {
		s.mu.Unlock()
		return false
	}
	s.subs.Remove(channel)
	s.count(account.Subscriptions, -len(channel)-subscriptionCost)
	var options subscribeOptions
	if s.ext != nil {
		options = s.ext.options[channel]
	}
	s.forgetOptions(channel)
	s.discardWithheld(sub)
	s.mu.Unlock()
	s.srv.hub.Unsubscribe(sub)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == Open {
		then(options)
	}
	queue(s, UnsubscribeEvent{s, channel})
	return true
}

// leaveAll removes a closed socket from its channels. When it returns, the
// events of channels from which others have removed it are queued too.
func (s *Socket) leaveAll() {
	s.subMu.Lock()
	s.mu.Lock()
	names := s.subs.Names()
	s.mu.Unlock()
	s.subMu.Unlock()
	for _, name := range names {
		s.unsubscribe(name, nil)
	}
}

// KickOut removes the socket from a channel and notifies the client, which will
// not subscribe again by itself. The message may be any data, or nil. KickOut
// fails with a BrokerError if the socket is not subscribed to the channel.
//
// From then on the socket gets nothing from the channel. If it was the last
// subscriber on this node, KickOut unsubscribes at the broker and waits for it.
// If ctx ends first, KickOut returns its error, and the broker is called
// nevertheless.
func (s *Socket) KickOut(ctx context.Context, channel string, message any) error {
	raw, err := encodeData(message)
	if err != nil {
		return err
	}
	if !s.kickOut(channel, raw) {
		return s.notSubscribed(channel)
	}
	return s.haveLeft(context.WithValue(ctx, socketKey{}, s), channel)
}

// KickOutAll removes the socket from all its channels; see [Socket.KickOut].
func (s *Socket) KickOutAll(ctx context.Context, message any) error {
	raw, err := encodeData(message)
	if err != nil {
		return err
	}
	var left []string
	for channel := range s.Subscriptions() {
		if s.kickOut(channel, raw) {
			left = append(left, channel)
		}
	}
	return s.haveLeft(context.WithValue(ctx, socketKey{}, s), left...)
}

func (s *Socket) kickOut(channel string, message []byte) bool {
	return s.exitWith(channel, kickOutPacket(channel, message))
}
