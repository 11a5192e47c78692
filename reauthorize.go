package socketcluster

import (
	"encoding/json"
	"log/slog"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/wire"
)

// When the token of a socket changes, its subscriptions are authorized again:
// the inbound middleware sees a Subscribe action for each of them, with Again
// set. What it blocks is kicked out, but for subscriptions that the client has
// asked for with waitForAuth. Those the client goes on to take for its own
// after a logout, so that they are suspended, and resumed by the next login
// that middleware lets in.

// request is what a client has asked for with a subscription, as far as it is
// needed to authorize it again. Most subscriptions have none.
type request struct {
	waitForAuth bool
	suspended   bool // the socket is not in the channel at present
	data        json.RawMessage
}

// size is how much of the budget it takes.
func (r request) size(channel string) int {
	n := len(r.data) + requestCost
	if r.suspended {
		n += len(channel) // which nobody else has
	}
	return n
}

// queueReauthorize has the inbox authorize the subscriptions again, behind
// what it holds already. mu must be held.
func (s *Socket) queueReauthorize() {
	if s.srv.cfg.KeepSubscriptions || s.reauthorizing || s.state != Open || !s.srv.middleware.has(lineInbound) {
		return
	}
	if s.subs.len() == 0 && (s.ext == nil || s.ext.suspended == 0) {
		return
	}
	s.reauthorizing = s.inbox.Push(inboxItem{reauthorize: true}, (*inboxWorker)(s))
}

// authorizedWith queues it if the token is no longer the one with which a
// subscription has just been authorized.
func (s *Socket) authorizedWith(token *auth.Token) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token.Load() != token {
		s.queueReauthorize()
	}
}

// reauthorizePending does what queueReauthorize has queued, unless it has been
// done ahead of its turn. It runs on the inbox worker.
func (s *Socket) reauthorizePending() {
	s.mu.Lock()
	pending := s.reauthorizing
	s.mu.Unlock()
	if pending {
		s.reauthorize()
	}
}

// reauthorize runs on the inbox worker.
func (s *Socket) reauthorize() {
	token := s.token.Load()
	defer s.authorizedWith(token)
	s.mu.Lock()
	s.reauthorizing = false
	held := s.subs.names()
	var suspended []string
	if s.ext != nil {
		for channel, r := range s.ext.requests {
			if r.suspended {
				suspended = append(suspended, channel)
			}
		}
	}
	s.mu.Unlock()
	for _, channel := range held {
		if blocked := s.authorizeAgain(channel); blocked != nil && !s.suspend(channel) {
			// It fails only if the socket has left the channel meanwhile.
			_ = s.KickOut(s.Context(), channel, blocked.Message)
		}
	}
	if token == nil {
		return
	}
	for _, channel := range suspended {
		s.resume(channel, s.authorizeAgain(channel))
	}
}

// authorizeAgain asks the inbound middleware about a subscription.
func (s *Socket) authorizeAgain(channel string) *wire.Error {
	return s.srv.runMiddleware(s.Context(), s, &Subscribe{Socket: s, Channel: channel, Data: s.requestOf(channel).data, Again: true})
}

func (s *Socket) requestOf(channel string) request {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ext == nil {
		return request{}
	}
	return s.ext.requests[channel]
}

// keepRequest remembers a subscription's request. mu must be held.
func (s *Socket) keepRequest(channel string, r request) {
	s.forgetRequest(channel)
	if !r.waitForAuth && r.data == nil || s.srv.cfg.KeepSubscriptions {
		return
	}
	x := s.extend()
	if x.requests == nil {
		x.requests = make(map[string]request)
	}
	x.requests[channel] = r
	s.keep(r.size(channel))
}

// forgetRequest reports whether the subscription was suspended. mu must be
// held.
func (s *Socket) forgetRequest(channel string) (suspended bool) {
	if s.ext == nil {
		return false
	}
	r, ok := s.ext.requests[channel]
	if !ok {
		return false
	}
	if r.suspended {
		s.ext.suspended--
	}
	s.keep(-r.size(channel))
	delete(s.ext.requests, channel)
	return r.suspended
}

// forgetSuspended drops a suspended subscription, if there is one.
func (s *Socket) forgetSuspended(channel string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.forgetRequest(channel)
}

// suspendedLocked counts the suspended subscriptions to other channels. mu
// must be held.
func (s *Socket) suspendedLocked(channel string) int {
	if s.ext == nil {
		return 0
	}
	n := s.ext.suspended
	if s.ext.requests[channel].suspended {
		n--
	}
	return n
}

// suspend takes a logged-out socket out of a channel without telling the
// client. It reports false if the subscription is not to be suspended.
func (s *Socket) suspend(channel string) bool {
	s.mu.Lock()
	if s.ext == nil || !s.ext.requests[channel].waitForAuth || s.token.Load() != nil {
		s.mu.Unlock()
		return false
	}
	r := s.ext.requests[channel]
	s.mu.Unlock()
	if !s.unsubscribe(channel, nil) {
		return true // it has left meanwhile
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == Open {
		r.suspended = true
		s.keepRequest(channel, r)
		s.ext.suspended++
	}
	return true
}

// resume takes a socket back into a channel, or tells the client that it is
// out of it for good.
func (s *Socket) resume(channel string, blocked *wire.Error) {
	s.mu.Lock()
	if s.ext == nil || !s.ext.requests[channel].suspended {
		s.mu.Unlock()
		return
	}
	r := s.ext.requests[channel]
	s.forgetRequest(channel)
	s.mu.Unlock()
	if blocked == nil {
		r.suspended = false
		options := withData(json.RawMessage(`{"waitForAuth":true}`), r.data)
		if blocked = s.subscribe(channel, options, r); blocked == nil {
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
	if s.state == Open {
		s.sendLocked(wire.AppendKickOut(packetBuffer(channel, message), channel, message))
	}
}
