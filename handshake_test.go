package socketcluster_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/wire"
)

// GT-1, HS-12, CV-6: the handshake of a client without a token.
// The ping timeout is 30 s by default.
func TestHandshakeAnonymous(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		p := w.dial()
		p.send(`{"event":"#handshake","data":{"authToken":null},"cid":1}`)
		got := p.next()
		s := w.only()
		if want := fmt.Sprintf(`{"rid":1,"data":{"id":"%s","pingTimeout":30000,"isAuthenticated":false}}`, s.ID()); got != want {
			t.Fatalf("got  %s\nwant %s", got, want)
		}
		if s.State() != socketcluster.Open || w.srv.NumClients() != 1 || w.srv.NumPendingClients() != 0 {
			t.Errorf("state %v, %d clients, %d pending", s.State(), w.srv.NumClients(), w.srv.NumPendingClients())
		}
		p.quiet(time.Minute)
	})
}

// HS-2, HS-12: the first packet of a client, with the token that it has stored or
// null. The answer has the client's id of the call, which goes up with each
// connection of the client.
func TestHandshakeRequest(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		token := quote(w.sign(map[string]any{"username": "bob"}))
		for i, test := range []struct{ token, user string }{{"null", ""}, {token, "bob"}, {"null", ""}} {
			p := w.dial()
			p.send(fmt.Sprintf(`{"event":"#handshake","data":{"authToken":%s},"cid":%d}`, test.token, i+1))
			text := p.next()
			s := w.only()
			want := fmt.Sprintf(`{"rid":%d,"data":{"id":"%s","pingTimeout":30000,"isAuthenticated":%t}}`, i+1, s.ID(), test.user != "")
			if text != want {
				t.Errorf("got  %s\nwant %s", text, want)
			}
			if c, _ := socketcluster.Claims[struct{ Username string }](s); c.Username != test.user {
				t.Errorf("%s: the user is %q", test.token, c.Username)
			}
			if test.user != "" && quote(s.AuthToken().Signed()) != test.token {
				t.Errorf("the socket has the token %s", s.AuthToken().Signed())
			}
			p.quiet(time.Second)
			p.Conn.Close()
		}
	})
}

// HS-3, HS-7, HS-23, GT-10, DOC-2, CF-9, CF-14: what closes a connection before
// or instead of a handshake. The close frames have no reason (TR-32).
func TestHandshakeRefused(t *testing.T) {
	for _, test := range []struct {
		name string
		send func(p *peer)
		code int
	}{
		{"HS-3: null cid", func(p *peer) { p.send(`{"event":"#handshake","data":{"authToken":null},"cid":null}`) }, 4008},
		{"HS-3: no cid", func(p *peer) { p.send(`{"event":"#handshake","data":{"authToken":null}}`) }, 4008},
		{"HS-3: text cid", func(p *peer) { p.send(`{"event":"#handshake","data":{"authToken":null},"cid":"1"}`) }, 4008},
		{"HS-7: pong", func(p *peer) { p.send("") }, 4009},
		{"HS-7: raw message", func(p *peer) { p.send("hello") }, 4009},
		{"HS-7: broken JSON", func(p *peer) { p.send(`{"event":`) }, 4009},
		{"HS-7: empty binary", func(p *peer) { p.sendBinary("") }, 4009},
		{"HS-7: transmit", func(p *peer) { p.send(`{"event":"a"}`) }, 4009},
		{"HS-7: call", func(p *peer) { p.send(`{"event":"a","cid":1}`) }, 4009},
		{"HS-7: authenticate", func(p *peer) { p.send(`{"event":"#authenticate","data":"x","cid":1}`) }, 4009},
		{"HS-7: response", func(p *peer) { p.send(`{"rid":1}`) }, 4009},
		{"HS-7: subscribe in a batch", func(p *peer) { p.send(`[{"event":"#subscribe","data":{"channel":"a"},"cid":1}]`) }, 4009},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, socketcluster.Config{}, func(w *world) {
				var errs []string
				socketcluster.On(w.srv, func(e socketcluster.WarningEvent) { errs = append(errs, e.Err.Error()) })
				p := w.dial()
				test.send(p)
				p.wantClose(test.code, "") // and no answer
				synctest.Wait()
				want := []string{"SocketProtocolError: Server received a message before the client handshake"}
				if test.code == 4008 {
					want = []string{"InvalidActionError: Handshake request was malformatted", "SocketProtocolError: Server rejected handshake from client"}
				}
				if !slices.Equal(errs, want) {
					t.Errorf("emitted %q, want %q", errs, want)
				}
			})
		})
	}
	t.Run("HS-23, QK-3: second handshake", func(t *testing.T) {
		inBubble(t, socketcluster.Config{}, func(w *world) {
			log := w.record()
			p := w.client()
			p.send(`{"event":"#handshake","data":{"authToken":null},"cid":2}`)
			p.wantClose(4008, "")
			log.want("connect error disconnect close error end")
			if n := w.srv.NumClients(); n != 0 {
				t.Errorf("%d clients, want 0", n)
			}
		})
	})
	t.Run("HS-9: timeout", func(t *testing.T) {
		inBubble(t, socketcluster.Config{}, func(w *world) {
			began := time.Now()
			p := w.dial()
			p.wantClose(4005, "")
			if d := time.Since(began).Round(100 * time.Millisecond); d != 10*time.Second {
				t.Errorf("closed after %v, want 10s", d)
			}
		})
	})
	t.Run("HS-9, QK-24: timeout during middleware", func(t *testing.T) {
		inBubble(t, socketcluster.Config{}, func(w *world) {
			socketcluster.Use(w.srv, func(ctx context.Context, a *socketcluster.Handshake) error {
				<-ctx.Done()
				return nil
			})
			p := w.dial()
			p.send(`{"event":"#handshake","data":{"authToken":null},"cid":1}`)
			p.wantClose(4005, "")
			if n := w.srv.NumClients() + w.srv.NumPendingClients(); n != 0 {
				t.Errorf("%d sockets, want 0", n)
			}
		})
	})
}

