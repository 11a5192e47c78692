package socketcluster_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/password"
	"github.com/socketcluster-go/socketcluster/auth/revoke"
	"github.com/socketcluster-go/socketcluster/login"
)

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
	w.srv.Handle("login", socketcluster.Func(func(ctx context.Context, c *socketcluster.Call, text string) (socketcluster.None, error) {
		granted, err := login.Do(ctx, gate, login.Attempt{User: "alice", Socket: c.Socket}, func(ctx context.Context) (map[string]string, error) {
			return map[string]string{"sub": "alice"}, a.check(ctx, text)
		})
		if err != nil {
			return socketcluster.None{}, err
		}
		return socketcluster.None{}, c.Socket.SetAuthToken(ctx, granted.Result, auth.AuthTime(granted.LoginTime))
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
		// The first one was through by then, and is logged out. The others are told.
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
