package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/internal/calls"
	"github.com/socketcluster-go/socketcluster/internal/wheel"
	"github.com/socketcluster-go/socketcluster/internal/ws"
	"github.com/socketcluster-go/socketcluster/wire"
)

// encodeData encodes data as JSON. No data stays nil, which is not the same as
// the JSON null.
func encodeData(data any) (json.RawMessage, error) {
	switch data.(type) {
	case nil, socketcluster.None, *socketcluster.None:
		return nil, nil
	}
	return wire.Marshal(data)
}

// packetBuffer returns a buffer with room for a packet with this name and data.
func packetBuffer(name string, data []byte) []byte {
	return ws.NewBuffer(len(name) + len(data) + 64)
}

// appendInvoke appends a call. Clients write the data first (RPC-1), and servers the ID.
func appendInvoke(dst []byte, event string, id uint64, data []byte) []byte {
	dst = append(dst, `{"event":`...)
	dst = wire.AppendString(dst, event)
	if len(data) > 0 {
		dst = append(append(dst, `,"data":`...), data...)
	}
	return append(strconv.AppendUint(append(dst, `,"cid":`...), id, 10), '}')
}

// packet is an event or a call on its way to the server.
type packet struct {
	c        *Client
	event    string
	data     []byte
	deadline time.Time
	timer    wheel.Timer
	answer   func(answer json.RawMessage, err error) // nil for an event; called once
	logouts  int                                     // before it, in the order of what is sent
	link     *link                                   // on which a call is sent; the client's mu guards this and what follows
	tokens   int                                     // that the server had set on the link before
	call     *calls.Call
}

// packetCost is the number of bytes for which a packet counts in Limits.Buffer,
// besides its name and data.
const packetCost = 128

func (p *packet) size() int { return len(p.event) + len(p.data) + packetCost }

// Transmit sends an event that expects no answer. [wire.Marshal] encodes the
// data. If data is nil, no data is sent; for the JSON null, use
// json.RawMessage("null").
//
// Transmit waits while half of Limits.Outbox waits for the server; if ctx ends
// first, nothing is sent. Without a connection, it connects and returns
// at once: the event waits for the connection, until the deadline of ctx or, if it
// has none, for Timeouts.Ack, and is lost if the attempt fails.
func (c *Client) Transmit(ctx context.Context, event string, data any) error {
	raw, err := encodeData(data)
	if err != nil {
		return err
	}
	if err := c.awaitOutbox(ctx); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.send(&packet{c: c, event: event, data: raw, deadline: c.ackDeadline(ctx)})
}

// Invoke calls a procedure of the server and waits for its answer: until ctx
// ends or, if ctx has no deadline, for Timeouts.Ack, which includes the wait for
// a connection. Without a connection, it connects. See [Client.Transmit]
// for data.
//
// The error is a TimeoutError if the server has not answered in time, a
// BadConnectionError if the connection was lost or could not be made, or the
// error in the server's answer: errors.As finds a *[wire.Error] in each of them.
// Such a TimeoutError is also a [context.DeadlineExceeded], with or without a
// deadline of ctx. If ctx is canceled, the error is [context.Canceled]. Nothing
// is sent if ctx has ended before.
func (c *Client) Invoke(ctx context.Context, event string, data any) (json.RawMessage, error) {
	raw, err := encodeData(data)
	if err != nil {
		return nil, err
	}
	return c.invoke(ctx, event, raw, nil)
}

// InvokeAs is [Client.Invoke] with the answer decoded into an Out by
// [wire.Unmarshal].
func InvokeAs[Out any](ctx context.Context, c *Client, event string, data any) (out Out, err error) {
	raw, err := c.Invoke(ctx, event, data)
	if err != nil {
		return out, err
	}
	if err := wire.Unmarshal(raw, &out); err != nil {
		return out, fmt.Errorf("answer of %s: %w", event, err)
	}
	return out, nil
}

// reply is an answer as it reaches its caller.
type reply struct {
	data json.RawMessage
	err  error
}

