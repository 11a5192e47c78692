package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/internal/memnet"
)

// world is the demo in memory inside a synctest bubble: time stands still
// while anything is going on, and jumps when everybody waits.
type world struct {
	t      *testing.T
	demo   *demo
	listen *memnet.Listener
	http   *http.Client
	logs   *bytes.Buffer
	stop   context.CancelFunc // what a signal does
	ended  chan error         // what serve has returned
}

// inBubble runs a test with the demo as it is with some arguments.
func inBubble(t *testing.T, args []string, fn func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		o, err := parseOptions(args, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.Background())
		w := &world{t: t, listen: memnet.Listen(), logs: new(bytes.Buffer), stop: stop, ended: make(chan error, 1)}
		log := slog.New(slog.NewTextHandler(w.logs, nil))
		if w.demo, err = newDemo(ctx, o, log); err != nil {
			t.Fatal(err)
		}
		transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return w.listen.Dial(ctx) }}
		w.http = &http.Client{Transport: transport}
		go func() { w.ended <- w.demo.serve(ctx, w.listen, log) }()
		defer func() { // also when fn fails
			transport.CloseIdleConnections()
			stop()
			if err := <-w.ended; err != nil {
				t.Errorf("serve: %v", err)
			}
			if err := w.demo.close(); err != nil {
				t.Error(err)
			}
		}()
		fn(t, w)
	})
}

// account returns the credentials of a demo user.
func (w *world) account(username string) credentials {
	w.t.Helper()
	for _, a := range w.demo.accounts {
		if a.Username == username {
			return credentials(a)
		}
	}
	w.t.Fatalf("there is no demo user %s", username)
	return credentials{}
}

// packet is what a client receives.
type packet struct {
	Event string          `json:"event"`
	RID   int             `json:"rid"`
	Data  json.RawMessage `json:"data"`
	Error *failure        `json:"error"`
}

// failure is an error as a client sees it.
type failure struct {
	Name    string `json:"name"`
	Message string `json:"message"`
}

// peer is a client that answers pings and keeps what else it gets.
type peer struct {
	t    *testing.T
	conn net.Conn
	in   chan packet // closed with the connection
	seen []packet    // taken from in, and not asked for yet
	cid  int

	mu    sync.Mutex // held while writing
	close ws.StatusCode
}

// connect opens a socket and completes the handshake with a token, if any.
func (w *world) connect(token string) *peer {
	w.t.Helper()
	dialer := ws.Dialer{NetDial: func(ctx context.Context, _, _ string) (net.Conn, error) { return w.listen.Dial(ctx) }}
	conn, buffered, _, err := dialer.Dial(context.Background(), "ws://server"+socketcluster.DefaultPath)
	if err != nil {
		w.t.Fatal(err)
	}
	if buffered != nil {
		w.t.Fatal("the server has sent something before the handshake")
	}
	w.t.Cleanup(func() { conn.Close() })
	p := &peer{t: w.t, conn: conn, in: make(chan packet, 1000)}
	go p.read()
	answer := p.call("#handshake", map[string]any{"authToken": token})
	if answer.Error != nil {
		w.t.Fatalf("handshake: %+v", answer.Error)
	}
	return p
}

// login connects and logs a demo user in.
func (w *world) login(username string) *peer {
	w.t.Helper()
	p := w.connect("")
	if answer := p.call("login", w.account(username)); answer.Error != nil {
		w.t.Fatalf("login: %+v", answer.Error)
	}
	return p
}

func (p *peer) read() {
	defer close(p.in)
	defer p.conn.Close()
	for {
		text, err := wsutil.ReadServerText(p.conn)
		if err != nil {
			if closed, ok := err.(wsutil.ClosedError); ok {
				p.close = closed.Code
			}
			return
		}
		if len(text) == 0 {
			p.write(nil) // a ping wants a pong
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

func (p *peer) write(text []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = wsutil.WriteClientText(p.conn, text) // the reader finds out
}

// call invokes a procedure and waits for its answer.
func (p *peer) call(event string, data any) packet {
	p.t.Helper()
	p.cid++
	cid := p.cid
	p.write([]byte(mustJSON(p.t, map[string]any{"event": event, "data": data, "cid": cid})))
	return p.await("the answer to "+event, func(in packet) bool { return in.RID == cid })
}

// event waits for an event.
func (p *peer) event(name string) packet {
	p.t.Helper()
	return p.await(name, func(in packet) bool { return in.Event == name })
}

// received returns the events that have come and nobody has asked for.
func (p *peer) received() []string {
	synctest.Wait()
	for len(p.in) > 0 {
		p.seen = append(p.seen, <-p.in)
	}
	var names []string
	for _, in := range p.seen {
		names = append(names, in.Event)
	}
	p.seen = nil
	return names
}

// await takes the first packet that fits, and leaves the others for later.
func (p *peer) await(what string, fits func(packet) bool) packet {
	p.t.Helper()
	for i, in := range p.seen {
		if fits(in) {
			p.seen = append(p.seen[:i:i], p.seen[i+1:]...)
			return in
		}
	}
	late := time.After(time.Hour) // in the time of the bubble
	for {
		select {
		case in, ok := <-p.in:
			if !ok {
				p.t.Fatalf("the connection was closed before %s", what)
			}
			if fits(in) {
				return in
			}
			p.seen = append(p.seen, in)
		case <-late:
			p.t.Fatalf("%s has not come; received %s", what, mustJSON(p.t, p.seen))
		}
	}
}

// transmit sends an event that wants no answer.
func (p *peer) transmit(event string) {
	p.t.Helper()
	p.write([]byte(mustJSON(p.t, map[string]string{"event": event})))
}

// subscribe subscribes and returns the error, if any.
func (p *peer) subscribe(channel string) *failure {
	p.t.Helper()
	return p.call("#subscribe", map[string]any{"channel": channel}).Error
}

// publish publishes and returns the error, if any.
func (p *peer) publish(channel string, data any) *failure {
	p.t.Helper()
	return p.call("#publish", map[string]any{"channel": channel, "data": data}).Error
}

// tokenOf reads the claims of a token without checking it.
func tokenOf(t *testing.T, w *world, signed string) map[string]any {
	t.Helper()
	token, err := w.demo.sockets.Auth().Verify(t.Context(), signed)
	if err != nil {
		t.Fatalf("token %q: %v", signed, err)
	}
	var claims map[string]any
	if err := token.Claims(&claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

// postLogin sends a login over HTTP.
func (w *world) postLogin(contentType, body string) (*http.Response, string) {
	w.t.Helper()
	r, err := http.NewRequest(http.MethodPost, "http://server/login", strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Content-Type", contentType)
	return w.do(r)
}

func (w *world) do(r *http.Request) (*http.Response, string) {
	w.t.Helper()
	resp, err := w.http.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp, string(body)
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
