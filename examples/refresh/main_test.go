package main

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/examples/internal/logintest"
	"github.com/socketcluster-go/socketcluster/internal/memnet"
	"github.com/socketcluster-go/socketcluster/internal/sctest"
)

// inBubble runs a test with a server in memory, with time that passes only
// while everybody waits; once for each way to renew.
func inBubble(t *testing.T, fn func(t *testing.T, srv *socketcluster.Server, connect func(token string) *sctest.Client)) {
	for name, byHand := range map[string]bool{"by the server": false, "by hand": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				users, err := newUsers(t.Context(), logintest.Password)
				if err != nil {
					t.Fatal(err)
				}
				srv, err := newServer(logintest.Key, byHand, users)
				if err != nil {
					t.Fatal(err)
				}
				listen := memnet.Listen()
				web := &http.Server{Handler: srv}
				go web.Serve(listen)
				defer web.Close()
				defer srv.Close()
				fn(t, srv, func(token string) *sctest.Client { return sctest.Connect(t, listen.Dial, token).Follow() })
			})
		})
	}
}

// next waits for a token and returns it with its claims.
func next(t *testing.T, srv *socketcluster.Server, p *sctest.Client) (string, map[string]any) {
	t.Helper()
	var data struct{ Token string }
	p.Event("#setAuthToken", &data)
	token, err := srv.Auth().Verify(t.Context(), data.Token)
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := token.Claims(&claims); err != nil {
		t.Fatal(err)
	}
	return data.Token, claims
}

func TestTokensAreRenewed(t *testing.T) {
	inBubble(t, func(t *testing.T, srv *socketcluster.Server, connect func(string) *sctest.Client) {
		p := connect("")
		if _, err := p.Call("login", credentials{Username: "alice", Password: logintest.Password}); err != nil {
			t.Fatal(err)
		}
		token, _ := next(t, srv, p)
		start := time.Now()
		ids := make(map[any]bool)
		check := func(p *sctest.Client) {
			t.Helper()
			var claims map[string]any
			token, claims = next(t, srv, p)
			// Timers tick in steps of some milliseconds, and renewals come early
			// by up to a tenth.
			if got := time.Since(start).Round(time.Second); got > renewEvery || got < renewEvery*9/10 {
				t.Errorf("the token was renewed after %v, want %v", got, renewEvery)
			}
			start = time.Now()
			if claims["username"] != "alice" || claims["exp"].(float64)-claims["iat"].(float64) != tokenLife.Seconds() {
				t.Errorf("claims are %v", claims)
			}
			if id := claims["jti"]; id == nil || ids[id] {
				t.Errorf("jti is %v, after %v", id, ids)
			} else {
				ids[id] = true
			}
		}
		for range 4 { // more than the life of a token
			check(p)
		}
		// A token that a client brings along is renewed like one of a login.
		p.Close()
		start = time.Now()
		check(connect(token))
	})
}

// A jti is that of one token, of all that processes with the same key have ever
// signed: to revoke it must not end the logins of others.
func TestTokenIDsAreRandom(t *testing.T) {
	ids := make(map[any]bool)
	for range 2 {
		inBubble(t, func(t *testing.T, srv *socketcluster.Server, connect func(string) *sctest.Client) {
			for range 2 {
				p := connect("")
				if _, err := p.Call("login", credentials{Username: "alice", Password: logintest.Password}); err != nil {
					t.Fatal(err)
				}
				next(t, srv, p)
				_, claims := next(t, srv, p)
				if id, _ := claims["jti"].(string); len(id) < 16 || ids[id] {
					t.Errorf("jti is %q, after %v", id, ids)
				} else {
					ids[id] = true
				}
			}
		})
	}
}

func TestRenewalEnds(t *testing.T) {
	for name, end := range map[string]func(p *sctest.Client) error{
		"logout":     func(p *sctest.Client) error { _, err := p.Call("logout", nil); return err },
		"disconnect": func(p *sctest.Client) error { p.Close(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, srv *socketcluster.Server, connect func(string) *sctest.Client) {
				var tokens atomic.Int64
				socketcluster.On(srv, func(socketcluster.AuthenticateEvent) { tokens.Add(1) })
				p := connect("")
				if _, err := p.Call("login", credentials{Username: "alice", Password: logintest.Password}); err != nil {
					t.Fatal(err)
				}
				next(t, srv, p)
				next(t, srv, p)
				synctest.Wait() // for the events, which come after the tokens
				if got := tokens.Load(); got != 2 {
					t.Fatalf("%d tokens were given, want 2", got)
				}
				if err := end(p); err != nil {
					t.Fatal(err)
				}
				time.Sleep(3 * renewEvery)
				if got := tokens.Load(); got != 2 {
					t.Errorf("%d tokens were given after the %s", got-2, name)
				}
			})
		})
	}
}

// meddler is an engine that does something as soon as it has signed a token with a
// jti: between the lines of renew that read the token and set the next one.
type meddler struct {
	auth.Engine
	meddle func()
}

func (m meddler) Sign(ctx context.Context, claims any, opts ...auth.SignOption) (*auth.Token, error) {
	token, err := m.Engine.Sign(ctx, claims, opts...)
	if auth.ApplySign(opts...).JWTID != "" {
		m.meddle()
	}
	return token, err
}

// A logout, or the login of somebody else, while a renewal is at it is not undone.
func TestRenewalMeetsLogin(t *testing.T) {
	for name, test := range map[string]struct {
		meddle func(context.Context, *socketcluster.Socket) error
		want   any
	}{
		"logout": {func(ctx context.Context, s *socketcluster.Socket) error { s.Deauthenticate(ctx); return nil }, nil},
		"login": {func(ctx context.Context, s *socketcluster.Socket) error {
			return s.SetAuthToken(ctx, map[string]string{"username": "bob"})
		}, "bob"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				jwt, err := auth.NewJWT(auth.Options{Key: logintest.Key})
				if err != nil {
					t.Fatal(err)
				}
				var socket *socketcluster.Socket
				engine := meddler{jwt, func() {
					if err := test.meddle(t.Context(), socket); err != nil {
						t.Error(err)
					}
				}}
				srv, err := socketcluster.New(socketcluster.Config{AuthEngine: engine})
				if err != nil {
					t.Fatal(err)
				}
				listen := memnet.Listen()
				web := &http.Server{Handler: srv}
				go web.Serve(listen)
				defer web.Close()
				defer srv.Close()
				sctest.Connect(t, listen.Dial, "").Follow()
				for s := range srv.Clients() {
					socket = s
				}
				if err := socket.SetAuthToken(t.Context(), map[string]string{"username": "alice"}); err != nil {
					t.Fatal(err)
				}
				renew(socket)
				var got any
				if token := socket.AuthToken(); token != nil {
					got, _ = token.Claim("username")
				}
				if got != test.want {
					t.Errorf("the socket is that of %v, want %v", got, test.want)
				}
			})
		})
	}
}

func TestLoginRefuses(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *socketcluster.Server, connect func(string) *sctest.Client) {
		p := connect("")
		for _, in := range []any{credentials{Username: "alice", Password: "wrong"}, credentials{Username: "carol", Password: logintest.Password}, "alice"} {
			if _, err := p.Call("login", in); err == nil {
				t.Errorf("%v: logged in", in)
			}
		}
	})
}
