package socketcluster

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/account"
	"github.com/socketcluster-go/socketcluster/internal/outbox"
	"github.com/socketcluster-go/socketcluster/internal/ws"
	"github.com/socketcluster-go/socketcluster/wire"
)

// Disconnect closes the socket. A code of 0 means 1000, after which stock
// clients do not connect again; neither do they from 4500 on. The reason is cut
// to 123 bytes. Disconnect does not wait for the client, but it waits for event
// handlers, and for the broker if the socket was the last subscriber of a
// channel on this node.
//
// It fails, and changes nothing, if the code may not be sent. The codes 1000 to
// 1014 may be sent, except 1004 to 1006, and so may 3000 to 4999.
func (s *Socket) Disconnect(code wire.CloseCode, reason string) error {
	if code == 0 {
		code = wire.CloseNormal
	}
	if !code.Sendable() {
		return &wire.Error{
			Name:    wire.ErrInvalidArguments.Name,
			Message: fmt.Sprintf("The close code %d may not be sent", int(code)),
		}
	}
	reason = wire.TruncateReason(reason)
	s.disconnect(code, reason, reason)
	return nil
}

// closeWith closes the socket for a reason of the protocol. The frame has no
// text, because the code implies it (TR-32).
func (s *Socket) closeWith(code wire.CloseCode) { s.disconnect(code, "", "") }

// disconnect closes the socket. The client receives the text sent; events have
// reason.
func (s *Socket) disconnect(code wire.CloseCode, sent, reason string) {
	if s.destroy(code, reason) {
		s.finish(code, sent)
	}
}

// finish sends the close frame after everything else. The reading goroutine
// continues until the peer's close frame, for which there is a time limit once
// ours has been written.
func (s *Socket) finish(code wire.CloseCode, reason string) {
	s.out.Finish(ws.CloseFrame(code, reason))
}

// Terminate drops the connection without a close frame.
func (s *Socket) Terminate() {
	s.out.Kill()
	s.destroy(wire.CloseAbnormal, "")
	s.conn.Close()
}

// ending is the reason why a socket ends, if it must be known before the socket
// has closed: whoever first notices that the connection is gone reads it. A
// larger one replaces a smaller one.
type ending uint32

const (
	serverLeaves ending = iota + 1 // nothing more is taken from the client, see settle
	clientCloses                   // its messages are still being handled, see finishInbox
	overBudget                     // the server has no room for what it holds
	slowClient                     // it did not read what it was sent
)

// endFor sets the reason why the socket ends. It returns false if there was
// already the same or a larger one.
func (s *Socket) endFor(why ending) bool {
	for {
		was := s.ending.Load()
		if was >= uint32(why) {
			return false
		}
		if s.ending.CompareAndSwap(was, uint32(why)) {
			return true
		}
	}
}

// endsFor reports whether the socket ends for this reason.
func (s *Socket) endsFor(why ending) bool { return s.ending.Load() == uint32(why) }

// explain returns the code and the reason for the events of the end of a
// socket.
func (s *Socket) explain(code wire.CloseCode, reason string) (wire.CloseCode, string) {
	if code == wire.CloseAbnormal {
		switch ending(s.ending.Load()) {
		case slowClient:
			return wire.ClosePolicy, "The client does not read fast enough"
		case overBudget:
			return wire.CloseTryAgainLater, overBudgetText
		}
	}
	if reason == "" && !code.Ignored() {
		reason = code.Text()
	}
	return code, reason
}

// overflow ends a socket whose client reads too slowly. It may be called with
// mu or the locks of the hub held.
func (s *Socket) overflow() {
	if !s.endsFor(slowClient) {
		s.srv.hit(limitOutboxDrain)
	}
	s.dropUnread()
}

// dropUnread ends a socket because too much waits for its client.
func (s *Socket) dropUnread() {
	first := s.endFor(slowClient)
	s.out.Kill()
	s.conn.Close()
	if first {
		go func() {
			s.srv.log.Debug("slow client disconnected", slog.String("socket", s.ID()))
			s.destroy(wire.CloseAbnormal, "")
		}()
	}
}

// destroy closes the socket, emits the events, and leaves its channels. It
// returns false if the socket was closed before.
func (s *Socket) destroy(code wire.CloseCode, reason string) bool {
	end, ok := s.cut(code, reason)
	if ok {
		end()
	}
	return ok
}

// cut closes the socket without blocking. end does the rest, and waits for
// event handlers and the broker. ok is false if the socket was closed before.
func (s *Socket) cut(code wire.CloseCode, reason string) (end func(), ok bool) {
	code, reason = s.explain(code, reason)
	was, ok := s.becomeClosed()
	if !ok {
		return nil, false
	}
	s.closeInbound()
	s.abortCalls(code, reason)
	return func() {
		s.emitClosed(was, code, reason)
		s.leaveAll()
		s.emitEnd()
	}, true
}

