package socketcluster_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/revoke"
	"github.com/socketcluster-go/socketcluster/wire"
)

// What is promised here: from the moment a login ends or changes, nothing is
// delivered to the socket, accepted from it or signed for it without the right
// to it.

// private lets only the users in a channel whose tokens list it, and has a
// procedure that only users may call.
func (w *world) private() {
	claimsRule(w)
	w.srv.UseInbound(socketcluster.Guard(func(_ context.Context, a *socketcluster.Invoke) error {
		if a.Socket.AuthToken() == nil && a.Procedure != "login" {
			return &wire.Error{Name: "CallError", Message: "log in first"}
		}
		return nil
	}))
}

// member is a client of alice's in the channel room.
func (w *world) member() (*peer, *socketcluster.Socket) {
	w.t.Helper()
	p := w.login(map[string]any{"sub": "alice", "channels": []string{"room"}})
	p.send(`{"event":"#subscribe","data":{"channel":"room"},"cid":2}`)
	p.want(`{"rid":2}`)
	return p, w.only()
}

func alice() revoke.Revocation { return revoke.Revocation{Subject: "alice"} }

// ends are the ways to end a login.
var ends = map[string]func(w *world, s *socketcluster.Socket) error{
	"Revoke":             func(w *world, _ *socketcluster.Socket) error { return w.srv.Revoke(w.t.Context(), alice()) },
	"Deauthenticate":     func(w *world, s *socketcluster.Socket) error { return s.Deauthenticate(w.t.Context()) },
	"DeauthenticateSelf": func(_ *world, s *socketcluster.Socket) error { s.DeauthenticateSelf(); return nil },
	"SetAuthToken": func(w *world, s *socketcluster.Socket) error {
		return s.SetAuthToken(w.t.Context(), map[string]any{"sub": "bob"})
	},
	"UpdateClaims": func(w *world, _ *socketcluster.Socket) error {
		_, err := socketcluster.UpdateClaims(w.t.Context(), w.srv, "sub", "alice", func(c *struct {
			Channels []string `json:"channels,omitempty"`
		}) {
			c.Channels = nil
		})
		return err
	},
}

// Whoever publishes in the statement after the end of a login reaches nobody by
// it, whatever the client has sent before: here calls of 20 ms each, for far
// longer than the test takes.
func TestNothingIsDeliveredAfterTheEnd(t *testing.T) {
	for name, end := range ends {
		for _, calls := range []int{0, 2000} {
			t.Run(fmt.Sprintf("%s, %d calls wait", name, calls), func(t *testing.T) {
				inBubble(t, socketcluster.Config{Revocations: new(revoke.Memory), PingTimeoutDisabled: true}, func(w *world) {
					w.private()
					w.srv.Handle("slow", socketcluster.Func(func(context.Context, *socketcluster.Call, socketcluster.None) (socketcluster.None, error) {
						time.Sleep(20 * time.Millisecond)
						return socketcluster.None{}, nil
					}))
					p, s := w.member()
					go func() {
						for i := range calls {
							p.trySend(fmt.Sprintf(`{"event":"slow","cid":%d}`, i+10))
						}
					}()
					time.Sleep(100 * time.Millisecond)
					if err := end(w, s); err != nil {
						t.Fatal(err)
					}
					var published int
					for range 20 {
						published++
						w.srv.Exchange().Publish(t.Context(), "room", published)
						time.Sleep(50 * time.Millisecond)
					}
					if got := p.publications(time.Second); got != 0 {
						t.Errorf("%d of %d publications have arrived", got, published)
					}
					if s.IsSubscribed("room") {
						t.Error("still subscribed")
					}
				})
			})
		}
	}
}

// publications counts those that come until nothing comes for a while.
func (p *peer) publications(pause time.Duration) (n int) {
	p.t.Helper()
	for {
		p.conn.SetReadDeadline(time.Now().Add(pause))
		f, err := p.readFrame()
		if err != nil {
			return n
		}
		if strings.HasPrefix(string(f.Payload), `{"event":"#publish"`) || strings.HasPrefix(string(f.Payload), `[`) {
			n += strings.Count(string(f.Payload), `"#publish"`)
		}
	}
}

