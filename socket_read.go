package socketcluster

import (
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/ws"
	"github.com/socketcluster-go/socketcluster/wire"
)

// inbound is a message on its way through a socket's inbox.
type inbound struct {
	msg    ws.Message
	packet wire.Packet // decoded already, if single
	single bool
}

// decoders are shared by all sockets, as one is needed only while a message
// is being looked at.
var decoders = sync.Pool{New: func() any { return new(wire.Decoder) }}

// start brings an accepted connection to life.
func (s *Socket) start(conn *ws.Conn, r *http.Request) {
	srv := s.srv
	s.conn = conn
	s.request = r
	s.out.Init(conn, (*outboxOwner)(s), srv.cfg.Limits.Outbox, srv.cfg.Limits.OutboxStall)
	if !srv.register(s) {
		conn.Close()
		return
	}
	now := time.Now()
	s.seen(now)
	s.mu.Lock()
	s.deadline = now.Add(srv.cfg.HandshakeTimeout)
	s.nextPing = now.Add(srv.cfg.PingInterval)
	s.schedule(now)
	s.queue(HandshakeEvent{s})
	s.mu.Unlock()
	s.drainEvents()
	go s.read()
}

// read is the goroutine of a connection. Between two messages it is parked
// and holds no buffer.
func (s *Socket) read() {
	defer s.srv.released(s)
	for {
		msg, err := s.conn.Read()
		if err != nil {
			s.lost(err)
			return
		}
		s.receive(msg)
	}
}

// lost ends a socket whose connection can no longer be read.
func (s *Socket) lost(err error) {
	var closed *ws.CloseError
	var broken *ws.ProtocolError
	switch {
	case errors.As(err, &closed):
		s.destroy(closed.Code, closed.Reason)
		echo := closed.Code
		if echo == wire.CloseNoStatus {
			echo = 0
		}
		s.out.Finish(ws.CloseFrame(echo, ""))
		s.linger()
	case errors.As(err, &broken):
		s.emitError(&wire.Error{Message: broken.Reason})
		s.destroy(wire.CloseAbnormal, "")
		s.out.Finish(ws.CloseFrame(broken.Code, ""))
		s.linger()
	default:
		s.destroy(wire.CloseAbnormal, "")
		s.out.Kill()
	}
	s.conn.Close()
	s.mu.Lock()
	s.gone = true
	s.srv.wheel.Stop(&s.timer)
	s.mu.Unlock()
}

// lingerBytes is how much of what a peer still sends is read and dropped
// while a close frame is on its way. Closing with unread bytes would reset
// the connection, and the peer might never see the frame.
const lingerBytes = 1 << 20

// linger waits until what is queued has been written and the peer has hung
// up, or for the close timeout.
func (s *Socket) linger() {
	s.out.Drain()
	conn := s.conn.Unwrap()
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
	}
	conn.SetReadDeadline(time.Now().Add(s.srv.cfg.CloseTimeout))
	io.CopyN(io.Discard, onlyReader{conn}, lingerBytes)
}

// onlyReader keeps io.Copy from methods of the connection that ignore limits.
type onlyReader struct{ net.Conn }

func (r onlyReader) Read(p []byte) (int, error) { return r.Conn.Read(p) }

// seen restarts the pong timeout.
func (s *Socket) seen(now time.Time) {
	s.lastSeen.Store(now.Sub(s.srv.epoch).Milliseconds())
}

// lastSeenAt is when the pong timeout was last restarted.
func (s *Socket) lastSeenAt() time.Time {
	return s.srv.epoch.Add(time.Duration(s.lastSeen.Load()) * time.Millisecond)
}

// pongResetDivisor: traffic other than pongs restarts the pong timeout only
// after this part of it has passed, as in socketcluster-server (PP-5).
const pongResetDivisor = 4

// receive takes a message from the connection. It runs on the reading
// goroutine; to block here is to stop reading.
func (s *Socket) receive(msg ws.Message) {
	srv := s.srv
	s.stats.received.Add(1)
	isPong := !msg.Binary && string(msg.Data) == srv.pong
	now := time.Now()
	if isPong || now.Sub(s.lastSeenAt()) > srv.cfg.PingTimeout/pongResetDivisor {
		s.seen(now)
	}
	in := inbound{msg: msg}
	if !srv.middleware.has(lineInboundRaw) {
		if isPong && s.swallowPong() {
			msg.Release()
			return
		}
		if s.decodeEarly(&in) {
			msg.Release()
			return
		}
	}
	if !s.inbox.PushWait(in, (*inboxWorker)(s), srv.cfg.Limits.Inbox) {
		msg.Release()
	}
}

// swallowPong tells whether a pong needs no more attention than its time.
func (s *Socket) swallowPong() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == Connecting || s.heard(kindMessage) {
		return false
	}
	s.stats.processed.Add(1)
	return true
}

// decodeEarly decodes on the reading goroutine, so that the answer to a call
// reaches its caller although the inbox may be waiting for that caller. It
// reports whether nothing is left to do.
func (s *Socket) decodeEarly(in *inbound) (done bool) {
	d := decoders.Get().(*wire.Decoder)
	defer decoders.Put(d)
	if d.Reset(in.msg.Data, s.wireLimits()) != nil {
		return false // the inbox worker finds out again, in order
	}
	var p wire.Packet
	if isBatch(in.msg.Data) {
		if s.hasCalls() {
			for d.Next(&p) {
				if p.Kind == wire.KindResponse {
					s.answered(&p)
				}
			}
		}
		return false
	}
	if !d.Next(&p) {
		return false
	}
	if p.Kind == wire.KindResponse && s.answered(&p) {
		s.stats.processed.Add(1)
		return !s.hears(kindMessage)
	}
	in.packet, in.single = p, true
	return false
}

// isBatch tells whether a message that is valid JSON is a list.
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
