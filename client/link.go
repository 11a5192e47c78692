package client

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/internal/calls"
	"github.com/socketcluster-go/socketcluster/internal/guard"
	"github.com/socketcluster-go/socketcluster/internal/outbox"
	"github.com/socketcluster-go/socketcluster/internal/wheel"
	"github.com/socketcluster-go/socketcluster/internal/ws"
	"github.com/socketcluster-go/socketcluster/wire"
)

// outboxStall is the time for which a server may read nothing while something
// waits for it, and outboxDrain that within which it must read Limits.Outbox
// once more than that waits. They are the defaults of this module's server.
const (
	outboxStall = 30 * time.Second
	outboxDrain = 30 * time.Second
)

// link is one connection of a client, from the attempt to its end. The client
// has one at a time; one that has ended may still wait for the close frame of
// the server, but nothing that arrives on it counts.
type link struct {
	c      *Client
	ctx    context.Context // ends with the link
	cancel context.CancelFunc
	limits outbox.Limits

	calls *calls.Table
	out   outbox.Outbox[struct{}]

	settled chan struct{} // closed when the attempt to connect has succeeded or failed
	failure error         // of the attempt; may be read once settled is closed

	// The client's mu guards these.
	conn        *ws.Conn // nil until it is open
	ended       bool     // it no longer is the link of the client
	released    bool     // its connection is gone
	timer       wheel.Timer
	deadline    time.Time // of opening, of the next ping, or of the close frame; zero: none
	lastPing    time.Time // by the wall clock, see stale
	pingTimeout time.Duration
	batch       batch
	presented   string         // the token of a handshake that has not been answered
	refusal     wire.CloseCode // see noteRefusal
	tokens      int            // that the server has set
	logins      []*loginWait

	waiting atomic.Int32 // 1 while calls wait for answers, and 1 for each login that waits for its token
	paused  atomic.Bool  // the reading goroutine waits for room
}

// newLink returns a link that has not begun. mu must be held.
func newLink(c *Client) *link {
	l := &link{c: c, pingTimeout: c.opts.Timeouts.Connect, settled: make(chan struct{})}
	l.ctx, l.cancel = context.WithCancel(c.ctx)
	l.limits = outbox.Limits{Bytes: c.opts.Limits.Outbox, Stall: outboxStall, Drain: outboxDrain, Crew: c.rt.crew}
	l.calls = calls.New(c.rt.wheel, c.lastCall, func(busy bool) {
		if busy {
			l.waiting.Add(1)
			c.wake()
		} else {
			l.waiting.Add(-1)
		}
	})
	l.wait(c.opts.Timeouts.Connect)
	return l
}

// open opens the connection and begins the handshake. It is the first goroutine of the
// link, and then reads from the connection.
func (l *link) open() {
	c := l.c
	l.awaitHandlers() // of events: each attempt has some
	conn, err := l.dial()
	if err != nil {
		c.mu.Lock()
		l.unopened(wire.CloseAbnormal, err)
		c.mu.Unlock()
		l.release()
		return
	}
	c.mu.Lock()
	if l.ended {
		c.mu.Unlock()
		_ = conn.Close()
		l.release()
		return
	}
	l.conn = conn
	l.out.Init(outboxPeer{conn, l}, &l.limits, nil)
	l.expectPing(c.opts.Timeouts.Connect)
	c.mu.Unlock()
	// The token is loaded here, so that nothing is read before the handshake
	// has been sent: pings must not be answered earlier (HS-10).
	l.shakeHands()
	l.read()
}

// unopened ends a link that could not be opened. mu must be held.
func (l *link) unopened(code wire.CloseCode, err error) {
	if !l.ended {
		l.c.emitError(err)
		l.lose(code, "", err)
	}
}

// dial opens the WebSocket connection. The end of the link ends it.
func (l *link) dial() (conn *ws.Conn, err error) {
	o := &l.c.opts
	err = guard.Call(l.c.log, "a function of Options", func() error {
		conn, err = ws.Dial(l.ctx, l.c.url.String(), ws.DialOptions{
			Options: ws.Options{
				ReadLimit: int64(o.Limits.MessageSize),
				Deflate:   o.Compression.Level > 0,
				Owner:     (*connOwner)(l),
				Poller:    l.c.rt.poller,
				Header:    o.Header,
			},
			DialContext: o.DialContext,
			Proxy:       o.Proxy,
			TLS:         o.TLS,
		})
		return err
	})
	return conn, err
}