// What the client has not read when its token ends does not reach it later: not
// what waits in the outbox, in a batch, or for the outbound middleware. Answers and
// events do.
func TestWhatWaitsIsTakenBack(t *testing.T) {
	for name, prepare := range map[string]func(w *world, s *socketcluster.Socket){
		"outbox": func(*world, *socketcluster.Socket) {},
		"outbound middleware": func(w *world, _ *socketcluster.Socket) {
			w.srv.UseOutbound(func(context.Context, socketcluster.Action) error { return nil })
		},
		"slow outbound middleware": func(w *world, _ *socketcluster.Socket) {
			w.srv.UseOutbound(func(context.Context, socketcluster.Action) error { time.Sleep(time.Second); return nil })
		},
		"batch":   func(_ *world, s *socketcluster.Socket) { s.StartBatch() },
		"batches": func(_ *world, s *socketcluster.Socket) { s.StartBatching() },
		"batches in the outbox": func(w *world, s *socketcluster.Socket) {
			s.StartBatching()
			go func() { time.Sleep(time.Second); s.StopBatching() }()
		},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := socketcluster.Config{PingTimeoutDisabled: true, Limits: socketcluster.Limits{OutboxStall: time.Hour}}
			inBubble(t, cfg, func(w *world) {
				w.srv.UseInbound(socketcluster.Guard(func(_ context.Context, a *socketcluster.Subscribe) error {
					if a.Again {
						time.Sleep(5 * time.Second) // the client reads on long before
					}
					return nil
				}))
				w.private()
				p, s := w.member()
				exp := time.Now().Add(10 * time.Second)
				if err := s.SetAuthToken(t.Context(), map[string]any{"channels": []string{"room"}, "exp": exp.Unix()}); err != nil {
					t.Fatal(err)
				}
				p.nextToken()
				synctest.Wait()
				prepare(w, s)
				// A frame that fills what is between the two, so that the rest waits.
				if err := s.Send(t.Context(), strings.Repeat("x", 200_000)); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				for i := range 300 {
					w.srv.Exchange().Publish(t.Context(), "room", i)
					s.Transmit(t.Context(), "note", i)
				}
				time.Sleep(2 * time.Second)
				time.Sleep(time.Until(exp) + time.Second)
				s.FlushBatch()
				s.StopBatching()
				var got, notes int
				for {
					p.conn.SetReadDeadline(time.Now().Add(20 * time.Minute))
					f, err := p.readFrame()
					if err != nil {
						break
					}
					got += strings.Count(string(f.Payload), `"#publish"`)
					for rest := string(f.Payload); ; {
						_, after, found := strings.Cut(rest, fmt.Sprintf(`{"event":"note","data":%d}`, notes))
						if !found {
							break
						}
						notes++
						rest = after
					}
				}
				if got != 0 || notes != 300 {
					t.Errorf("%d publications and %d of 300 events have arrived", got, notes)
				}
			})
		})
	}
}

// What the client has the right to before and after a change arrives, once and
// in order, although it was withheld meanwhile.
func TestWithheldFollows(t *testing.T) {
	for name, prepare := range map[string]func(w *world, s *socketcluster.Socket){
		"plain": func(*world, *socketcluster.Socket) {},
		"outbound middleware": func(w *world, _ *socketcluster.Socket) {
			w.srv.UseOutbound(func(context.Context, socketcluster.Action) error { time.Sleep(5 * time.Millisecond); return nil })
		},
		"batches": func(_ *world, s *socketcluster.Socket) { s.StartBatching() },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, socketcluster.Config{PingTimeoutDisabled: true}, func(w *world) {
				p, s := w.member()
				w.srv.UseInbound(socketcluster.Guard(func(context.Context, *socketcluster.Subscribe) error {
					time.Sleep(70 * time.Millisecond)
					return nil
				}))
				prepare(w, s)
				for i := range 100 {
					if i%10 == 5 {
						if err := s.SetAuthToken(t.Context(), map[string]any{"n": i}); err != nil {
							t.Fatal(err)
						}
					}
					w.srv.Exchange().Publish(t.Context(), "room", i)
					time.Sleep(20 * time.Millisecond)
				}
				time.Sleep(5 * time.Second)
				var got []int
				for len(got) < 100 {
					text := p.next()
					for {
						_, after, found := strings.Cut(text, `{"channel":"room","data":`)
						if !found {
							break
						}
						var n int
						fmt.Sscanf(after, "%d", &n)
						got = append(got, n)
						text = after
					}
				}
				if !slices.IsSorted(got) || len(slices.Compact(got)) != 100 {
					t.Errorf("got %v", got)
				}
				p.quiet(time.Second)
			})
		})
	}
}

