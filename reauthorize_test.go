package socketcluster_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/broker/mem"
	"github.com/socketcluster-go/socketcluster/wire"
)

// claimsRule lets sockets subscribe to the channels of their claim, and to
// those that begin with "public".
func claimsRule(w *world) {
	socketcluster.Use(w.srv, func(_ context.Context, a *socketcluster.Subscribe) error {
		c, _ := socketcluster.Claims[struct{ Channels []string }](a.Socket)
		if strings.HasPrefix(a.Channel, "public") || slices.Contains(c.Channels, a.Channel) {
			return nil
		}
		return &wire.Error{Name: "SubscribeError", Message: "no access to " + a.Channel}
	})
	w.srv.Handle("login", socketcluster.Proc(func(ctx context.Context, channels []string) error {
		return socketcluster.FromContext(ctx).SetAuthToken(ctx, map[string]any{"channels": channels}, auth.NoTimestamp())
	}))
}

// wantPublication publishes on a channel and checks whether the peer gets it.
func (w *world) wantPublication(p *peer, channel string, gets bool) {
	w.t.Helper()
	synctest.Wait()
	w.srv.Exchange().Publish(context.Background(), channel, 1)
	if gets {
		p.want(fmt.Sprintf(`{"event":"#publish","data":{"channel":%q,"data":1}}`, channel))
		return
	}
	p.quiet(time.Second)
}

// AUTH-33, QK-14: a subscription ends with the right to it, whatever has
// changed the token; others stay.
func TestSubscriptionsAreAuthorizedAgain(t *testing.T) {
	ctx := context.Background()
	kicked := `{"event":"#kickOut","data":{"channel":"room","message":"no access to room"}}`
	for _, test := range []struct {
		name   string
		lose   func(w *world, p *peer, s *socketcluster.Socket)
		before []string // what the client receives before the kick-out
	}{
		{"logout by the client", func(w *world, p *peer, s *socketcluster.Socket) { p.send(`{"event":"#removeAuthToken"}`) }, nil},
		{"logout by the server", func(w *world, p *peer, s *socketcluster.Socket) { s.Deauthenticate(ctx) }, []string{`{"event":"#removeAuthToken"}`}},
		{"expiry", func(w *world, p *peer, s *socketcluster.Socket) { time.Sleep(time.Hour) }, []string{`{"event":"#removeAuthToken"}`}},
		{"a bad token", func(w *world, p *peer, s *socketcluster.Socket) {
			p.send(`{"event":"#authenticate","data":"x","cid":9}`)
		},
			[]string{`{"rid":9,"error":{"message":"jwt malformed","name":"AuthTokenInvalidError","isBadToken":true}}`, `{"event":"#removeAuthToken"}`}},
		{"another login", func(w *world, p *peer, s *socketcluster.Socket) {
			p.send(`{"event":"login","data":["other"],"cid":9}`)
			p.next() // the token
		}, []string{`{"rid":9}`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, socketcluster.Config{Timeouts: socketcluster.Timeouts{PingDisabled: true}}, func(w *world) {
				claimsRule(w)
				log := w.record()
				p := w.login(map[string]any{"channels": []string{"room"}, "exp": time.Now().Add(10 * time.Minute).Unix()})
				for i, channel := range []string{"room", "public.a"} {
					p.send(fmt.Sprintf(`{"event":"#subscribe","data":{"channel":%q},"cid":%d}`, channel, i+2))
					p.next()
				}
				w.wantPublication(p, "room", true)
				log.take()
				test.lose(w, p, w.only())
				texts := append(slices.Clone(test.before), kicked)
				got := make([]string, len(texts))
				for i := range got {
					got[i] = p.next()
				}
				slices.Sort(texts) // the answer of a handler is not in line with the inbox
				slices.Sort(got)
				if !slices.Equal(got, texts) {
					t.Errorf("got  %q\nwant %q", got, texts)
				}
				w.wantPublication(p, "room", false)
				w.wantPublication(p, "public.a", true)
				if events := log.take(); !strings.Contains(events, "unsubscribe") || strings.Count(events, "unsubscribe") != 1 {
					t.Errorf("events %s", events)
				}
			})
		})
	}
}