// invoke is Invoke for encoded data. on, if not nil, gets the call and its answer first,
// on the goroutine that has read it, and so before anything that the server has sent
// later takes effect. It returns the error that the caller gets. It is not called if the
// connection is lost, or ctx ends.
func (c *Client) invoke(ctx context.Context, event string, data []byte, on func(p *packet, answer json.RawMessage, err error) error) (json.RawMessage, error) {
	if c.awaitOutbox(ctx) != nil {
		return nil, calls.Ended(ctx, event)
	}
	done := make(chan reply, 1)
	p := &packet{c: c, event: event, data: data, deadline: c.ackDeadline(ctx)}
	p.answer = func(answer json.RawMessage, err error) {
		if on != nil && !lostOrLate(err) {
			err = on(p, answer, err)
		}
		done <- reply{answer, err}
	}
	c.mu.Lock()
	err := c.send(p)
	c.mu.Unlock()
	if err != nil {
		return nil, err
	}
	select {
	case r := <-done:
		return r.data, r.err
	case <-ctx.Done():
	}
	c.mu.Lock()
	p.cancel()
	c.mu.Unlock()
	select {
	case r := <-done:
		return r.data, r.err
	default:
	}
	return nil, calls.Ended(ctx, event)
}

// lostOrLate reports whether an error says nothing about what the server thinks.
func lostOrLate(err error) bool {
	return errors.Is(err, wire.ErrBadConnection) || errors.Is(err, wire.ErrTimeout)
}

// ackDeadline returns the time by which a call or an event must be done.
func (c *Client) ackDeadline(ctx context.Context) time.Time {
	if deadline, ok := ctx.Deadline(); ok {
		return deadline
	}
	return time.Now().Add(c.opts.Timeouts.Ack)
}

// awaitOutbox waits while half of Limits.Outbox waits for the server.
func (c *Client) awaitOutbox(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c.mu.Lock()
	l := c.link
	open := l != nil && l.conn != nil
	c.mu.Unlock()
	if !open {
		return nil
	}
	if err := l.out.Wait(ctx, c.opts.Limits.Outbox/2); err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return nil // a link that has ended is noticed later
}

// send sends a packet, or keeps it until there is a connection. mu must be held.
func (c *Client) send(p *packet) error {
	if c.closed {
		return ErrClosed
	}
	if c.state == socketcluster.Open && c.link.stale() {
		c.link.disconnect(wire.CloseNormal, "Stale socket was disconnected by the client to initiate a new connection")
	}
	p.logouts = c.logouts
	if c.state == socketcluster.Open {
		c.link.send(p)
		return nil
	}
	if err := c.keep(p); err != nil {
		return err
	}
	if c.state == socketcluster.Closed {
		c.connectLocked()
	}
	return nil
}

// send sends a packet on an open link. mu must be held.
func (l *link) send(p *packet) {
	if p.answer == nil {
		l.push(wire.AppendTransmit(packetBuffer(p.event, p.data), p.event, p.data))
		return
	}
	p.link, p.tokens = l, l.tokens
	p.call = l.invoke(p.event, p.data, p.deadline, func(answer json.RawMessage, err error, _ bool) { p.answer(answer, err) })
}

// keep adds a packet to those that wait for a connection (CL-15). mu must be
// held.
func (c *Client) keep(p *packet) error {
	if c.bufferBytes+p.size() > c.opts.Limits.Buffer {
		c.expireBuffer(time.Now())
	}
	if c.bufferBytes+p.size() > c.opts.Limits.Buffer {
		return fmt.Errorf("%w: it is %d", ErrBufferFull, c.opts.Limits.Buffer)
	}
	c.buffer = append(c.buffer, p)
	c.bufferBytes += p.size()
	if p.answer != nil {
		c.rt.wheel.Set(&p.timer, p.deadline, p)
	}
	return nil
}

