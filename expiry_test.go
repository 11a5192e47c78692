package socketcluster_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/httpauth"
	"github.com/socketcluster-go/socketcluster/wire"
)

// AUTH-24, CF-6: what decides when a token expires.
func TestTokenExpiry(t *testing.T) {
	start := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Unix() // of a bubble
	for _, test := range []struct {
		name   string
		cfg    socketcluster.Config
		claims map[string]any
		opts   []auth.SignOption
		exp    any
	}{
		{"AUTH-8: the server's default", socketcluster.Config{}, map[string]any{}, nil, float64(start + 86400)},
		{"AUTH-8: the configured default", socketcluster.Config{Auth: auth.Options{DefaultExpiry: time.Hour}}, map[string]any{}, nil, float64(start + 3600)},
		{"QK-21: none", socketcluster.Config{Auth: auth.Options{DefaultExpiry: -1}}, map[string]any{}, nil, nil},
		{"AUTH-24: the option", socketcluster.Config{}, map[string]any{}, []auth.SignOption{auth.ExpiresIn(time.Minute)}, float64(start + 60)},
		{"AUTH-24: the claim", socketcluster.Config{}, map[string]any{"exp": start + 7}, []auth.SignOption{auth.ExpiresIn(time.Minute)}, float64(start + 7)},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, test.cfg, func(w *world) {
				w.handleLogin(test.opts...)
				p := w.client()
				data, _ := json.Marshal(test.claims)
				p.send(`{"event":"login","data":` + string(data) + `,"cid":2}`)
				if claims := p.nextToken(); claims["exp"] != test.exp {
					t.Errorf("exp %v, want %v", claims["exp"], test.exp)
				}
			})
		})
	}
}

// AUTH-40, AUTH-42, AUTH-44, QK-13: a token ends at its time, to the moment,
// also when the socket is silent and without pings.
func TestExpiry(t *testing.T) {
	for _, cfg := range []socketcluster.Config{{}, {Timeouts: socketcluster.Timeouts{PingDisabled: true}}} {
		inBubble(t, cfg, func(w *world) {
			log := w.record()
			p, _ := w.connect(quote(w.sign(map[string]any{}, auth.ExpiresIn(5*time.Second))))
			exp, _ := w.only().AuthToken().ExpiresAt()
			log.take()
			time.Sleep(time.Until(exp))
			synctest.Wait()
			if w.only().AuthToken() == nil {
				t.Error("AUTH-40: expired at its exp, not after it")
			}
			p.want(removeAuthToken)
			if late := time.Since(exp); late <= 0 || late > 100*time.Millisecond {
				t.Errorf("taken away %v after exp", late)
			}
			log.want("authStateChange deauthenticate")
			p.quiet(time.Minute)
			log.want("")
		})
	}
}

// AUTH-41, AUTH-43, GT-8: the packet that finds the token expired is handled
// without it, and middleware knows why.
func TestExpiryInFlight(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		var expired []error
		socketcluster.Use(w.srv, func(_ context.Context, a *socketcluster.Invoke) error {
			expired = append(expired, a.AuthTokenExpired)
			if string(a.Data) == `"slow"` {
				time.Sleep(2 * time.Second) // past the expiry
			}
			return a.AuthTokenExpired
		})
		w.srv.Handle("p", socketcluster.Func(echo))
		p, _ := w.connect(quote(w.sign(map[string]any{}, auth.ExpiresIn(time.Second))))
		p.send(`{"event":"p","data":"slow","cid":2}`)
		p.send(`{"event":"p","cid":3}`)
		p.want(removeAuthToken, `{"rid":2,"data":"slow"}`, `{"rid":3}`)
		// Middleware runs twice for the first one, because the token has gone
		// meanwhile.
		if len(expired) != 3 || expired[0] != nil || expired[1] != nil || expired[2] != nil {
			t.Errorf("%v: the timer had taken the token away before", expired)
		}
	})
	// Middleware that lets it pass has it handled without a token.
	inBubble(t, socketcluster.Config{}, func(w *world) {
		w.srv.Handle("p", socketcluster.Func(func(ctx context.Context, _ socketcluster.None) (string, error) {
			return socketcluster.FromContext(ctx).AuthState().String(), nil
		}))
		p, _ := w.connect(quote(w.sign(map[string]any{}, auth.ExpiresIn(time.Second))))
		exp, _ := w.only().AuthToken().ExpiresAt()
		p.send(`{"event":"p","cid":4}`)
		p.want(`{"rid":4,"data":"authenticated"}`)
		time.Sleep(time.Until(exp.Add(2 * time.Millisecond)))
		p.send(`{"event":"p","cid":5}`)
		p.want(removeAuthToken, `{"rid":5,"data":"unauthenticated"}`)
	})
	// The timer waits for a tick; a packet in between does not.
	inBubble(t, socketcluster.Config{}, func(w *world) {
		var expired error
		socketcluster.Use(w.srv, func(_ context.Context, a *socketcluster.Invoke) error {
			expired = a.AuthTokenExpired
			return expired
		})
		p, _ := w.connect(quote(w.sign(map[string]any{}, auth.ExpiresIn(time.Second))))
		exp, _ := w.only().AuthToken().ExpiresAt()
		time.Sleep(time.Until(exp.Add(2 * time.Millisecond)))
		p.send(`{"event":"p","cid":2}`)
		p.want(removeAuthToken)
		p.want(`{"rid":2,"error":{"message":"The socket auth token has expired","name":"AuthTokenExpiredError","expiry":946684801}}`)
		if !errors.Is(expired, wire.ErrAuthTokenExpired) {
			t.Errorf("AuthTokenExpired: %v", expired)
		}
	})
}

