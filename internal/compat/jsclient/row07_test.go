package jsclient

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
)

const (
	renewEvery = 60 * time.Millisecond // half an hour in the guide
	renewLife  = 30 * time.Minute
)

// oldToken is the one that is renewed: each claim of renewal is in it, and is
// old.
func oldToken() options {
	return options{
		"username": "alice123", "channels": []string{"news"},
		"iat": 1700000000, "nbf": 1700000000, "exp": 4000000000, "jti": "first",
	}
}

// claimsOf reads a token as jsonwebtoken does.
func claimsOf(t *testing.T, n *node, signed string) map[string]any {
	t.Helper()
	return decode[map[string]any](t, n.do(t, "verify", signed, key, options{}))
}

// nextToken waits for the next token that a client is given.
func nextToken(t *testing.T, c *client) map[string]any {
	t.Helper()
	e := decode[struct{ SignedAuthToken string }](t, c.wait(t, "authenticate"))
	return claimsOf(t, c.node, e.SignedAuthToken)
}

// wantRenewed checks a token against the one that it replaces.
func wantRenewed(t *testing.T, old, got map[string]any) {
	t.Helper()
	iat, _ := got["iat"].(float64)
	exp, _ := got["exp"].(float64)
	if iat <= 1700000000 || exp != iat+renewLife.Seconds() {
		t.Errorf("the new token is good from %v to %v", got["iat"], got["exp"])
	}
	if jti, _ := got["jti"].(string); jti == "" || jti == old["jti"] {
		t.Errorf("jti is %v, was %v", got["jti"], old["jti"])
	}
	if got["nbf"] != nil {
		t.Errorf("nbf is %v", got["nbf"])
	}
	if got["username"] != "alice123" || len(got["channels"].([]any)) != 1 {
		t.Errorf("the new token says %v", got)
	}
}

func TestRow07_Renewal(t *testing.T) {
	for name, variant := range map[string]struct {
		cfg   socketcluster.Config
		setup func(*socketcluster.Server)
	}{
		"Config.TokenRenewal": {
			cfg: withRenewal(key, renewEvery, renewLife),
		},
		"user code": {
			cfg:   socketcluster.Config{Auth: auth.Options{Key: key}},
			setup: func(srv *socketcluster.Server) { renewTokens(srv, renewEvery, renewLife) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			n := startNode(t)
			srv := startServer(t, variant.cfg, func(srv *socketcluster.Server) {
				serveGuide(srv)
				srv.Handle("old login", socketcluster.Proc(func(ctx context.Context, _ socketcluster.None) error {
					return socketcluster.FromContext(ctx).SetAuthToken(ctx, oldToken())
				}))
				if variant.setup != nil {
					variant.setup(srv)
				}
			})
			testRenewal(t, n, srv)
		})
	}
}

