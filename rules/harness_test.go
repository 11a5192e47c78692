package rules_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/internal/memnet"
)

const testKey = "test-key-0123456789-0123456789-01"

// world is a server in memory inside a synctest bubble.
type world struct {
	t      *testing.T
	srv    *socketcluster.Server
	listen *memnet.Listener
	logs   *bytes.Buffer
	log    *slog.Logger
}

func inBubble(t *testing.T, fn func(w *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, listen: memnet.Listen(), logs: new(bytes.Buffer)}
		w.log = slog.New(slog.NewTextHandler(w.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
		srv, err := socketcluster.New(socketcluster.Config{Auth: auth.Options{Key: testKey}, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		w.srv = srv
		web := &http.Server{Handler: srv}
		go web.Serve(w.listen)
		defer func() {
			srv.Close()
			web.Close()
			synctest.Wait()
		}()
		fn(w)
	})
}

// peer is a client.
type peer struct {
	t    *testing.T
	conn net.Conn
	cid  int
	seen []packet // that have come while another was awaited
}

type packet struct {
	Event string
	RID   int
	Data  json.RawMessage
	Error *struct{ Name, Message string }
}

// connect completes a handshake, with a token if there are claims.
func (w *world) connect(claims any, opts ...auth.SignOption) *peer {
	w.t.Helper()
	dialer := ws.Dialer{NetDial: func(ctx context.Context, _, _ string) (net.Conn, error) { return w.listen.Dial(ctx) }}
	conn, _, _, err := dialer.Dial(w.t.Context(), "ws://server"+socketcluster.DefaultPath)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { conn.Close() })
	p := &peer{t: w.t, conn: conn}
	data := map[string]any{}
	if claims != nil {
		data["authToken"] = w.sign(claims, opts...)
	}
	if err := p.call("#handshake", data); err != "" {
		w.t.Fatal(err)
	}
	return p
}

func (w *world) sign(claims any, opts ...auth.SignOption) string {
	w.t.Helper()
	token, err := w.srv.Auth().Sign(w.t.Context(), claims, opts...)
	if err != nil {
		w.t.Fatal(err)
	}
	return token.Signed()
}

// socket returns the only socket that there is.
func (w *world) socket() *socketcluster.Socket {
	w.t.Helper()
	for s := range w.srv.Clients() {
		return s
	}
	w.t.Fatal("there is no socket")
	return nil
}

// call returns the error of a call, "" if it succeeds.
func (p *peer) call(event string, data any) string {
	p.t.Helper()
	p.cid++
	cid := p.cid
	p.write(map[string]any{"event": event, "data": data, "cid": cid})
	in := p.await(func(in packet) bool { return in.RID == cid })
	if in.Error != nil {
		return in.Error.Name + ": " + in.Error.Message
	}
	return ""
}

func (p *peer) subscribe(channel string) string {
	p.t.Helper()
	return p.call("#subscribe", map[string]any{"channel": channel})
}

func (p *peer) publish(channel string) string {
	p.t.Helper()
	return p.call("#publish", map[string]any{"channel": channel, "data": 1})
}

func (p *peer) write(v any) {
	text, err := json.Marshal(v)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := wsutil.WriteClientText(p.conn, text); err != nil {
		p.t.Fatal(err)
	}
}

// kickedOut waits for a kick-out and returns its channel and message.
func (p *peer) kickedOut() string {
	p.t.Helper()
	var data struct{ Channel, Message string }
	in := p.await(func(in packet) bool { return in.Event == "#kickOut" })
	if err := json.Unmarshal(in.Data, &data); err != nil {
		p.t.Fatal(err)
	}
	return data.Channel + ": " + data.Message
}

// await takes the first packet that fits, and leaves the others for later.
func (p *peer) await(fits func(packet) bool) packet {
	p.t.Helper()
	for i, in := range p.seen {
		if fits(in) {
			p.seen = append(p.seen[:i:i], p.seen[i+1:]...)
			return in
		}
	}
	p.conn.SetReadDeadline(time.Now().Add(time.Minute))
	for {
		text, err := wsutil.ReadServerText(p.conn)
		if err != nil {
			p.t.Fatal(err)
		}
		if len(text) == 0 { // a ping
			continue
		}
		var in packet
		if err := json.Unmarshal(text, &in); err != nil {
			p.t.Fatalf("%s: %v", text, err)
		}
		if fits(in) {
			return in
		}
		p.seen = append(p.seen, in)
	}
}

// logged returns the lines of the log so far, without their times.
func (w *world) logged() []string {
	synctest.Wait()
	var lines []string
	for line := range strings.Lines(w.logs.String()) {
		_, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		lines = append(lines, rest)
	}
	w.logs.Reset()
	return lines
}

func (w *world) wantLog(lines ...string) {
	w.t.Helper()
	if got := w.logged(); fmt.Sprint(got) != fmt.Sprint(lines) {
		w.t.Errorf("logged\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(lines, "\n"))
	}
}
