package socketcluster_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/authtest"
	"github.com/socketcluster-go/socketcluster/auth/httpauth"
	"github.com/socketcluster-go/socketcluster/wire"
)

// handleLogin makes a procedure "login" that gives its caller a token of the
// claims that it is called with.
func (w *world) handleLogin(opts ...auth.SignOption) {
	w.srv.Handle("login", socketcluster.Proc(func(ctx context.Context, claims map[string]any) error {
		return socketcluster.FromContext(ctx).SetAuthToken(ctx, claims, opts...)
	}))
}

// sign makes a token by the server's own engine.
func (w *world) sign(claims any, opts ...auth.SignOption) string {
	w.t.Helper()
	token, err := w.srv.Auth().Sign(context.Background(), claims, opts...)
	if err != nil {
		w.t.Fatal(err)
	}
	return token.Signed()
}

// nextToken returns the claims of the next message, which must set a token.
func (p *peer) nextToken() map[string]any {
	p.t.Helper()
	var m struct {
		Event string
		CID   *int
		Data  struct{ Token string }
	}
	text := p.next()
	if err := json.Unmarshal([]byte(text), &m); err != nil || m.Event != "#setAuthToken" || m.CID != nil {
		p.t.Fatalf("got %s, want a token", text)
	}
	engine, _ := auth.NewJWT(auth.Options{Key: testKey})
	token, err := engine.Verify(context.Background(), m.Data.Token)
	if err != nil {
		p.t.Fatalf("token: %v", err)
	}
	var claims map[string]any
	if err := token.Claims(&claims); err != nil {
		p.t.Fatal(err)
	}
	return claims
}

const (
	removeAuthToken = `{"event":"#removeAuthToken"}`
	wasAdmitted     = `{"rid":2,"data":{"isAuthenticated":true,"authError":null}}`
)

// AUTH-1, AUTH-2, AUTH-23, AUTH-27, AUTH-28, GT-2, QK-31: a login. The token
// comes before the answer, and the events in their order.
func TestLogin(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		w.handleLogin()
		log := w.record()
		p := w.client()
		s := w.only()
		if s.AuthState() != socketcluster.Unauthenticated || s.AuthToken() != nil || s.AuthToken().Signed() != "" {
			t.Error("authenticated without a token")
		}
		p.send(`{"event":"login","data":{"username":"bob"},"cid":2}`)
		claims := p.nextToken()
		p.want(`{"rid":2}`)
		s.SetAuthToken(context.Background(), map[string]any{"username": "bob"}) // and once more, for the text
		p.want(`{"event":"#setAuthToken","data":{"token":"` + s.AuthToken().Signed() + `"}}`)
		now := float64(time.Now().Unix())
		if claims["username"] != "bob" || claims["iat"] != now || claims["exp"] != now+86400 {
			t.Errorf("claims %v", claims)
		}
		c, ok := socketcluster.Claims[struct{ Username string }](s)
		if !ok || c.Username != "bob" || s.AuthState() != socketcluster.Authenticated {
			t.Errorf("state %v, claims %v", s.AuthState(), c)
		}
		log.want("connect authTokenSigned authStateChange authenticate authTokenSigned authenticate")
		// AUTH-4, CF-2: another user takes over without a logout.
		p.send(`{"event":"login","data":{"username":"eve"},"cid":3}`)
		if claims := p.nextToken(); claims["username"] != "eve" {
			t.Errorf("claims %v", claims)
		}
		p.want(`{"rid":3}`)
		log.want("authTokenSigned authenticate")
	})
}

// AUTH-22, CF-20: there are no tokens before the handshake is complete.
func TestSetAuthTokenTooEarly(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		refused := make(chan error, 1)
		socketcluster.Use(w.srv, func(ctx context.Context, a *socketcluster.Handshake) error {
			refused <- a.Socket.SetAuthToken(ctx, map[string]any{"a": 1})
			return nil
		})
		log := w.record()
		_, status := w.connect("null")
		if err := <-refused; !errors.Is(err, wire.ErrInvalidAction) || !strings.Contains(err.Error(), "Cannot call setAuthToken before completing the handshake") {
			t.Errorf("got %v", err)
		}
		if status["isAuthenticated"] != false {
			t.Errorf("status %v", status)
		}
		log.want("error connect")
	})
}