// shakeHands loads the token and sends the handshake (HS-2).
func (l *link) shakeHands() {
	c := l.c
	token, logouts, err := c.loadToken(l.ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case l.ended:
		return
	case err != nil:
		c.emitError(err)
		l.disconnectFor(wire.CloseHandshakeFailed, "", err)
		return
	}
	l.presented = token
	data := []byte(`{"authToken":`)
	if token == "" {
		data = append(data, "null}"...)
	} else {
		data = append(wire.AppendString(data, token), '}')
	}
	l.invoke(eventHandshake, data, time.Now().Add(c.opts.Timeouts.Ack), func(answer json.RawMessage, err error, lost bool) {
		if !lost {
			l.shaken(token, logouts, answer, err)
		}
	})
}

// shaken handles the answer to the handshake, on the goroutine that has read it.
func (l *link) shaken(token string, logouts int, answer json.RawMessage, err error) {
	c := l.c
	var status struct {
		ID              string          `json:"id"`
		PingTimeout     float64         `json:"pingTimeout"`
		IsAuthenticated bool            `json:"isAuthenticated"`
		AuthError       json.RawMessage `json:"authError"`
	}
	if err == nil && json.Unmarshal(answer, &status) != nil {
		err = &wire.Error{Name: wire.NameInvalidMessage, Message: "The server has answered the handshake with data of another form"}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.ended {
		return
	}
	l.presented = ""
	if err != nil {
		l.refused(err)
		return
	}
	c.state, c.id, c.attempts, c.looked = socketcluster.Open, status.ID, 0, true
	if 0 < status.PingTimeout && status.PingTimeout < maxPingTimeout {
		l.pingTimeout = time.Duration(status.PingTimeout * float64(time.Millisecond))
	}
	l.expectPing(l.pingTimeout)
	l.out.Cork()
	switch {
	case status.IsAuthenticated && logouts == c.logouts:
		c.authenticated(token)
	case !status.IsAuthenticated:
		c.refused = token
		fallthrough
	default:
		c.unauthenticated()
	}
	if d := c.opts.Batching.OnHandshake; d > 0 {
		l.startBatching(time.Now().Add(d))
	}
	c.asking = !c.opts.DelaySubscriptions // not before: the events of the identity come first
	c.processPending()
	c.emitSized(ConnectEvent{
		Client: c, ID: status.ID, PingTimeout: l.pingTimeout, IsAuthenticated: status.IsAuthenticated,
		AuthError: wire.ParseError(nullIsAbsent(status.AuthError)), SignedAuthToken: token,
	}, len(answer)+len(token))
	l.flushBuffer()
	l.out.Uncork(false)
	l.settle(nil)
	c.catchUp()
}

// settle ends the attempt to connect. mu must be held.
func (l *link) settle(failure error) {
	l.failure = failure
	close(l.settled)
}

// nullIsAbsent returns nil for the JSON null.
func nullIsAbsent(raw json.RawMessage) json.RawMessage {
	if string(raw) == "null" {
		return nil
	}
	return raw
}

// maxPingTimeout is the largest one that a server may announce, in milliseconds:
// that of timers in JavaScript (CL-2).
const maxPingTimeout = 1<<31 - 1

// refused ends a link whose handshake has failed (CL-7). mu must be held.
func (l *link) refused(err error) {
	l.c.emitError(err)
	code := wire.CloseHandshakeFailed
	if e, ok := errors.AsType[*wire.Error](err); ok {
		if status, ok := e.Field("statusCode"); ok {
			code = closeCodeOf(status)
		}
	}
	code = cmp.Or(l.refusal, code)
	if !code.Sendable() {
		code = wire.CloseHandshakeFailed
	}
	l.disconnectFor(code, wire.TruncateReason(err.Error()), err)
}

// closeCodeOf returns a close code that came as JSON, or 0.
func closeCodeOf(v any) wire.CloseCode {
	f, ok := v.(float64)
	if !ok || f != float64(int16(f)) {
		return 0
	}
	return wire.CloseCode(f)
}

// disconnect closes the link, and tells the server. mu must be held.
func (l *link) disconnect(code wire.CloseCode, reason string) { l.disconnectFor(code, reason, nil) }

func (l *link) disconnectFor(code wire.CloseCode, reason string, cause error) {
	if !l.lose(code, reason, cause) || l.conn == nil {
		return
	}
	l.out.Finish(ws.CloseFrame(code, reason))
	l.wait(l.c.opts.Timeouts.Close)
}

// lose makes the link end: from then on it is not that of the client. It emits
// the events, fails what waits, and schedules the next attempt (CL-9). It
// returns false if that was done before. mu must be held.
func (l *link) lose(code wire.CloseCode, reason string, cause error) bool {
	c := l.c
	if l.ended {
		return false
	}
	l.ended = true
	l.cancel()
	l.batch.stop()
	l.batch.packets = nil
	opened := c.state == socketcluster.Open
	c.state, c.link, c.id, c.asking = socketcluster.Closed, nil, "", false
	c.lastCall = l.calls.Last()
	if reason == "" {
		reason = code.Text()
	}
	kind := "connectAbort"
	if opened {
		kind = "disconnect"
	}
	l.calls.Abort(func(event string) error { return &lostError{badConnection(kind, code, reason, event)} })
	l.endLogins(func(procedure string) error { return badConnection(kind, code, reason, procedure) })
	c.dropBuffer(func(event string) error { return badConnection(kind, code, reason, event) })
	for _, ch := range c.sortedChannels() {
		ch.suspend(c)
	}
	if opened {
		c.emit(DisconnectEvent{c, code, reason})
	} else {
		c.emit(ConnectAbortEvent{c, code, reason})
		l.settle(c.attemptError(code, reason, cause))
	}
	c.emit(CloseEvent{c, code, reason})
	if !code.Ignored() {
		c.emitError(wire.NewSocketProtocolError(code, reason))
	}
	c.scheduleRetry(code)
	return true
}

// read is the goroutine of the link. Between two messages it ends if the
// connection can be polled.
func (l *link) read() {
	for {
		if l.conn.Park(false) {
			return
		}
		msg, err := l.conn.Read()
		if err != nil {
			l.lost(err)
			return
		}
		l.take(msg)
		msg.Release()
		l.awaitOutbox()
		l.awaitRoom()
	}
}

// lost ends a link that can no longer be read.
func (l *link) lost(err error) {
	c := l.c
	var closed *ws.CloseError
	var broken *ws.ProtocolError
	c.mu.Lock()
	switch {
	case errors.As(err, &closed):
		l.lose(closed.Code, closed.Reason, nil)
		echo := closed.Code
		if !echo.Sendable() {
			echo = 0
		}
		l.out.Finish(ws.CloseFrame(echo, ""))
	case errors.As(err, &broken):
		if !l.ended {
			c.emitError(&wire.Error{Message: l.brokenBy(broken)})
		}
		l.lose(broken.Code, broken.Reason, broken)
		l.out.Finish(ws.CloseFrame(broken.Code, ""))
	default:
		l.lose(wire.CloseAbnormal, "", err)
		l.out.Kill()
	}
	l.wait(c.opts.Timeouts.Close)
	c.mu.Unlock()
	l.out.Drain()
	if broken != nil {
		l.linger()
	}
	_ = l.conn.Close()
	l.release()
}

// brokenBy returns the reason for the end of a link by a message that cannot be
// read.
func (l *link) brokenBy(err *ws.ProtocolError) string {
	if err == ws.ErrTooBig {
		return fmt.Sprintf("%s: Limits.MessageSize is %d", err.Reason, l.c.opts.Limits.MessageSize)
	}
	return err.Reason
}

// lingerBytes is the number of bytes of the server that are read and dropped
// while a close frame is on its way, as closing with unread bytes would reset
// the connection.
const lingerBytes = 1 << 20

// linger waits until the server has closed the connection, or for the close
// timeout.
func (l *link) linger() {
	conn := l.conn.Unwrap()
	_ = conn.SetReadDeadline(time.Now().Add(l.c.opts.Timeouts.Close))
	_, _ = io.CopyN(io.Discard, struct{ io.Reader }{conn}, lingerBytes)
}

// release counts a link off whose connection is gone.
func (l *link) release() {
	l.cancel()
	l.c.mu.Lock()
	l.released = true
	l.c.rt.wheel.Stop(&l.timer)
	l.c.mu.Unlock()
	l.c.wake() // this link may have taken a wake-up of the next one
	l.c.links.Done()
}

// expectPing sets the time within which a ping must come. mu must be held.
func (l *link) expectPing(timeout time.Duration) {
	l.lastPing = time.Now().Round(0)
	if l.c.opts.Timeouts.PingDisabled {
		l.deadline = time.Time{}
		l.c.rt.wheel.Stop(&l.timer)
		return
	}
	l.wait(timeout)
}

// wait sets the time within which the connection must open, send a ping, or end. mu must
// be held.
func (l *link) wait(timeout time.Duration) {
	l.deadline = time.Now().Add(timeout)
	if !l.released {
		l.c.rt.wheel.Set(&l.timer, l.deadline, (*linkTask)(l))
	}
}

// linkTask is a link whose deadline may have passed.
type linkTask link

// Expire implements wheel.Task.
func (t *linkTask) Expire(time.Time) { go (*link)(t).expire() }

func (l *link) expire() {
	c := l.c
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case l.released, l.deadline.IsZero(), time.Now().Before(l.deadline):
		// The deadline has moved while this goroutine began.
	case l.ended && l.conn == nil: // dialing ends
	case l.ended:
		_ = l.conn.Close() // reading ends
	case l.conn == nil:
		l.unopened(wire.CloseConnectTimeout, fmt.Errorf("client: no connection within Timeouts.Connect (%v)", c.opts.Timeouts.Connect))
	case l.paused.Load():
		l.expectPing(l.pingTimeout) // nothing is read, pings included
	default:
		l.disconnect(wire.ClosePingTimeout, "")
	}
}