// TR-23: the handshake may be the first of a batch.
func TestHandshakeInBatch(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		p := w.dial()
		p.send(`[{"event":"#handshake","data":{},"cid":1},{"event":"#subscribe","data":{"channel":"a"},"cid":2}]`)
		p.next()
		p.want(`{"rid":2}`)
	})
}

// HS-11, CF-1, CF-5: the rows of tokens that are not accepted, and the events
// of each.
func TestHandshakeTokens(t *testing.T) {
	sign := func(t *testing.T, key string, claims any, opts ...auth.SignOption) string {
		engine, err := auth.NewJWT(auth.Options{Key: key})
		if err != nil {
			t.Fatal(err)
		}
		token, err := engine.Sign(context.Background(), claims, opts...)
		if err != nil {
			t.Fatal(err)
		}
		return quote(token.Signed())
	}
	claims := map[string]any{"username": "alice"}
	for _, test := range []struct {
		name, token, authError string
		removed                bool
		events                 string
	}{
		{"HS-11 row 3, GT-3: expired", sign(t, testKey, map[string]any{"exp": 1000}),
			`{"message":"jwt expired","name":"AuthTokenExpiredError","expiry":"1970-01-01T00:16:40.000Z","isBadToken":true}`,
			true, "error badAuthToken deauthenticate connect"},
		{"HS-11 row 4: wrong signature", sign(t, testKey+"x", claims),
			`{"message":"invalid signature","name":"AuthTokenInvalidError","isBadToken":true}`,
			true, "error badAuthToken deauthenticate connect"},
		{"HS-11 row 5: not three parts", `"a.b"`,
			`{"message":"jwt malformed","name":"AuthTokenInvalidError","isBadToken":true}`,
			true, "error badAuthToken deauthenticate connect"},
		{"HS-11 row 6: undecodable", `"a.b.c"`,
			`{"message":"invalid token","name":"AuthTokenInvalidError","isBadToken":true}`,
			true, "error badAuthToken deauthenticate connect"},
		{"HS-11 row 7, DOC-4: not yet active", sign(t, testKey, map[string]any{"nbf": 4000000000, "exp": 4000000001}),
			`{"message":"jwt not active","name":"AuthTokenNotBeforeError","date":"2096-10-02T07:06:40.000Z","isBadToken":false}`,
			false, "error connect"},
		{"HS-11 row 8: not a string", `17`,
			`{"message":"Invalid token format - Token must be a string","name":"AuthTokenError","isBadToken":true}`,
			true, "error badAuthToken deauthenticate connect"},
		{"HS-11 row 9: unsigned", `"eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJ1c2VybmFtZSI6ImFsaWNlIn0."`,
			`{"message":"jwt signature is required","name":"AuthTokenInvalidError","isBadToken":true}`,
			true, "error badAuthToken deauthenticate connect"},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, socketcluster.Config{}, func(w *world) {
				log := w.record()
				p := w.dial()
				p.send(`{"event":"#handshake","data":{"authToken":` + test.token + `},"cid":1}`)
				got := p.next()
				want := fmt.Sprintf(`{"rid":1,"data":{"id":"%s","pingTimeout":30000,"authError":%s,"isAuthenticated":false}}`, w.only().ID(), test.authError)
				if got != want {
					t.Fatalf("got  %s\nwant %s", got, want)
				}
				if test.removed {
					p.want(`{"event":"#removeAuthToken"}`) // HS-14: after the answer
				}
				p.quiet(time.Second)
				log.want(test.events)
			})
		})
	}
	t.Run("HS-11 row 2, DOC-3: good", func(t *testing.T) {
		inBubble(t, socketcluster.Config{}, func(w *world) {
			log := w.record()
			p := w.login(claims)
			p.quiet(time.Second)
			log.want("connect authStateChange authenticate")
			if c, ok := socketcluster.Claims[struct{ Username string }](w.only()); !ok || c.Username != "alice" {
				t.Errorf("claims %v %v", c, ok)
			}
		})
	})
	t.Run("HS-11 row 10, DOC-5: blocked by middleware", func(t *testing.T) {
		for _, bad := range []bool{false, true} {
			inBubble(t, socketcluster.Config{}, func(w *world) {
				log := w.record()
				socketcluster.Use(w.srv, func(context.Context, *socketcluster.Authenticate) error {
					e := &wire.Error{Name: "Banned", Message: "no"}
					if bad {
						e = e.With("isBadToken", true)
					}
					return e
				})
				p, status := w.connect(sign(t, testKey, claims))
				e, _ := status["authError"].(map[string]any)
				if status["isAuthenticated"] != false || e["name"] != "Banned" || e["message"] != "no" {
					t.Errorf("status %v", status)
				}
				if bad {
					p.want(`{"event":"#removeAuthToken"}`)
					log.want("error badAuthToken deauthenticate connect")
				} else {
					p.quiet(time.Second)
					log.want("error connect")
				}
				if s := w.only(); s.AuthToken() != nil || s.AuthToken().Signed() != "" {
					t.Error("the token was kept")
				}
			})
		}
	})
	for _, falsy := range []string{`null`, `""`, `0`, `false`} {
		t.Run("HS-4: falsy "+falsy, func(t *testing.T) {
			inBubble(t, socketcluster.Config{}, func(w *world) {
				log := w.record()
				p, status := w.connect(falsy)
				if _, ok := status["authError"]; ok {
					t.Errorf("status %v", status)
				}
				p.quiet(time.Second)
				log.want("connect")
			})
		})
	}
}

