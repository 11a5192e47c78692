//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// ioTimeout bounds each step outside of the measured load, so that a server
// that hangs ends the run instead of stalling it.
const ioTimeout = 20 * time.Second

// endpoint is the address of a server, and its protocol.
type endpoint struct {
	addr   string
	proto  protocol
	origin string // sent if it is not empty

	tls     *tls.Config // nil for none
	deflate bool        // offer compression
}

// conn is a client connection that spends as little as possible on each
// message, to leave the machine to the server. Reading belongs to one
// goroutine; writing is safe from several, one frame or batch of frames each.
type conn struct {
	net        net.Conn
	proto      protocol
	buf        []byte // buf[start:end] is read but not yet consumed
	start, end int
	lines      []byte // what is left of the last frame, if several messages share one
	id         uint64 // of the last call
	pings      atomic.Uint64
	closed     bool // the server's close frame has been read
	inflater   inflater
}

// dial connects and upgrades.
func dial(ctx context.Context, e endpoint) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, ioTimeout)
	defer cancel()
	var d net.Dialer
	nc, err := d.DialContext(ctx, "tcp", e.addr)
	if err != nil {
		return nil, err
	}
	if e.tls != nil {
		nc = tls.Client(nc, e.tls)
	}
	c := &conn{net: nc, proto: e.proto, buf: make([]byte, readSize)}
	if err := c.upgrade(e); err != nil {
		nc.Close()
		return nil, err
	}
	return c, nil
}

// statusError is a refusal of the upgrade.
type statusError struct {
	status int
	body   string
}

func (e *statusError) Error() string { return fmt.Sprintf("upgrade refused: %d %s", e.status, e.body) }

// readSize is the size of a read buffer. All answers to a window of calls fit into it:
// what is split here comes back to the server in more segments than it has sent.
const readSize = 4 << 10

var endOfHeader = []byte("\r\n\r\n")

func upgradeRequest(e endpoint) []byte {
	request := "GET " + e.proto.path() + " HTTP/1.1\r\nHost: " + e.addr +
		"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13" +
		"\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	if e.origin != "" {
		request += "Origin: " + e.origin + "\r\n"
	}
	if e.deflate {
		request += "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n"
	}
	return []byte(request + "\r\n")
}

func (c *conn) upgrade(e endpoint) error {
	c.net.SetDeadline(time.Now().Add(ioTimeout))
	defer c.net.SetDeadline(time.Time{})
	if _, err := c.net.Write(upgradeRequest(e)); err != nil {
		return err
	}
	for {
		if err := c.fill(); err != nil {
			return fmt.Errorf("upgrade: %w", err)
		}
		head := c.buf[:c.end]
		end := bytes.Index(head, endOfHeader)
		if end < 0 {
			continue
		}
		if !bytes.HasPrefix(head, []byte("HTTP/1.1 101 ")) {
			return c.refusal()
		}
		c.start = end + len(endOfHeader)
		return nil
	}
}

func (c *conn) refusal() error {
	rest := io.MultiReader(bytes.NewReader(c.buf[:c.end]), c.net)
	response, err := http.ReadResponse(bufio.NewReader(rest), nil)
	if err != nil {
		return fmt.Errorf("upgrade: %w", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<10))
	if err != nil {
		return fmt.Errorf("upgrade: %w", err)
	}
	return &statusError{status: response.StatusCode, body: string(body)}
}

// fill reads more bytes, making room for them first.
func (c *conn) fill() error {
	if c.start == c.end {
		c.start, c.end = 0, 0
	}
	if c.end == len(c.buf) {
		if c.start > 0 {
			c.end = copy(c.buf, c.buf[c.start:c.end])
			c.start = 0
		} else {
			c.buf = append(c.buf, make([]byte, len(c.buf))...)
		}
	}
	n, err := c.net.Read(c.buf[c.end:])
	c.end += n
	if n > 0 {
		return nil
	}
	return err
}

// next returns the next message, which is valid until the following call. It
// answers pings before it.
func (c *conn) next() ([]byte, error) {
	for {
		message, ok, err := c.buffered()
		if ok || err != nil {
			return message, err
		}
		if err := c.fill(); err != nil {
			return nil, err
		}
	}
}