// What has no verdict in time is kicked out. A subscription whose verdict is there
// does not wait for another.
func TestWithheldHasAnEnd(t *testing.T) {
	const late = `{"event":"#kickOut","data":{"channel":"stuck","message":"The subscription was not authorized again in time"}}`
	start := func(w *world) (*peer, *socketcluster.Socket, chan struct{}) {
		stuck := make(chan struct{})
		w.srv.UseInbound(socketcluster.Guard(func(_ context.Context, a *socketcluster.Subscribe) error {
			if a.Again && a.Channel == "stuck" {
				<-stuck
			}
			return nil
		}))
		p := w.client()
		for i, channel := range []string{"stuck", "free"} {
			p.send(fmt.Sprintf(`{"event":"#subscribe","data":{"channel":%q},"cid":%d}`, channel, i+2))
			p.want(fmt.Sprintf(`{"rid":%d}`, i+2))
		}
		s := w.only()
		if err := s.SetAuthToken(t.Context(), map[string]any{}); err != nil {
			t.Fatal(err)
		}
		p.nextToken()
		return p, s, stuck
	}
	inBubble(t, socketcluster.Config{ReauthorizeTimeout: 3 * time.Second}, func(w *world) {
		p, s, stuck := start(w)
		begun := time.Now()
		w.srv.Exchange().Publish(t.Context(), "stuck", 1)
		w.srv.Exchange().Publish(t.Context(), "free", 2)
		p.want(`{"event":"#publish","data":{"channel":"free","data":2}}`, late)
		if d := time.Since(begun); d != 3*time.Second || s.IsSubscribed("stuck") || !s.IsSubscribed("free") {
			t.Errorf("after %v: stuck %t, free %t", d, s.IsSubscribed("stuck"), s.IsSubscribed("free"))
		}
		if !strings.Contains(w.logs.String(), "Config.ReauthorizeTimeout") {
			t.Error("nothing in the log")
		}
		close(stuck)
		p.quiet(time.Second)
	})
}

// Without inbound middleware, and with KeepSubscriptions, nothing is withheld.
func TestNothingIsWithheldWithoutNeed(t *testing.T) {
	for _, keep := range []bool{false, true} {
		inBubble(t, socketcluster.Config{KeepSubscriptions: keep}, func(w *world) {
			p, s := w.member()
			if keep {
				w.srv.UseInbound(func(context.Context, socketcluster.Action) error { return socketcluster.ErrBlocked })
			}
			s.Deauthenticate(t.Context())
			p.want(removeAuthToken)
			w.srv.Exchange().Publish(t.Context(), "room", 1)
			p.want(`{"event":"#publish","data":{"channel":"room","data":1}}`)
		})
	}
}

// Middleware that is added later is asked about what is there when the token has
// changed before, as soon as something is published.
func TestMiddlewareAddedLater(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		p, s := w.member()
		s.Deauthenticate(t.Context())
		p.want(removeAuthToken)
		claimsRule(w)
		w.srv.Exchange().Publish(t.Context(), "room", 1)
		p.want(`{"event":"#kickOut","data":{"channel":"room","message":"no access to room"}}`)
	})
}