// A new token that gives the same rights changes nothing.
func TestRenewalKeepsSubscriptions(t *testing.T) {
	inBubble(t, socketcluster.Config{TokenRenewal: socketcluster.TokenRenewal{Every: time.Minute, Jitter: 1}}, func(w *world) {
		claimsRule(w)
		p := w.login(map[string]any{"channels": []string{"room"}})
		p.send(`{"event":"#subscribe","data":{"channel":"room"},"cid":2}`)
		p.next()
		if text := p.next(); !strings.HasPrefix(text, `{"event":"#setAuthToken"`) {
			t.Fatalf("got %s", text)
		}
		w.wantPublication(p, "room", true)
	})
}

// CF-22 on the server's side: what the client has subscribed to with
// waitForAuth is suspended by a logout, and comes back with the next login,
// without the client's doing.
func TestWaitForAuthComesBack(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		claimsRule(w)
		log := w.record()
		p := w.login(map[string]any{"channels": []string{"room", "hall"}})
		for i, channel := range []string{"room", "hall"} {
			p.send(fmt.Sprintf(`{"event":"#subscribe","data":{"channel":%q,"waitForAuth":true,"data":7},"cid":%d}`, channel, i+2))
			p.next()
		}
		p.send(`{"event":"#removeAuthToken"}`)
		w.wantPublication(p, "room", false) // and no #kickOut
		if n := w.only().Stats().Subscriptions; n != 0 {
			t.Errorf("%d subscriptions while logged out", n)
		}
		log.take()
		p.send(`{"event":"login","data":["room"],"cid":5}`)
		if text := p.next(); !strings.HasPrefix(text, `{"event":"#setAuthToken"`) {
			t.Fatalf("got %s", text)
		}
		// The new token gives no access to the other one any more.
		texts := []string{p.next(), p.next()}
		slices.Sort(texts)
		if texts[0] != `{"event":"#kickOut","data":{"channel":"hall","message":"no access to hall"}}` || texts[1] != `{"rid":5}` {
			t.Errorf("got %q", texts)
		}
		w.wantPublication(p, "room", true)
		w.wantPublication(p, "hall", false)
		if events := log.take(); !strings.Contains(events, "authenticate") || strings.Count(events, "subscribe") != 1 {
			t.Errorf("events %s", events)
		}
		// Unsubscribing is possible in between.
		p.send(`{"event":"#removeAuthToken"}`)
		p.send(`{"event":"#unsubscribe","data":"room","cid":6}`)
		p.want(removeAuthToken, `{"rid":6}`)
		p.send(`{"event":"login","data":["room"],"cid":7}`)
		p.next()
		p.want(`{"rid":7}`)
		w.wantPublication(p, "room", false)
	})
}

// A subscription with waitForAuth whose token ends before it is confirmed has
// succeeded nevertheless: what becomes of it after the next login is then no surprise
// to the client.
func TestSuspendedBeforeItIsConfirmed(t *testing.T) {
	for _, access := range []bool{true, false} {
		inBubble(t, socketcluster.Config{}, func(w *world) {
			claimsRule(w)
			p := w.login(map[string]any{"channels": []string{"room"}})
			off := socketcluster.On(w.srv, func(e socketcluster.SubscribeEvent) {
				e.Socket.Deauthenticate(t.Context())
				time.Sleep(time.Second) // middleware has taken it out of the channel
			})
			p.send(`{"event":"#subscribe","data":{"channel":"room","waitForAuth":true},"cid":2}`)
			p.want(removeAuthToken, `{"rid":2}`)
			off()
			if access {
				p.send(`{"event":"login","data":["room"],"cid":3}`)
				p.nextToken()
				p.want(`{"rid":3}`)
				w.wantPublication(p, "room", true)
				return
			}
			p.send(`{"event":"login","data":[],"cid":3}`)
			p.nextToken()
			texts := []string{p.next(), p.next()}
			slices.Sort(texts)
			if texts[0] != `{"event":"#kickOut","data":{"channel":"room","message":"no access to room"}}` || texts[1] != `{"rid":3}` {
				t.Errorf("got %q", texts)
			}
		})
	}
}

// AUTH-33: the switch that lets subscriptions outlive their token.
func TestKeepSubscriptions(t *testing.T) {
	inBubble(t, socketcluster.Config{Compat: socketcluster.Compat{KeepSubscriptions: true}}, func(w *world) {
		claimsRule(w)
		p := w.login(map[string]any{"channels": []string{"room"}})
		p.send(`{"event":"#subscribe","data":{"channel":"room"},"cid":2}`)
		p.next()
		p.send(`{"event":"#removeAuthToken"}`)
		w.wantPublication(p, "room", true)
	})
}

