package socketcluster

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/account"
	"github.com/socketcluster-go/socketcluster/internal/guard"
	"github.com/socketcluster-go/socketcluster/internal/ws"
	"github.com/socketcluster-go/socketcluster/wire"
)

// Reserved event names (RPC-3).
const (
	eventHandshake       = "#handshake"
	eventAuthenticate    = "#authenticate"
	eventSetAuthToken    = "#setAuthToken"
	eventRemoveAuthToken = "#removeAuthToken"
	eventPublish         = "#publish"
	eventSubscribe       = "#subscribe"
	eventUnsubscribe     = "#unsubscribe"
)

// inboxItem is a message.
type inboxItem struct {
	msg  ws.Message
	size int       // inboxSize of the message as it arrived
	read time.Time // if it is handled where it was read: when that was
}

// inboxWorker handles the received messages of a socket, one at a time.
type inboxWorker Socket

// Handle implements lane.Handler.
func (w *inboxWorker) Handle(in inboxItem) {
	s := (*Socket)(w)
	defer s.count(account.Messages, -in.size)
	defer in.msg.Release()
	s.stats.processed.Add(1)
	now := in.read
	if !s.here {
		now = time.Now()
	}
	s.process(in.msg.Data, in.msg.Binary, now)
}

// Waiting implements lane.Handler's hook: the inbox is full.
func (w *inboxWorker) Waiting() { w.srv.hit(limitInbox) }

// Panicked implements lane.Handler's hook: a panic that a packet causes ends
// only its own connection (QK-52). Panics in handlers and middleware are
// recovered earlier; this is for brokers and the like.
func (w *inboxWorker) Panicked(v any) {
	s := (*Socket)(w)
	guard.Recovered(s.srv.log, "what a message has set off", v, slog.String("socket", s.ID()))
	s.closeWith(wire.CloseInternal)
}

// process handles a message whose turn came at the time now.
func (s *Socket) process(data []byte, binary bool, now time.Time) {
	if s.hears(kindMessage) {
		s.emit(MessageEvent{s, binary, bytes.Clone(data)})
	}
	if s.isPong(data, binary) {
		if s.State() == Connecting {
			s.early()
		}
		return
	}
	packets, err := s.decode(data, binary)
	if err != nil {
		s.undecodable(err)
		return
	}
	d := decoders.Get().(*wire.Decoder)
	defer decoders.Put(d)
	if err := d.Reset(packets, s.wireLimits()); err != nil {
		l := &s.srv.cfg.Limits
		exceeded, is := limitDepth, l.Depth
		if errors.Is(err, wire.ErrBatchTooLarge) {
			exceeded, is = limitBatchSize, l.BatchSize
		}
		err = fmt.Errorf("%w: %s", err, s.exceeded(exceeded, is))
		s.emitError(err)
		s.disconnect(wire.ClosePolicy, "", err.Error())
		return
	}
	var p wire.Packet
	for d.Next(&p) {
		s.passTail()
		if !s.handle(&p, data, binary, now) {
			return
		}
	}
}

// early handles messages before the handshake (HS-7).
func (s *Socket) early() {
	if !s.srv.cfg.Compat.LenientHandshake {
		s.closeWith(wire.CloseEarlyMessage)
	}
}

// handle handles one packet. Slices that alias the message must be copied if
// they outlive the call. It returns false if the socket has closed before.
func (s *Socket) handle(p *wire.Packet, message []byte, binary bool, now time.Time) bool {
	s.mu.Lock()
	s.awaitEvents()
	state := s.state
	s.hearPacket()
	s.mu.Unlock()
	if state == Closed {
		return false
	}
	isCall := p.Kind == wire.KindInvoke
	isEvent := isCall || p.Kind == wire.KindTransmit
	if isEvent && string(p.Event) == eventHandshake {
		s.handleHandshake(p, isCall, state)
		return true
	}
	switch {
	case state == Connecting:
		s.early()
	case p.Kind == wire.KindResponse:
		s.calls.Load().Answer(p)
	case !s.throttle(rateOf(p), now):
	case isEvent:
		s.handleEvent(p, isCall, now)
	case s.hears(kindRaw):
		s.emit(RawEvent{s, binary, bytes.Clone(message)})
	}
	return true
}