// stale reports whether pings have failed to come although no timer has noticed,
// as after the sleep of a machine (PP-9). Only the wall clock goes on during that. mu
// must be held.
func (l *link) stale() bool {
	return !l.c.opts.Timeouts.PingDisabled && !l.paused.Load() && time.Now().Round(0).Sub(l.lastPing) >= l.pingTimeout
}

// lostError is the error of a call whose link has ended. Whoever gets it runs with mu held.
type lostError struct{ error }

// invoke calls a procedure of the server. then gets the answer on the goroutine
// that has read it, or the error of a timeout on that of the wheel. If the link
// has ended, lost is set: then mu is held. mu must be held, and the link not have
// ended.
func (l *link) invoke(event string, data []byte, deadline time.Time, then func(answer json.RawMessage, err error, lost bool)) *calls.Call {
	call := l.calls.BeginFunc(event, deadline, func(answer json.RawMessage, err error) {
		if lost, ok := err.(*lostError); ok {
			then(nil, lost.error, true)
			return
		}
		then(answer, err, false)
	})
	l.push(appendInvoke(packetBuffer(event, data), event, call.ID, data))
	return call
}

// push sends a packet that is JSON after header space. mu must be held, so that
// packets leave in the order of what they do.
func (l *link) push(buf []byte) {
	if !l.collect(buf) {
		l.pushMessage(buf)
	}
}