// QK-49: an engine that fails in whatever way admits nobody, and the
// connection stays.
func TestVerifyFailure(t *testing.T) {
	for name, verify := range map[string]func(string) (*auth.Token, error){
		"no token":         func(string) (*auth.Token, error) { return nil, nil },
		"a private error":  func(string) (*auth.Token, error) { return nil, errors.New("secret detail") },
		"both, mistakenly": func(string) (*auth.Token, error) { return new(auth.Token), errors.New("secret detail") },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, socketcluster.Config{AuthEngine: failingEngine{verify: verify}}, func(w *world) {
				p, status := w.connect(`"token"`)
				e, _ := status["authError"].(map[string]any)
				if status["isAuthenticated"] != false || e["name"] != "AuthTokenError" || e["message"] != "The token could not be verified" || e["isBadToken"] != true {
					t.Errorf("status %v", status)
				}
				p.want(removeAuthToken)
				p.send(`{"event":"#authenticate","data":"token","cid":2}`)
				p.want(`{"rid":2,"error":{"message":"The token could not be verified","name":"AuthTokenError","isBadToken":true}}`, removeAuthToken)
			})
		})
	}
}

// An engine that panics says nothing about the token: it is kept.
func TestVerifyPanic(t *testing.T) {
	engine := failingEngine{verify: func(string) (*auth.Token, error) { panic("engine") }}
	inBubble(t, socketcluster.Config{AuthEngine: engine}, func(w *world) {
		p, status := w.connect(`"token"`)
		if e, _ := status["authError"].(map[string]any); status["isAuthenticated"] != false || e["name"] != "InternalError" {
			t.Errorf("status %v", status)
		}
		p.send(`{"event":"#authenticate","data":"token","cid":2}`)
		p.want(`{"rid":2,"data":{"isAuthenticated":false,"authError":{"message":"An internal error occurred","name":"InternalError"}}}`)
		p.quiet(time.Second)
	})
}

// AUTH-27, CF-7: a login that the client has to confirm.
func TestConfirmAuthToken(t *testing.T) {
	ctx := context.Background()
	confirm := func(w *world, s *socketcluster.Socket) chan error {
		done := make(chan error, 1)
		go func() { done <- s.ConfirmAuthToken(ctx, map[string]any{"u": 1}) }()
		synctest.Wait()
		return done
	}
	inBubble(t, socketcluster.Config{}, func(w *world) {
		log := w.record()
		p := w.client()
		s := w.only()
		for i, test := range []struct{ answer, failure string }{
			{`{"rid":1}`, ""},
			{`{"rid":2,"error":{"name":"E","message":"disk full"}}`, "AuthError: Failed to deliver auth token to client - disk full"},
			{`{"rid":3,"error":"disk full"}`, "AuthError: Failed to confirm delivery of auth token to client due to malformatted error response"},
			{"", "AuthError: Failed to deliver auth token to client - Event response for #setAuthToken event timed out"},
		} {
			done := confirm(w, s)
			if text := p.next(); !strings.HasPrefix(text, `{"event":"#setAuthToken","cid":`+string(rune('1'+i))+`,"data":{"token":"`) {
				t.Fatalf("got %s", text)
			}
			if test.answer != "" {
				p.send(test.answer)
			}
			err := <-done
			if err == nil != (test.failure == "") || err != nil && err.Error() != test.failure {
				t.Errorf("got %v, want %q", err, test.failure)
			}
			if s.AuthState() != socketcluster.Authenticated {
				t.Error("not authenticated")
			}
		}
		log.want("connect authTokenSigned authStateChange authenticate authTokenSigned authenticate error authTokenSigned authenticate error authTokenSigned authenticate error")
		p.Conn.Close()
		synctest.Wait()
		log.take()
		if err := s.ConfirmAuthToken(ctx, map[string]any{}); !errors.Is(err, wire.ErrAuth) {
			t.Errorf("on a closed socket: %v", err)
		}
		log.want("error error")
		if err := s.SetAuthToken(ctx, map[string]any{}); !errors.Is(err, wire.ErrBadConnection) {
			t.Errorf("on a closed socket: %v", err)
		}
		log.want("error")
	})
}

