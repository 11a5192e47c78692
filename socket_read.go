package socketcluster

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/account"
	"github.com/socketcluster-go/socketcluster/internal/ws"
	"github.com/socketcluster-go/socketcluster/wire"
)

// decoders are shared by all sockets, because one is needed only while a
// message is being decoded.
var decoders = sync.Pool{New: func() any { return new(wire.Decoder) }}

// start starts the socket on an accepted connection, unless the server has
// closed.
func (s *Socket) start(conn *ws.Conn, r *http.Request) bool {
	srv := s.srv
	s.conn = conn
	s.request = r
	shard := srv.budget.Shard(s.id[0])
	s.ledger.Init(shard)
	s.out.Init(s.peer(), &srv.outbox, shard)
	s.prompt = conn.Prompt() && conn.Polled()
	now := time.Now()
	s.seen(now)
	s.mu.Lock()
	if !srv.register(s) {
		s.mu.Unlock()
		conn.Close()
		return false
	}
	s.countUpgrade()
	s.deadline = srv.moment(now).add(srv.cfg.Timeouts.Handshake)
	s.nextPing = srv.moment(now).add(srv.cfg.Timeouts.PingInterval)
	s.schedule(now)
	queue(s, HandshakeEvent{s})
	s.mu.Unlock()
	s.drainEvents()
	go s.read()
	return true
}

// read is the goroutine of a connection. Between two messages it ends if the
// connection can be polled, or is parked otherwise; in both cases it holds no
// buffer.
//
// If it is parked, its stack is most of the memory of an idle connection: 2
// KiB, unless it has ever needed more, because the runtime does not shrink it
// below that. So calls from here are kept shallow on such connections, and other
// goroutines do deep work. If it ends, it does that work itself, see handleHere.
func (s *Socket) read() {
	corked := false
	var now time.Time // when the bytes of the message were read
	for {
		buffered := s.conn.Buffered()
		if corked && !buffered {
			s.sendCorked(true)
			corked = false
		}
		if s.conn.Park(s.expectsMore()) {
			return // continues in another goroutine when there is something to read
		}
		msg, err := s.conn.Read()
		if err != nil {
			s.sendCorked(false)
			s.lost(err)
			return
		}
		if !buffered || now.IsZero() {
			now = time.Now()
		}
		s.alive(msg, now)
		if s.version == wire.Version1 && s.disconnects(msg) {
			msg.Release()
			continue
		}
		s.pushBack.Store(pushBackBegun)
		size := inboxSize(msg)
		switch {
		case !s.takeMessage(size):
			msg.Release()
		case s.endsFor(serverLeaves):
			if s.hasRaw() || !s.takesAtOnce(msg, size) {
				msg.Release()
				s.count(account.Messages, -size)
			}
		case s.hasRaw():
			s.sendCorked(true) // as this may wait
			corked = false
			s.pushRaw(msg)
		case s.takesAtOnce(msg, size):
		default:
			handled, reading := s.handleHere(inboxItem{msg, size, now}, corked)
			if !reading {
				return
			}
			if corked = corked || handled; !handled {
				s.sendCorked(true) // as this may wait
				corked = false
				s.pushInbox(msg, size)
			}
		}
		if s.pushBack.Load() == pushBackNoticed {
			s.seen(time.Now())
		}
		s.pushBack.Store(0)
	}
}

// sendCorked sends what the messages that were handled where they were read have made the
// server send: to the client itself, and to subscribers. With here, the caller writes the
// former, and the latter if they are few.
func (s *Socket) sendCorked(here bool) {
	s.out.Uncork(here)
	if here {
		s.srv.outbox.Crew.FlushHere()
	} else {
		s.srv.outbox.Crew.Flush()
	}
}

// messageCost is the number of bytes for which a message counts besides its
// data: for its place in a queue and the rest of its buffer. So InboxBytes
// bounds the smallest messages too.
const messageCost = 128

// inboxSize returns the number of bytes for which a message counts, from its
// arrival until it has been handled.
func inboxSize(msg ws.Message) int { return len(msg.Data) + messageCost }

// While the reading goroutine blocks with a message, nothing is read. The
// client then looks like a dead one, through no fault of its own: its pongs may
// be waiting behind messages that the server does not read. So the pong timeout
// pauses meanwhile, and starts again afterwards.
const (
	pushBackBegun   = 1 // the reading goroutine is busy with a message
	pushBackNoticed = 2 // and was so when the pong timeout was checked
)

// pushesBack reports whether the server is currently not reading from the
// client.
func (s *Socket) pushesBack() bool {
	return s.pushBack.CompareAndSwap(pushBackBegun, pushBackNoticed) || s.pushBack.Load() == pushBackNoticed
}