// The data of a subscription is kept to authorize it again, so it is bounded.
func TestSubscriptionData(t *testing.T) {
	inBubble(t, socketcluster.Config{Limits: socketcluster.Limits{SubscriptionData: 5}}, func(w *world) {
		var got []string
		socketcluster.Use(w.srv, func(_ context.Context, a *socketcluster.Subscribe) error {
			got = append(got, fmt.Sprintf("%s %t", a.Data, a.Again))
			return nil
		})
		p := w.login(map[string]any{})
		p.send(`{"event":"#subscribe","data":{"channel":"a","data":"abc"},"cid":2}`)
		p.want(`{"rid":2}`)
		p.send(`{"event":"#subscribe","data":{"channel":"b","data":"abcd"},"cid":3}`)
		p.want(`{"rid":3,"error":{"message":"The data of a subscription may have at most 5 bytes","name":"InvalidActionError"}}`)
		p.send(`{"event":"#removeAuthToken"}`)
		synctest.Wait()
		if want := []string{`"abc" false`, `"abc" true`}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// A token that is lost while middleware, or the broker, is busy with the only
// subscription takes that along.
func TestTokenLostWhileSubscribing(t *testing.T) {
	ctx := context.Background()
	const refused = `{"rid":2,"error":{"message":"no access to room","name":"SubscribeError"}}`
	token := map[string]any{"channels": []string{"room"}}
	for name, wait := range map[string]string{"with waitForAuth": `,"waitForAuth":true`, "without": ""} {
		t.Run(name, func(t *testing.T) {
			b := &hookedBroker{}
			inBubble(t, socketcluster.Config{Broker: b, Timeouts: socketcluster.Timeouts{PingDisabled: true}}, func(w *world) {
				claimsRule(w)
				p := w.login(token)
				s := w.only()
				logout := func(s *socketcluster.Socket) { s.Deauthenticate(ctx) }
				subscribe := `{"event":"#subscribe","data":{"channel":"room"` + wait + `},"cid":2}`
				lost := func(answers ...string) {
					t.Helper()
					p.want(answers...)
					p.quiet(time.Second)
					if s.Stats().Subscriptions != 0 || w.srv.Exchange().IsSubscribed("room") {
						t.Error("still subscribed")
					}
				}
				// The middleware has decided by then, and runs again.
				b.hook = logout
				p.send(subscribe)
				lost(removeAuthToken, refused)

				// Now the middleware itself is slow to let it in.
				b.hook = nil
				s.SetAuthToken(ctx, token)
				p.nextToken()
				synctest.Wait()
				p.send(`{"event":"#unsubscribe","data":"room"}`)
				synctest.Wait()
				remove := socketcluster.Use(w.srv, func(_ context.Context, a *socketcluster.Subscribe) error {
					if !a.Again {
						logout(a.Socket)
					}
					return nil
				})
				p.send(subscribe)
				lost(removeAuthToken, refused)
				remove()
				if wait == "" {
					return
				}
				// And once more while it comes back with a login.
				s.SetAuthToken(ctx, token)
				p.nextToken()
				p.send(subscribe)
				p.want(`{"rid":2}`)
				s.Deauthenticate(ctx)
				lost(removeAuthToken)
				b.hook = logout
				s.SetAuthToken(ctx, token)
				p.nextToken()
				lost(removeAuthToken)
				s.SetAuthToken(ctx, token)
				p.nextToken()
				w.wantPublication(p, "room", true)
			})
		})
	}
}

// hookedBroker does something once, for the next socket that subscribes.
type hookedBroker struct {
	mem.Broker
	hook func(*socketcluster.Socket)
}

func (b *hookedBroker) Subscribe(ctx context.Context, _ string) error {
	if hook := b.hook; hook != nil {
		b.hook = nil
		hook(socketcluster.FromContext(ctx))
	}
	return nil
}

// PS-9: a socket that closes while the broker subscribes it is in no channel.
func TestCloseWhileSubscribing(t *testing.T) {
	b := &hookedBroker{hook: (*socketcluster.Socket).Terminate}
	inBubble(t, socketcluster.Config{Broker: b}, func(w *world) {
		log := w.record()
		p := w.client()
		s := w.only()
		p.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`)
		synctest.Wait()
		log.want("connect disconnect close error end error") // the last is that of the subscription
		if s.Stats().Subscriptions != 0 || w.srv.Exchange().IsSubscribed("a") {
			t.Error("subscribed")
		}
	})
}

// However many subscriptions end with a login, the log has one line about it, at
// level Debug, and one more after the next.
func TestLostRightsAreLoggedOnce(t *testing.T) {
	const channels = 20
	for _, test := range []struct {
		name  string
		err   error
		level string // where the client stays logged in
	}{
		{"an error for clients", &wire.Error{Name: "SubscribeError", Message: "members only"}, "DEBUG"},
		{"no reason", socketcluster.ErrBlocked, "DEBUG"},
		{"a secret reason", socketcluster.Silent(errors.New("members only")), "DEBUG"},
		{"an internal error", errors.New("the database is down"), "ERROR"},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, socketcluster.Config{}, func(w *world) {
				socketcluster.Use(w.srv, func(_ context.Context, a *socketcluster.Subscribe) error {
					if token := a.Socket.AuthToken(); token != nil {
						if v, _ := token.Claim("member"); v == true {
							return nil
						}
					}
					return test.err
				})
				member := map[string]any{"member": true}
				p := w.login(member)
				s := w.only()
				end := func(level string, change func()) {
					t.Helper()
					for i := range channels {
						p.send(fmt.Sprintf(`{"event":"#subscribe","data":{"channel":"c%d"},"cid":%d}`, i, i+2))
						p.next()
					}
					w.lines()
					change()
					lines := w.lines()
					if len(lines) != 1 || !strings.HasPrefix(lines[0], `level=`+level+` msg="subscriptions ended with the right to them" socket=`+s.ID()+` first=c`) {
						t.Errorf("%d lines, the first is %s", len(lines), strings.Join(lines, "\n"))
					}
					if n := s.Stats().Subscriptions; n != 0 {
						t.Errorf("%d subscriptions are left", n)
					}
					if err := s.SetAuthToken(context.Background(), member); err != nil {
						t.Fatal(err)
					}
					for range channels + 2 { // the kick-outs, what has changed the token, and this
						p.next()
					}
				}
				end("DEBUG", func() { s.Deauthenticate(context.Background()) })
				end("DEBUG", func() { s.Deauthenticate(context.Background()) })
				end(test.level, func() { s.SetAuthToken(context.Background(), map[string]any{"member": false}) })

				// Who is refused a new subscription for no reason of the client's is news.
				s.Deauthenticate(context.Background())
				w.lines()
				p.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`)
				want := 0
				if test.level == "ERROR" {
					want = 1
				}
				if lines := w.lines(); len(lines) != want || want == 1 && !strings.Contains(lines[0], `level=ERROR msg="error kept from the client"`) {
					t.Errorf("a new subscription: %s", lines)
				}
			})
		})
	}
}

