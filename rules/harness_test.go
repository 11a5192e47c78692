package rules_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/internal/memnet"
	"github.com/socketcluster-go/socketcluster/internal/sctest"
	"github.com/socketcluster-go/socketcluster/wire"
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
type peer struct{ *sctest.Client }

// connect completes a handshake, with a token if there are claims.
func (w *world) connect(claims any, opts ...auth.SignOption) *peer {
	w.t.Helper()
	token := ""
	if claims != nil {
		token = w.sign(claims, opts...)
	}
	return &peer{sctest.Connect(w.t, w.listen.Dial, token)}
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
	_, err := p.Call(event, data)
	return text(err)
}

func (p *peer) subscribe(channel string) string { return text(p.Subscribe(channel)) }

func (p *peer) publish(channel string) string { return text(p.Publish(channel, 1)) }

func text(err error) string {
	if err == nil {
		return ""
	}
	e := err.(*wire.Error)
	return e.Name + ": " + e.Message
}

// kickedOut waits for a kick-out and returns its channel and message.
func (p *peer) kickedOut() string {
	var data struct{ Channel, Message string }
	p.Event("#kickOut", &data)
	return data.Channel + ": " + data.Message
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