// lost ends a socket whose connection can no longer be read.
func (s *Socket) lost(err error) {
	defer s.srv.released(s)
	var closed *ws.CloseError
	var broken *ws.ProtocolError
	switch {
	case s.endsFor(overBudget):
		s.disconnect(wire.CloseTryAgainLater, overBudgetText, overBudgetText)
		s.finish(wire.CloseTryAgainLater, overBudgetText) // if another goroutine has not yet done so
		s.linger()
	case errors.As(err, &closed):
		s.finishInbox(closed.Code, closed.Reason)
		s.destroy(closed.Code, closed.Reason)
		echo := closed.Code
		if echo == wire.CloseNoStatus {
			echo = 0
		}
		s.out.Cork() // so that this goroutine writes the frame
		s.out.Finish(ws.CloseFrame(echo, ""))
		s.out.Uncork(true)
		s.out.Drain()
		if !s.conn.ReadAll() {
			s.linger()
		}
	case errors.As(err, &broken):
		reason := s.brokenBy(broken)
		s.emitError(&wire.Error{Message: reason})
		s.destroy(wire.CloseAbnormal, reason)
		s.out.Finish(ws.CloseFrame(broken.Code, ""))
		s.linger()
	default:
		s.destroy(wire.CloseAbnormal, "")
		s.out.Kill()
	}
	s.conn.Close()
	s.mu.Lock()
	s.gone = true
	s.ledger.Set(account.Upgrade, 0)
	s.srv.wheel.Stop(&s.timer)
	s.mu.Unlock()
	s.srv.crowd.remove(s)
}

// finishInbox lets the inbox handle the messages that the client sent before it
// closed the connection, but for no longer than the close timeout. No answer of
// the client is to come, so calls to it fail. Only the reading goroutine calls
// finishInbox. It returns as soon as the socket has closed.
func (s *Socket) finishInbox(code wire.CloseCode, reason string) {
	if s.srv.cfg.Compat.DropWaiting || s.State() != Open {
		return
	}
	s.mu.Lock() // for invokeAs: no call begins after abortCalls
	s.endFor(clientCloses)
	s.mu.Unlock()
	s.abortCalls(code, reason)
	x := s.extension()
	if (x == nil || !x.raw.Busy()) && !s.inbox.Busy() && len(s.publicationQueues()) == 0 {
		return
	}
	s.pushBack.Store(pushBackBegun) // nothing is read, so pongs cannot arrive
	timeout := time.NewTimer(s.srv.cfg.Timeouts.Close)
	defer timeout.Stop()
	if x != nil {
		select {
		case <-x.raw.Idle():
		case <-timeout.C:
			return
		}
	}
	select {
	case <-s.inbox.Idle():
	case <-timeout.C:
		return
	}
	for _, q := range s.publicationQueues() { // which the inbox may not have waited for
		select {
		case <-q.lane.Idle():
		case <-timeout.C:
			return
		}
	}
}

// brokenBy returns the reason for the events of a message that cannot be read.
func (s *Socket) brokenBy(err *ws.ProtocolError) string {
	switch err {
	case ws.ErrTooBig:
		return err.Reason + ": " + s.exceeded(s.messageSize())
	case ws.ErrFragments, ws.ErrStreams:
		return err.Reason + ": " + s.exceeded(limitFragments, s.srv.cfg.Limits.Fragments)
	}
	return err.Reason
}

// messageSize returns the current limit of a message, and its value.
func (s *Socket) messageSize() (limit, int) {
	if s.State() == Connecting {
		return limitHandshakeMessageSize, s.srv.cfg.Limits.HandshakeMessageSize
	}
	return limitMessageSize, s.srv.cfg.Limits.MessageSize
}

// exceeded counts and logs that a message has exceeded a limit, which ends the
// socket, and returns the reason with the limit for the events.
func (s *Socket) exceeded(l limit, is int) string {
	s.hit(l, "a client is disconnected: its message is more than the limit allows", slog.Int("is", is))
	return fmt.Sprintf("%v is %d", l, is)
}

// lingerBytes is the number of bytes from the peer that are read and dropped
// while a close frame is on its way. Closing with unread bytes would reset the
// connection, and the peer might never see the frame.
const lingerBytes = 1 << 20

// linger waits until all queued frames have been written and the peer has
// closed the connection, or for the close timeout.
func (s *Socket) linger() {
	s.out.Drain()
	conn := s.conn.Unwrap()
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
	}
	conn.SetReadDeadline(time.Now().Add(s.srv.cfg.Timeouts.Close))
	io.CopyN(io.Discard, onlyReader{conn}, lingerBytes)
}

// onlyReader keeps io.Copy from methods of the connection that ignore limits.
type onlyReader struct{ net.Conn }

func (r onlyReader) Read(p []byte) (int, error) { return r.Conn.Read(p) }

// seen restarts the pong timeout.
func (s *Socket) seen(now time.Time) { s.lastSeen.Store(int64(s.srv.moment(now))) }

// lastSeenAt returns the moment when the pong timeout was last restarted.
func (s *Socket) lastSeenAt() moment { return moment(s.lastSeen.Load()) }

// pongResetDivisor: traffic other than pongs restarts the pong timeout only
// after this part of it has passed, as in socketcluster-server (PP-5).
const pongResetDivisor = 4