// HS-21, HS-22, GT-9, DOC-5, CF-20: refusal by handshake middleware.
func TestHandshakeBlocked(t *testing.T) {
	for _, test := range []struct {
		name   string
		err    error
		answer string
		code   int
	}{
		{"HS-21: default code", &wire.Error{Name: "E", Message: "m"},
			`{"rid":1,"error":{"message":"m","name":"E","statusCode":4008}}`, 4008},
		{"GT-9: own code", &wire.Error{Name: "E", Message: "m", Fields: []wire.Field{{Key: "statusCode", Value: 4501}}},
			`{"rid":1,"error":{"message":"m","name":"E","statusCode":4501}}`, 4501},
		{"QK-7: an illegal code becomes 4008", &wire.Error{Name: "E", Message: "m", Fields: []wire.Field{{Key: "statusCode", Value: 500}}},
			`{"rid":1,"error":{"message":"m","name":"E","statusCode":4008}}`, 4008},
		{"HS-22: silent", socketcluster.ErrBlocked,
			`{"rid":1,"error":{"message":"The handshakeSC AGAction was blocked by handshake middleware","name":"SilentMiddlewareBlockedError","type":"handshake","statusCode":4008}}`, 4008},
		{"QK-28: other errors are masked", context.Canceled,
			`{"rid":1,"error":{"message":"An internal error occurred","name":"InternalError","statusCode":4008}}`, 4008},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, socketcluster.Config{}, func(w *world) {
				socketcluster.Use(w.srv, func(context.Context, *socketcluster.Handshake) error { return test.err })
				log := w.record()
				p := w.dial()
				p.send(`{"event":"#handshake","data":{"authToken":null},"cid":1}`)
				p.want(test.answer)
				p.wantClose(test.code, "")
				log.want("error connectAbort close error end")
			})
		})
	}
}