// Calls, transmissions and publications that were let in, and wait, are asked
// about again: none begins after the login has ended, neither in a handler nor
// in a loop.
func TestNothingIsAcceptedAfterTheEnd(t *testing.T) {
	for _, loop := range []bool{false, true} {
		for name, end := range ends {
			if name == "SetAuthToken" || name == "UpdateClaims" {
				continue // a login goes on
			}
			t.Run(fmt.Sprintf("%s, in a loop %t", name, loop), func(t *testing.T) {
				inBubble(t, socketcluster.Config{Revocations: new(revoke.Memory)}, func(w *world) {
					w.private()
					w.srv.UseInbound(socketcluster.Guard(func(_ context.Context, a *socketcluster.Transmit) error {
						if a.Socket.AuthToken() == nil {
							return socketcluster.ErrBlocked
						}
						return nil
					}))
					var calls, notes atomic.Int32
					p, s := w.member()
					if loop {
						s := s
						callsOf, notesOf := s.Procedure("work"), s.Receiver("note")
						go func() {
							for c := range callsOf {
								calls.Add(1)
								time.Sleep(20 * time.Millisecond)
								c.End(nil)
							}
						}()
						go func() {
							for range notesOf {
								notes.Add(1)
								time.Sleep(20 * time.Millisecond)
							}
						}()
					} else {
						w.srv.Handle("work", socketcluster.Func(func(context.Context, *socketcluster.Call, socketcluster.None) (socketcluster.None, error) {
							calls.Add(1)
							time.Sleep(20 * time.Millisecond)
							return socketcluster.None{}, nil
						}))
						w.srv.Receive("note", socketcluster.Recv(func(context.Context, *socketcluster.Transmission, socketcluster.None) error {
							notes.Add(1)
							time.Sleep(20 * time.Millisecond)
							return nil
						}))
					}
					for i := range 50 {
						p.send(fmt.Sprintf(`{"event":"work","cid":%d}`, i+10))
						p.send(`{"event":"note"}`)
					}
					time.Sleep(100 * time.Millisecond)
					synctest.Wait()
					if err := end(w, s); err != nil {
						t.Fatal(err)
					}
					before := calls.Load() + notes.Load()
					time.Sleep(10 * time.Second)
					if after := calls.Load() + notes.Load(); before == 0 || after != before {
						t.Errorf("%d had begun by then, and %d afterwards", before, after-before)
					}
					// Each call has its answer.
					var answers, refused int
					for answers < 50 {
						switch text := p.next(); {
						case strings.Contains(text, "log in first"):
							refused++
							fallthrough
						case strings.HasPrefix(text, `{"rid":`):
							answers++
						}
					}
					if refused == 0 {
						t.Error("no call was refused")
					}
				})
			})
		}
	}
}

// A call whose token is replaced while it waits is handled all the same if
// middleware lets it in again: with the data that came, changed once.
func TestAskedAgainWithTheSameData(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		asked := 0
		w.srv.UseInbound(socketcluster.Guard(func(_ context.Context, a *socketcluster.Invoke) error {
			asked++
			claims, _ := socketcluster.Claims[struct{ N int }](a.Socket)
			a.Data = json.RawMessage(fmt.Sprintf(`"%s of %d"`, a.Data, claims.N))
			return nil
		}))
		gate := make(chan struct{})
		w.srv.Handle("p", socketcluster.Func(func(_ context.Context, _ *socketcluster.Call, in string) (string, error) {
			<-gate
			return in, nil
		}))
		p := w.client()
		p.send(`{"event":"p","data":1,"cid":2}`)
		p.send(`{"event":"p","data":2,"cid":3}`)
		synctest.Wait()
		if err := w.only().SetAuthToken(t.Context(), map[string]any{"n": 7}); err != nil {
			t.Fatal(err)
		}
		p.nextToken()
		close(gate)
		p.want(`{"rid":2,"data":"1 of 0"}`, `{"rid":3,"data":"2 of 7"}`)
		if asked != 3 {
			t.Errorf("asked %d times", asked)
		}
	})
}

// Middleware that changes the token whenever it is asked gets an end, not a loop
// for ever.
func TestUnsteadyToken(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		w.srv.UseInbound(func(ctx context.Context, a socketcluster.Action) error {
			switch a := a.(type) {
			case *socketcluster.Invoke:
				return a.Socket.SetAuthToken(ctx, map[string]any{})
			case *socketcluster.Subscribe:
				return a.Socket.SetAuthToken(ctx, map[string]any{})
			}
			return nil
		})
		w.srv.Handle("p", socketcluster.Func(echo))
		p := w.client()
		for i, text := range []string{`{"event":"p","cid":2}`, `{"event":"#subscribe","data":{"channel":"a"},"cid":3}`} {
			p.send(text)
			answer := p.next()
			for strings.HasPrefix(answer, `{"event":"#setAuthToken"`) {
				answer = p.next()
			}
			if want := fmt.Sprintf(`{"rid":%d,"error":{"message":"The token changes while middleware decides","name":"AuthError"}}`, i+2); answer != want {
				t.Errorf("got %s", answer)
			}
		}
	})
}

