package socketcluster_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/wire"
)

// QK-10, QK-53, AUTH-28: whatever happens to a socket's token while middleware looks
// at another one, the events tell of every change of state, and of no other. What
// the client was told meanwhile it is told again after the answer, which makes it
// forget that.
func TestTokenChangesDuringAuthenticate(t *testing.T) {
	ctx := context.Background()
	for _, test := range []struct {
		name   string
		during func(s *socketcluster.Socket) error
		events string // of a socket that was authenticated
		anon   string
		in     bool
		wire   []string // with T for a token
	}{
		{"logged out", func(s *socketcluster.Socket) error { s.DeauthenticateSelf(); return nil },
			"authStateChange deauthenticate", "deauthenticate", false,
			[]string{`{"rid":2,"data":{"isAuthenticated":false,"authError":null}}`}},
		{"logged out and told", func(s *socketcluster.Socket) error { s.Deauthenticate(ctx); return nil },
			"authStateChange deauthenticate", "deauthenticate", false,
			[]string{removeAuthToken, `{"rid":2,"data":{"isAuthenticated":false,"authError":null}}`, removeAuthToken}},
		{"logged in", func(s *socketcluster.Socket) error { return s.SetAuthToken(ctx, map[string]any{"server": true}) },
			"authTokenSigned authenticate", "authTokenSigned authStateChange authenticate", true,
			[]string{"T", wasAdmitted, "T"}},
		{"logged in, then blocked", func(s *socketcluster.Socket) error {
			s.SetAuthToken(ctx, map[string]any{"server": true})
			return &wire.Error{Name: "Banned", Message: "no"}
		}, "authTokenSigned authenticate error", "authTokenSigned authStateChange authenticate error", true,
			[]string{"T", `{"rid":2,"data":{"isAuthenticated":false,"authError":{"message":"no","name":"Banned"}}}`, "T"}},
		{"logged in, then blocked as bad", func(s *socketcluster.Socket) error {
			s.SetAuthToken(ctx, map[string]any{"server": true})
			return &wire.Error{Name: "Banned", Message: "no", Fields: []wire.Field{{Key: "isBadToken", Value: true}}}
		}, "authTokenSigned authenticate error badAuthToken", "authTokenSigned authStateChange authenticate error badAuthToken", true,
			[]string{"T", `{"rid":2,"error":{"message":"no","name":"Banned","isBadToken":true}}`, "T"}},
		{"logged out, then blocked", func(s *socketcluster.Socket) error {
			s.DeauthenticateSelf()
			return &wire.Error{Name: "Banned", Message: "no"}
		}, "authStateChange deauthenticate error", "deauthenticate error", false,
			[]string{`{"rid":2,"data":{"isAuthenticated":false,"authError":{"message":"no","name":"Banned"}}}`}},
		{"closed", func(s *socketcluster.Socket) error { s.Terminate(); return nil },
			"disconnect close error end", "disconnect close error end", false, nil},
		{"closed, then blocked", func(s *socketcluster.Socket) error { s.Terminate(); return &wire.Error{Name: "Banned", Message: "no"} },
			"disconnect close error end error", "disconnect close error end error", false, nil},
	} {
		for _, before := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, authenticated %t", test.name, before), func(t *testing.T) {
				inBubble(t, socketcluster.Config{}, func(w *world) {
					log := w.record()
					p, want := w.client(), test.anon
					s := w.only()
					if before {
						s.SetAuthToken(ctx, map[string]any{})
						p.nextToken()
						want = test.events
					}
					log.take()
					socketcluster.Use(w.srv, func(_ context.Context, a *socketcluster.Authenticate) error { return test.during(a.Socket) })
					p.send(`{"event":"#authenticate","data":` + quote(w.sign(map[string]any{})) + `,"cid":2}`)
					for _, text := range test.wire {
						if text == "T" {
							p.nextToken()
						} else {
							p.want(text)
						}
					}
					if test.wire != nil {
						p.quiet(time.Second)
					}
					log.want(want)
					if in := s.AuthToken() != nil; in != (test.in || before && test.wire == nil) {
						t.Errorf("authenticated: %t", in)
					}
				})
			})
		}
	}
}