// HS-8, QK-51, CF-9: with Compat.LenientHandshake, what comes before the handshake is
// ignored, whatever it is, and the handshake is as ever.
func TestLenientHandshake(t *testing.T) {
	inBubble(t, socketcluster.Config{Compat: socketcluster.Compat{LenientHandshake: true}}, func(w *world) {
		log := w.record()
		w.srv.UseInbound(func(_ context.Context, a socketcluster.Action) error {
			t.Errorf("asked about %s", a.Type())
			return nil
		})
		w.srv.HandleDefault(func(_ context.Context, c *socketcluster.Call) (any, error) {
			t.Errorf("called %s", c.Procedure)
			return nil, nil
		})
		w.srv.ReceiveDefault(func(_ context.Context, tr *socketcluster.Transmission) error {
			t.Errorf("received %s", tr.Receiver)
			return nil
		})
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		messages, err := w.srv.Exchange().Subscribe(ctx, "a")
		if err != nil {
			t.Fatal(err)
		}
		p := w.dial()
		for _, text := range []string{"", "hello", `{"event":`, `{"event":"t"}`, `{"event":"p","cid":2}`, `{"rid":1}`,
			`{"event":"#subscribe","data":{"channel":"a"},"cid":3}`, `{"event":"#publish","data":{"channel":"a","data":"early"},"cid":4}`,
			`{"event":"#unsubscribe","data":"a","cid":5}`, `{"event":"#authenticate","data":` + quote(w.sign(map[string]any{})) + `,"cid":6}`,
			`[{"event":"#publish","data":{"channel":"a","data":"early"}}]`, removeAuthToken} {
			p.send(text)
		}
		p.sendBinary("")
		p.quiet(time.Second)
		log.want("")
		p.send(`{"event":"#handshake","data":{"authToken":null},"cid":7}`)
		s := w.only()
		p.want(fmt.Sprintf(`{"rid":7,"data":{"id":"%s","pingTimeout":30000,"isAuthenticated":false}}`, s.ID()))
		log.want("connect")
		if s.AuthToken() != nil || s.Stats().Subscriptions != 0 {
			t.Error("the socket has what it asked for too early")
		}
		w.srv.Exchange().Publish(ctx, "a", "late")
		for raw := range messages.All() {
			if string(raw) != `"late"` {
				t.Errorf("got %s", raw)
			}
			break
		}
	})
}

// HS-1, HS-18: a socket is connecting, then open, then closed, and is found
// accordingly.
func TestSocketStates(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		check := func(s *socketcluster.Socket, state socketcluster.State, pending, clients int) {
			t.Helper()
			if s.State() != state || w.srv.NumPendingClients() != pending || w.srv.NumClients() != clients || w.srv.Client(s.ID()) != nil != (clients == 1) {
				t.Errorf("state %v, %d pending, %d clients; want %v, %d, %d", s.State(), w.srv.NumPendingClients(), w.srv.NumClients(), state, pending, clients)
			}
		}
		var s *socketcluster.Socket
		socketcluster.On(w.srv, func(e socketcluster.HandshakeEvent) {
			s = e.Socket
			check(s, socketcluster.Connecting, 1, 0)
		})
		socketcluster.On(w.srv, func(e socketcluster.ConnectEvent) { check(s, socketcluster.Open, 0, 1) })
		socketcluster.On(w.srv, func(e socketcluster.DisconnectEvent) { check(s, socketcluster.Closed, 0, 0) })
		log := w.record()
		p := w.client()
		check(s, socketcluster.Open, 0, 1)
		p.Conn.Close()
		log.want("connect disconnect close error end")
		check(s, socketcluster.Closed, 0, 0)
	})
}

// CV-5: settings are durations; the wire has milliseconds for the timeout and
// seconds for dates of tokens.
func TestUnits(t *testing.T) {
	inBubble(t, socketcluster.Config{Timeouts: socketcluster.Timeouts{Ping: 90 * time.Second}, Auth: auth.Options{DefaultExpiry: time.Hour}}, func(w *world) {
		w.handleLogin()
		p, status := w.connect("null")
		if status["pingTimeout"] != 90000.0 {
			t.Errorf("pingTimeout %v", status["pingTimeout"])
		}
		p.send(`{"event":"login","data":{},"cid":2}`)
		if claims := p.nextToken(); claims["exp"].(float64)-claims["iat"].(float64) != 3600 {
			t.Errorf("claims %v", claims)
		}
	})
}