// buffered is next without reading from the network.
func (c *conn) buffered() (message []byte, ok bool, err error) {
	for {
		message, ok, err := c.message()
		if !ok || err != nil {
			return nil, false, err
		}
		if string(message) != c.proto.ping() {
			return message, true, nil
		}
		if _, err := c.net.Write(appendFrame(nil, opText, []byte(c.proto.pong()))); err != nil {
			return nil, false, err
		}
		c.pings.Add(1)
	}
}

// message is buffered with the pings.
func (c *conn) message() (message []byte, ok bool, err error) {
	payload := c.lines
	if len(payload) == 0 {
		var opcode byte
		var size int
		var compressed bool
		opcode, compressed, payload, size, err = parseFrame(c.buf[c.start:c.end])
		if err != nil || size == 0 {
			return nil, false, err
		}
		c.start += size
		if compressed {
			if payload, err = c.inflater.inflate(payload); err != nil {
				return nil, false, err
			}
		}
		switch opcode {
		case opText:
		case opClose:
			c.closed = true
			return nil, false, parseClose(payload)
		default:
			return nil, false, fmt.Errorf("%w: opcode %d", errFrame, opcode)
		}
	}
	c.lines = nil
	if c.proto.lines() {
		payload, c.lines, _ = bytes.Cut(payload, newline)
	}
	return payload, true, nil
}

var newline = []byte("\n")

// refusedError is an answer with which a server refuses.
type refusedError struct{ answer string }

func (e *refusedError) Error() string { return "the server refused: " + e.answer }

// roundTrip sends frames with calls and returns the last of their answers,
// which is valid until the next message is read. Other messages are dropped.
func (c *conn) roundTrip(frames []byte, calls int) (last []byte, err error) {
	c.net.SetDeadline(time.Now().Add(ioTimeout))
	defer c.net.SetDeadline(time.Time{})
	if _, err := c.net.Write(frames); err != nil {
		return nil, err
	}
	for calls > 0 {
		if last, err = c.next(); err != nil {
			return nil, err
		}
		switch c.proto.kind(last) {
		case answer:
			calls--
		case refusal:
			return nil, &refusedError{string(last)}
		}
	}
	return last, nil
}

// handshake opens the session, with a token unless it is empty. If the server
// does not accept the token, the error is a *refusedError.
func (c *conn) handshake(token string) error {
	c.id++
	message := c.proto.appendHandshake(nil, c.id, token)
	answer, err := c.roundTrip(appendFrame(nil, opText, message), 1)
	var closed *closeError
	switch {
	case errors.As(err, &closed):
		err = &refusedError{closed.Error()}
	case err == nil && !c.proto.opened(answer, token == ""):
		err = &refusedError{string(answer)}
	}
	if err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	return nil
}

// subscribe requests all channels in one write: in one frame if the protocol
// supports that, as its stock client does after a reconnect, and otherwise in
// one frame each.
func (c *conn) subscribe(channels ...string) error {
	var frames, message []byte
	for i, channel := range channels {
		c.id++
		message = c.proto.appendSubscribe(message, c.id, channel)
		if c.proto.lines() && i < len(channels)-1 {
			message = append(message, '\n')
			continue
		}
		frames, message = appendFrame(frames, opText, message), message[:0]
	}
	if _, err := c.roundTrip(frames, len(channels)); err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	return nil
}

var closeBody = binary.BigEndian.AppendUint16(nil, closeNormal)

// close sends a close frame, unless the server has sent one, and waits until
// the server has closed the connection, so that the server does all its work,
// and the port stays occupied on its side and not in this process.
func (c *conn) close() error {
	defer c.net.Close()
	c.net.SetDeadline(time.Now().Add(ioTimeout))
	frame := appendFrame(nil, opClose, closeBody)
	if _, err := c.net.Write(frame); err != nil {
		return err
	}
	for !c.closed {
		var closed *closeError
		if _, err := c.next(); err != nil && !errors.As(err, &closed) {
			return err
		}
	}
	for {
		c.start = c.end // nothing may follow a close frame
		if err := c.fill(); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}
