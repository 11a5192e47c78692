package client

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/internal/guard"
	"github.com/socketcluster-go/socketcluster/internal/ws"
	"github.com/socketcluster-go/socketcluster/wire"
)

// The events of the protocol.
const (
	eventHandshake       = "#handshake"
	eventAuthenticate    = "#authenticate"
	eventSetAuthToken    = "#setAuthToken"
	eventRemoveAuthToken = "#removeAuthToken"
	eventPublish         = "#publish"
	eventSubscribe       = "#subscribe"
	eventUnsubscribe     = "#unsubscribe"
	eventKickOut         = "#kickOut"
	eventLost            = "#lost"
)

// take handles a message, on the goroutine that has read it: everything that the
// protocol itself asks for takes effect here, in the order of the wire. What the
// application handles is queued.
func (l *link) take(msg ws.Message) {
	c := l.c
	c.mu.Lock()
	if l.ended {
		c.mu.Unlock()
		return // until the close frame of the server
	}
	if !c.listeners[kindMessage].Empty() {
		c.emitSized(MessageEvent{c, msg.Binary, bytes.Clone(msg.Data)}, len(msg.Data))
	}
	c.mu.Unlock()
	if !msg.Binary && string(msg.Data) == c.opts.ProtocolVersion.Ping() {
		pong := c.opts.ProtocolVersion.Pong()
		l.pong(ws.Seal(append(ws.NewBuffer(len(pong)), pong...), ws.OpText))
		return
	}
	if msg.Binary && c.opts.Codec == nil {
		l.raw(msg, 1) // JSON is text (TR-19)
		return
	}
	packets, err := c.decode(msg)
	if err != nil {
		l.undecodable(err)
		return
	}
	if c.opts.Codec != nil && c.opts.ProtocolVersion == wire.Version1 && string(packets) == codedPing {
		l.takeCodedPing()
		return
	}
	d := decoders.Get().(*wire.Decoder)
	defer decoders.Put(d)
	if err := d.Reset(packets, c.wireLimits()); err != nil {
		if errors.Is(err, wire.ErrBatchTooLarge) {
			err = fmt.Errorf("%w: Limits.BatchSize is %d", err, c.opts.Limits.BatchSize)
		}
		l.undecodable(err)
		return
	}
	var p wire.Packet
	raws := 0
	for d.Next(&p) {
		if raws > 0 && p.Kind != wire.KindRaw {
			l.raw(msg, raws)
			raws = 0
		}
		switch p.Kind {
		case wire.KindResponse:
			l.noteRefusal(&p)
			l.calls.Answer(&p) // not to a call: it may have timed out
		case wire.KindRaw:
			raws++
		default:
			l.takePacket(&p)
		}
	}
	l.raw(msg, raws)
}

// raw emits that n elements of a message are no packets, or that the message is none
// (TR-24, TR-25). The events share a copy of the message: a batch has many elements.
func (l *link) raw(msg ws.Message, n int) {
	c := l.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if n == 0 || !c.heard(kindRaw) {
		return
	}
	data := bytes.Clone(msg.Data)
	for size := len(data); n > 0; n, size = n-1, 0 {
		c.emitSized(RawEvent{c, msg.Binary, data}, size)
	}
}

// pong answers a ping with a frame (PP-1, PP-8).
func (l *link) pong(frame []byte) {
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	switch {
	case l.ended:
		return
	case l.c.state == socketcluster.Open:
		l.out.PushFirst(frame)
	default:
		_ = l.out.Push(frame) // behind the handshake (HS-7); it fails if the link is ending
	}
	l.expectPing(l.pingTimeout)
}

// With a codec, pings and pongs of version 1 have two forms: plain, and of the codec.
const (
	codedPing = `"#1"`
	codedPong = `"#2"`
)

// takeCodedPing answers a ping in the form of the codec.
func (l *link) takeCodedPing() {
	frame, err := l.c.seal(append(ws.NewBuffer(len(codedPong)), codedPong...))
	if err != nil {
		l.undecodable(err)
		return
	}
	l.pong(frame)
}

// answerPing answers a ping of the WebSocket protocol. The reading goroutine
// calls it.
func (l *link) answerPing(payload []byte) {
	l.awaitOutbox()
	_ = l.out.Push(ws.Seal(append(ws.NewBuffer(len(payload)), payload...), ws.OpPong)) // fails if the link is ending
}

