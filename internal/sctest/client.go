package sctest

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/socketcluster-go/socketcluster/wire"
)

// Patience is the time for which a Client waits for an expected message: longer
// than the time between two renewals of a token, which takes no real time in a
// bubble. Outside of a bubble the timeout of go test comes first.
const Patience = time.Hour

// Packet is what a client receives.
type Packet struct {
	Event string          `json:"event"`
	RID   int             `json:"rid"`
	Data  json.RawMessage `json:"data"`
	Error json.RawMessage `json:"error"`
}

// Client is a client for a test. Anything unexpected ends the test.
type Client struct {
	*Conn
	t    testing.TB
	cid  int      // of the last call
	kept []Packet // that came before those that were waited for

	in  chan string // of a client that follows; closed with the connection
	end error       // the reason why in was closed
}

// New makes a client from a connection, which ends with the test.
func New(t testing.TB, conn *Conn) *Client {
	t.Cleanup(func() { conn.Close() })
	return &Client{Conn: conn, t: t}
}

// Dial makes a connection.
type Dial func(ctx context.Context) (net.Conn, error)

// TCP dials an address.
func TCP(addr string) Dial {
	return func(ctx context.Context) (net.Conn, error) { return new(net.Dialer).DialContext(ctx, "tcp", addr) }
}

// Connect makes a connection, upgrades it, and completes the handshake with a token,
// or without one if it is empty.
func Connect(t testing.TB, dial Dial, token string) *Client {
	t.Helper()
	conn, err := dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c, err := Open(conn, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Handshake(token); err != nil {
		conn.Close()
		t.Fatal(err)
	}
	client := New(t, c)
	client.cid = 1
	return client
}

// Follow makes the client read in the background from now on. It returns the
// client.
func (c *Client) Follow() *Client {
	c.in = make(chan string, 1000)
	go func() {
		defer close(c.in)
		for {
			text, err := c.Conn.Next()
			if err != nil {
				c.end = err
				c.Close()
				return
			}
			c.in <- text
		}
	}()
	return c
}

// Send sends a text message, and ignores errors.
func (c *Client) Send(text string) { _ = c.Conn.Send(text) }

// Transmit sends an event that expects no answer.
func (c *Client) Transmit(event string, data any) {
	c.t.Helper()
	c.Send(c.marshal(map[string]any{"event": event, "data": data}))
}

// Call calls a procedure. The error is a *[wire.Error] from the server.
func (c *Client) Call(procedure string, data any) (json.RawMessage, error) {
	c.t.Helper()
	return c.Answer(c.Start(procedure, data))
}

// Start calls a procedure and returns the ID of the call.
func (c *Client) Start(procedure string, data any) (cid int) {
	c.t.Helper()
	c.cid++
	c.Send(c.marshal(map[string]any{"event": procedure, "data": data, "cid": c.cid}))
	return c.cid
}

// Answer waits for the answer to a call.
func (c *Client) Answer(cid int) (json.RawMessage, error) {
	c.t.Helper()
	answer := c.await("the answer", func(p Packet) bool { return p.RID == cid })
	return answer.Data, wire.ParseError(answer.Error)
}

// Subscribe subscribes to a channel.
func (c *Client) Subscribe(channel string) error {
	c.t.Helper()
	_, err := c.Call("#subscribe", map[string]string{"channel": channel})
	return err
}

// Publish publishes and waits for the answer.
func (c *Client) Publish(channel string, data any) error {
	c.t.Helper()
	_, err := c.Call("#publish", map[string]any{"channel": channel, "data": data})
	return err
}

// Event waits for an event and decodes its data into v, unless that is nil.
func (c *Client) Event(name string, v any) {
	c.t.Helper()
	p := c.await(name, func(p Packet) bool { return p.Event == name })
	if v == nil {
		return
	}
	if err := json.Unmarshal(p.Data, v); err != nil {
		c.t.Fatalf("%s: %v", name, err)
	}
}

// Before returns the packets that came before those that were waited for, and
// that nobody has waited for yet.
func (c *Client) Before() []Packet { return c.kept }

// Kept returns the packets that have arrived and that nobody has waited for,
// and forgets them. The client must follow.
func (c *Client) Kept() (all []Packet) {
	c.t.Helper()
	for len(c.in) > 0 {
		c.kept = append(c.kept, c.parse(<-c.in))
	}
	all, c.kept = c.kept, nil
	return all
}

// Closed waits for the server to close the connection, drops all messages
// before that, and returns the code of the close frame, or 0 if there is none.
func (c *Client) Closed() wire.CloseCode {
	c.t.Helper()
	for {
		_, err := c.message()
		if err == nil {
			continue
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			c.t.Fatal("the connection was not closed")
		}
		var closed wsutil.ClosedError
		errors.As(err, &closed)
		return wire.CloseCode(closed.Code)
	}
}

// await returns the first packet that fits, and keeps the others for later.
func (c *Client) await(what string, fits func(Packet) bool) Packet {
	c.t.Helper()
	for i, p := range c.kept {
		if fits(p) {
			c.kept = append(c.kept[:i:i], c.kept[i+1:]...)
			return p
		}
	}
	for {
		text, err := c.message()
		if err != nil {
			c.t.Fatalf("waiting for %s: %v; before it came %s", what, err, c.marshal(c.kept))
		}
		p := c.parse(text)
		if fits(p) {
			return p
		}
		c.kept = append(c.kept, p)
	}
}

// message returns the next message. The error states how the connection has
// ended, or is os.ErrDeadlineExceeded.
func (c *Client) message() (string, error) {
	if c.in == nil {
		c.SetReadDeadline(time.Now().Add(Patience))
		return c.Conn.Next()
	}
	late := time.NewTimer(Patience)
	defer late.Stop()
	select {
	case text, ok := <-c.in:
		if !ok {
			return "", c.end
		}
		return text, nil
	case <-late.C:
		return "", os.ErrDeadlineExceeded
	}
}

// Next returns the next message that is not a ping. It ignores packets that
// have been kept.
func (c *Client) Next() string {
	c.t.Helper()
	text, err := c.message()
	if err != nil {
		c.t.Fatalf("next: %v", err)
	}
	return text
}

// Want checks the next messages.
func (c *Client) Want(texts ...string) {
	c.t.Helper()
	for _, text := range texts {
		if got := c.Next(); got != text {
			c.t.Fatalf("got  %s\nwant %s", got, text)
		}
	}
}

// Quiet checks that only pings arrive for a while. The client must not follow.
func (c *Client) Quiet(d time.Duration) {
	c.t.Helper()
	c.SetReadDeadline(time.Now().Add(d))
	text, err := c.Conn.Next()
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Fatalf("quiet: got %q, %v", text, err)
	}
}

