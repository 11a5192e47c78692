package socketcluster_test

import (
	"context"
	"crypto/rand"
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

// QK-23, AUTH-3: a token that the server's engine signs for another use, such
// as a login over HTTP, has the server's default life and its algorithm, and
// is as good on a socket as one that a socket was given.
func TestSignOutsideSocket(t *testing.T) {
	ctx := context.Background()
	for _, test := range []struct {
		name string
		cfg  socketcluster.Config
		life time.Duration
		alg  string
	}{
		{"defaults", socketcluster.Config{}, 24 * time.Hour, "HS256"},
		{"configured", socketcluster.Config{Auth: auth.Options{DefaultExpiry: time.Hour, Algorithm: "HS512"}}, time.Hour, "HS512"},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, test.cfg, func(w *world) {
				token, err := w.srv.Auth().Sign(ctx, map[string]any{"username": "bob"})
				if err != nil {
					t.Fatal(err)
				}
				exp, ok := token.ExpiresAt()
				if want := time.Now().Add(test.life); !ok || !exp.Equal(want) {
					t.Errorf("expires at %v, want %v", exp, want)
				}
				if alg := token.Algorithm(); alg != test.alg {
					t.Errorf("algorithm %s, want %s", alg, test.alg)
				}
				if _, status := w.connect(quote(token.Signed())); status["isAuthenticated"] != true {
					t.Errorf("status %v", status)
				}
			})
		})
	}
}

// DOC-8, JWT-20: a key alone signs with HS256 and admits all HMAC algorithms;
// with AuthAlgorithm, that one only.
func TestHMACAlgorithms(t *testing.T) {
	for _, only := range []string{"", "HS256"} {
		inBubble(t, socketcluster.Config{Auth: auth.Options{Algorithm: only}}, func(w *world) {
			if header, _, _ := strings.Cut(w.sign(map[string]any{}), "."); header != "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9" {
				t.Errorf("AuthAlgorithm %q: the header is %s", only, header)
			}
		})
		for _, alg := range []string{"HS256", "HS384", "HS512"} {
			inBubble(t, socketcluster.Config{Auth: auth.Options{Algorithm: only}}, func(w *world) {
				engine, err := auth.NewJWT(auth.Options{Key: testKey, Algorithm: alg})
				if err != nil {
					t.Fatal(err)
				}
				token, err := engine.Sign(context.Background(), map[string]any{})
				if err != nil {
					t.Fatal(err)
				}
				_, status := w.connect(quote(token.Signed()))
				if want := only == "" || alg == only; status["isAuthenticated"] != want {
					t.Errorf("AuthAlgorithm %q: a token of %s: %v", only, alg, status)
				}
			})
		}
	}
}

// Nobody gets claims signed under a new key that were forged under one that has
// been taken out: neither by renewal nor by a change of claims.
func TestForgedTokenIsNotSignedAgain(t *testing.T) {
	leaked, fresh := auth.RingKey{ID: "leaked", Key: secretKey()}, auth.RingKey{ID: "fresh", Key: secretKey()}
	for _, renewal := range []bool{true, false} {
		ring, err := auth.NewKeyRing(leaked)
		if err != nil {
			t.Fatal(err)
		}
		forger, _ := auth.NewKeyRing(leaked)
		engine, err := auth.NewJWT(auth.Options{Keys: forger})
		if err != nil {
			t.Fatal(err)
		}
		jwt, err := auth.NewJWT(auth.Options{Keys: ring, TokenIDs: true})
		if err != nil {
			t.Fatal(err)
		}
		cfg := socketcluster.Config{AuthEngine: jwt, Revocations: new(revoke.Memory)}
		if renewal {
			cfg.TokenRenewal = socketcluster.TokenRenewal{Every: time.Minute, ExpiresIn: time.Hour}
		}
		inBubble(t, cfg, func(w *world) {
			forged, err := engine.Sign(t.Context(), map[string]any{"sub": "alice", "admin": true}, auth.ExpiresIn(100*time.Second))
			if err != nil {
				t.Fatal(err)
			}
			p, status := w.connect(quote(forged.Signed()))
			if status["isAuthenticated"] != true {
				t.Fatal(status)
			}
			if err := ring.Rotate(fresh, 0); err != nil {
				t.Fatal(err)
			}
			if renewal {
				p.want(removeAuthToken) // at its exp
				return
			}
			n, err := socketcluster.UpdateClaims(t.Context(), w.srv, "sub", "alice", func(c *map[string]any) error { (*c)["room"] = 1; return nil })
			if n != 0 || err == nil {
				t.Errorf("%d changed, %v", n, err)
			}
			p.want(removeAuthToken)
			p.quiet(time.Second)
		})
	}
}

func secretKey() auth.Key { return auth.HMACKey([]byte(rand.Text() + rand.Text())) }

