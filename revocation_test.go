package socketcluster_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/httpauth"
	"github.com/socketcluster-go/socketcluster/auth/password"
	"github.com/socketcluster-go/socketcluster/auth/revoke"
	"github.com/socketcluster-go/socketcluster/login"
	"github.com/socketcluster-go/socketcluster/wire"
)

// A revoked token ends on the sockets that have it, and is refused afterwards;
// others stay.
func TestRevoke(t *testing.T) {
	ctx := context.Background()
	claims := func(name string) map[string]any {
		return map[string]any{"sub": name, "sid": "session of " + name, "jti": "token of " + name}
	}
	for _, test := range []struct {
		name string
		r    revoke.Revocation
	}{
		{"by token", revoke.Revocation{JTI: "token of alice"}},
		{"by session", revoke.Revocation{Session: "session of alice"}},
		{"by user", revoke.Revocation{Subject: "alice"}},
		{"by user, disconnecting", revoke.Revocation{Subject: "alice", Disconnect: true}},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, socketcluster.Config{Revocations: new(revoke.Memory)}, func(w *world) {
				log := w.record()
				token, err := w.srv.Auth().Sign(ctx, claims("alice"))
				if err != nil {
					t.Fatal(err)
				}
				alice, _ := w.connect(quote(token.Signed()))
				bob := w.login(claims("bob"))
				synctest.Wait()
				log.take()
				if err := w.srv.Revoke(ctx, test.r); err != nil {
					t.Fatal(err)
				}
				alice.want(`{"event":"#removeAuthToken"}`)
				if test.r.Disconnect {
					alice.wantClose(1000, "")
					log.want("authStateChange deauthenticate disconnect close end")
				} else {
					log.want("authStateChange deauthenticate")
					alice.send(`{"event":"#authenticate","data":` + quote(token.Signed()) + `,"cid":2}`)
					alice.want(`{"rid":2,"error":{"message":"jwt revoked","name":"AuthTokenInvalidError","isBadToken":true}}`, `{"event":"#removeAuthToken"}`)
				}
				late, status := w.connect(quote(token.Signed()))
				if e, _ := status["authError"].(map[string]any); e["message"] != "jwt revoked" || e["name"] != "AuthTokenInvalidError" {
					t.Errorf("status %v", status)
				}
				late.want(`{"event":"#removeAuthToken"}`)
				bob.quiet(time.Second)
				n := 0
				for s := range w.srv.Clients() {
					if s.AuthState() == socketcluster.Authenticated {
						n++
					}
				}
				if n != 1 {
					t.Errorf("%d sockets are authenticated, want Bob's", n)
				}
			})
		})
	}
}

// A user may log in again after a logout everywhere.
func TestLoginAfterRevocation(t *testing.T) {
	ctx := context.Background()
	inBubble(t, socketcluster.Config{Revocations: new(revoke.Memory)}, func(w *world) {
		w.login(map[string]any{"sub": "alice"})
		if err := w.srv.Revoke(ctx, revoke.Revocation{Subject: "alice"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second) // the second of the revocation is part of it
		p := w.login(map[string]any{"sub": "alice"})
		p.quiet(time.Second)
	})
}

// A token that is set or renewed while its user is being revoked does not
// survive.
func TestRevocationMeetsNewToken(t *testing.T) {
	ctx := context.Background()
	inBubble(t, socketcluster.Config{Revocations: new(revoke.Memory)}, func(w *world) {
		p := w.client()
		if err := w.srv.Revoke(ctx, revoke.Revocation{Subject: "alice"}); err != nil {
			t.Fatal(err)
		}
		if err := w.only().SetAuthToken(ctx, map[string]any{"sub": "alice"}); !errors.Is(err, wire.ErrAuthTokenInvalid) {
			t.Fatalf("got %v", err)
		}
		if err := w.only().ConfirmAuthToken(ctx, map[string]any{"sub": "alice"}); !errors.Is(err, wire.ErrAuthTokenInvalid) {
			t.Fatalf("got %v", err)
		}
		p.quiet(time.Second)
		if s := w.only(); s.AuthState() != socketcluster.Unauthenticated {
			t.Error("authenticated")
		}
	})
}

// Revoking is possible in a handler of the event of a socket that is revoked.
func TestRevokeInHandler(t *testing.T) {
	inBubble(t, socketcluster.Config{Revocations: new(revoke.Memory)}, func(w *world) {
		socketcluster.On(w.srv, func(e socketcluster.AuthenticateEvent) {
			w.srv.Revoke(e.Socket.Context(), revoke.Revocation{Subject: "alice", Disconnect: true})
		})
		p := w.login(map[string]any{"sub": "alice"})
		p.want(`{"event":"#removeAuthToken"}`)
		p.wantClose(1000, "")
	})
}

func TestRevokeWithoutStore(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		if err := w.srv.Revoke(context.Background(), revoke.Revocation{JTI: "x"}); !errors.Is(err, socketcluster.ErrNoRevocations) {
			t.Errorf("got %v", err)
		}
	})
}