// WantClose reads up to a close frame, which only pings may precede, checks it,
// answers it, and waits for the end of the connection. It does not answer
// pings. The client must not follow.
func (c *Client) WantClose(code int, reason string) {
	c.t.Helper()
	c.SetReadDeadline(time.Now().Add(Patience))
	for {
		f, err := c.ReadFrame()
		if err != nil {
			c.t.Fatalf("waiting for close %d: %v", code, err)
		}
		if f.Header.OpCode != ws.OpClose {
			if len(f.Payload) > 0 {
				c.t.Fatalf("waiting for close %d: got %q", code, f.Payload)
			}
			continue
		}
		got, text := ws.ParseCloseFrameData(f.Payload)
		if int(got) != code || text != reason {
			c.t.Fatalf("close %d %q, want %d %q", got, text, code, reason)
		}
		if err := c.SendFrame(ws.NewCloseFrame(f.Payload)); err != nil {
			c.t.Fatalf("answer to close %d: %v", code, err)
		}
		if _, err := c.In.ReadByte(); err != io.EOF {
			c.t.Fatalf("after close: %v, want EOF", err)
		}
		return
	}
}

func (c *Client) marshal(v any) string {
	c.t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		c.t.Fatal(err)
	}
	return string(b)
}

func (c *Client) parse(text string) (p Packet) {
	c.t.Helper()
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		c.t.Fatalf("received %q: %v", text, err)
	}
	return p
}