// The claims of another issuer do not become own ones.
func TestForeignTokenIsNotSignedAgain(t *testing.T) {
	own, _ := auth.NewKeyRing(auth.RingKey{ID: "own", Key: secretKey()})
	theirs := auth.RingKey{ID: "theirs", Key: secretKey(), Issuer: "https://issuer.example", Audience: []string{"here"}}
	foreign, _ := auth.NewKeyRing(theirs)
	both, _ := auth.NewKeyRing(auth.RingKey{ID: "own", Key: secretKey()}, theirs)
	issuer, err := auth.NewJWT(auth.Options{Keys: foreign})
	if err != nil {
		t.Fatal(err)
	}
	verifying, _ := auth.NewKeyRing(auth.RingKey{ID: "theirs", Key: theirs.Key, Issuer: theirs.Issuer, Audience: theirs.Audience, Until: time.Now().Add(100 * 365 * 24 * time.Hour)})
	for name, keys := range map[string]auth.KeySource{"beside": auth.KeySources{verifying, own}, "in one ring": both} {
		t.Run(name, func(t *testing.T) {
			jwt, err := auth.NewJWT(auth.Options{Keys: keys})
			if err != nil {
				t.Fatal(err)
			}
			inBubble(t, socketcluster.Config{AuthEngine: jwt, TokenRenewal: socketcluster.TokenRenewal{Every: time.Second, ExpiresIn: 24 * time.Hour}}, func(w *world) {
				token, err := issuer.Sign(t.Context(), map[string]any{"sub": "alice"}, auth.ExpiresIn(3*time.Second))
				if err != nil {
					t.Fatal(err)
				}
				p, status := w.connect(quote(token.Signed()))
				if status["isAuthenticated"] != true {
					t.Fatal(status)
				}
				if _, err := socketcluster.UpdateClaims(t.Context(), w.srv, "sub", "alice", func(c *map[string]any) error { (*c)["room"] = 1; return nil }); !errors.Is(err, auth.ErrForeignToken) {
					t.Errorf("got %v", err)
				}
				p.want(removeAuthToken)
				p.quiet(time.Minute)
			})
		})
	}
}

// nextSigned is nextToken that returns the token as it is.
func (p *peer) nextSigned() string {
	p.t.Helper()
	var packet struct {
		Event string
		Data  struct{ Token string }
	}
	if err := json.Unmarshal([]byte(p.next()), &packet); err != nil || packet.Event != "#setAuthToken" {
		p.t.Fatalf("got %+v, %v", packet, err)
	}
	return packet.Data.Token
}

// SetAuthTokenIf writes back what was read, or nothing.
func TestSetAuthTokenIf(t *testing.T) {
	inBubble(t, socketcluster.Config{Revocations: new(revoke.Memory)}, func(w *world) {
		ctx := t.Context()
		p := w.client()
		s := w.only()
		if err := s.SetAuthTokenIf(ctx, nil, map[string]any{"sub": "alice", "n": 1}, auth.AuthTime(time.Now().Add(-time.Minute))); err != nil {
			t.Fatal(err)
		}
		p.nextToken()
		first := s.AuthToken()
		if err := s.SetAuthTokenIf(ctx, nil, map[string]any{"sub": "bob"}); !errors.Is(err, socketcluster.ErrTokenChanged) {
			t.Errorf("got %v", err)
		}
		if err := s.SetAuthTokenIf(ctx, first, map[string]any{"sub": "alice", "n": 2}); err != nil {
			t.Fatal(err)
		}
		p.nextToken()
		second := s.AuthToken()
		for _, claim := range []string{"auth_time", "sid"} {
			a, _ := first.Claim(claim)
			b, _ := second.Claim(claim)
			if a == nil || a != b {
				t.Errorf("%s was %v and is %v", claim, a, b)
			}
		}
		if err := s.SetAuthTokenIf(ctx, first, map[string]any{"sub": "alice", "n": 3}); !errors.Is(err, socketcluster.ErrTokenChanged) {
			t.Errorf("got %v", err)
		}
		if s.AuthToken() != second {
			t.Error("changed all the same")
		}
		s.Deauthenticate(ctx)
		p.want(removeAuthToken)
		if err := s.SetAuthTokenIf(ctx, second, map[string]any{}); !errors.Is(err, socketcluster.ErrTokenChanged) {
			t.Errorf("got %v", err)
		}
		p.quiet(time.Second)
	})
}

// A login that is renewed ends nevertheless with Config.AuthMaxAge.
func TestAuthMaxAge(t *testing.T) {
	cfg := socketcluster.Config{AuthMaxAge: 10 * time.Minute, TokenRenewal: socketcluster.TokenRenewal{Every: time.Minute, ExpiresIn: 3 * time.Minute}}
	inBubble(t, cfg, func(w *world) {
		w.handleLogin()
		p := w.client()
		p.send(`{"event":"login","data":{"username":"alice"},"cid":2}`)
		begun := time.Now()
		p.nextToken()
		p.want(`{"rid":2}`)
		for {
			text := p.next()
			if text == removeAuthToken {
				break
			}
			if exp, ok := w.only().AuthToken().ExpiresAt(); ok && exp.After(begun.Add(10*time.Minute)) {
				t.Fatalf("a token lives until %v after the login", exp.Sub(begun))
			}
		}
		if d := time.Since(begun); d < 9*time.Minute || d > 10*time.Minute+time.Second {
			t.Errorf("logged out after %v", d)
		}
		p.quiet(time.Hour)
	})
}