// awaitOutbox makes the reading goroutine wait while the server does not read what it
// has made the client send: otherwise that has no limit.
func (l *link) awaitOutbox() {
	limit := 2 * l.c.opts.Limits.Outbox
	if l.out.Bytes() < limit {
		return
	}
	l.paused.Store(true)
	_ = l.out.Wait(l.ctx, limit) // fails if the link has ended
	l.resume()
}

// resume ends a time in which nothing was read, pings included.
func (l *link) resume() {
	if !l.paused.Swap(false) {
		return
	}
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	if !l.ended {
		l.expectPing(l.pingTimeout)
	}
}

// decode converts a message to JSON.
func (c *Client) decode(msg ws.Message) (decoded []byte, err error) {
	codec := c.opts.Codec
	if codec == nil {
		return msg.Data, nil
	}
	if codec.Binary() && !msg.Binary {
		return nil, &wire.Error{Name: wire.NameInvalidMessage, Message: "The codec of the client takes binary messages"}
	}
	err = guard.Call(c.log, "Codec.Decode", func() error {
		decoded, err = codec.Decode(nil, msg.Data, c.opts.Limits.MessageSize)
		return err
	})
	switch {
	case errors.Is(err, wire.ErrMessageTooLarge):
		err = fmt.Errorf("%w: Limits.MessageSize is %d", err, c.opts.Limits.MessageSize)
	case err != nil:
		err = &wire.Error{Name: wire.NameInvalidMessage, Message: err.Error()}
	}
	return decoded, err
}

// undecodable emits the error of a message that cannot be decoded. One that
// exceeds a limit ends the connection.
func (l *link) undecodable(err error) {
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	l.c.emitError(err)
	if !errors.Is(err, wire.ErrInvalidMessage) && !l.ended {
		l.disconnectFor(wire.CloseTooBig, "", err)
	}
}

// takePacket handles an event or a call of the server.
func (l *link) takePacket(p *wire.Packet) {
	c := l.c
	isCall := p.Kind == wire.KindInvoke
	switch string(p.Event) {
	case eventPublish:
		if !isCall {
			c.takePublication(l, p.Data)
			return
		}
	case eventKickOut:
		if !isCall {
			c.takeKickOut(l, p.Data)
			return
		}
	case eventLost:
		if !isCall {
			c.takeLost(l, p.Data)
			return
		}
	case eventDisconnect:
		if c.opts.ProtocolVersion == wire.Version1 {
			l.takeDisconnect(p.Data)
			return
		}
	case eventSetAuthToken:
		l.takeToken(p)
		return
	case eventRemoveAuthToken:
		l.takeRemoval(p)
		return
	}
	l.dispatch(p)
}

// respond answers a call of the server. mu must be held.
func (l *link) respond(id float64, data []byte, failure *wire.Error) {
	if l.ended {
		return
	}
	buf := ws.NewBuffer(len(data) + 64)
	if failure != nil {
		l.push(wire.AppendErrorResponse(buf, id, failure.AppendJSON(nil), data))
		return
	}
	l.push(wire.AppendResponse(buf, id, data))
}

// awaitHandlers waits while too much waits for handlers, or until the end of the link.
func (l *link) awaitHandlers() {
	c := l.c
	for c.waiting.Load() > int64(c.opts.Limits.Held) && l.ctx.Err() == nil {
		select {
		case <-c.room:
		case <-l.ctx.Done():
		}
	}
}

// heldFactor is how many times Limits.Held may wait for handlers while the client
// waits for answers, which only reading can bring.
const heldFactor = 8

// awaitRoom waits while too much waits for handlers. The wait delays the server,
// as nothing is read. If handlers wait for answers, reading goes on, up to a
// limit.
func (l *link) awaitRoom() {
	c := l.c
	limit := int64(c.opts.Limits.Held)
	if c.waiting.Load() <= limit {
		return
	}
	for c.waiting.Load() > limit && l.ctx.Err() == nil {
		if l.waiting.Load() > 0 {
			if c.waiting.Load() > heldFactor*limit {
				c.mu.Lock()
				err := fmt.Errorf("client: the server sends more than handlers take, while they wait for answers: Limits.Held is %d", limit)
				c.emitError(err)
				l.disconnectFor(wire.ClosePolicy, "", err)
				c.mu.Unlock()
			}
			break
		}
		l.paused.Store(true)
		select {
		case <-c.room:
		case <-l.ctx.Done():
		}
	}
	l.resume()
}