// A call whose token is replaced while it waits is handled nevertheless if
// middleware lets it in again: with the data that came, changed once.
func TestAskedAgainWithTheSameData(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		asked := 0
		socketcluster.Use(w.srv, func(_ context.Context, a *socketcluster.Invoke) error {
			asked++
			claims, _ := socketcluster.Claims[struct{ N int }](a.Socket)
			a.Data = json.RawMessage(fmt.Sprintf(`"%s of %d"`, a.Data, claims.N))
			return nil
		})
		gate := make(chan struct{})
		w.srv.Handle("p", socketcluster.Func(func(_ context.Context, in string) (string, error) {
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

// Withheld publications come first, even if the middleware has been removed
// meanwhile.
func TestInboundMiddlewareRemoved(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		remove := socketcluster.Use(w.srv, func(ctx context.Context, a *socketcluster.Subscribe) error {
			if a.Again {
				time.Sleep(time.Second)
			}
			return nil
		})
		p := w.subscribeTo("a", 1)[0]
		become(w.only())
		synctest.Wait() // the middleware is being asked
		w.srv.Exchange().Publish(t.Context(), "a", 1)
		remove()
		w.srv.Exchange().Publish(t.Context(), "a", 2)
		p.frames("T", `{"event":"#publish","data":{"channel":"a","data":1}}`, `{"event":"#publish","data":{"channel":"a","data":2}}`)
		time.Sleep(time.Second) // it answers
	})
}
