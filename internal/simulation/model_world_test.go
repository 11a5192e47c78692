package simulation_test

import (
	"context"
	"log/slog"
	"net/http"
	"testing"

	"pgregory.net/rapid"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/internal/memnet"
	"github.com/socketcluster-go/socketcluster/internal/sctest"
)

// world is the server of a model that rapid drives, in memory. It pings nobody.
type world struct {
	t      *testing.T
	srv    *socketcluster.Server
	listen *memnet.Listener
	web    *http.Server
}

func newWorld(t *testing.T, rt *rapid.T, cfg socketcluster.Config) *world {
	cfg.Auth.Key = "test-key-0123456789-0123456789-01"
	cfg.Timeouts.PingDisabled = true
	cfg.Logger = slog.New(slog.DiscardHandler)
	srv, err := socketcluster.New(cfg)
	if err != nil {
		rt.Fatal(err)
	}
	listen := memnet.Listen()
	listen.Polled = rapid.Bool().Draw(rt, "handled where it is read")
	return &world{t, srv, listen, &http.Server{Handler: srv}}
}

func (w *world) serve() { go w.web.Serve(w.listen) }

// dial opens a WebSocket without a handshake.
func (w *world) dial() *sctest.Conn {
	conn, err := w.listen.Dial(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	c, err := sctest.Open(conn, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// sign returns a token of these claims.
func (w *world) sign(claims any, opts ...auth.SignOption) string {
	token, err := w.srv.Auth().Sign(context.Background(), claims, opts...)
	if err != nil {
		w.t.Fatal(err)
	}
	return token.Signed()
}