// A token that replaces the one of the handshake in the connect handler, or
// its loss there, makes one consistent story with the events that follow.
func TestTokenChangesDuringConnect(t *testing.T) {
	ctx := context.Background()
	for _, test := range []struct {
		name   string
		during func(s *socketcluster.Socket)
		events string
	}{
		{"logged out", func(s *socketcluster.Socket) { s.Deauthenticate(ctx) }, "connect deauthenticate"},
		{"logged in", func(s *socketcluster.Socket) { s.SetAuthToken(ctx, map[string]any{}) }, "connect authTokenSigned authStateChange authenticate"},
		{"closed", func(s *socketcluster.Socket) { s.Disconnect(4500, "") }, "connect disconnect close error end"},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, socketcluster.Config{}, func(w *world) {
				log := w.record()
				token := quote(w.sign(map[string]any{}))
				socketcluster.On(w.srv, func(e socketcluster.ConnectEvent) { test.during(e.Socket) })
				w.connect(token)
				log.want(test.events)
			})
		})
	}
}

// A logout goes before the token of a handshake that middleware is looking at.
func TestLogoutDuringHandshake(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		socketcluster.Use(w.srv, func(ctx context.Context, a *socketcluster.Authenticate) error {
			a.Socket.DeauthenticateSelf()
			return nil
		})
		_, status := w.connect(quote(w.sign(map[string]any{})))
		if status["isAuthenticated"] != false || w.only().AuthToken() != nil {
			t.Errorf("%v, and the socket has %v", status, w.only().AuthToken())
		}
	})
}

// AUTH-28, AUTH-30: who changes the token in an event handler changes it after
// the event; the handlers see each change once and in order.
func TestTokenChangesInEventHandler(t *testing.T) {
	ctx := context.Background()
	inBubble(t, socketcluster.Config{}, func(w *world) {
		log := w.record()
		again := true
		socketcluster.On(w.srv, func(e socketcluster.DeauthenticateEvent) {
			if again {
				again = false
				e.Socket.SetAuthToken(ctx, map[string]any{"guest": true})
			}
		})
		p := w.login(map[string]any{})
		log.take()
		w.only().Deauthenticate(ctx)
		// The client is told in the order of the changes.
		p.want(removeAuthToken)
		p.nextToken()
		log.want("authStateChange deauthenticate authTokenSigned authStateChange authenticate")
	})
	// QK-53: a rejected token and the answer to it do not take away the one that a
	// handler has set because of it: that comes behind the answer.
	inBubble(t, socketcluster.Config{}, func(w *world) {
		socketcluster.Use(w.srv, func(_ context.Context, a *socketcluster.Authenticate) error { return nil })
		p := w.client()
		socketcluster.On(w.srv, func(e socketcluster.BadAuthTokenEvent) { e.Socket.SetAuthToken(ctx, map[string]any{"guest": true}) })
		p.send(`{"event":"#authenticate","data":"a.b.c","cid":2}`)
		p.want(`{"rid":2,"error":{"message":"invalid token","name":"AuthTokenInvalidError","isBadToken":true}}`)
		p.nextToken()
		p.quiet(time.Second)
		if w.only().AuthToken() == nil {
			t.Error("the handler's token was taken away")
		}
	})
}

// Whoever logs a socket in and out at the same time, the client ends with the
// token that the socket ends with, and the states alternate.
func TestTokenRaces(t *testing.T) {
	ctx := context.Background()
	for _, outbound := range []bool{false, true} {
		inBubble(t, socketcluster.Config{}, func(w *world) {
			if outbound {
				w.srv.UseOutbound(func(context.Context, socketcluster.Action) error { return nil })
			}
			p := w.client()
			s := w.only()
			state := socketcluster.Unauthenticated
			socketcluster.On(s, func(e socketcluster.AuthStateChangeEvent) {
				if e.OldAuthState != state || e.NewAuthState == state {
					t.Errorf("%v to %v, but the state was %v", e.OldAuthState, e.NewAuthState, state)
				}
				state = e.NewAuthState
			})
			for range 30 {
				var all sync.WaitGroup
				for i := range 4 {
					all.Go(func() { s.SetAuthToken(ctx, map[string]any{"i": i}) })
				}
				for range 2 {
					all.Go(func() { s.Deauthenticate(ctx) })
				}
				all.Wait()
				synctest.Wait()
				kept := ""
				for range 6 {
					var m struct {
						Event string
						Data  struct{ Token string }
					}
					if err := json.Unmarshal([]byte(p.next()), &m); err != nil {
						t.Fatal(err)
					}
					kept = m.Data.Token
				}
				if kept != s.AuthToken().Signed() {
					t.Fatalf("the client keeps %q, the socket %q", kept, s.AuthToken().Signed())
				}
				if s.AuthState() != state {
					t.Fatalf("told %v, is %v", state, s.AuthState())
				}
			}
		})
	}
}