// rateOf returns the class for whose rate a packet counts.
func rateOf(p *wire.Packet) rateClass {
	switch string(p.Event) {
	case eventAuthenticate, eventRemoveAuthToken:
		return rateAuthentications
	case eventPublish:
		return ratePublications
	case eventSubscribe, eventUnsubscribe:
		return rateSubscriptions
	}
	return rateCalls
}

func (s *Socket) handleEvent(p *wire.Packet, isCall bool, now time.Time) {
	switch string(p.Event) {
	case eventAuthenticate:
		s.handleAuthenticate(p, isCall)
		return
	case eventRemoveAuthToken:
		if isCall && s.version != wire.Version1 { // clients up to v5.0 add a cid to everything that they send
			s.emitError(invalidAction("A call of #removeAuthToken is not answered; transmit it instead"))
		}
		s.takeLogout()
		return
	}
	expired := s.expireNow()
	switch string(p.Event) {
	case eventPublish:
		s.handlePublish(p, isCall, expired)
	case eventSubscribe:
		s.handleSubscribe(p, isCall, expired)
	case eventUnsubscribe:
		s.handleUnsubscribe(p, isCall)
	default:
		if s.handledAsCall(p, isCall) {
			s.handleInvoke(p, expired, now)
		} else {
			s.handleTransmit(p, expired)
		}
	}
}

// refuse emits an error and, if the packet is a call, answers with it.
func (s *Socket) refuse(p *wire.Packet, isCall bool, err *wire.Error) {
	s.emitError(err)
	if isCall {
		s.respond(p.ID, nil, s.srv.cutText(err))
	}
}

func (s *Socket) handleTransmit(p *wire.Packet, expired error) {
	given := cloneRaw(p.Data)
	t := &Transmission{Socket: s, Receiver: s.srv.handlers.transmissions.Name(p.Event), Data: given, approval: approval{given: given}}
	blocked := letIn(t, expired)
	if blocked == nil {
		dispatch(t, s.here)
	}
	s.respondTo(p, blocked)
}

func (s *Socket) handleInvoke(p *wire.Packet, expired error, now time.Time) {
	given := cloneRaw(p.Data)
	c := &Call{Socket: s, ID: p.ID, Procedure: s.srv.handlers.calls.Name(p.Event), Data: given, approval: approval{given: given}, began: now, oneWay: p.Kind == wire.KindTransmit}
	if blocked := letIn(c, expired); blocked != nil {
		s.respondTo(p, blocked)
		return
	}
	dispatch(c, s.here)
}

// askMiddleware runs the inbound middleware for a packet of the client until it has
// allowed it in an epoch that has not ended meanwhile. ask is not called if no
// middleware sees the type of the action. expired is the error for the action.
func (s *Socket) askMiddleware(actionType string, expired error, ask func(expired error) *wire.Error) (epoch uint32, blocked *wire.Error) {
	for range maxAsks {
		epoch = s.token.epoch.Load()
		if s.discards.Load() {
			return epoch, errNotWritable
		}
		if !s.srv.middleware.sees(lineInbound, actionType) {
			return epoch, nil
		}
		if blocked := ask(expired); blocked != nil {
			return epoch, blocked
		}
		if s.token.inForce(epoch) {
			return epoch, nil
		}
		expired = s.expireNow()
	}
	s.emitError(errTokenUnsteady)
	return epoch, errTokenUnsteady
}

// errTokenUnsteady is the error for a packet about which middleware cannot
// decide because the token changes each time it runs.
var errTokenUnsteady = &wire.Error{Name: wire.ErrAuth.Name, Message: "The token changes while middleware decides"}

// cloneRaw copies JSON out of a message. Absent stays absent.
func cloneRaw(raw []byte) json.RawMessage { return bytes.Clone(raw) }
