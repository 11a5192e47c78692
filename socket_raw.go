package socketcluster

import (
	"bytes"

	"github.com/socketcluster-go/socketcluster/internal/account"
	"github.com/socketcluster-go/socketcluster/internal/ws"
)

// rawWorker runs the raw inbound middleware of a socket. It has a queue of its
// own before the inbox, so that a message passes the middleware when it
// arrives, however many wait for their turn (MW-11).
type rawWorker Socket

// hasRaw reports whether a message passes the raw inbound middleware. Only the
// reading goroutine calls it.
func (s *Socket) hasRaw() bool {
	// While messages are in the queue, none may overtake them.
	return s.srv.middleware.has(lineInboundRaw) || s.stats.raw.Load() > 0
}

// pushRaw passes a message to the raw inbound middleware. It waits while too many
// wait for that. Only the reading goroutine calls it.
func (s *Socket) pushRaw(msg ws.Message) {
	s.stats.raw.Add(1)
	if !s.extended().raw.PushWait(msg, (*rawWorker)(s), s.srv.cfg.Limits.Inbox) {
		s.stats.raw.Add(-1)
		s.count(account.Messages, -inboxSize(msg))
		msg.Release()
	}
}

// Waiting implements lane.Handler's hook: too many wait for the middleware.
func (w *rawWorker) Waiting() { w.srv.hit(limitInbox) }

// Handle implements lane.Handler.
func (w *rawWorker) Handle(msg ws.Message) {
	s := (*Socket)(w)
	defer s.stats.raw.Add(-1)
	size := inboxSize(msg)
	if s.State() == Closed {
		s.count(account.Messages, -size)
		msg.Release()
		return
	}
	a := &RawMessage{Socket: s, Binary: msg.Binary, Data: bytes.Clone(msg.Data)}
	msg.Release()
	if s.srv.runMiddleware(s.Context(), s, a) != nil {
		s.stats.processed.Add(1)
		s.count(account.Messages, -size)
		return
	}
	if msg := (ws.Message{Binary: a.Binary, Data: a.Data}); !s.takesAtOnce(msg, size) {
		s.pushInbox(msg, size)
	}
}