// AUTH-4, AUTH-42: a login stands that comes in the very moment in which the
// token before it expires.
func TestLoginWhileTokenExpires(t *testing.T) {
	inBubble(t, socketcluster.Config{Timeouts: socketcluster.Timeouts{PingDisabled: true}}, func(w *world) {
		const sockets = 400
		token := quote(w.sign(map[string]any{}, auth.ExpiresIn(time.Minute)))
		for range sockets {
			w.connect(token)
		}
		time.Sleep(time.Minute)
		for s := range w.srv.Clients() {
			go func() {
				time.Sleep(10 * time.Millisecond) // the tick of the wheel
				s.SetAuthToken(context.Background(), map[string]any{}, auth.ExpiresIn(time.Hour))
			}()
		}
		time.Sleep(time.Minute)
		for s := range w.srv.Clients() {
			if s.AuthToken() == nil {
				t.Fatal("a login was lost to the expiry of the token before it")
			}
		}
	})
}

// AUTH-4: a new token in time keeps the login; the expiry of the old one no
// longer matters.
func TestExpiryAfterNewToken(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		p, _ := w.connect(quote(w.sign(map[string]any{}, auth.ExpiresIn(time.Minute))))
		w.only().SetAuthToken(context.Background(), map[string]any{}, auth.ExpiresIn(time.Hour))
		p.nextToken()
		p.quiet(30 * time.Minute)
		if w.only().AuthToken() == nil {
			t.Error("logged out")
		}
	})
}

// signedAt signs claims whose dates are so many milliseconds from now.
func (w *world) signedAt(claims map[string]any, dates map[string]int) string {
	w.t.Helper()
	for name, ms := range dates {
		claims[name] = float64(time.Now().UnixMilli()+int64(ms)) / 1000
	}
	token, err := w.srv.Auth().Sign(context.Background(), claims)
	if err != nil {
		w.t.Fatal(err)
	}
	return token.Signed()
}

// With a clock tolerance, a token is accepted that much before its nbf and after
// its exp, and a socket keeps it exactly as long: it is not let in and logged out
// again, and lives no longer (AUTH-40, JWT-22).
func TestClockTolerance(t *testing.T) {
	for _, tolerance := range []time.Duration{0, 1500 * time.Millisecond, time.Minute} {
		t.Run(tolerance.String(), func(t *testing.T) {
			inBubble(t, socketcluster.Config{Auth: auth.Options{ClockTolerance: tolerance}, Timeouts: socketcluster.Timeouts{PingDisabled: true}}, func(w *world) {
				ms := int(tolerance.Milliseconds())
				_, status := w.connect(quote(w.signedAt(map[string]any{}, map[string]int{"nbf": ms + 1})))
				if status["isAuthenticated"] == true {
					t.Error("authenticated before nbf")
				}
				if _, status := w.connect(quote(w.signedAt(map[string]any{}, map[string]int{"nbf": ms}))); status["isAuthenticated"] != true {
					t.Errorf("at nbf: %v", status)
				}

				exp := w.signedAt(map[string]any{}, map[string]int{"exp": 10_500})
				early, _ := w.connect(quote(exp))
				time.Sleep(10_500*time.Millisecond + tolerance - time.Nanosecond)
				late, status := w.connect(quote(exp))
				if status["isAuthenticated"] != true {
					t.Fatalf("a nanosecond before the end: %v", status)
				}
				time.Sleep(time.Nanosecond)
				if _, status := w.connect(quote(exp)); status["isAuthenticated"] == true {
					t.Error("authenticated at the end")
				}
				if n := w.authenticated(); n != 3 {
					t.Errorf("%d sockets are authenticated up to the end, want 3", n)
				}
				time.Sleep(11 * time.Millisecond) // as exact as timers of sockets are
				if n := w.authenticated(); n != 1 {
					t.Errorf("%d sockets are authenticated after the end, want that without one", n)
				}
				for _, p := range []*peer{early, late} {
					p.want(`{"event":"#removeAuthToken"}`)
				}
			})
		})
	}
}

