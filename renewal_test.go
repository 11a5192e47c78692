package socketcluster_test

import (
	"context"
	"encoding/json"
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
	"github.com/socketcluster-go/socketcluster/auth/httpauth"
	"github.com/socketcluster-go/socketcluster/auth/revoke"
	"github.com/socketcluster-go/socketcluster/wire"
)

// A session stays logged in under TokenRenewal, also where its tokens live no
// longer than the period, and where it begins with a token that is near its
// end.
func TestTokenRenewalComesBeforeExpiry(t *testing.T) {
	const half = 30 * time.Minute
	for name, row := range map[string]struct {
		renewal socketcluster.TokenRenewal
		life    time.Duration // of the token that the session begins with
		first   time.Duration // when it is replaced
		second  time.Duration // after the first
	}{
		"tokens outlive the period":           {socketcluster.TokenRenewal{Every: half, ExpiresIn: 2 * half}, 24 * time.Hour, half, half},
		"tokens live as long as the period":   {socketcluster.TokenRenewal{Every: half, ExpiresIn: half}, 24 * time.Hour, half, half - time.Minute},
		"a restored token near its end":       {socketcluster.TokenRenewal{Every: half, ExpiresIn: 2 * half}, 10 * time.Minute, 9 * time.Minute, half},
		"tokens live shorter than the period": {socketcluster.TokenRenewal{Every: half, ExpiresIn: time.Minute}, 24 * time.Hour, half, half / 60},
	} {
		t.Run(name, func(t *testing.T) {
			row.renewal.Jitter = 1 // none
			inBubble(t, socketcluster.Config{TokenRenewal: row.renewal, Timeouts: socketcluster.Timeouts{PingDisabled: true}}, func(w *world) {
				var lost bool
				socketcluster.On(w.srv, func(socketcluster.DeauthenticateEvent) { lost = true })
				// Tokens count whole seconds: begin at the start of one.
				time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second)))
				token, err := w.srv.Auth().Sign(context.Background(), map[string]any{"username": "alice", "exp": time.Now().Add(row.life).Unix()})
				if err != nil {
					t.Fatal(err)
				}
				begin := time.Now()
				p, _ := w.connect(quote(token.Signed()))
				for _, want := range []time.Duration{row.first, row.second} {
					p.quiet(want - time.Second)
					got := p.next()
					if !strings.HasPrefix(got, `{"event":"#setAuthToken"`) {
						t.Fatalf("got %s", got)
					}
					var packet struct{ Data struct{ Token string } }
					if err := json.Unmarshal([]byte(got), &packet); err != nil {
						t.Fatal(err)
					}
					if _, err := w.srv.Auth().Verify(context.Background(), packet.Data.Token); err != nil {
						t.Fatal(err)
					}
					// The wheel adds a tick at most, the whole seconds of exp
					// half of one.
					if waited := time.Since(begin); waited > want+time.Second {
						t.Errorf("a token came after %v, want %v", waited, want)
					}
					begin = time.Now()
				}
				if lost {
					t.Error("the session was logged out")
				}
			})
		})
	}
}

// Clients that connected at the same moment are not renewed at the same moment,
// and none of them later than the period.
func TestTokenRenewalsAreSpread(t *testing.T) {
	const every, jitter = 30 * time.Minute, 10 * time.Minute
	cfg := socketcluster.Config{
		TokenRenewal: socketcluster.TokenRenewal{Every: every, Jitter: jitter},
		Timeouts:     socketcluster.Timeouts{PingDisabled: true},
	}
	inBubble(t, cfg, func(w *world) {
		begin := time.Now()
		var mu sync.Mutex
		var waits []time.Duration
		socketcluster.On(w.srv, func(e socketcluster.ConnectEvent) {
			socketcluster.On(e.Socket, func(socketcluster.AuthTokenSignedEvent) {
				mu.Lock()
				defer mu.Unlock()
				waits = append(waits, time.Since(begin))
			})
		})
		token, err := w.srv.Auth().Sign(context.Background(), map[string]any{"username": "alice"})
		if err != nil {
			t.Fatal(err)
		}
		const clients = 20
		for range clients {
			w.connect(quote(token.Signed()))
		}
		time.Sleep(every + time.Second)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if len(waits) < clients {
			t.Fatalf("%d renewals, want %d", len(waits), clients)
		}
		first, last := waits[0], waits[clients-1]
		if first < every-jitter || last-first < time.Minute {
			t.Errorf("the renewals came from %v to %v", first, last)
		}
	})
}

// A cookie that is refreshed over HTTP keeps the sockets of its login logged in
// beyond the exp of the old one, and nothing is lost meanwhile. Clients are sent
// nothing, and other logins are left alone.
func TestRenewSession(t *testing.T) {
	cfg := socketcluster.Config{
		TokenSources: []httpauth.Source{httpauth.Cookie("token")},
		Revocations:  new(revoke.Memory), Timeouts: socketcluster.Timeouts{PingDisabled: true},
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

		// A token that is not valid, or is of another session, changes nothing.
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
		Revocations:  new(revoke.Memory), Timeouts: socketcluster.Timeouts{PingDisabled: true},
	}
	inBubble(t, cfg, func(w *world) {
		ctx := t.Context()
		hold := make(chan struct{})
		socketcluster.Use(w.srv, func(context.Context, *socketcluster.Handshake) error {
			<-hold
			return nil
		})
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
		Revocations:  store, Timeouts: socketcluster.Timeouts{PingDisabled: true},
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

// deniesOne is a store that has one revocation without notifying its watchers.
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

func claimOf(token *auth.Token, name string) any {
	v, _ := token.Claim(name)
	return v
}

// AUTH-29: tokens are renewed without the client's doing, until it is logged
// out; each has another jti and a new expiry, and the claims of the first.
func TestTokenRenewal(t *testing.T) {
	cfg := socketcluster.Config{TokenRenewal: socketcluster.TokenRenewal{Every: 30 * time.Minute, ExpiresIn: time.Hour, Jitter: 1}}
	inBubble(t, cfg, func(w *world) {
		log := w.record()
		p, _ := w.connect(quote(w.sign(map[string]any{"u": 1, "jti": "x", "aud": "a"}, auth.ExpiresIn(40*time.Minute))))
		s := w.only()
		began := time.Now()
		ids := map[any]bool{"x": true}
		for i := 1; i <= 3; i++ {
			p.quiet(29 * time.Minute)
			claims := p.nextToken()
			if d := time.Since(began).Round(time.Second); d != time.Duration(i)*30*time.Minute {
				t.Errorf("renewal %d after %v", i, d)
			}
			if claims["u"] != 1.0 || claims["aud"] != "a" || claims["exp"] != float64(time.Now().Unix()+3600) || ids[claims["jti"]] {
				t.Errorf("renewal %d: %v", i, claims)
			}
			ids[claims["jti"]] = true
		}
		log.want("connect authStateChange authenticate authTokenSigned authenticate authTokenSigned authenticate authTokenSigned authenticate")
		s.Deauthenticate(context.Background())
		p.want(removeAuthToken)
		p.quiet(2 * time.Hour)
	})
}