// testRenewal has one client that stays logged in: its renewals are the clock
// by which others are found to have stopped.
func testRenewal(t *testing.T, n *node, srv *server) {
	clock := n.connected(t, srv, nil)
	clock.login(t, alice)
	clock.wait(t, "authenticate")
	// The first of the three may have been on its way. Between the other two
	// lies a whole renewEvery, in which any other socket would be renewed.
	tick := func(t *testing.T) {
		t.Helper()
		for range 3 {
			clock.wait(t, "authenticate")
		}
	}
	catchUp := func(t *testing.T) {
		t.Helper()
		clock.barrier(t)
		clock.do(t, "forget", "authenticate")
	}

	t.Run("7.1 it starts with a login and goes on", func(t *testing.T) {
		c := n.connected(t, srv, nil)
		c.do(t, "invoke", "old login", nil)
		old := nextToken(t, c)
		if old["jti"] != "first" || old["iat"] != 1700000000.0 {
			t.Fatalf("the first token says %v", old)
		}
		for range 3 {
			next := nextToken(t, c)
			wantRenewed(t, old, next)
			old = next
		}
		if s := c.state(t); s.SignedAuthToken == nil || s.Stored != *s.SignedAuthToken {
			t.Errorf("the client keeps %v", s.Stored)
		}
		c.do(t, "disconnect")
	})

	t.Run("7.2 it starts with a restored session", func(t *testing.T) {
		c := n.client(t, srv, sign(t, oldToken()))
		if st := c.connect(t); !st.IsAuthenticated {
			t.Fatalf("status: %+v", st)
		}
		old := nextToken(t, c)
		if old["jti"] != "first" {
			t.Fatalf("the first token says %v", old)
		}
		for range 2 {
			next := nextToken(t, c)
			wantRenewed(t, old, next)
			old = next
		}
		c.do(t, "disconnect")
	})

	for name, logout := range map[string]func(*client){
		"by the server": func(c *client) { c.do(t, "invoke", "logout", nil) },
		"by the client": func(c *client) { c.do(t, "deauthenticate") },
	} {
		t.Run("7.3 it stops with a logout "+name, func(t *testing.T) {
			c := n.client(t, srv, nil)
			st := c.connect(t)
			c.login(t, alice)
			c.wait(t, "authenticate")
			c.wait(t, "authenticate") // renewed once
			logout(c)
			c.barrier(t)
			c.diary(t)
			catchUp(t)
			tick(t)
			c.barrier(t)
			c.wantDiary(t, "")
			if srv.socket(t, st).AuthToken() != nil {
				t.Error("the socket is authenticated again")
			}
			// And starts anew with the next login.
			c.login(t, alice)
			c.do(t, "forget", "authenticate")
			c.wait(t, "authenticate")
			c.do(t, "disconnect")
		})
	}

	t.Run("7.4 it stops with the connection", func(t *testing.T) {
		c := n.client(t, srv, nil)
		st := c.connect(t)
		c.login(t, alice)
		c.wait(t, "authenticate")
		c.wait(t, "authenticate")
		socket := srv.socket(t, st)
		signed := make(chan struct{}, 64)
		c.do(t, "disconnect")
		srv.events.until(t, st.ID, "end")
		socketcluster.On(socket, func(socketcluster.AuthTokenSignedEvent) { signed <- struct{}{} })
		catchUp(t)
		tick(t)
		if len(signed) > 0 {
			t.Error("a token was signed for a closed socket")
		}
	})
}

// meddler is an engine that does something as soon as a token is signed that has a
// jti, as renewed ones have: that is between the lines of a renewal that read the
// token and set the next one.
type meddler struct {
	auth.Engine
	meddle func(ctx context.Context)
	once   sync.Once
}

func (m *meddler) Sign(ctx context.Context, claims any, opts ...auth.SignOption) (*auth.Token, error) {
	token, err := m.Engine.Sign(ctx, claims, opts...)
	if auth.ApplySign(opts...).JWTID != "" {
		m.once.Do(func() { m.meddle(ctx) })
	}
	return token, err
}

// A logout, or the login of somebody else, while a renewal is at it is not undone.
func TestRow07_RenewalMeetsLogin(t *testing.T) {
	for name, end := range map[string]struct {
		meddle func(context.Context, *socketcluster.Socket) error
		want   any
	}{
		"logout": {func(ctx context.Context, s *socketcluster.Socket) error { s.Deauthenticate(ctx); return nil }, nil},
		"login": {func(ctx context.Context, s *socketcluster.Socket) error {
			return s.SetAuthToken(ctx, claims{"bob", []string{"news"}})
		}, "bob"},
	} {
		t.Run(name, func(t *testing.T) {
			jwt, err := auth.NewJWT(auth.Options{Key: key})
			if err != nil {
				t.Fatal(err)
			}
			engine := &meddler{Engine: jwt}
			n := startNode(t)
			srv := startServer(t, socketcluster.Config{AuthEngine: engine}, func(srv *socketcluster.Server) {
				serveGuide(srv)
				renewTokens(srv, renewEvery, renewLife)
			})
			meddled := make(chan error, 1)
			engine.meddle = func(ctx context.Context) { meddled <- end.meddle(ctx, srv.only(t)) }
			c := n.connected(t, srv, nil)
			c.login(t, alice)
			if err := <-meddled; err != nil {
				t.Fatal(err)
			}
			c.do(t, "forget", "authenticate")
			// Another client is the clock: the renewal has ended by its third.
			clock := n.connected(t, srv, nil)
			clock.login(t, alice)
			for range 3 {
				clock.wait(t, "authenticate")
			}
			state := c.state(t)
			if end.want == nil {
				if state.SignedAuthToken != nil {
					t.Error("the logout has been undone")
				}
				return
			}
			// And it goes on for the next user.
			for range 3 {
				if got := nextToken(t, c); got["username"] != end.want {
					t.Errorf("the token is that of %v, want %v", got["username"], end.want)
				}
			}
		})
	}
}
