package socketcluster

import (
	"context"
	"time"
)

// With Compat.TokenAfterAnswer, packets about the token are sent after the
// answer to the call whose handler has changed the token, and in a later turn
// of the client, see barrier.go. All other packets are sent as usual, so that a
// handler may wait for the client before it answers.

// owed is a packet about the token that waits for the answer to a call. The socket's
// mu guards it.
type owed struct {
	call   *Call
	packet []byte
	timer  *time.Timer
}

// owes returns the call whose answer must come before packets about the token
// under ctx, or nil. mu must be held.
func (s *Socket) owes(ctx context.Context) *Call {
	if !s.srv.cfg.Compat.TokenAfterAnswer {
		return nil
	}
	c := callOf(ctx)
	if c == nil || c.Socket != s || c.original().answerSent {
		return nil
	}
	return c.original()
}

// owe keeps back a packet until a call has been answered. If it is not
// answered, the packet waits as long as the client waits for the answer. mu
// must be held.
func (s *Socket) owe(packet []byte, call *Call) {
	o := &owed{call: call, packet: packet}
	o.timer = time.AfterFunc(s.srv.cfg.Timeouts.Ack, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.ext.owed == o {
			s.payOwed()
		}
	})
	s.extend().owed = o
}

// payOwed sends the packets that are kept back. mu must be held.
func (s *Socket) payOwed() {
	packet := s.ext.owed.packet
	s.forgetOwed()
	s.sendToken(packet, nil)
}

// forgetOwed drops the packets that are kept back. mu must be held.
func (s *Socket) forgetOwed() {
	if s.ext != nil && s.ext.owed != nil {
		s.ext.owed.timer.Stop()
		s.ext.owed = nil
	}
}

// noteAnswer records that the answer to a call has been sent.
func (s *Socket) noteAnswer(call *Call) {
	if !s.srv.cfg.Compat.TokenAfterAnswer {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	call.answerSent = true
	s.mustAct(false)
	if s.ext != nil && s.ext.owed != nil && s.ext.owed.call == call {
		s.payOwed()
	}
}