// A login counts from the moment in which its call came, not from that of the
// signature.
func TestTimeOfLogin(t *testing.T) {
	inBubble(t, socketcluster.Config{Revocations: new(revoke.Memory)}, func(w *world) {
		w.srv.Handle("login", socketcluster.Proc(func(ctx context.Context, user string) error {
			time.Sleep(3 * time.Second) // the check of a password that is being changed
			return socketcluster.FromContext(ctx).SetAuthToken(ctx, map[string]any{"sub": user})
		}))
		p := w.client()
		p.send(`{"event":"login","data":"alice","cid":2}`)
		time.Sleep(time.Second)
		if err := w.srv.Revoke(t.Context(), alice()); err != nil {
			t.Fatal(err)
		}
		if text := p.next(); !strings.Contains(text, `"error"`) || !strings.Contains(text, "revoked") {
			t.Errorf("got %s", text)
		}
		if w.only().AuthToken() != nil {
			t.Error("logged in with the old password")
		}
		p.send(`{"event":"login","data":"alice","cid":3}`)
		p.nextToken()
		p.want(`{"rid":3}`)
	})
}

// A login that handlers sign again ends with Config.AuthMaxAge, too.
func TestSetAuthTokenIfKeepsTheEnd(t *testing.T) {
	inBubble(t, socketcluster.Config{AuthMaxAge: time.Hour, Timeouts: socketcluster.Timeouts{PingDisabled: true}}, func(w *world) {
		w.login(map[string]any{"username": "alice"})
		s := w.only()
		begun := time.Now()
		for {
			time.Sleep(10 * time.Minute)
			old := s.AuthToken()
			if old == nil {
				break
			}
			switch err := s.SetAuthTokenIf(t.Context(), old, map[string]any{"username": "alice"}); {
			case errors.Is(err, wire.ErrAuthTokenExpired):
				continue // in the moment of its end
			case err != nil:
				t.Fatal(err)
			}
			if exp, ok := s.AuthToken().ExpiresAt(); !ok || exp.After(begun.Add(time.Hour)) {
				t.Fatalf("a token lives until %v after the login", exp.Sub(begun))
			}
		}
		if d := time.Since(begun); d < 50*time.Minute || d > 70*time.Minute {
			t.Errorf("logged out after %v", d)
		}
	})
}

// failingEngine fails to sign or verify if a test wants it to.
type failingEngine struct {
	sign   func() (*auth.Token, error)
	verify func(signed string) (*auth.Token, error)
}

func (e failingEngine) Sign(context.Context, any, ...auth.SignOption) (*auth.Token, error) {
	return e.sign()
}

func (e failingEngine) Verify(_ context.Context, signed string, _ ...auth.VerifyOption) (*auth.Token, error) {
	return e.verify(signed)
}

// AUTH-26, QK-12, CF-6: a token that cannot be signed closes the socket, which
// was at no time authenticated by it.
func TestSigningFailure(t *testing.T) {
	t.Run("AUTH-26: conflicting issuers", func(t *testing.T) {
		inBubble(t, socketcluster.Config{}, func(w *world) {
			w.handleLogin(auth.Issuer("one"))
			log := w.record()
			reason := make(chan string, 1)
			socketcluster.On(w.srv, func(e socketcluster.DisconnectEvent) { reason <- e.Reason })
			p := w.client()
			s := w.only()
			p.send(`{"event":"login","data":{"iss":"two"},"cid":2}`)
			p.wantClose(4002, "")
			if got, want := <-reason, `Error: Bad "options.issuer" option. The payload already has an "iss" property.`; got != want {
				t.Errorf("reason %q, want %q", got, want)
			}
			// The last one is the login's answer, which nobody gets (RPC-9).
			log.want("connect error disconnect close error end error")
			if s.AuthToken() != nil || s.AuthState() != socketcluster.Unauthenticated {
				t.Error("QK-12: authenticated by a token that was not signed")
			}
		})
	})
	for name, sign := range map[string]func() (*auth.Token, error){
		"an engine that panics":     func() (*auth.Token, error) { panic("engine") },
		"QK-49: an engine's no one": func() (*auth.Token, error) { return nil, nil },
	} {
		t.Run(name, func(t *testing.T) {
			engine := failingEngine{sign: sign, verify: func(string) (*auth.Token, error) { return nil, errors.New("none") }}
			inBubble(t, socketcluster.Config{AuthEngine: engine}, func(w *world) {
				w.handleLogin()
				p := w.client()
				p.send(`{"event":"login","data":{},"cid":2}`)
				p.wantClose(4002, "")
			})
		})
	}
}