// A token that middleware is still deciding about is nobody's: calls are handled
// as before, renewal does not begin, and a refusal leaves nothing behind.
func TestPendingIdentity(t *testing.T) {
	for round := range 60 {
		cfg := socketcluster.Config{TokenRenewal: socketcluster.TokenRenewal{Every: 50 * time.Millisecond, ExpiresIn: 2 * time.Second}}
		inBubble(t, cfg, func(w *world) {
			w.srv.UseInbound(socketcluster.Guard(func(_ context.Context, a *socketcluster.Authenticate) error {
				time.Sleep(100*time.Millisecond + time.Duration(round)*time.Microsecond)
				return &wire.Error{Name: "Banned", Message: "no"}
			}))
			w.srv.Handle("who", socketcluster.Func(func(_ context.Context, c *socketcluster.Call, _ socketcluster.None) (string, error) {
				return c.Socket.AuthState().String(), nil
			}))
			p := w.client()
			s := w.only()
			p.send(`{"event":"who","cid":2}`)
			p.send(`{"event":"#authenticate","data":` + quote(w.sign(map[string]any{})) + `,"cid":3}`)
			time.Sleep(time.Duration(round) * 2 * time.Millisecond)
			if s.AuthToken() != nil {
				t.Fatal("authenticated before middleware has said so")
			}
			p.want(`{"rid":2,"data":"unauthenticated"}`)
			p.want(`{"rid":3,"data":{"isAuthenticated":false,"authError":{"message":"no","name":"Banned"}}}`)
			p.quiet(3 * time.Second)
			if s.AuthToken() != nil {
				t.Fatal("authenticated by a token that middleware has blocked")
			}
		})
	}
}

