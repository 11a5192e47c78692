package socketcluster_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
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