// becomeClosed changes the state together with everything that depends on it
// under mu: from then on nothing is sent, scheduled, withheld or asked.
func (s *Socket) becomeClosed() (was State, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was = s.state
	if was == Closed {
		return was, false
	}
	if s.ext != nil && s.ext.owed != nil {
		s.payOwed()
	}
	for s.ext != nil && s.ext.batch.barrier != nil {
		s.pass() // packets that are held leave before the close frame
	}
	s.state = Closed
	s.srv.unregister(s, was)
	if s.ledger.Close() { // before the connection can be released: revocations must find it all the time
		s.srv.noteOrphan(s)
	}
	s.srv.claims.replace(s, s.token.Load(), nil)
	s.token.renewAt(0)
	s.deadline = 0
	s.schedule(time.Now())
	if s.ext != nil {
		s.ext.batch.stop()
		s.ledger.Set(account.Batch, 0)
		s.endRound()
		s.discardWithheld(nil)
		if s.ext.done != nil {
			close(s.ext.done)
		}
	}
	return was, true
}

// closeInbound drops messages of the client that are not in handlers yet, and
// ends the loops after the others.
func (s *Socket) closeInbound() {
	s.endStreams()
	if x := s.extension(); x != nil {
		x.raw.Close(func(msg ws.Message) {
			s.stats.raw.Add(-1)
			s.count(account.Messages, -inboxSize(msg))
			msg.Release()
		})
	}
	s.inbox.Close(func(in inboxItem) {
		s.count(account.Messages, -in.size)
		in.msg.Release()
	})
}

// emitClosed emits the events of the end, except those of channels.
func (s *Socket) emitClosed(was State, code wire.CloseCode, reason string) {
	s.update(func() {
		if was == Connecting {
			queue(s, ConnectAbortEvent{s, code, reason})
		} else {
			queue(s, DisconnectEvent{s, code, reason})
		}
		queue(s, CloseEvent{s, code, reason})
		if !code.Ignored() {
			s.queueError(wire.NewSocketProtocolError(code, reason))
		}
		if !s.srv.cfg.Compat.KeepRequest {
			s.forgetUpgrade()
		}
	})
}

// emitEnd emits the last event, and drops what waits for the outbound middleware.
func (s *Socket) emitEnd() {
	var x *extension
	s.update(func() {
		s.ledger.Set(account.Subscriptions, 0) // of suspended ones
		if x = s.ext; x == nil {
			s.endEmitted = true
			return
		}
		// This happens even if nobody listens, because this event ends the
		// loops over events.
		x.events = append(x.events, EndEvent{s})
	})
	if x != nil {
		x.outbound.Close(func(item outboundItem) { s.unqueue(&item) })
	}
}

// outboxPeer is the socket as the owner of its outbox, and its connection.
type outboxPeer Socket

// WriteFrames implements outbox.Conn.
func (p *outboxPeer) WriteFrames(frames [][]byte, stall time.Duration) (n int, err error) {
	return p.conn.WriteFrames(frames, stall)
}

// AwaitWrite implements outbox.Conn.
func (p *outboxPeer) AwaitWrite(stall time.Duration) error { return p.conn.AwaitWrite(stall) }

// Prompt implements outbox.Conn.
func (p *outboxPeer) Prompt() bool { return p.conn.Prompt() }

// OutboxFailed ends the socket when the connection accepts nothing more.
func (p *outboxPeer) OutboxFailed(err error) {
	s := (*Socket)(p)
	stalled := errors.Is(err, os.ErrDeadlineExceeded)
	if stalled {
		s.srv.hit(limitOutboxStall)
	}
	if errors.Is(err, outbox.ErrSlow) {
		if !stalled {
			s.overflow()
		}
		s.dropUnread()
	}
	s.conn.Close()
	if s.endsFor(clientCloses) {
		return // its messages are still handled
	}
	s.destroy(wire.CloseAbnormal, err.Error())
}

// OutboxFull makes publishers wait for the socket.
func (p *outboxPeer) OutboxFull() {
	p.srv.hit(limitOutbox)
	p.srv.crowd.add((*Socket)(p))
}

// OutboxFlushed starts the time limit for the peer's close frame.
func (p *outboxPeer) OutboxFlushed() {
	s := (*Socket)(p)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.deadline = s.srv.moment(now).add(s.srv.cfg.Timeouts.Close)
	s.schedule(now)
}
