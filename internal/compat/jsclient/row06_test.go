package jsclient

import (
	"context"
	"testing"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
)

func TestRow06_PublishRule(t *testing.T) {
	n := startNode(t)
	srv := startServer(t, socketcluster.Config{Auth: auth.Options{Key: key}}, func(srv *socketcluster.Server) {
		serveGuide(srv)
		srv.Handle("echo", socketcluster.Func(func(_ context.Context, in string) (string, error) { return in, nil }))
	})
	listener := n.connected(t, srv, nil)
	for _, channel := range []string{"news", "alice's", "staff"} {
		listener.do(t, "subscribe", channel)
		listener.do(t, "collect", channel)
	}
	wantPublished := func(t *testing.T, c *client, channel string) {
		t.Helper()
		next := listener.start(t, "nextPublication", channel)
		c.do(t, "publish", channel, "hello")
		if raw, err := next(); err != nil || decode[string](t, raw) != "hello" {
			t.Errorf("the subscriber got %s, %v", raw, err)
		}
	}
	wantRefused := func(t *testing.T, c *client, channel string) {
		t.Helper()
		_, err := c.try(t, "publish", channel, "forbidden")
		if e := wantJSError(t, err, "PublishError", "You may not publish to "+channel); len(e.Fields) > 0 {
			t.Errorf("the error contains more: %v", e.Fields)
		}
	}

	t.Run("6.1 the token's channels and no others", func(t *testing.T) {
		c := n.connected(t, srv, nil)
		c.login(t, alice)
		wantPublished(t, c, "news")
		wantPublished(t, c, "alice's")
		wantRefused(t, c, "staff")
	})

	t.Run("6.2 without a token", func(t *testing.T) {
		wantRefused(t, n.connected(t, srv, nil), "news")
	})

	t.Run("6.3 with a token whose channels are no list", func(t *testing.T) {
		c := n.connected(t, srv, sign(t, options{"username": "eve", "channels": "news"}))
		c.wantUser(t, "eve")
		wantRefused(t, c, "news")
	})

	t.Run("6.4 with a token without channels", func(t *testing.T) {
		wantRefused(t, n.connected(t, srv, sign(t, options{"username": "eve"})), "news")
	})

	t.Run("6.5 after login and after logout", func(t *testing.T) {
		c := n.connected(t, srv, nil)
		wantRefused(t, c, "news")
		c.login(t, bob)
		wantPublished(t, c, "news")
		c.do(t, "deauthenticate")
		wantRefused(t, c, "news")
	})

	t.Run("6.6 what middleware does not handle is allowed", func(t *testing.T) {
		c := n.connected(t, srv, nil)
		c.do(t, "subscribe", "staff")
		if got := decode[string](t, c.do(t, "invoke", "echo", "hi")); got != "hi" {
			t.Errorf("echo: %s", got)
		}
		if err := srv.Exchange().Publish(t.Context(), "staff", "from the server"); err != nil {
			t.Fatal(err)
		}
	})

	t.Run("6.7 nothing that was refused has been delivered", func(t *testing.T) {
		listener.barrier(t)
		for _, got := range decode[[]string](t, listener.do(t, "collected")) {
			if got == "forbidden" {
				t.Error("a refused publication was delivered")
			}
		}
	})
}