// revokingEngine does something while it signs.
type revokingEngine struct {
	auth.Engine
	signing func()
}

func (e *revokingEngine) Sign(ctx context.Context, claims any, opts ...auth.SignOption) (*auth.Token, error) {
	if e.signing != nil {
		e.signing()
	}
	return e.Engine.Sign(ctx, claims, opts...)
}

// A renewal that is under way while its token is being revoked does not bring
// the login back.
func TestRevocationMeetsRenewal(t *testing.T) {
	ctx := context.Background()
	jwt, err := auth.NewJWT(auth.Options{Key: testKey})
	if err != nil {
		t.Fatal(err)
	}
	engine := &revokingEngine{Engine: jwt}
	inBubble(t, socketcluster.Config{
		AuthEngine:   engine,
		Revocations:  new(revoke.Memory),
		TokenRenewal: socketcluster.TokenRenewal{Every: time.Minute, Jitter: 1},
	}, func(w *world) {
		p := w.login(map[string]any{"sub": "alice", "jti": "first"})
		engine.signing = func() { w.srv.Revoke(ctx, revoke.Revocation{JTI: "first"}) }
		p.want(`{"event":"#removeAuthToken"}`)
		p.quiet(5 * time.Minute)
		if s := w.only(); s.AuthState() != socketcluster.Unauthenticated {
			t.Error("still authenticated")
		}
	})
}

// account is one user, whose password may change while it is checked.
type account struct {
	hasher password.Hasher
	delay  time.Duration // what a hash would take on a busy machine

	mu   sync.Mutex
	hash string
}

