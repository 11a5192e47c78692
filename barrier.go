package socketcluster

import (
	"time"

	"github.com/socketcluster-go/socketcluster/internal/ws"
)

// The answers to #handshake and #authenticate tell a client who it is. A stock
// client acts on an answer when the promise of its call settles: after all packets
// of the same batch, and in Node.js after all frames of the same TCP segment. So it
// overwrites what a packet behind the answer has told it about its token (QK-53). The
// answer cannot tell it, as it has no room for a token.
//
// Therefore a packet that gives the client a token, or takes it away, must reach it
// in a later turn of its loop than the answer. A barrier between the two sees to
// that: a ping of the protocol, which the client answers in the turn in which it
// reads it. What is sent behind the ping is held, in order, until the pong has come.
//
// Where no such packet follows an answer there is no barrier.

// turns is what is known of how far the client is with the last answer that it has
// to act on. The socket's mu guards it.
type turns struct {
	pings   uint8 // that have not been answered
	behind  uint8 // how many pongs are to come until the client has certainly acted; see onlyBarrier
	unheard bool  // the answer is that of the handshake, and the client has sent nothing since
	told    bool  // of a token, or of none, since the client's last one came; see verdict
}

// onlyBarrier is in place of a number for an answer that may still wait in the
// outbound lane or in a batch.
const onlyBarrier = 0xff

// maxPings is where the count of pings ends, for a client that answers none.
const maxPings = onlyBarrier - 2

// mustAct takes note of an answer that the client has to act on before it may be
// told of another token. mu must be held.
func (s *Socket) mustAct(handshake bool) {
	s.turns.unheard = handshake
	s.turns.behind = s.turns.pings + 1
	if s.outQueued.Load() > 0 || s.batching() {
		s.turns.behind = onlyBarrier
	}
}

// hearPacket takes note of a packet of the client's. A stock client sends none
// before it has acted on the answer to its handshake. mu must be held.
func (s *Socket) hearPacket() {
	if s.turns.unheard {
		s.turns.unheard, s.turns.behind = false, 0
	}
}

// pinged takes note of a ping that was queued in front of what waits. If it
// overtakes something, its pong says nothing of an answer or of the ping of a barrier
// that may be there. mu must be held.
func (s *Socket) pinged(queued, overtakes bool) {
	if !queued {
		return
	}
	t := &s.turns
	t.pings = min(t.pings+1, maxPings)
	if !overtakes {
		return
	}
	if t.behind > 0 && t.behind < maxPings {
		t.behind++
	}
	if s.ext != nil && s.ext.batch.barrier != nil {
		b := s.ext.batch.barrier
		b.pongs = min(b.pongs+1, maxPings)
	}
}

// hearPong takes note of a pong as it arrives: what waits for it may hold up the
// inbox.
func (s *Socket) hearPong() {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := &s.turns
	t.pings -= min(t.pings, 1)
	if t.behind != onlyBarrier {
		t.behind -= min(t.behind, 1)
	}
	if s.ext == nil || s.ext.batch.barrier == nil {
		return
	}
	if b := s.ext.batch.barrier; b.pongs > 1 {
		b.pongs--
	} else {
		s.pass()
	}
}

// barrier is a ping whose pong is to come, and with it the end of what is held.
// The socket's mu guards it.
type barrier struct {
	pongs uint8 // how many pongs are to come until it is that one
	timer *time.Timer
	over  chan struct{} // closed when nothing is held any more
}

// sendToken sends a packet that gives the client a token or takes it away: behind the
// answer to a call, if that is not nil. One that still waits for another answer is of
// no use any more. mu must be held.
func (s *Socket) sendToken(packet []byte, after *Call) {
	s.forgetOwed()
	if after != nil {
		s.owe(packet, after)
		return
	}
	s.turns.told = true
	if s.ext != nil && s.ext.verdict != nil {
		s.pronounce(s.ext.verdict)
	}
	if s.turns.behind > 0 {
		s.turns.behind = 0
		if s.queuesOut() {
			s.throughMiddleware(s.extend(), outboundItem{barrier: true})
		} else {
			s.raiseBarrier()
		}
	}
	s.sendLocked(packet)
}

// raiseBarrier sends a ping, and holds what is sent from then on, up to Limits.Outbox.
// For clients that do not answer pings there is an end to it, early enough for the
// answer to a call of the server that waits behind it. mu must be held.
func (s *Socket) raiseBarrier() {
	if s.state != Open {
		return
	}
	b := &s.extend().batch
	if b.barrier != nil {
		s.addToBatch(part{barrier: true})
		return
	}
	s.flushLocked() // the answer may be there
	raised := &barrier{pongs: s.turns.pings + 1, over: make(chan struct{})}
	raised.timer = time.AfterFunc(s.srv.cfg.Timeouts.Ack/2, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if b.barrier == raised {
			s.turns.pings = 0 // nobody answers them, or one was lost
			s.pass()
		}
	})
	b.barrier = raised
	s.turns.pings = min(s.turns.pings+1, maxPings)
	s.pushFrame(s.nextPingFrame(s.srv.moment(time.Now()))) // behind the answer
}

// pass ends a barrier: what it has held is sent, up to the next one if there is
// another, less the publications to which the right has ended by the clock. mu must be
// held.
func (s *Socket) pass() {
	b := &s.ext.batch
	b.barrier.timer.Stop()
	close(b.barrier.over)
	b.barrier = nil
	held := s.takeBatch()
	for i, p := range held {
		switch {
		case p.barrier:
			if s.raiseBarrier(); b.barrier != nil {
				s.setBatch(held[i+1:])
				return
			}
		case p.flush:
			s.flushLocked()
		case p.op != 0:
			s.pushFrame(ws.Seal(p.packet, p.op))
		case p.batched:
			s.addToBatch(p)
		default:
			s.writeAlone(p)
		}
	}
}
