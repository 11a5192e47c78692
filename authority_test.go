package socketcluster_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth/revoke"
	"github.com/socketcluster-go/socketcluster/wire"
)

// These tests pin a promise: from the moment a login ends or changes, nothing
// is delivered to the socket, accepted from it or signed for it without the
// right to it.

// private lets only the users in a channel whose tokens list it, and has a
// procedure that only users may call.
func (w *world) private() {
	claimsRule(w)
	socketcluster.Use(w.srv, func(_ context.Context, a *socketcluster.Invoke) error {
		if a.Socket.AuthToken() == nil && a.Procedure != "login" {
			return &wire.Error{Name: "CallError", Message: "log in first"}
		}
		return nil
	})
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
	"Deauthenticate":     func(w *world, s *socketcluster.Socket) error { s.Deauthenticate(w.t.Context()); return nil },
	"DeauthenticateSelf": func(_ *world, s *socketcluster.Socket) error { s.DeauthenticateSelf(); return nil },
	"SetAuthToken": func(w *world, s *socketcluster.Socket) error {
		return s.SetAuthToken(w.t.Context(), map[string]any{"sub": "bob"})
	},
	"UpdateClaims": func(w *world, _ *socketcluster.Socket) error {
		_, err := socketcluster.UpdateClaims(w.t.Context(), w.srv, "sub", "alice", func(c *struct {
			Channels []string `json:"channels,omitempty"`
		}) error {
			c.Channels = nil
			return nil
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
				inBubble(t, socketcluster.Config{Revocations: new(revoke.Memory), Timeouts: socketcluster.Timeouts{PingDisabled: true}}, func(w *world) {
					w.private()
					w.srv.Handle("slow", socketcluster.Proc(func(context.Context, socketcluster.None) error {
						time.Sleep(20 * time.Millisecond)
						return nil
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
		p.Conn.SetReadDeadline(time.Now().Add(pause))
		f, err := p.ReadFrame()
		if err != nil {
			return n
		}
		if strings.HasPrefix(string(f.Payload), `{"event":"#publish"`) || strings.HasPrefix(string(f.Payload), `[`) {
			n += strings.Count(string(f.Payload), `"#publish"`)
		}
	}
}

// Publications that the client has not read when its token ends do not reach it
// later: not what waits in the outbox, in a batch, or for the outbound
// middleware. Answers and events do.
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
			go func() { time.Sleep(time.Second); s.StartBatching().End() }()
		},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := socketcluster.Config{Timeouts: socketcluster.Timeouts{PingDisabled: true}, Limits: socketcluster.Limits{OutboxStall: time.Hour}}
			inBubble(t, cfg, func(w *world) {
				socketcluster.Use(w.srv, func(_ context.Context, a *socketcluster.Subscribe) error {
					if a.Again {
						time.Sleep(5 * time.Second) // the client reads on long before
					}
					return nil
				})
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
				s.StartBatch().End()
				s.StartBatching().End()
				var got, notes int
				for {
					p.Conn.SetReadDeadline(time.Now().Add(20 * time.Minute))
					f, err := p.ReadFrame()
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

// Publications to which the client has the right before and after a change
// arrive, once and in order, although they were withheld meanwhile.
func TestWithheldFollows(t *testing.T) {
	for name, prepare := range map[string]func(w *world, s *socketcluster.Socket){
		"plain": func(*world, *socketcluster.Socket) {},
		"outbound middleware": func(w *world, _ *socketcluster.Socket) {
			w.srv.UseOutbound(func(context.Context, socketcluster.Action) error { time.Sleep(5 * time.Millisecond); return nil })
		},
		"batches": func(_ *world, s *socketcluster.Socket) { s.StartBatching() },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, socketcluster.Config{Timeouts: socketcluster.Timeouts{PingDisabled: true}}, func(w *world) {
				p, s := w.member()
				socketcluster.Use(w.srv, func(context.Context, *socketcluster.Subscribe) error {
					time.Sleep(70 * time.Millisecond)
					return nil
				})
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

// Subscriptions without a verdict in time are kicked out. A subscription whose
// verdict is there does not wait for another.
func TestWithheldHasAnEnd(t *testing.T) {
	const late = `{"event":"#kickOut","data":{"channel":"stuck","message":"The subscription was not authorized again in time"}}`
	start := func(w *world) (*peer, *socketcluster.Socket, chan struct{}) {
		stuck := make(chan struct{})
		socketcluster.Use(w.srv, func(_ context.Context, a *socketcluster.Subscribe) error {
			if a.Again && a.Channel == "stuck" {
				<-stuck
			}
			return nil
		})
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
	inBubble(t, socketcluster.Config{Timeouts: socketcluster.Timeouts{Reauthorize: 3 * time.Second}}, func(w *world) {
		p, s, stuck := start(w)
		begun := time.Now()
		w.srv.Exchange().Publish(t.Context(), "stuck", 1)
		w.srv.Exchange().Publish(t.Context(), "free", 2)
		p.want(`{"event":"#publish","data":{"channel":"free","data":2}}`, late)
		if d := time.Since(begun); d != 3*time.Second || s.IsSubscribed("stuck") || !s.IsSubscribed("free") {
			t.Errorf("after %v: stuck %t, free %t", d, s.IsSubscribed("stuck"), s.IsSubscribed("free"))
		}
		if !strings.Contains(w.logs.String(), "Config.Timeouts.Reauthorize") {
			t.Error("nothing in the log")
		}
		close(stuck)
		p.quiet(time.Second)
	})
}

// Without inbound middleware, and with Compat.KeepSubscriptions, nothing is withheld.
func TestNothingIsWithheldWithoutNeed(t *testing.T) {
	for _, keep := range []bool{false, true} {
		inBubble(t, socketcluster.Config{Compat: socketcluster.Compat{KeepSubscriptions: keep}}, func(w *world) {
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

// If the token has changed before middleware is added, the middleware runs for
// the existing subscriptions as soon as something is published.
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

// Calls, transmissions and publications that were let in, and wait, are decided
// again: none begins after the login has ended, neither in a handler nor in a
// loop.
func TestNothingIsAcceptedAfterTheEnd(t *testing.T) {
	for _, loop := range []bool{false, true} {
		for name, end := range ends {
			if name == "SetAuthToken" || name == "UpdateClaims" {
				continue // a login goes on
			}
			t.Run(fmt.Sprintf("%s, in a loop %t", name, loop), func(t *testing.T) {
				inBubble(t, socketcluster.Config{Revocations: new(revoke.Memory)}, func(w *world) {
					w.private()
					socketcluster.Use(w.srv, func(_ context.Context, a *socketcluster.Transmit) error {
						if a.Socket.AuthToken() == nil {
							return socketcluster.ErrBlocked
						}
						return nil
					})
					var calls, notes atomic.Int32
					p, s := w.member()
					if loop {
						s := s
						callsOf, notesOf := s.Procedure("work").All(), s.Receiver("note").All()
						go func() {
							for c := range callsOf {
								calls.Add(1)
								time.Sleep(20 * time.Millisecond)
								c.Reply(nil)
							}
						}()
						go func() {
							for range notesOf {
								notes.Add(1)
								time.Sleep(20 * time.Millisecond)
							}
						}()
					} else {
						w.srv.Handle("work", socketcluster.Proc(func(context.Context, socketcluster.None) error {
							calls.Add(1)
							time.Sleep(20 * time.Millisecond)
							return nil
						}))
						w.srv.Receive("note", socketcluster.Recv(func(context.Context, socketcluster.None) error {
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

// Middleware that changes the token whenever it runs does not cause an endless
// loop.
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
			socketcluster.Use(w.srv, func(_ context.Context, a *socketcluster.Authenticate) error {
				time.Sleep(100*time.Millisecond + time.Duration(round)*time.Microsecond)
				return &wire.Error{Name: "Banned", Message: "no"}
			})
			w.srv.Handle("who", socketcluster.Func(func(ctx context.Context, _ socketcluster.None) (string, error) {
				return socketcluster.FromContext(ctx).AuthState().String(), nil
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

// A client that reads loses nothing by a change of its token, however much waits for
// it by then: here more than Limits.Outbox.
func TestBacklogOutlivesANewToken(t *testing.T) {
	for _, change := range []bool{false, true} {
		inBubble(t, socketcluster.Config{}, func(w *world) {
			socketcluster.Use(w.srv, func(_ context.Context, a *socketcluster.Subscribe) error {
				if a.Again {
					time.Sleep(time.Millisecond)
				}
				return nil // allows all
			})
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
			p.Conn.Close()
			synctest.Wait()
		})
	}
}