// A socket is busy, and keeps its reading goroutine, after busyAfter messages
// each of which came soon after the one before. A handshake with a few
// subscriptions stays below that.
const (
	busyAfter = 16
	busyGap   = 100 * time.Millisecond
)

// expectsMore reports whether a message is expected soon: because there were
// many, or because the handshake is to come. Only the reading goroutine calls
// it.
func (s *Socket) expectsMore() bool { return s.quick >= busyAfter || s.lastRead == 0 }

// alive counts a message, and records it as a sign of life at the time now.
func (s *Socket) alive(msg ws.Message, now time.Time) {
	at := s.srv.moment(now)
	s.arrived(at)
	pong := s.isPong(msg.Data, msg.Binary)
	if pong {
		s.learnPingForm(msg)
		s.hearPong()
	}
	if pong || time.Duration(at-s.lastSeenAt()) > s.srv.cfg.Timeouts.Ping/pongResetDivisor {
		s.seen(now)
	}
}

// arrived counts a message. Only the reader calls it.
func (s *Socket) arrived(at moment) {
	s.stats.received.Add(1)
	read := milliseconds(at)
	if read-s.lastRead > milliseconds(moment(busyGap)) {
		s.quick = 0
	} else if s.quick < busyAfter {
		s.quick++
	}
	s.lastRead = read
}

// takePong does with a pong what alive and takesAtOnce do, where the poller has read it:
// without waiting, and only if nothing but its time matters. It reports false if the message
// is something else, or may mean more; then nothing has been done.
func (s *Socket) takePong(text []byte) bool {
	srv := s.srv
	if string(text) != s.version.Pong() || srv.coded.pong != nil || s.hasRaw() || srv.budget.Over() || !s.mu.TryLock() {
		return false
	}
	defer s.mu.Unlock()
	if s.state == Connecting || s.heard(kindMessage) || s.ext != nil && s.ext.batch.barrier != nil {
		return false
	}
	now := time.Now()
	s.arrived(srv.moment(now))
	s.hearPongLocked()
	s.seen(now)
	s.stats.processed.Add(1)
	return true
}

// milliseconds returns a moment in the unit of Socket.lastRead: milliseconds, which
// wrap around after 49 days. It is never 0, which means none.
func milliseconds(at moment) uint32 { return max(uint32(time.Duration(at)/time.Millisecond), 1) }

// takesAtOnce deals with messages that need not wait for others: pongs, and answers that
// somebody waits for. size is what the message counts as.
func (s *Socket) takesAtOnce(msg ws.Message, size int) bool {
	if s.isPong(msg.Data, msg.Binary) && s.swallowPong() || s.calls.Load().Waiting() && s.takeAnswers(msg) {
		msg.Release()
		s.count(account.Messages, -size)
		return true
	}
	return false
}

// pushInbox puts a message that has passed the raw inbound middleware into the
// inbox. It waits while the inbox is full, but
// not while calls wait for answers, see callsLocked. size is the number of
// bytes for which the message counts.
func (s *Socket) pushInbox(msg ws.Message, size int) {
	if !s.inbox.PushWait(inboxItem{msg: msg, size: size}, (*inboxWorker)(s), s.srv.cfg.Limits.Inbox) {
		msg.Release()
		s.count(account.Messages, -size)
	}
}

func (s *Socket) isPong(data []byte, binary bool) bool {
	return !binary && string(data) == s.version.Pong() || s.isCodedPong(data)
}

// swallowPong reports whether only the time of a pong matters.
func (s *Socket) swallowPong() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == Connecting || s.heard(kindMessage) {
		return false
	}
	s.stats.processed.Add(1)
	return true
}

// takeAnswers passes answers to the calls that wait for them, ahead of the
// inbox, which may be waiting for one of those callers. done reports whether
// the message needs no further handling.
func (s *Socket) takeAnswers(msg ws.Message) (done bool) {
	packets, err := s.decode(msg.Data, msg.Binary)
	if err != nil {
		return false // the inbox worker reports the error again, in order
	}
	d := decoders.Get().(*wire.Decoder)
	defer decoders.Put(d)
	if d.Reset(packets, s.wireLimits()) != nil {
		return false
	}
	var p wire.Packet
	for d.Next(&p) {
		done = p.Kind == wire.KindResponse && s.calls.Load().Answer(&p)
	}
	if !done || isBatch(packets) || s.hears(kindMessage) {
		return false
	}
	s.stats.processed.Add(1)
	return true
}

// isBatch reports whether a message that is valid JSON is an array.
func isBatch(msg []byte) bool {
	for _, c := range msg {
		switch c {
		case ' ', '\t', '\r', '\n':
		default:
			return c == '['
		}
	}
	return false
}

func (s *Socket) wireLimits() wire.Limits {
	return wire.Limits{BatchSize: s.srv.cfg.Limits.BatchSize, Depth: s.srv.cfg.Limits.Depth}
}

func (s *Socket) hears(k eventKind) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.heard(k)
}
