package socketcluster_test

import (
	"errors"
	"fmt"
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