// The client presents another token while its old one expires: the new one
// counts, as nobody has decided against it.
func TestOldTokenExpiresMeanwhile(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		p, _ := w.connect(quote(w.sign(map[string]any{"u": 1}, auth.ExpiresIn(time.Second))))
		w.srv.UseInbound(socketcluster.Guard(func(context.Context, *socketcluster.Authenticate) error {
			time.Sleep(3 * time.Second)
			return nil
		}))
		p.send(`{"event":"#authenticate","data":` + quote(w.sign(map[string]any{"u": 2})) + `,"cid":2}`)
		p.want(removeAuthToken, wasAdmitted)
		if claims, _ := socketcluster.Claims[struct{ U int }](w.only()); claims.U != 2 {
			t.Errorf("authenticated as %d", claims.U)
		}
	})
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
			n, err := socketcluster.UpdateClaims(t.Context(), w.srv, "sub", "alice", func(c *map[string]any) { (*c)["room"] = 1 })
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
				if _, err := socketcluster.UpdateClaims(t.Context(), w.srv, "sub", "alice", func(c *map[string]any) { (*c)["room"] = 1 }); !errors.Is(err, auth.ErrForeignToken) {
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
			if n, err := socketcluster.UpdateClaims(t.Context(), w.srv, "username", "alice", func(c *map[string]any) { (*c)["less"] = true }); n != 1 || err != nil {
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
		// What it is renewed by at once is good too.
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
				if n, err := socketcluster.UpdateClaims(t.Context(), w.srv, "username", "alice", func(c *map[string]any) { delete(*c, "admin") }); n != 1 || err != nil {
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
		change := func(c *map[string]any) {
			if err := gone.SetAuthTokenIf(t.Context(), old, claims); !errors.Is(err, socketcluster.ErrTokenChanged) {
				t.Errorf("the old claims were signed again: %v", err)
			}
			delete(*c, "admin")
		}
		if n, err := socketcluster.UpdateClaims(t.Context(), w.srv, "username", "alice", change); n != 1 || err != nil {
			t.Fatalf("%d changed, %v", n, err)
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
			w.srv.Handle("work", socketcluster.Func(func(context.Context, *socketcluster.Call, socketcluster.None) (socketcluster.None, error) {
				calls.Add(1)
				time.Sleep(20 * time.Millisecond)
				return socketcluster.None{}, nil
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

// A login that is renewed ends all the same with Config.AuthMaxAge.
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
		w.srv.Handle("login", socketcluster.Func(func(ctx context.Context, c *socketcluster.Call, user string) (socketcluster.None, error) {
			time.Sleep(3 * time.Second) // the check of a password that is being changed
			return socketcluster.None{}, c.Socket.SetAuthToken(ctx, map[string]any{"sub": user})
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

// A client that reads loses nothing by a change of its token, however much waits for
// it by then: here more than Limits.Outbox.
func TestBacklogOutlivesANewToken(t *testing.T) {
	for _, change := range []bool{false, true} {
		inBubble(t, socketcluster.Config{}, func(w *world) {
			w.srv.UseInbound(socketcluster.Guard(func(_ context.Context, a *socketcluster.Subscribe) error {
				if a.Again {
					time.Sleep(time.Millisecond)
				}
				return nil // allows all
			}))
			p := w.subscribeTo("a", 1)[0]
			s := w.only()
			const count = 3000
			for i := range count {
				w.srv.Exchange().Publish(socketcluster.NoWait(context.Background()), "a", numbered(i))
			}
			if change {
				become(s) // as TokenRenewal does
			}
			w.srv.Exchange().Publish(socketcluster.NoWait(context.Background()), "a", numbered(count))
			time.Sleep(100 * time.Millisecond)
			n := 0
			for n <= count {
				text := p.next()
				switch {
				case strings.Contains(text, "#publish"):
					n++
				case strings.Contains(text, "#kickOut"):
					t.Errorf("token changed %t: kicked out after %d of %d publications: %s", change, n, count+1, text)
					n = count + 1
				}
			}
			p.conn.Close()
			synctest.Wait()
		})
	}
}

// A publication whose token expires while outbound middleware looks at it does not
// leave, also before the timer has noticed.
func TestExpiryWhileOutboundMiddlewareDecides(t *testing.T) {
	for _, after := range []time.Duration{2 * time.Millisecond, 5 * time.Millisecond, 9 * time.Millisecond, 50 * time.Millisecond, 99 * time.Millisecond, 500 * time.Millisecond} {
		inBubble(t, socketcluster.Config{PingTimeoutDisabled: true}, func(w *world) {
			var exp time.Time
			began := make(chan time.Time, 1)
			w.srv.UseInbound(socketcluster.Guard(func(_ context.Context, a *socketcluster.Subscribe) error {
				if a.Socket.AuthToken() == nil {
					return context.Canceled
				}
				return nil
			}))
			w.srv.UseOutbound(socketcluster.Guard(func(context.Context, *socketcluster.PublishOut) error {
				time.Sleep(time.Until(exp) + after)
				began <- time.Now()
				return nil
			}))
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
			p.conn.Close()
		})
	}
}

// What was withheld comes first, also when the middleware has gone meanwhile.
func TestInboundMiddlewareRemoved(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		remove := w.srv.UseInbound(socketcluster.Guard(func(ctx context.Context, a *socketcluster.Subscribe) error {
			if a.Again {
				time.Sleep(time.Second)
			}
			return nil
		}))
		p := w.subscribeTo("a", 1)[0]
		become(w.only())
		w.srv.Exchange().Publish(t.Context(), "a", 1)
		remove()
		w.srv.Exchange().Publish(t.Context(), "a", 2)
		p.frames("T", `{"event":"#publish","data":{"channel":"a","data":1}}`, `{"event":"#publish","data":{"channel":"a","data":2}}`)
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
			n, err := socketcluster.UpdateClaims(t.Context(), w.srv, "username", "alice", func(c *map[string]any) {
				delete(*c, "admin")
				if late != nil {
					return
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
			})
			if n != 1 || err != nil {
				t.Errorf("%d changed, %v", n, err)
			}
			if late.AuthToken() != nil || first.AuthToken() == nil {
				t.Errorf("late %v, first %v", late.AuthToken(), first.AuthToken())
			}
			// Renewal goes on afterwards.
			was := first.AuthToken()
			time.Sleep(time.Minute)
			if renewal == (first.AuthToken() == was) {
				t.Errorf("renewed: %t", !renewal)
			}
		})
	}
}

// A login that handlers sign again ends with Config.AuthMaxAge, too.
func TestSetAuthTokenIfKeepsTheEnd(t *testing.T) {
	inBubble(t, socketcluster.Config{AuthMaxAge: time.Hour, PingTimeoutDisabled: true}, func(w *world) {
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