// pushMessage sends a packet or a batch. mu must be held.
func (l *link) pushMessage(buf []byte) {
	frame, err := l.c.seal(buf)
	if err != nil {
		l.c.emitError(err)
		return
	}
	_ = l.out.Push(frame) // fails if the link is ending, which has consequences of its own
}

// seal makes the frame of a packet.
func (c *Client) seal(buf []byte) (frame []byte, err error) {
	codec := c.opts.Codec
	if codec == nil {
		return ws.Seal(buf, ws.OpText), nil
	}
	var out []byte
	err = guard.Call(c.log, "Codec.Encode", func() error {
		out, err = codec.Encode(ws.NewBuffer(len(buf)), buf[ws.HeaderSpace:])
		return err
	})
	if err != nil {
		return nil, err
	}
	if codec.Binary() {
		return ws.Seal(out, ws.OpBinary), nil
	}
	return ws.Seal(out, ws.OpText), nil
}

// connOwner is the link as the owner of its connection.
type connOwner link

// Ping implements ws.Owner: it answers a ping of the WebSocket protocol.
func (o *connOwner) Ping(payload []byte) { (*link)(o).answerPing(payload) }

// Hold implements ws.Owner. Limits.MessageSize bounds what a connection holds.
func (*connOwner) Hold(int) error { return nil }

// TakeShort implements ws.Owner.
func (*connOwner) TakeShort([]byte) bool { return false }

// Resume implements ws.Owner.
func (o *connOwner) Resume() { (*link)(o).read() }

// outboxPeer is the connection of an outbox, and the link as its owner. It masks
// frames on the goroutine that writes them, and compresses them before if the
// server understands that.
type outboxPeer struct {
	*ws.Conn
	l *link
}

// Prepare implements outbox.Preparer.
func (p outboxPeer) Prepare(frame []byte) []byte {
	if p.Compressed() {
		compression := p.l.c.opts.Compression
		frame = ws.Deflate(frame, compression.Level, compression.Threshold)
	}
	return ws.Mask(frame)
}

// OutboxFailed implements outbox.Owner.
func (p outboxPeer) OutboxFailed(err error) {
	c := p.l.c
	c.mu.Lock()
	p.l.lose(wire.CloseAbnormal, err.Error(), err)
	c.mu.Unlock()
	_ = p.Close() // reading ends
}

// OutboxFull implements outbox.Owner.
func (outboxPeer) OutboxFull() {}

// OutboxFlushed implements outbox.Owner.
func (outboxPeer) OutboxFlushed() {}

// decoders are shared by all clients, because one is needed only while a message
// is being decoded.
var decoders = sync.Pool{New: func() any { return new(wire.Decoder) }}
