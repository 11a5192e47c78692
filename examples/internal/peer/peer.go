// Package peer is the client with which the examples are tested: a WebSocket
// and the few messages of the protocol that a test needs.
//
// A Peer is for one goroutine. Call and Event block until what they wait for
// has come; what comes before it is kept for later calls.
package peer

import (
	"context"
	"encoding/json"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/wire"
)

// patience is how long a test waits for a message: longer than the time
// between two renewals of a token, which passes in no time in a synctest
// bubble. Elsewhere the timeout of go test comes first.
const patience = time.Hour

// Peer is a connected client. It answers pings by itself.
type Peer struct {
	t    testing.TB
	conn net.Conn
	in   chan packet // closed with the connection
	kept []packet
	cid  int

	writing sync.Mutex
}

type packet struct {
	Event string          `json:"event"`
	RID   int             `json:"rid"`
	Data  json.RawMessage `json:"data"`
	Error json.RawMessage `json:"error"`
}

// Connect opens a socket over a connection that dial makes, and completes the
// handshake with a token, or without one if it is empty. The connection ends
// with the test.
func Connect(t testing.TB, dial func(ctx context.Context) (net.Conn, error), token string) *Peer {
	t.Helper()
	dialer := ws.Dialer{NetDial: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) }}
	conn, _, _, err := dialer.Dial(context.Background(), "ws://server"+socketcluster.DefaultPath)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	p := &Peer{t: t, conn: conn, in: make(chan packet, 100)}
	go p.read()
	if _, err := p.Call("#handshake", map[string]string{"authToken": token}); err != nil {
		t.Fatal(err)
	}
	return p
}

// Call calls a procedure. The error is a *[wire.Error] of the server's.
func (p *Peer) Call(procedure string, data any) (json.RawMessage, error) {
	p.t.Helper()
	p.Send(procedure, data)
	answer := p.await("the answer of "+procedure, func(in packet) bool { return in.RID == p.cid })
	return answer.Data, wire.ParseError(answer.Error)
}

// Send calls a procedure whose answer may not come.
func (p *Peer) Send(procedure string, data any) {
	p.t.Helper()
	p.cid++
	request, err := json.Marshal(map[string]any{"event": procedure, "data": data, "cid": p.cid})
	if err != nil {
		p.t.Fatal(err)
	}
	p.write(request)
}

// Event waits for an event and decodes its data into v, unless that is nil.
func (p *Peer) Event(name string, v any) {
	p.t.Helper()
	in := p.await(name, func(in packet) bool { return in.Event == name })
	if v == nil {
		return
	}
	if err := json.Unmarshal(in.Data, v); err != nil {
		p.t.Fatalf("%s: %v", name, err)
	}
}

// Closed waits for the server to close the connection.
func (p *Peer) Closed() {
	p.t.Helper()
	late := time.After(patience)
	for {
		select {
		case _, ok := <-p.in:
			if !ok {
				return
			}
		case <-late:
			p.t.Fatal("the connection was not closed")
		}
	}
}

// Close drops the connection.
func (p *Peer) Close() { p.conn.Close() }

func (p *Peer) await(what string, fits func(packet) bool) packet {
	p.t.Helper()
	for i, in := range p.kept {
		if fits(in) {
			p.kept = append(p.kept[:i:i], p.kept[i+1:]...)
			return in
		}
	}
	late := time.After(patience)
	for {
		select {
		case in, ok := <-p.in:
			if !ok {
				p.t.Fatalf("the connection was closed before %s", what)
			}
			if fits(in) {
				return in
			}
			p.kept = append(p.kept, in)
		case <-late:
			p.t.Fatalf("%s has not come", what)
		}
	}
}

func (p *Peer) read() {
	defer close(p.in)
	for {
		text, err := wsutil.ReadServerText(p.conn)
		if err != nil {
			return
		}
		if len(text) == 0 {
			p.write(nil) // the pong to a ping
			continue
		}
		var in packet
		if err := json.Unmarshal(text, &in); err != nil {
			p.t.Errorf("received %q: %v", text, err)
			return
		}
		p.in <- in
	}
}

func (p *Peer) write(text []byte) {
	p.writing.Lock()
	defer p.writing.Unlock()
	_ = wsutil.WriteClientText(p.conn, text) // the reader finds out
}
