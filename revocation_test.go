package socketcluster_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/revoke"
	"github.com/socketcluster-go/socketcluster/wire"
)

// What is revoked ends on the sockets that have it, and is refused afterwards;
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