// AUTH-30, AUTH-31, AUTH-32, RPC-4, CF-3, CF-4, GT-5: the ways to log out.
func TestDeauthenticate(t *testing.T) {
	ctx := context.Background()
	claims := map[string]any{"u": 1}
	inBubble(t, socketcluster.Config{}, func(w *world) {
		log := w.record()
		var old []*auth.Token
		var changes []socketcluster.AuthStateChangeEvent
		socketcluster.On(w.srv, func(e socketcluster.DeauthenticateEvent) { old = append(old, e.OldAuthToken) })
		socketcluster.On(w.srv, func(e socketcluster.AuthStateChangeEvent) { changes = append(changes, e) })
		p := w.login(claims)
		s := w.only()
		first := s.AuthToken()
		log.want("connect authStateChange authenticate")

		s.DeauthenticateSelf()
		p.quiet(time.Second)
		log.want("authStateChange deauthenticate")
		if want := []socketcluster.AuthStateChangeEvent{
			{Socket: s, NewAuthState: socketcluster.Authenticated, AuthToken: first},
			{Socket: s, OldAuthState: socketcluster.Authenticated},
		}; !slices.Equal(changes, want) {
			t.Errorf("changes %v, want %v", changes, want)
		}
		s.DeauthenticateSelf()
		log.want("deauthenticate")
		if len(old) != 2 || old[0] != first || old[1] != nil {
			t.Errorf("old tokens %v", old)
		}
		if s.AuthToken() != nil || s.AuthToken().Signed() != "" || s.AuthState() != socketcluster.Unauthenticated {
			t.Error("still authenticated")
		}

		s.SetAuthToken(ctx, claims)
		p.nextToken()
		log.take()
		s.Deauthenticate(ctx)
		p.want(removeAuthToken)
		log.want("authStateChange deauthenticate")

		s.SetAuthToken(ctx, claims)
		p.nextToken()
		log.take()
		p.send(removeAuthToken)
		p.want(removeAuthToken) // see TestLogoutCrossesToken
		p.quiet(time.Second)
		log.want("authStateChange deauthenticate")
		p.send(`{"event":"#removeAuthToken","cid":7}`)
		p.quiet(time.Second) // no answer
		log.want("error deauthenticate")

		done := make(chan error, 1)
		go func() { done <- s.ConfirmDeauthenticate(ctx) }()
		p.want(`{"event":"#removeAuthToken","cid":1}`)
		p.send(`{"rid":1}`)
		if err := <-done; err != nil {
			t.Error(err)
		}
		log.want("deauthenticate")
		p.Conn.Close()
		synctest.Wait()
		log.take()
		if err := s.ConfirmDeauthenticate(ctx); !errors.Is(err, wire.ErrBadConnection) {
			t.Errorf("CF-4: %v", err)
		}
		s.Deauthenticate(ctx)
		log.want("error")
	})
}

