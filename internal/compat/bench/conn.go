//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// ioTimeout bounds each step outside of the measured load, so that a server
// that hangs ends the run instead of stalling it.
const ioTimeout = 20 * time.Second

// conn is a client connection that spends as little as possible on each
// message, to leave the machine to the server. Reading belongs to one
// goroutine; writing is safe from several, one frame or batch of frames each.
type conn struct {
	net        net.Conn
	buf        []byte // buf[start:end] is read but not yet consumed
	start, end int
	cid        uint64
	pings      atomic.Uint64
}

// dial connects and upgrades. An empty origin sends no Origin header.
func dial(ctx context.Context, addr, origin string) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, ioTimeout)
	defer cancel()
	var d net.Dialer
	nc, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	c := &conn{net: nc, buf: make([]byte, 1<<10)}
	if err := c.upgrade(addr, origin); err != nil {
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

var endOfHeader = []byte("\r\n\r\n")

func (c *conn) upgrade(addr, origin string) error {
	request := "GET /socketcluster/ HTTP/1.1\r\nHost: " + addr +
		"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13" +
		"\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	if origin != "" {
		request += "Origin: " + origin + "\r\n"
	}
	c.net.SetDeadline(time.Now().Add(ioTimeout))
	defer c.net.SetDeadline(time.Time{})
	if _, err := io.WriteString(c.net, request+"\r\n"); err != nil {
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

// next returns the next message, valid until the following call. It answers
// pings, which are empty messages, on the way.
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

var pong = appendFrame(nil, opText, nil)

// buffered is next without reading from the network.
func (c *conn) buffered() (message []byte, ok bool, err error) {
	for {
		opcode, payload, size, err := parseFrame(c.buf[c.start:c.end])
		if err != nil || size == 0 {
			return nil, false, err
		}
		c.start += size
		switch {
		case opcode == opClose:
			return nil, false, parseClose(payload)
		case opcode != opText:
			return nil, false, fmt.Errorf("%w: opcode %d", errFrame, opcode)
		case len(payload) > 0:
			return payload, true, nil
		}
		if _, err := c.net.Write(pong); err != nil {
			return nil, false, err
		}
		c.pings.Add(1)
	}
}

// appendCall appends the frame of a call of event with JSON data. A call with
// cid 0 is a transmit: it gets no answer.
func appendCall(dst, scratch []byte, event, data string, cid uint64) (frame, reuse []byte) {
	scratch = append(scratch[:0], `{"event":"`...)
	scratch = append(scratch, event...)
	scratch = append(scratch, `","data":`...)
	scratch = append(scratch, data...)
	if cid > 0 {
		scratch = append(scratch, `,"cid":`...)
		scratch = strconv.AppendUint(scratch, cid, 10)
	}
	scratch = append(scratch, '}')
	return appendFrame(dst, opText, scratch), scratch
}

// packet is any message of the protocol that a client receives.
type packet struct {
	Event string          `json:"event"`
	Rid   uint64          `json:"rid"`
	Data  json.RawMessage `json:"data"`
	Error *wireError      `json:"error"`
}

type wireError struct {
	Name    string `json:"name"`
	Message string `json:"message"`
}

func (e *wireError) Error() string { return e.Name + ": " + e.Message }

// call invokes event and returns the data of the answer, and the other
// messages that arrived before it. An error of the server is a *wireError.
func (c *conn) call(event, data string) (answer json.RawMessage, before []packet, err error) {
	c.cid++
	frame, _ := appendCall(nil, nil, event, data, c.cid)
	c.net.SetDeadline(time.Now().Add(ioTimeout))
	defer c.net.SetDeadline(time.Time{})
	if _, err := c.net.Write(frame); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", event, err)
	}
	for {
		message, err := c.next()
		if err != nil {
			return nil, before, fmt.Errorf("%s: %w", event, err)
		}
		var p packet
		if err := json.Unmarshal(bytes.Clone(message), &p); err != nil {
			return nil, before, fmt.Errorf("%s: message %q: %w", event, message, err)
		}
		if p.Rid != c.cid {
			before = append(before, p)
			continue
		}
		if p.Error != nil {
			return nil, before, fmt.Errorf("%s: %w", event, p.Error)
		}
		return p.Data, before, nil
	}
}

var (
	authenticated   = []byte(`"isAuthenticated":true`)
	unauthenticated = []byte(`"isAuthenticated":false`)
)

// handshake opens the session, with a token unless it is empty.
func (c *conn) handshake(token string) error {
	data, want := `{"authToken":null}`, unauthenticated
	if token != "" {
		data, want = `{"authToken":"`+token+`"}`, authenticated
	}
	answer, _, err := c.call("#handshake", data)
	if err == nil && !bytes.Contains(answer, want) {
		err = fmt.Errorf("the handshake answer %s lacks %s", answer, want)
	}
	return err
}

func (c *conn) subscribe(channel string) error {
	_, _, err := c.call("#subscribe", `{"channel":"`+channel+`"}`)
	return err
}

// close says goodbye and waits until the server has closed the connection, so
// that the server does its whole part and keeps the port, not this process.
func (c *conn) close() error {
	defer c.net.Close()
	c.net.SetDeadline(time.Now().Add(ioTimeout))
	frame := appendFrame(nil, opClose, binary.BigEndian.AppendUint16(nil, closeNormal))
	if _, err := c.net.Write(frame); err != nil {
		return err
	}
	for {
		_, err := c.next()
		if err == nil {
			continue
		}
		var closed *closeError
		if !errors.As(err, &closed) {
			return err
		}
		break
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