// expireBuffer drops events that have waited for too long. Calls end by their
// timers. mu must be held.
func (c *Client) expireBuffer(now time.Time) {
	c.buffer = slices.DeleteFunc(c.buffer, func(p *packet) bool {
		late := p.answer == nil && !now.Before(p.deadline)
		if late {
			c.bufferBytes -= p.size()
		}
		return late
	})
}

// Expire implements wheel.Task, for a call that waits for a connection.
func (p *packet) Expire(time.Time) {
	p.c.mu.Lock()
	late := p.unkeep()
	p.c.mu.Unlock()
	if late {
		p.answer(nil, calls.Timeout(p.event))
	}
}

// unkeep removes a packet from those that wait for a connection. It returns false
// if it is none of them. mu must be held.
func (p *packet) unkeep() bool {
	i := slices.Index(p.c.buffer, p)
	if i < 0 {
		return false
	}
	p.c.buffer = slices.Delete(p.c.buffer, i, i+1)
	p.c.bufferBytes -= p.size()
	p.c.rt.wheel.Stop(&p.timer)
	return true
}

// cancel ends a call that nobody waits for any more. mu must be held.
func (p *packet) cancel() {
	if !p.unkeep() && p.call != nil {
		p.call.Cancel()
	}
}

// flushBuffer sends what has waited for the connection, in order (CL-8). mu must
// be held.
func (l *link) flushBuffer() {
	c := l.c
	c.expireBuffer(time.Now())
	waiting := c.buffer
	c.buffer, c.bufferBytes = nil, 0
	for _, p := range waiting {
		c.rt.wheel.Stop(&p.timer)
		l.send(p)
	}
}

// dropBuffer ends what waits for a connection (CL-16). mu must be held.
func (c *Client) dropBuffer(failure func(event string) error) {
	waiting := c.buffer
	c.buffer, c.bufferBytes = nil, 0
	for _, p := range waiting {
		c.rt.wheel.Stop(&p.timer)
		if p.answer != nil {
			p.answer(nil, failure(p.event))
		}
	}
}

// Publish publishes data on a channel, and waits until the server has accepted
// it, as [Client.Invoke] waits for an answer. JavaScript: invokePublish. The
// client need not be subscribed; if it is, it receives the publication too.
func (c *Client) Publish(ctx context.Context, channel string, data any) error {
	raw, err := encodeData(data)
	if err != nil {
		return err
	}
	_, err = c.invoke(ctx, eventPublish, c.publication(channel, raw), nil)
	return err
}

// TransmitPublish publishes data on a channel. Nobody reports whether the
// server has accepted it. It waits as [Client.Transmit] does.
func (c *Client) TransmitPublish(ctx context.Context, channel string, data any) error {
	raw, err := encodeData(data)
	if err != nil {
		return err
	}
	return c.Transmit(ctx, eventPublish, c.publication(channel, raw))
}

// publication returns the data of #publish (PS-5).
func (c *Client) publication(channel string, data []byte) json.RawMessage {
	buf := append(make([]byte, 0, len(channel)+len(data)+32), `{"channel":`...)
	buf = wire.AppendString(buf, c.opts.ChannelPrefix+channel)
	if len(data) > 0 {
		buf = append(append(buf, `,"data":`...), data...)
	}
	return append(buf, '}')
}

// Send sends a message as it is, not as a packet of the protocol. It fails
// unless the client is connected.
func (c *Client) Send(ctx context.Context, message string) error {
	return c.sendRaw(ctx, append(ws.NewBuffer(len(message)), message...), ws.OpText)
}

// SendBinary is [Client.Send] for bytes.
func (c *Client) SendBinary(ctx context.Context, message []byte) error {
	return c.sendRaw(ctx, append(ws.NewBuffer(len(message)), message...), ws.OpBinary)
}

func (c *Client) sendRaw(ctx context.Context, buf []byte, op ws.Opcode) error {
	if err := c.awaitOutbox(ctx); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return ErrClosed
	}
	if c.state != socketcluster.Open {
		return badConnection("connectAbort", 0, "", "message")
	}
	return c.link.out.Push(ws.Seal(buf, op))
}