// AUTH-33: subscriptions outlive the login.
func TestSubscriptionsOutliveLogin(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		p := w.login(map[string]any{})
		p.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`)
		p.want(`{"rid":2}`)
		w.only().DeauthenticateSelf()
		w.srv.Exchange().Publish(context.Background(), "a", 1)
		p.want(`{"event":"#publish","data":{"channel":"a","data":1}}`)
	})
}

// AUTH-34 to AUTH-38, GT-4, CF-8: authentication on an open socket.
func TestAuthenticate(t *testing.T) {
	block := func(bad bool) func(w *world) {
		return func(w *world) {
			socketcluster.Use(w.srv, func(_ context.Context, a *socketcluster.Authenticate) error {
				if blocked, _ := a.AuthToken.Claim("blocked"); blocked != true {
					return nil
				}
				e := &wire.Error{Name: "Banned", Message: "no"}
				if bad {
					e = e.With("isBadToken", true)
				}
				return e
			})
		}
	}
	for _, test := range []struct {
		name   string
		token  func(w *world) string // as JSON, "" for absent data
		set    func(w *world)
		answer string
		remove bool
		events string // of a socket that is authenticated already
		anon   string // of one that is not
	}{
		{"AUTH-35: good", func(w *world) string { return quote(w.sign(map[string]any{})) }, nil,
			wasAdmitted, false, "authenticate", "authStateChange authenticate"},
		{"AUTH-36: bad", func(*world) string { return `"a.b.c"` }, nil,
			`{"rid":2,"error":{"message":"invalid token","name":"AuthTokenInvalidError","isBadToken":true}}`, true,
			"error badAuthToken authStateChange deauthenticate", "error badAuthToken deauthenticate"},
		{"AUTH-36: empty", func(*world) string { return `""` }, nil,
			`{"rid":2,"error":{"message":"jwt must be provided","name":"AuthTokenInvalidError","isBadToken":true}}`, true,
			"error badAuthToken authStateChange deauthenticate", "error badAuthToken deauthenticate"},
		{"AUTH-36: null", func(*world) string { return `null` }, nil,
			`{"rid":2,"error":{"message":"jwt must be provided","name":"AuthTokenInvalidError","isBadToken":true}}`, true,
			"authStateChange deauthenticate", "deauthenticate"},
		{"AUTH-36: absent", func(*world) string { return "" }, nil,
			`{"rid":2,"error":{"message":"jwt must be provided","name":"AuthTokenInvalidError","isBadToken":true}}`, true,
			"authStateChange deauthenticate", "deauthenticate"},
		{"AUTH-36: no string", func(*world) string { return `{}` }, nil,
			`{"rid":2,"error":{"message":"Invalid token format - Token must be a string","name":"AuthTokenError","isBadToken":true}}`, true,
			"error badAuthToken authStateChange deauthenticate", "error badAuthToken deauthenticate"},
		{"AUTH-37, QK-10: not yet active", func(w *world) string {
			return quote(w.sign(map[string]any{"nbf": 4000000000, "exp": 4000000001}))
		}, nil,
			`{"rid":2,"data":{"isAuthenticated":false,"authError":{"message":"jwt not active","name":"AuthTokenNotBeforeError","date":"2096-10-02T07:06:40.000Z","isBadToken":false}}}`, false,
			"error authStateChange deauthenticate", "error"},
		{"AUTH-37, QK-10, QK-11: blocked", func(w *world) string { return quote(w.sign(map[string]any{"blocked": true})) }, block(false),
			`{"rid":2,"data":{"isAuthenticated":false,"authError":{"message":"no","name":"Banned"}}}`, false,
			"error authStateChange deauthenticate", "error"},
		{"AUTH-38: blocked as bad", func(w *world) string { return quote(w.sign(map[string]any{"blocked": true})) }, block(true),
			`{"rid":2,"error":{"message":"no","name":"Banned","isBadToken":true}}`, true,
			"error badAuthToken authStateChange deauthenticate", "error badAuthToken deauthenticate"},
	} {
		for _, before := range []bool{true, false} {
			name := test.name + ", anonymous"
			if before {
				name = test.name + ", authenticated"
			}
			t.Run(name, func(t *testing.T) {
				inBubble(t, socketcluster.Config{}, func(w *world) {
					if test.set != nil {
						test.set(w)
					}
					log := w.record()
					var p *peer
					events := test.anon
					if before {
						p, events = w.login(map[string]any{"u": 1}), test.events
					} else {
						p = w.client()
					}
					s := w.only()
					old := s.AuthToken()
					socketcluster.On(s, func(e socketcluster.DeauthenticateEvent) {
						if e.OldAuthToken != old {
							t.Errorf("QK-10: old token %v, want %v", e.OldAuthToken, old)
						}
					})
					log.take()
					var data string
					if token := test.token(w); token != "" {
						data = `"data":` + token + `,`
					}
					p.send(`{"event":"#authenticate",` + data + `"cid":2}`)
					p.want(test.answer)
					if test.remove {
						p.want(removeAuthToken)
					}
					p.quiet(time.Second)
					log.want(events)
					if in := s.AuthToken() != nil; in != (test.answer == wasAdmitted) {
						t.Errorf("authenticated: %v", in)
					}
				})
			})
		}
	}
	t.Run("AUTH-34: without an id", func(t *testing.T) {
		inBubble(t, socketcluster.Config{}, func(w *world) {
			log := w.record()
			p := w.client()
			p.send(`{"event":"#authenticate","data":"x"}`)
			p.wantClose(4008, "")
			log.want("connect error disconnect close error end")
		})
	})
}

// AUTH-39: the middleware sees the new token in the action alone, and the socket
// as it is until then.
func TestAuthenticateAction(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		seen := 0
		socketcluster.Use(w.srv, func(_ context.Context, a *socketcluster.Authenticate) error {
			seen++
			if a.AuthToken == a.Socket.AuthToken() || a.SignedAuthToken != a.AuthToken.Signed() || (a.Socket.AuthState() == socketcluster.Authenticated) != (seen == 2) {
				t.Error("the socket carries the token already, or has lost the one before")
			}
			return nil
		})
		w.handleLogin()
		p := w.login(map[string]any{})
		p.send(`{"event":"#authenticate","data":` + quote(w.sign(map[string]any{})) + `,"cid":2}`)
		p.want(wasAdmitted)
		p.send(`{"event":"login","data":{},"cid":3}`)
		p.nextToken()
		p.want(`{"rid":3}`)
		if seen != 2 {
			t.Errorf("%d actions, want 2: not for tokens of the server", seen)
		}
	})
}

// AUTH-10: the engine of the example keeps the promises of one.
func TestLoginsEngine(t *testing.T) {
	authtest.TestEngine(t, func(*testing.T) auth.Engine { return new(logins) })
}

// AUTH-10: with an engine whose tokens are not JWTs, everything works as with
// JWTs: login, presenting a token, a bad one, expiry, logout, cookies.
func TestEngineWithoutJWT(t *testing.T) {
	engine := new(logins)
	cfg := socketcluster.Config{AuthEngine: engine, TokenSources: []httpauth.Source{httpauth.Cookie("token")}, Timeouts: socketcluster.Timeouts{PingDisabled: true}}
	inBubble(t, cfg, func(w *world) {
		w.handleLogin(auth.ExpiresIn(time.Minute))
		log := w.record()
		p := w.client()
		p.send(`{"event":"login","data":{"username":"alice"},"cid":2}`)
		var set struct {
			Event string
			Data  struct{ Token string }
		}
		if err := json.Unmarshal([]byte(p.next()), &set); err != nil || set.Event != "#setAuthToken" || len(set.Data.Token) < 20 || strings.Contains(set.Data.Token, ".") {
			t.Fatalf("got %+v, %v", set, err)
		}
		token := set.Data.Token
		p.want(`{"rid":2}`)
		log.want("connect authTokenSigned authStateChange authenticate")
		if s := w.only(); user(s) != "alice" || s.AuthToken().Signed() != token {
			t.Errorf("%q with %q", user(s), s.AuthToken().Signed())
		}
		p.send(removeAuthToken)
		p.send(`{"event":"#authenticate","data":` + quote(token) + `,"cid":2}`)
		p.want(removeAuthToken, wasAdmitted)
		log.want("authStateChange deauthenticate authStateChange authenticate")
		p.send(`{"event":"#authenticate","data":"nonsense","cid":3}`)
		p.want(`{"rid":3,"error":{"message":"no such login","name":"AuthTokenInvalidError","isBadToken":true}}`, removeAuthToken)
		p.Conn.Close()

		again, status := w.connect(quote(token))
		if status["isAuthenticated"] != true {
			t.Errorf("status %v", status)
		}
		byCookie, status := w.connectWith(with("Cookie", "token="+token), "null")
		if status["isAuthenticated"] != true {
			t.Errorf("status %v", status)
		}
		for _, p := range []*peer{again, byCookie} {
			p.quiet(time.Until(time.Date(2000, 1, 1, 0, 1, 0, 0, time.UTC)))
			p.want(removeAuthToken)
		}

		// A token that the engine has forgotten is no longer valid.
		engine.mu.Lock()
		clear(engine.tokens)
		engine.mu.Unlock()
		late, status := w.connect(quote(token))
		if e, _ := status["authError"].(map[string]any); e["message"] != "no such login" {
			t.Errorf("status %v", status)
		}
		late.want(removeAuthToken)
	})
}

// QK-10, QK-53, AUTH-28: whatever happens to a socket's token while middleware
// looks at another one, the events report every change of state, and nothing
// else. What the client received meanwhile is sent again after the answer,
// which makes it forget that.
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

// A token that takes the place of the one before, as a renewed one does, is no decision
// against the one that the client presents.
func TestRenewalDuringAuthenticate(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		ctx := context.Background()
		p := w.client()
		s := w.only()
		s.SetAuthToken(ctx, map[string]any{})
		p.nextToken()
		socketcluster.Use(w.srv, func(_ context.Context, a *socketcluster.Authenticate) error {
			return s.SetAuthTokenIf(ctx, s.AuthToken(), map[string]any{"renewed": true})
		})
		presented := w.sign(map[string]any{})
		p.send(`{"event":"#authenticate","data":` + quote(presented) + `,"cid":2}`)
		p.nextToken()
		p.want(wasAdmitted)
		p.quiet(time.Second)
		if s.AuthToken().Signed() != presented {
			t.Error("the socket does not have the token that the client has presented")
		}
	})
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
		// The client is notified in the order of the changes.
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
