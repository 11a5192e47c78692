package socketcluster_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/httpauth"
	"github.com/socketcluster-go/socketcluster/auth/revoke"
	"github.com/socketcluster-go/socketcluster/wire"
)

type roomClaims struct {
	Rooms []string `json:"rooms,omitempty"`
	Admin bool     `json:"admin,omitempty"`
}

// nextClaims returns the claims of the next message, which must set a token,
// as they are written in it.
func (p *peer) nextClaims() map[string]json.RawMessage {
	p.t.Helper()
	var packet struct {
		Event string
		Data  struct{ Token string }
	}
	if err := json.Unmarshal([]byte(p.next()), &packet); err != nil || packet.Event != "#setAuthToken" {
		p.t.Fatalf("got %+v, %v", packet, err)
	}
	engine, _ := auth.NewJWT(auth.Options{Key: testKey})
	token, err := engine.Verify(context.Background(), packet.Data.Token)
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