// authenticated counts the sockets that are.
func (w *world) authenticated() (n int) {
	synctest.Wait()
	for s := range w.srv.Clients() {
		if s.AuthState() == socketcluster.Authenticated {
			n++
		}
	}
	return n
}

// A principal that was verified with a tolerance is good as long.
func TestClockToleranceOfPrincipals(t *testing.T) {
	inBubble(t, socketcluster.Config{Auth: auth.Options{ClockTolerance: 2 * time.Second}}, func(w *world) {
		token, err := w.srv.Auth().Verify(t.Context(), w.signedAt(map[string]any{}, map[string]int{"exp": 1000}))
		if err != nil {
			t.Fatal(err)
		}
		w.web.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			w.srv.ServeHTTP(rw, r.WithContext(httpauth.NewContext(r.Context(), token)))
		})
		time.Sleep(2 * time.Second)
		if _, status := w.connect("null"); status["isAuthenticated"] != true {
			t.Errorf("within the tolerance: %v", status)
		}
		time.Sleep(time.Second)
		if _, status := w.connect("null"); status["isAuthenticated"] == true {
			t.Errorf("after the tolerance: %v", status)
		}
	})
}

// A login that is under way while its token expires, and one right before,
// end with the new token on both sides.
func TestLoginDuringExpiry(t *testing.T) {
	ctx := context.Background()
	for offset := -2; offset <= 30; offset += 2 {
		inBubble(t, socketcluster.Config{}, func(w *world) {
			log := w.record()
			p, _ := w.connect(quote(w.sign(map[string]any{}, auth.ExpiresIn(time.Second))))
			s := w.only()
			exp, _ := s.AuthToken().ExpiresAt()
			log.take()
			time.Sleep(time.Until(exp.Add(time.Duration(offset) * time.Millisecond)))
			s.SetAuthToken(ctx, map[string]any{})
			synctest.Wait()
			events := log.take()
			first := p.next()
			switch {
			case strings.HasPrefix(first, `{"event":"#setAuthToken"`) && events == "authTokenSigned authenticate":
			case first == removeAuthToken && events == "authStateChange deauthenticate authTokenSigned authStateChange authenticate":
				p.nextToken()
			default:
				t.Errorf("%d ms after exp: %s, then %s", offset, events, first)
			}
			p.quiet(time.Second)
			if s.AuthToken() == nil {
				t.Errorf("%d ms after exp: the new token was taken away", offset)
			}
		})
	}
}

// The client presents another token while its old one expires: the new one
// counts, as nobody has decided against it.
func TestOldTokenExpiresMeanwhile(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		p, _ := w.connect(quote(w.sign(map[string]any{"u": 1}, auth.ExpiresIn(time.Second))))
		socketcluster.Use(w.srv, func(context.Context, *socketcluster.Authenticate) error {
			time.Sleep(3 * time.Second)
			return nil
		})
		p.send(`{"event":"#authenticate","data":` + quote(w.sign(map[string]any{"u": 2})) + `,"cid":2}`)
		p.want(removeAuthToken, wasAdmitted)
		if claims, _ := socketcluster.Claims[struct{ U int }](w.only()); claims.U != 2 {
			t.Errorf("authenticated as %d", claims.U)
		}
	})
}

// A publication whose token expires while outbound middleware looks at it does not
// leave, also before the timer has noticed.
func TestExpiryWhileOutboundMiddlewareDecides(t *testing.T) {
	for _, after := range []time.Duration{2 * time.Millisecond, 5 * time.Millisecond, 9 * time.Millisecond, 50 * time.Millisecond, 99 * time.Millisecond, 500 * time.Millisecond} {
		inBubble(t, socketcluster.Config{Timeouts: socketcluster.Timeouts{PingDisabled: true}}, func(w *world) {
			var exp time.Time
			began := make(chan time.Time, 1)
			socketcluster.Use(w.srv, func(_ context.Context, a *socketcluster.Subscribe) error {
				if a.Socket.AuthToken() == nil {
					return context.Canceled
				}
				return nil
			})
			socketcluster.Use(w.srv, func(context.Context, *socketcluster.PublishOut) error {
				time.Sleep(time.Until(exp) + after)
				began <- time.Now()
				return nil
			})
			exp = time.Now().Add(10*time.Second + 3*time.Millisecond)
			text, _ := json.Marshal(float64(exp.UnixMilli()) / 1000)
			p := w.login(map[string]json.RawMessage{"username": json.RawMessage(`"alice"`), "exp": text})
			p.send(`{"event":"#subscribe","data":{"channel":"room"},"cid":2}`)
			p.want(`{"rid":2}`)
			w.srv.Exchange().Publish(context.Background(), "room", 1)
			if text := p.next(); strings.Contains(text, "#publish") {
				t.Errorf("sent %v after exp: %s", (<-began).Sub(exp), text)
			}
			synctest.Wait()
			p.Conn.Close()
		})
	}
}