func (a *account) set(t *testing.T, text string) {
	hash, err := a.hasher.Hash(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.hash = hash
}

func (a *account) check(ctx context.Context, text string) error {
	a.mu.Lock()
	hash := a.hash
	a.mu.Unlock()
	time.Sleep(a.delay)
	good, err := a.hasher.Verify(ctx, hash, text)
	if err == nil && !good {
		return login.ErrInvalidCredentials
	}
	return err
}

// serveLogin has a server log alice in.
func (w *world) serveLogin(a *account) {
	w.t.Helper()
	gate, err := login.New(w.srv, login.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	w.srv.Handle("login", socketcluster.Proc(func(ctx context.Context, text string) error {
		s := socketcluster.FromContext(ctx)
		granted, err := login.Do(ctx, gate, login.Attempt{User: "alice", Socket: s}, func(ctx context.Context) (map[string]string, error) {
			return map[string]string{"sub": "alice"}, a.check(ctx, text)
		})
		if err != nil {
			return err
		}
		return s.SetAuthToken(ctx, granted.Result, auth.AuthTime(granted.LoginTime))
	}))
}

// Ten logins wait for their hashes while the password changes and all that the
// user has is revoked: none of them survives, although their tokens are signed
// afterwards, in later seconds. A login with the new password, in the same second
// as the revocation, stays.
func TestSlowLoginsDoNotOutrunRevocation(t *testing.T) {
	inBubble(t, socketcluster.Config{Revocations: new(revoke.Memory)}, func(w *world) {
		a := &account{hasher: password.Hasher{Params: password.Params{Memory: 64, Passes: 1}}}
		a.set(t, "old")
		w.serveLogin(a)
		var peers []*peer
		for range 11 {
			peers = append(peers, w.client())
		}
		time.Sleep(100 * time.Millisecond)
		for i, p := range peers[:10] {
			a.delay = time.Duration(i) * 400 * time.Millisecond // ends up to four seconds later
			p.send(`{"event":"login","data":"old","cid":2}`)
			synctest.Wait()
		}
		time.Sleep(time.Millisecond)
		a.set(t, "new")
		if err := w.srv.Revoke(t.Context(), revoke.Revocation{Subject: "alice"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
		a.delay = 0
		peers[10].send(`{"event":"login","data":"new","cid":2}`)
		time.Sleep(10 * time.Second)
		if n := w.authenticated(); n != 1 {
			t.Errorf("%d sockets are authenticated, want that with the new password", n)
		}
		// The first one was through by then, and is logged out. The others are
		// notified.
		peers[0].nextToken()
		peers[0].want(`{"rid":2}`, removeAuthToken)
		for _, p := range peers[1:10] {
			p.want(`{"rid":2,"error":{"message":"jwt revoked","name":"AuthTokenInvalidError","isBadToken":true}}`)
		}
	})
}

// Renewals do not make a login younger.
func TestRenewedTokenKeepsTheTimeOfTheLogin(t *testing.T) {
	cfg := socketcluster.Config{
		Revocations:  new(revoke.Memory),
		TokenRenewal: socketcluster.TokenRenewal{Every: 10 * time.Second, ExpiresIn: time.Minute},
	}
	inBubble(t, cfg, func(w *world) {
		a := new(account)
		a.hasher.Params = password.Params{Memory: 64, Passes: 1}
		a.set(t, "old")
		w.serveLogin(a)
		start := time.Now()
		p := w.client()
		p.send(`{"event":"login","data":"old","cid":2}`)
		for tokens := 0; tokens < 4; { // the login's and three renewed ones
			if strings.HasPrefix(p.next(), `{"event":"#setAuthToken"`) {
				tokens++
			}
		}
		token := w.only().AuthToken()
		if at, ok := token.AuthTime(); !ok || !at.Equal(start) {
			t.Errorf("the login was at %v, %v; want %v", at, ok, start)
		}
		if at, _ := token.IssuedAt(); at.Before(start.Add(20 * time.Second)) {
			t.Fatalf("the token of %v was not renewed", at)
		}
		// The password changed after the login, and it was not told here until now.
		r := revoke.Revocation{Subject: "alice", Before: start.Add(5 * time.Second)}
		if err := w.srv.Revoke(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		if w.only().AuthToken() != nil {
			t.Error("still logged in")
		}
	})
}

// From the moment in which Revoke returns, a socket that it disconnects handles
// nothing any more, however long an event handler takes.
func TestRevokeDisconnectsAtOnce(t *testing.T) {
	for _, middleware := range []bool{true, false} {
		inBubble(t, socketcluster.Config{Revocations: new(revoke.Memory)}, func(w *world) {
			if middleware {
				w.private()
			}
			var calls atomic.Int32
			w.srv.Handle("work", socketcluster.Proc(func(context.Context, socketcluster.None) error {
				calls.Add(1)
				time.Sleep(20 * time.Millisecond)
				return nil
			}))
			socketcluster.On(w.srv, func(socketcluster.DeauthenticateEvent) { time.Sleep(5 * time.Second) })
			p := w.login(map[string]any{"sub": "alice"})
			for i := range 50 {
				p.send(fmt.Sprintf(`{"event":"work","cid":%d}`, i+2))
			}
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
			r := alice()
			r.Disconnect = true
			if err := w.srv.Revoke(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			before := calls.Load()
			go p.trySend(`{"event":"work","cid":99}`)
			time.Sleep(6 * time.Second)
			if after := calls.Load(); before == 0 || after != before {
				t.Errorf("%d calls had begun by then, and %d afterwards", before, after-before)
			}
		})
	}
}

type roomClaims struct {
	Rooms []string `json:"rooms,omitempty"`
	Admin bool     `json:"admin,omitempty"`
}

// nextClaims returns the claims of the next message, which must set a token,
// as they are written in it.
func (p *peer) nextClaims() map[string]json.RawMessage {
	p.t.Helper()
	engine, _ := auth.NewJWT(auth.Options{Key: testKey})
	token, err := engine.Verify(context.Background(), p.nextSigned())
	if err != nil {
		p.t.Fatal(err)
	}
	var claims map[string]json.RawMessage
	if err := token.Claims(&claims); err != nil {
		p.t.Fatal(err)
	}
	return claims
}

// A change of a user's claims reaches every socket of that user and no other,
// keeps what is not changed as it was, and ends what the user has lost.
func TestUpdateClaims(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		socketcluster.Use(w.srv, func(_ context.Context, a *socketcluster.Subscribe) error {
			claims, _ := socketcluster.Claims[roomClaims](a.Socket)
			for _, room := range claims.Rooms {
				if room == a.Channel {
					return nil
				}
			}
			return &wire.Error{Name: "SubscribeError", Message: "no access"}
		})
		exp := time.Now().Add(time.Hour).Unix()
		login := func(user string) *peer {
			p := w.login(json.RawMessage(fmt.Sprintf(
				`{"big":12345678901234567890,"rooms":["a","b"],"admin":true,"sub":%q,"exp":%d,"jti":"1"}`, user, exp)))
			p.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`)
			p.want(`{"rid":2}`)
			p.send(`{"event":"#subscribe","data":{"channel":"b"},"cid":3}`)
			p.want(`{"rid":3}`)
			return p
		}
		phone, tablet, other := login("alice"), login("alice"), login("bob")
		time.Sleep(10 * time.Second)

		n, err := socketcluster.UpdateClaims(context.Background(), w.srv, "sub", "alice", func(c *roomClaims) error {
			c.Rooms, c.Admin = []string{"b"}, false
			return nil
		})
		if n != 2 || err != nil {
			t.Fatalf("%d sockets, %v", n, err)
		}
		for _, p := range []*peer{phone, tablet} {
			claims := p.nextClaims()
			if string(claims["rooms"]) != `["b"]` || claims["admin"] != nil || string(claims["big"]) != "12345678901234567890" ||
				string(claims["sub"]) != `"alice"` || string(claims["exp"]) != strconv.FormatInt(exp, 10) || string(claims["iat"]) != strconv.FormatInt(exp-3590, 10) ||
				claims["jti"] == nil || string(claims["jti"]) == `"1"` {
				t.Errorf("the claims are %s", claims)
			}
			p.want(`{"event":"#kickOut","data":{"channel":"a","message":"no access"}}`)
		}
		for channel, want := range map[string]int{"a": 1, "b": 3} {
			if n := w.srv.Exchange().NumSubscribers(channel); n != want {
				t.Errorf("%d subscribers of %s, want %d", n, channel, want)
			}
		}
		other.quiet(time.Second)

		for name, change := range map[string]func(*map[string]any) error{
			"claims that cannot be encoded": func(c *map[string]any) error { (*c)["x"] = make(chan int); return nil },
			"a claim that cannot be signed": func(c *map[string]any) error { (*c)["exp"] = "soon"; return nil },
			"a change that is refused":      func(*map[string]any) error { return errors.New("no") },
		} {
			if n, err := socketcluster.UpdateClaims(context.Background(), w.srv, "sub", "bob", change); n != 0 || err == nil {
				t.Errorf("%s: %d sockets, %v", name, n, err)
			}
		}
		other.quiet(time.Second)
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		if n, err := socketcluster.UpdateClaims(ended, w.srv, "sub", "bob", func(*roomClaims) error { return nil }); n != 0 || err == nil {
			t.Errorf("with a context that has ended: %d sockets, %v", n, err)
		}
	})
}

// An update that meets a logout or another login leaves the socket with the
// outcome of that.
func TestUpdateClaimsMeetsLogin(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		w.client()
		s := w.only()
		login := func(user string) {
			if err := s.SetAuthToken(context.Background(), map[string]string{"sub": user}); err != nil {
				t.Fatal(err)
			}
		}
		for _, row := range []struct {
			then func()
			want string // the user in the end
		}{
			{func() { login("bob") }, "bob"},
			{func() { s.Deauthenticate(context.Background()) }, ""},
			{func() { login("alice") }, "alice"},
		} {
			login("alice")
			first := true
			n, err := socketcluster.UpdateClaims(context.Background(), w.srv, "sub", "alice", func(c *roomClaims) error {
				c.Admin = true
				if first {
					first = false
					row.then()
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			claims, _ := socketcluster.Claims[struct {
				Sub   string
				Admin bool
			}](s)
			again := row.want == "alice"
			if claims.Sub != row.want || claims.Admin != again || (n == 1) != again {
				t.Errorf("the update of %d sockets left %+v, want the user %q", n, claims, row.want)
			}
		}
	})
}

// With revocations, the rights that a user has lost do not come back with the
// old token, on a socket or with a new one, and each tab of the user, with the
// same token, gets its new one first.
func TestUpdateClaimsRevokesTheOldTokens(t *testing.T) {
	inBubble(t, socketcluster.Config{Revocations: &revoke.Memory{}}, func(w *world) {
		ctx := context.Background()
		old := w.sign(map[string]any{"sub": 7, "admin": true}) // as a login over HTTP does
		w.connect(quote(old))
		tab, _ := w.connect(quote(old))
		var lost bool
		socketcluster.On(w.srv, func(socketcluster.DeauthenticateEvent) { lost = true })

		n, err := socketcluster.UpdateClaims(ctx, w.srv, "sub", "7", func(c *roomClaims) error { c.Admin = false; return nil })
		if n != 2 || err != nil {
			t.Fatalf("%d sockets, %v", n, err)
		}
		if claims := tab.nextClaims(); claims["admin"] != nil || string(claims["sub"]) != "7" || claims["jti"] == nil {
			t.Errorf("the claims are %s", claims)
		}
		synctest.Wait()
		if lost {
			t.Error("a socket was logged out")
		}

		tab.send(`{"event":"#authenticate","data":` + quote(old) + `,"cid":2}`)
		if got := tab.next(); !strings.Contains(got, "jwt revoked") {
			t.Errorf("the old token was answered with %s", got)
		}
		if _, status := w.connect(quote(old)); status["isAuthenticated"] != false {
			t.Errorf("a new socket with the old token: %v", status)
		}
	})
}

// A right that UpdateClaims takes away does not come back with any token that the
// login had before, and other logins of the user stay.
func TestUpdateClaimsEndsOldTokens(t *testing.T) {
	cfg := socketcluster.Config{Revocations: new(revoke.Memory), TokenRenewal: socketcluster.TokenRenewal{Every: time.Minute, ExpiresIn: time.Hour}}
	inBubble(t, cfg, func(w *world) {
		w.handleLogin()
		p := w.client()
		p.send(`{"event":"login","data":{"username":"alice"},"cid":2}`)
		var old []string
		old = append(old, p.nextSigned())
		p.want(`{"rid":2}`)
		for range 3 {
			old = append(old, p.nextSigned())
		}
		elsewhere := w.sign(map[string]any{"username": "alice"}) // another login
		for range 2 {
			if n, err := socketcluster.UpdateClaims(t.Context(), w.srv, "username", "alice", func(c *map[string]any) error { (*c)["less"] = true; return nil }); n != 1 || err != nil {
				t.Fatalf("%d changed, %v", n, err)
			}
		}
		old = append(old, p.nextSigned())
		last := p.nextSigned()
		for i, token := range old {
			if _, status := w.connect(quote(token)); status["isAuthenticated"] != false {
				t.Errorf("the old token %d is good", i)
			}
		}
		for _, token := range []string{last, elsewhere} {
			if _, status := w.connect(quote(token)); status["isAuthenticated"] != true {
				t.Errorf("%v", status)
			}
		}
		// A token that replaces it at once is valid too.
		renewed := p.nextSigned()
		if _, status := w.connect(quote(renewed)); status["isAuthenticated"] != true {
			t.Errorf("%v", status)
		}
	})
}

// A sid that is a whole number is a session as one that is a text is.
func TestUpdateClaimsEndsSessionOfAnySpelling(t *testing.T) {
	for name, sid := range map[string]any{"text": "7", "number": 7} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, socketcluster.Config{Revocations: new(revoke.Memory)}, func(w *world) {
				claims := map[string]any{"username": "alice", "sid": sid, "admin": true}
				earlier, current := w.sign(claims), w.sign(claims)
				w.connect(quote(current))
				if n, err := socketcluster.UpdateClaims(t.Context(), w.srv, "username", "alice", func(c *map[string]any) error { delete(*c, "admin"); return nil }); n != 1 || err != nil {
					t.Fatalf("%d changed, %v", n, err)
				}
				for which, token := range map[string]string{"earlier": earlier, "current": current} {
					if _, status := w.connect(quote(token)); status["isAuthenticated"] != false {
						t.Errorf("the %s token of the session is good", which)
					}
				}
			})
		})
	}
}

// While UpdateClaims changes claims, nothing else signs them again: not on a socket
// that has closed either.
func TestUpdateClaimsIsNotOutrunOnClosed(t *testing.T) {
	inBubble(t, socketcluster.Config{Revocations: new(revoke.Memory)}, func(w *world) {
		claims := map[string]any{"username": "alice", "admin": true}
		w.login(claims)
		gone := slices.Collect(w.srv.Clients())[0]
		w.login(claims)
		old := gone.AuthToken()
		if err := gone.Disconnect(1000, ""); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		change := func(c *map[string]any) error {
			// Like SetAuthToken, it no longer has a client to which it could
			// give a token.
			if err := gone.SetAuthTokenIf(t.Context(), old, claims); !errors.Is(err, wire.ErrBadConnection) {
				t.Errorf("the old claims were signed again: %v", err)
			}
			delete(*c, "admin")
			return nil
		}
		if n, err := socketcluster.UpdateClaims(t.Context(), w.srv, "username", "alice", change); n != 1 || err != nil {
			t.Fatalf("%d changed, %v", n, err)
		}
	})
}

// Nobody signs claims again while UpdateClaims changes them: a socket that comes with
// the old token meanwhile does not keep what is taken away.
func TestUpdateClaimsIsNotOutrun(t *testing.T) {
	for _, renewal := range []bool{false, true} {
		cfg := socketcluster.Config{Revocations: new(revoke.Memory)}
		if renewal {
			cfg.TokenRenewal = socketcluster.TokenRenewal{Every: 50 * time.Millisecond, ExpiresIn: time.Hour}
		}
		inBubble(t, cfg, func(w *world) {
			old := w.sign(map[string]any{"username": "alice", "admin": true})
			w.connect(quote(old))
			first := w.only()
			var late *socketcluster.Socket
			n, err := socketcluster.UpdateClaims(t.Context(), w.srv, "username", "alice", func(c *map[string]any) error {
				delete(*c, "admin")
				if late != nil {
					return nil
				}
				w.connect(quote(old))
				for s := range w.srv.Clients() {
					if s != first {
						late = s
					}
				}
				if renewal {
					time.Sleep(100 * time.Millisecond)
				} else if err := late.SetAuthTokenIf(t.Context(), late.AuthToken(), map[string]any{"username": "alice", "admin": true}); !errors.Is(err, socketcluster.ErrTokenChanged) {
					t.Errorf("signed again: %v", err)
				}
				if _, err := w.srv.SignAgain(t.Context(), late.AuthToken()); !errors.Is(err, socketcluster.ErrTokenChanged) {
					t.Errorf("signed again: %v", err)
				}
				return nil
			})
			if n != 1 || err != nil {
				t.Errorf("%d changed, %v", n, err)
			}
			if late.AuthToken() != nil || first.AuthToken() == nil {
				t.Errorf("late %v, first %v", late.AuthToken(), first.AuthToken())
			}
			// Renewal continues afterwards.
			was := first.AuthToken()
			time.Sleep(time.Minute)
			if renewal == (first.AuthToken() == was) {
				t.Errorf("renewed: %t", !renewal)
			}
		})
	}
}

// A cookie that is refreshed beside UpdateClaims, and that no socket has yet, does not
// bring the old claims back after the exp of the one before.
func TestUpdateClaimsBesideSignAgain(t *testing.T) {
	cfg := socketcluster.Config{
		TokenSources: []httpauth.Source{httpauth.Cookie("token")},
		Revocations:  new(revoke.Memory), AuthMaxAge: time.Hour, Timeouts: socketcluster.Timeouts{PingDisabled: true},
	}
	inBubble(t, cfg, func(w *world) {
		ctx := t.Context()
		cookie, err := w.srv.Auth().Sign(ctx, map[string]any{"sub": "alice", "admin": true}, auth.ExpiresIn(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		w.connectWith(with("Cookie", "token="+cookie.Signed()), "null")
		fresh, err := w.srv.SignAgain(ctx, cookie, auth.ExpiresIn(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		if n, err := socketcluster.UpdateClaims(ctx, w.srv, "sub", "alice", func(c *roomClaims) error { c.Admin = false; return nil }); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		for range 30 {
			if _, err := w.srv.SignAgain(ctx, fresh); !errors.Is(err, wire.ErrAuthTokenInvalid) {
				t.Fatalf("the old claims were signed again: %v", err)
			}
			time.Sleep(119 * time.Second)
		}
	})
}

// slowSigner is an engine that takes 100 ms to sign, as one elsewhere may.
type slowSigner struct{ auth.Engine }

func (e slowSigner) Sign(ctx context.Context, claims any, opts ...auth.SignOption) (*auth.Token, error) {
	time.Sleep(100 * time.Millisecond)
	return e.Engine.Sign(ctx, claims, opts...)
}

// Old claims that are about to be signed again when UpdateClaims changes them do not outlive it,
// though it ends before they are signed.
func TestUpdateClaimsDuringSignAgain(t *testing.T) {
	engine, err := auth.NewJWT(auth.Options{Key: testKey})
	if err != nil {
		t.Fatal(err)
	}
	cfg := socketcluster.Config{
		AuthEngine: slowSigner{engine}, TokenSources: []httpauth.Source{httpauth.Cookie("token")},
		Timeouts: socketcluster.Timeouts{PingDisabled: true},
	}
	for _, session := range []string{"", "s"} {
		cfg.Revocations = new(revoke.Memory)
		inBubble(t, cfg, func(w *world) {
			ctx := t.Context()
			cookie, err := w.srv.Auth().Sign(ctx, map[string]any{"sub": "alice", "admin": true, "sid": session, "jti": "first"}, auth.ExpiresIn(time.Hour))
			if err != nil {
				t.Fatal(err)
			}
			w.connectWith(with("Cookie", "token="+cookie.Signed()), "null")
			go func() {
				if n, err := socketcluster.UpdateClaims(ctx, w.srv, "sub", "alice", func(c *roomClaims) error { c.Admin = false; return nil }); n != 1 || err != nil {
					t.Error(n, err)
				}
			}()
			time.Sleep(50 * time.Millisecond)
			if token, err := w.srv.SignAgain(ctx, cookie); !errors.Is(err, wire.ErrAuthTokenInvalid) {
				t.Errorf("session %q: the old claims are signed again: %v, %v", session, token != nil, err)
			}
		})
	}
}

// cutOff is a store that may lack revocations of others while it has a reason.
type cutOff struct {
	revoke.Memory
	why error
}

func (c *cutOff) Current() error { return c.why }

// While a store is not current, no token is accepted, and no client forgets one.
func TestRevocationsNotCurrent(t *testing.T) {
	store := new(cutOff)
	inBubble(t, socketcluster.Config{Revocations: store}, func(w *world) {
		token, err := w.srv.Auth().Sign(t.Context(), map[string]any{"sub": "alice"})
		if err != nil {
			t.Fatal(err)
		}
		w.login(map[string]any{"sub": "alice"})
		before := w.only()
		store.why = errors.New("cut off")
		c, answer := w.connect(quote(token.Signed()))
		if answer["isAuthenticated"] != false || !strings.Contains(fmt.Sprint(answer["authError"]), "name:AuthTokenError") {
			t.Errorf("the handshake gives %v", answer)
		}
		c.quiet(time.Second) // it does not forget the token
		if err := before.SetAuthToken(t.Context(), map[string]any{"sub": "alice"}); !errors.Is(err, revoke.ErrNotCurrent) {
			t.Errorf("a login: %v", err)
		}
		if _, err := w.srv.SignAgain(t.Context(), token); !errors.Is(err, revoke.ErrNotCurrent) {
			t.Errorf("a renewal: %v", err)
		}
		if before.AuthToken() == nil {
			t.Error("a socket has lost its token")
		}
		store.why = nil
		if _, answer := w.connect(quote(token.Signed())); answer["isAuthenticated"] != true {
			t.Errorf("afterwards, the handshake gives %v", answer)
		}
	})
}
