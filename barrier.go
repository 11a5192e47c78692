package socketcluster

import (
	"time"

	"github.com/socketcluster-go/socketcluster/internal/ws"
)

// The answers to #handshake and #authenticate give a client its identity. A
// stock client acts on an answer when the promise of its call settles: after
// all packets of the same batch, and in Node.js after all frames of the same
// TCP segment. So it overwrites what it learned about its token from a packet
// after the answer (QK-53). The answer itself has no room for a token.
//
// Therefore a packet that gives the client a token, or takes it away, must
// reach it in a later turn of its loop than the answer. A barrier between the
// two ensures this: a ping of the protocol, which the client answers in the
// turn in which it reads it. Packets after the ping are held, in order, until
// the pong has arrived.
//
// If no such packet follows an answer, there is no barrier.

// turns records whether the client has acted on the last answer that gives it
// an identity. The socket's mu guards it.
type turns struct {
	pings  uint8 // that have not been answered
	behind uint8 // the number of pongs until the client has certainly acted; see onlyBarrier
	given  uint8 // like behind, for what has given the client its identity last; see crossing.go
	is     turnBits
}

// turnBits are two facts in a byte, as each socket has them.
type turnBits uint8

const (
	unheard  turnBits = 1 << iota // the answer is that of the handshake, and the client has sent nothing since
	notified                      // of a token, or of none, since the client's last one arrived; see verdict
)

func (b turnBits) has(bit turnBits) bool { return b&bit != 0 }

func (b *turnBits) set(bit turnBits, is bool) {
	if *b &^= bit; is {
		*b |= bit
	}
}

// onlyBarrier replaces the number if the answer may still wait in the outbound
// lane or in a batch.
const onlyBarrier = 0xff

// maxPings is the limit of the count of pings, for a client that answers none.
const maxPings = onlyBarrier - 2

// mustAct records an answer on which the client has to act before it may
// receive another token. mu must be held.
func (s *Socket) mustAct(handshake bool) {
	s.turns.is.set(unheard, handshake)
	s.turns.behind = s.turns.pings + 1
	if s.outQueued.Load() > 0 || s.batching() {
		s.turns.behind = onlyBarrier
	}
}

// hearPacket records a packet of the client. A stock client sends none before
// it has acted on the answer to its handshake. mu must be held.
func (s *Socket) hearPacket() {
	if s.turns.is.has(unheard) {
		s.turns.is.set(unheard, false)
		s.turns.behind = 0
	}
}

// pinged records a ping that was queued before all waiting frames. If it
// overtakes some, they may include an answer or the ping of a barrier, and its
// pong proves nothing about these. mu must be held.
func (s *Socket) pinged(queued, overtakes bool) {
	if !queued {
		return
	}
	t := &s.turns
	t.pings = min(t.pings+1, maxPings)
	if !overtakes {
		return
	}
	for _, n := range []*uint8{&t.behind, &t.given} {
		if *n > 0 && *n < maxPings {
			*n++
		}
	}
	if s.ext != nil && s.ext.batch.barrier != nil {
		b := s.ext.batch.barrier
		b.pongs = min(b.pongs+1, maxPings)
	}
}

// hearPong records a pong when it arrives, not in the inbox, which may wait for
// what the pong releases.
func (s *Socket) hearPong() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hearPongLocked()
}

// hearPongLocked is hearPong with mu held.
func (s *Socket) hearPongLocked() {
	s.ponged = true
	t := &s.turns
	t.pings -= min(t.pings, 1)
	for _, n := range []*uint8{&t.behind, &t.given} {
		if *n != onlyBarrier {
			*n -= min(*n, 1)
		}
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

// barrier is a ping whose pong releases the packets that are held. The socket's
// mu guards it.
type barrier struct {
	pongs uint8 // the number of pongs until that one
	timer *time.Timer
	over  chan struct{} // closed when nothing is held any more
}

// sendToken sends a packet that gives the client a token or takes it away:
// after the answer to a call, if after is not nil. A packet that still waits
// for another answer is obsolete. mu must be held.
func (s *Socket) sendToken(packet []byte, after *Call) {
	s.forgetOwed()
	if after != nil {
		s.owe(packet, after)
		return
	}
	s.turns.is.set(notified, true)
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
	s.noteGiven()
}

// raiseBarrier sends a ping, and holds all later packets, up to Limits.Outbox.
// For clients that do not answer pings it ends by itself, early enough for a
// call of the server that waits behind it to be answered. mu must be held.
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
			s.turns.pings = 0 // the client does not answer them, or one was lost
			s.pass()
		}
	})
	b.barrier = raised
	s.turns.pings = min(s.turns.pings+1, maxPings)
	s.pushFrame(s.nextPingFrame(s.srv.moment(time.Now()))) // behind the answer
}

// pass ends a barrier and sends what it has held, up to the next one if there
// is another, except publications whose right has expired. mu must be held.
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
