package socketcluster_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/httpauth"
	"github.com/socketcluster-go/socketcluster/auth/revoke"
	"github.com/socketcluster-go/socketcluster/wire"
)

// A cookie that is refreshed over HTTP keeps the sockets of its login logged in
// beyond the exp of the old one, and nothing is lost meanwhile. Clients are sent
// nothing, and other logins are left alone.
func TestRenewSession(t *testing.T) {
	cfg := socketcluster.Config{
		TokenSources: []httpauth.Source{httpauth.Cookie("token")},
		Revocations:  new(revoke.Memory), PingTimeoutDisabled: true,
	}
	inBubble(t, cfg, func(w *world) {
		ctx := t.Context()
		claimsRule(w)
		login := func() *auth.Token {
			token, err := w.srv.Auth().Sign(ctx, map[string]any{"sub": "alice", "channels": []string{"room"}}, auth.ExpiresIn(time.Minute))
			if err != nil {
				t.Fatal(err)
			}
			return token
		}
		cookie, other := login(), login()
		connect := func(token *auth.Token) *peer {
			p, status := w.connectWith(with("Cookie", "token="+token.Signed()), "null")
			if status["isAuthenticated"] != true {
				t.Fatal(status)
			}
			p.send(`{"event":"#subscribe","data":{"channel":"room"},"cid":2}`)
			p.want(`{"rid":2}`)
			return p
		}
		tabs := []*peer{connect(cookie), connect(cookie)}
		stranger := connect(other)
		own := w.login(map[string]any{"sub": "alice"}) // whose scripts have the token
		sid, _ := cookie.Claim("sid")

		time.Sleep(50 * time.Second)
		fresh, err := w.srv.SignAgain(ctx, cookie, auth.ExpiresIn(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		for _, claim := range []string{"sid", "sub"} {
			if was, is := claimOf(cookie, claim), claimOf(fresh, claim); was == nil || was != is {
				t.Errorf("%s was %v and is %v", claim, was, is)
			}
		}
		if n, err := w.srv.RenewSession(ctx, fmt.Sprint(sid), fresh); n != 2 || err != nil {
			t.Errorf("%d sockets, %v", n, err)
		}
		w.srv.Exchange().Publish(ctx, "room", 1)
		for _, p := range append(tabs, stranger) {
			p.want(`{"event":"#publish","data":{"channel":"room","data":1}}`)
		}
		time.Sleep(20 * time.Second) // the old exp has passed
		synctest.Wait()
		stranger.want(removeAuthToken)
		w.srv.Exchange().Publish(ctx, "room", 2)
		for _, p := range tabs {
			p.want(`{"event":"#publish","data":{"channel":"room","data":2}}`, removeAuthToken) // at the new exp
		}
		own.quiet(time.Second)

		// What is not good, or is of another session, changes nothing.
		if _, err := w.srv.RenewSession(ctx, fmt.Sprint(sid), login()); err == nil {
			t.Error("a token of another session was accepted")
		}
		if _, err := w.srv.RenewSession(ctx, fmt.Sprint(sid), fresh); !errors.Is(err, wire.ErrAuthTokenExpired) {
			t.Errorf("an expired token: %v", err)
		}
		if _, err := w.srv.SignAgain(ctx, fresh); !errors.Is(err, wire.ErrAuthTokenExpired) {
			t.Errorf("an expired token was signed again: %v", err)
		}
		again := login()
		if err := w.srv.Revoke(ctx, revoke.Revocation{Session: fmt.Sprint(claimOf(again, "sid"))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.srv.SignAgain(ctx, again); !errors.Is(err, wire.ErrAuthTokenInvalid) {
			t.Errorf("a revoked token was signed again: %v", err)
		}
	})
}

// A socket that is in its handshake while its session is renewed, and one whose
// upgrade request comes a little later with the old cookie, get the new token, and
// not for longer than a handshake may take. A newer cookie stays.
func TestRenewSessionMeetsHandshake(t *testing.T) {
	cfg := socketcluster.Config{
		TokenSources: []httpauth.Source{httpauth.Cookie("token")},
		Revocations:  new(revoke.Memory), PingTimeoutDisabled: true,
	}
	inBubble(t, cfg, func(w *world) {
		ctx := t.Context()
		hold := make(chan struct{})
		w.srv.UseHandshake(socketcluster.Guard(func(context.Context, *socketcluster.HandshakeSC) error {
			<-hold
			return nil
		}))
		again := func(old *auth.Token, life time.Duration) *auth.Token {
			token, err := w.srv.SignAgain(ctx, old, auth.ExpiresIn(life))
			if err != nil {
				t.Fatal(err)
			}
			return token
		}
		old, err := w.srv.Auth().Sign(ctx, map[string]any{"sub": "alice"}, auth.ExpiresIn(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		connect := func(token *auth.Token) *peer {
			p, _ := w.upgrade(with("Cookie", "token="+token.Signed()))
			p.send(`{"event":"#handshake","data":{"authToken":null},"cid":1}`)
			synctest.Wait()
			return p
		}
		during := connect(old)
		time.Sleep(time.Second)
		fresh := again(old, 10*time.Minute)
		if n, err := w.srv.RenewSession(ctx, fmt.Sprint(claimOf(old, "sid")), fresh); n != 0 || err != nil {
			t.Fatal(n, err)
		}
		close(hold)
		after, newer := connect(old), connect(again(fresh, 20*time.Minute))
		time.Sleep(socketcluster.DefaultHandshakeTimeout + time.Second)
		late := connect(old)
		all := []*peer{during, after, newer, late}
		for _, p := range all {
			if text := p.next(); !strings.Contains(text, `"isAuthenticated":true`) {
				t.Error(text)
			}
		}
		time.Sleep(time.Minute) // the exp of the old cookie
		late.want(removeAuthToken)
		for _, p := range []*peer{during, after} {
			p.quiet(time.Second)
		}
		time.Sleep(10 * time.Minute) // that of the fresh one
		during.want(removeAuthToken)
		after.want(removeAuthToken)
		newer.quiet(time.Second)
		time.Sleep(10 * time.Minute)
		newer.want(removeAuthToken)
	})
}

// A socket that cannot be renewed does not keep the others of its session from it.
func TestRenewSessionGoesOn(t *testing.T) {
	store := &deniesOne{}
	cfg := socketcluster.Config{
		TokenSources: []httpauth.Source{httpauth.Cookie("token")},
		Revocations:  store, PingTimeoutDisabled: true,
	}
	inBubble(t, cfg, func(w *world) {
		ctx := t.Context()
		first, err := w.srv.Auth().Sign(ctx, map[string]any{"sub": "alice"})
		if err != nil {
			t.Fatal(err)
		}
		other, err := w.srv.SignAgain(ctx, first)
		if err != nil {
			t.Fatal(err)
		}
		for range 10 {
			w.connectWith(with("Cookie", "token="+other.Signed()), "null")
		}
		w.connectWith(with("Cookie", "token="+first.Signed()), "null")
		fresh, err := w.srv.SignAgain(ctx, other)
		if err != nil {
			t.Fatal(err)
		}
		store.jti.Store(claimOf(first, "jti"))
		n, err := w.srv.RenewSession(ctx, fmt.Sprint(claimOf(first, "sid")), fresh)
		if n != 10 || !errors.Is(err, wire.ErrAuthTokenInvalid) {
			t.Errorf("%d sockets, %v", n, err)
		}
	})
}

// deniesOne is a store that knows of one revocation without telling about it.
type deniesOne struct {
	revoke.Memory
	jti atomic.Value
}

func (d *deniesOne) Check(token *auth.Token) (revoke.Revocation, bool) {
	if jti := d.jti.Load(); jti != nil && jti == claimOf(token, "jti") {
		return revoke.Revocation{}, true
	}
	return d.Memory.Check(token)
}

// A cookie that is refreshed beside UpdateClaims, and that no socket has yet, does not
// bring the old claims back after the exp of the one before.
func TestUpdateClaimsBesideSignAgain(t *testing.T) {
	cfg := socketcluster.Config{
		TokenSources: []httpauth.Source{httpauth.Cookie("token")},
		Revocations:  new(revoke.Memory), AuthMaxAge: time.Hour, PingTimeoutDisabled: true,
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
		if n, err := socketcluster.UpdateClaims(ctx, w.srv, "sub", "alice", func(c *roomClaims) { c.Admin = false }); n != 1 || err != nil {
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

func claimOf(token *auth.Token, name string) any {
	v, _ := token.Claim(name)
	return v
}
