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
	"testing"
	"testing/synctest"

	"github.com/spf13/cobra"

	"github.com/socketcluster-go/socketcluster/internal/memnet"
	"github.com/socketcluster-go/socketcluster/internal/sctest"
	"github.com/socketcluster-go/socketcluster/wire"
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
		o, err := parseOptions(args)
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

// parseOptions returns the options of serve with some arguments.
func parseOptions(args []string) (options, error) {
	var o options
	c := &cobra.Command{Use: "serve"}
	addFlags(c, o.groups()...)
	if err := c.ParseFlags(args); err != nil {
		return o, misused(c, unknownFlag(c, err))
	}
	return o, o.load(c.Flags())
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

// failure is an error as a client sees it.
type failure struct {
	Name    string `json:"name"`
	Message string `json:"message"`
}

// peer is a client that answers pings and keeps what else it gets.
type peer struct {
	*sctest.Client
	t *testing.T
}

// packet is an answer or an event.
type packet struct {
	Data  json.RawMessage
	Error *failure
}

// connect opens a socket and completes the handshake with a token, if any.
func (w *world) connect(token string) *peer {
	w.t.Helper()
	return &peer{sctest.Connect(w.t, w.listen.Dial, token).Follow(), w.t}
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

// call invokes a procedure and waits for its answer.
func (p *peer) call(event string, data any) packet {
	p.t.Helper()
	answer, err := p.Call(event, data)
	return packet{answer, failed(err)}
}

// failed returns the error of an answer, if any.
func failed(err error) *failure {
	if err == nil {
		return nil
	}
	e := err.(*wire.Error)
	return &failure{e.Name, e.Message}
}

// event waits for an event.
func (p *peer) event(name string) (got packet) {
	p.t.Helper()
	p.Event(name, &got.Data)
	return got
}

// received returns the events that have come and nobody has asked for.
func (p *peer) received() (names []string) {
	p.t.Helper()
	synctest.Wait()
	for _, in := range p.Kept() {
		names = append(names, in.Event)
	}
	return names
}

// subscribe subscribes and returns the error, if any.
func (p *peer) subscribe(channel string) *failure {
	p.t.Helper()
	return failed(p.Subscribe(channel))
}

// publish publishes and returns the error, if any.
func (p *peer) publish(channel string, data any) *failure {
	p.t.Helper()
	return failed(p.Publish(channel, data))
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
