package socketcluster_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"github.com/socketcluster-go/socketcluster"
)

// frames checks the next frames of text, pings included, which it leaves unanswered:
// a ping is "", and "T" stands for a packet that sets a token.
func (p *peer) frames(want ...string) {
	p.t.Helper()
	for i, text := range want {
		f, err := p.nextFrame()
		if err != nil {
			p.t.Fatalf("frame %d: %v", i, err)
		}
		got := string(f.Payload)
		if text == "T" && strings.HasPrefix(got, `{"event":"#setAuthToken",`) {
			continue
		}
		if got != text || f.Header.OpCode != ws.OpText {
			p.t.Fatalf("frame %d\ngot  %s\nwant %s", i, got, text)
		}
	}
}

// silent checks that nothing at all comes for a while.
func (p *peer) silent(d time.Duration) {
	p.t.Helper()
	p.Conn.SetReadDeadline(time.Now().Add(d))
	if f, err := p.ReadFrame(); err == nil {
		p.t.Fatalf("got %q", f.Payload)
	}
}

// become logs a socket in as somebody.
func become(s *socketcluster.Socket) {
	s.SetAuthToken(context.Background(), map[string]string{"username": "alice"})
}

const (
	hello = `{"event":"hello"}`
	bye   = `{"event":"bye"}`
)

func transmit(t *testing.T, s *socketcluster.Socket, event string) {
	t.Helper()
	if err := s.Transmit(context.Background(), event, nil); err != nil {
		t.Error(err)
	}
}

// QK-53: what gives a client another token than the one it has presented, or takes
// that away, waits for the pong to a ping behind the answer, and so does all that is
// sent after it.
func TestTokenBehindHandshake(t *testing.T) {
	for _, outbound := range []bool{false, true} {
		for _, batch := range []bool{false, true} {
			for name, change := range map[string]struct {
				do   func(s *socketcluster.Socket)
				wire string
			}{
				"login":  {become, "T"},
				"logout": {func(s *socketcluster.Socket) { s.Deauthenticate(context.Background()) }, removeAuthToken},
			} {
				t.Run(fmt.Sprintf("%s, outbound middleware %t, batch %t", name, outbound, batch), func(t *testing.T) {
					var cfg socketcluster.Config
					if batch {
						cfg.Batching.OnHandshake = 400 * time.Millisecond
					}
					inBubble(t, cfg, func(w *world) {
						if outbound {
							w.srv.UseOutbound(func(context.Context, socketcluster.Action) error { return nil })
						}
						socketcluster.On(w.srv, func(e socketcluster.ConnectEvent) {
							transmit(t, e.Socket, "hello")
							change.do(e.Socket)
							transmit(t, e.Socket, "bye")
						})
						p, _ := w.connect(quote(w.sign(map[string]any{})))
						hello := hello
						if batch {
							hello = "[" + hello + "]"
						}
						p.frames(hello, "")
						p.silent(time.Second)
						p.send("")
						if batch {
							text := p.next()
							if want := strings.TrimSuffix(removeAuthToken, "}"); change.wire == removeAuthToken && !strings.HasPrefix(text, "["+want) ||
								change.wire == "T" && !strings.HasPrefix(text, `[{"event":"#setAuthToken",`) || !strings.HasSuffix(text, ","+bye+"]") {
								t.Errorf("got %s", text)
							}
						} else {
							p.frames(change.wire, bye)
						}
						p.silent(time.Second)
					})
				})
			}
		}
	}
}

// QK-53: without a token behind the answer there is no barrier, and none for a client
// that has sent something since, or answered a ping.
func TestNoBarrierWithoutNeed(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		w.srv.Handle("login", socketcluster.HandlerFunc(func(_ context.Context, c *socketcluster.Call) (any, error) {
			become(c.Socket)
			return nil, nil
		}))
		p := w.client()
		p.silent(time.Second)
		p.send(`{"event":"login","cid":2}`)
		p.frames("T", `{"rid":2}`)
		p.Conn.Close()
	})
	inBubble(t, socketcluster.Config{}, func(w *world) {
		p := w.client()
		p.frames("") // after Timeouts.PingInterval
		p.send("")
		s := w.only()
		become(s)
		p.frames("T")
		s.Deauthenticate(context.Background())
		p.frames(removeAuthToken)
		p.Conn.Close()
	})
	// HS-14, AUTH-36: a token that was not accepted; the answer says the same.
	inBubble(t, socketcluster.Config{}, func(w *world) {
		p, _ := w.connect(`"a.b.c"`)
		p.frames(removeAuthToken)
		p.send(`{"event":"#authenticate","data":"a.b.c","cid":2}`)
		p.frames(`{"rid":2,"error":{"message":"invalid token","name":"AuthTokenInvalidError","isBadToken":true}}`, removeAuthToken)
		p.silent(time.Second)
	})
}

// QK-53: the pong to an earlier ping says nothing about the answer, nor does a packet
// that the client may have sent before it has read the answer to #authenticate.
func TestBarrierCountsPings(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		p := w.client()
		p.frames("")
		p.send(`{"event":"#authenticate","data":` + quote(w.sign(map[string]any{})) + `,"cid":2}`)
		p.frames(wasAdmitted)
		p.send("")
		p.send(`{"event":"nothing"}`)
		synctest.Wait()
		become(w.only())
		p.frames("")
		p.send("")
		p.frames("T")
		p.Conn.Close()
	})
	inBubble(t, socketcluster.Config{}, func(w *world) {
		p := w.client()
		p.frames("", "") // not answered
		become(w.only())
		p.frames("")
		for range 2 {
			p.send("")
			p.silent(time.Second)
		}
		p.send("")
		p.frames("T")
		p.Conn.Close()
	})
	// An answer that is still in a batch is behind no ping at all.
	inBubble(t, socketcluster.Config{}, func(w *world) {
		p := w.client()
		s := w.only()
		s.StartBatch()
		p.send(`{"event":"#authenticate","data":` + quote(w.sign(map[string]any{})) + `,"cid":2}`)
		p.frames("")
		p.send("")
		synctest.Wait()
		become(s)
		p.frames("["+wasAdmitted+"]", "")
		p.send("")
		synctest.Wait()
		s.StartBatch().End()
		if got := p.next(); !strings.HasPrefix(got, `[{"event":"#setAuthToken"`) {
			t.Errorf("got %s", got)
		}
		p.Conn.Close()
	})
	// The pong to one that left behind the answer will do.
	inBubble(t, socketcluster.Config{ProtocolVersion: 1}, func(w *world) {
		p := w.client()
		p.frames("#1", "#1")
		p.send("#2")
		become(w.only())
		p.frames("T")
		p.Conn.Close()
	})
}

// A client that answers no pings waits for its token half of Timeouts.Ack, and a
// call of the server that waits behind it can still be answered.
func TestBarrierOfSilentClient(t *testing.T) {
	inBubble(t, socketcluster.Config{Timeouts: socketcluster.Timeouts{Ack: 4 * time.Second}}, func(w *world) {
		confirmed := make(chan error, 1)
		socketcluster.On(w.srv, func(e socketcluster.ConnectEvent) {
			go func() { confirmed <- e.Socket.ConfirmAuthToken(context.Background(), map[string]any{}) }()
		})
		p := w.client()
		p.frames("")
		p.silent(2*time.Second - time.Millisecond)
		p.frames("T")
		p.send(`{"rid":1}`)
		if err := <-confirmed; err != nil {
			t.Error(err)
		}
		// The lost pong is forgotten: the next barrier ends with its own.
		p.send(`{"event":"#authenticate","data":` + quote(w.sign(map[string]any{})) + `,"cid":2}`)
		p.frames(wasAdmitted)
		become(w.only())
		p.frames("")
		start := time.Now()
		p.send("")
		p.frames("T")
		if d := time.Since(start); d > 0 {
			t.Errorf("the token came %v after the pong", d)
		}
		p.Conn.Close()
	})
}

// QK-53, AUTH-35: a handler of an event of #authenticate that changes the token makes
// the answer leave first. It can wait for the client.
func TestTokenBehindAuthenticate(t *testing.T) {
	ctx := context.Background()
	isGuest := func(s *socketcluster.Socket) bool {
		c, _ := socketcluster.Claims[struct{ Guest bool }](s)
		return c.Guest
	}
	const refused = `{"rid":2,"data":{"isAuthenticated":false,"authError":null}}`
	for name, test := range map[string]struct {
		do     func(s *socketcluster.Socket) error
		answer string
		wire   []string
		ack    string
	}{
		"another token": {func(s *socketcluster.Socket) error { become(s); return nil }, wasAdmitted, []string{"T"}, ""},
		"logout":        {func(s *socketcluster.Socket) error { s.Deauthenticate(ctx); return nil }, refused, []string{removeAuthToken}, ""},
		"confirmed": {func(s *socketcluster.Socket) error { return s.ConfirmAuthToken(ctx, map[string]any{}) },
			wasAdmitted, []string{"T"}, `{"rid":1}`},
		"logout confirmed": {func(s *socketcluster.Socket) error { return s.ConfirmDeauthenticate(ctx) },
			refused, []string{`{"event":"#removeAuthToken","cid":1}`}, `{"rid":1}`},
		"logout here alone": {func(s *socketcluster.Socket) error { s.DeauthenticateSelf(); return nil }, refused, nil, ""},
		"several": {func(s *socketcluster.Socket) error { become(s); s.Deauthenticate(ctx); become(s); return nil },
			wasAdmitted, []string{"T", removeAuthToken, "T"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, socketcluster.Config{}, func(w *world) {
				socketcluster.On(w.srv, func(e socketcluster.AuthenticateEvent) {
					if isGuest(e.Socket) {
						if err := test.do(e.Socket); err != nil {
							t.Error(err)
						}
					}
				})
				p := w.client()
				p.send(`{"event":"#authenticate","data":` + quote(w.sign(map[string]any{"guest": true})) + `,"cid":2}`)
				p.frames(test.answer)
				if test.wire != nil {
					p.frames("")
					p.silent(time.Second)
					p.send("")
				}
				p.frames(test.wire...)
				if test.ack != "" {
					p.send(test.ack)
				}
				p.silent(time.Second)
			})
		})
	}
}

// All that is sent behind a barrier keeps its order: answers, publications, raw
// messages, and what stands behind a further barrier.
func TestBarrierKeepsOrder(t *testing.T) {
	ctx := context.Background()
	for _, outbound := range []bool{false, true} {
		inBubble(t, socketcluster.Config{Compat: socketcluster.Compat{TokenAfterAnswer: true}}, func(w *world) {
			if outbound {
				w.srv.UseOutbound(func(context.Context, socketcluster.Action) error { return nil })
			}
			w.srv.Handle("login", socketcluster.HandlerFunc(func(ctx context.Context, c *socketcluster.Call) (any, error) {
				c.Socket.SetAuthToken(ctx, map[string]any{})
				return nil, nil
			}))
			p := w.client()
			s := w.only()
			p.send(`{"event":"#subscribe","data":{"channel":"c"},"cid":2}`)
			p.frames(`{"rid":2}`)
			p.send(`{"event":"login","cid":3}`)
			p.frames(`{"rid":3}`, "")
			transmit(t, s, "hello")
			w.srv.Exchange().Publish(ctx, "c", 1)
			synctest.Wait()
			p.send(`{"event":"login","cid":4}`)
			synctest.Wait()
			if !outbound { // raw messages pass by the outbound middleware
				s.Send(ctx, "raw")
			}
			transmit(t, s, "bye")
			p.silent(time.Second)
			p.send("")
			p.frames("T", hello, `{"event":"#publish","data":{"channel":"c","data":1}}`, `{"rid":4}`, "")
			p.silent(time.Second)
			p.send("")
			p.frames("T")
			if !outbound {
				p.frames("raw")
			}
			p.frames(bye)
			p.Conn.Close()
		})
	}
}

// Packets that wait behind a barrier leave before the close frame.
func TestBarrierAndDisconnect(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		socketcluster.On(w.srv, func(e socketcluster.ConnectEvent) {
			e.Socket.Deauthenticate(context.Background())
			transmit(t, e.Socket, "bye")
			e.Socket.Disconnect(4500, "banned")
		})
		p, _ := w.connect(quote(w.sign(map[string]any{})))
		p.frames("", removeAuthToken, bye)
		p.wantClose(4500, "banned")
	})
}

// A publication behind a barrier is compared with the right to it as it leaves: the
// token may have changed, or have expired in the same moment.
func TestBarrierAndAuthority(t *testing.T) {
	ctx := context.Background()
	guard := func(_ context.Context, a *socketcluster.Subscribe) error {
		if a.Socket.AuthToken() == nil {
			return socketcluster.ErrBlocked
		}
		return nil
	}
	inBubble(t, socketcluster.Config{}, func(w *world) {
		socketcluster.Use(w.srv, guard)
		p := w.login(map[string]any{})
		s := w.only()
		p.send(`{"event":"#subscribe","data":{"channel":"c"},"cid":2}`)
		p.frames(`{"rid":2}`)
		p.send(`{"event":"#authenticate","data":` + quote(w.sign(map[string]any{})) + `,"cid":2}`)
		p.frames(wasAdmitted)
		become(s)
		p.frames("")
		synctest.Wait()
		w.srv.Exchange().Publish(ctx, "c", "secret")
		synctest.Wait()
		s.Deauthenticate(ctx)
		synctest.Wait()
		p.send("")
		p.frames("T", removeAuthToken)
		if got := p.next(); !strings.HasPrefix(got, `{"event":"#kickOut"`) {
			t.Errorf("got %s", got)
		}
		p.silent(time.Second)
	})
	inBubble(t, socketcluster.Config{}, func(w *world) {
		socketcluster.Use(w.srv, guard)
		p := w.login(map[string]any{})
		s := w.only()
		p.send(`{"event":"#subscribe","data":{"channel":"c"},"cid":2}`)
		p.frames(`{"rid":2}`)
		p.send(`{"event":"#authenticate","data":` + quote(w.sign(map[string]any{})) + `,"cid":2}`)
		p.frames(wasAdmitted)
		end := time.Now().Add(time.Second).Truncate(time.Second)
		s.SetAuthToken(ctx, map[string]any{"exp": end.Unix()})
		p.frames("")
		synctest.Wait()
		w.srv.Exchange().Publish(ctx, "c", "secret")
		time.Sleep(time.Until(end.Add(time.Millisecond))) // the timer may come later
		p.send("")
		p.frames("T", removeAuthToken)
		if got := p.next(); !strings.HasPrefix(got, `{"event":"#kickOut"`) {
			t.Errorf("got %s", got)
		}
		p.silent(time.Second)
	})
}

// Limits.Outbox bounds what a barrier holds: what is more ends it, and who can wait
// waits for room.
func TestBarrierIsBounded(t *testing.T) {
	limits := socketcluster.Limits{Outbox: 64 << 10, MessageSize: 32 << 10}
	text := strings.Repeat("x", 10<<10)
	for _, wait := range []bool{false, true} {
		inBubble(t, socketcluster.Config{Limits: limits}, func(w *world) {
			ctx := context.Background()
			if !wait {
				ctx = socketcluster.NoWait(ctx)
			}
			socketcluster.On(w.srv, func(e socketcluster.ConnectEvent) {
				become(e.Socket)
				for range 10 {
					if err := e.Socket.Transmit(ctx, "text", text); err != nil {
						t.Error(err)
					}
				}
			})
			p := w.client()
			p.frames("")
			if wait {
				p.silent(time.Second)
				p.send("")
			}
			start := time.Now()
			p.frames("T")
			for range 10 {
				p.frames(`{"event":"text","data":` + quote(text) + `}`)
			}
			if d := time.Since(start); d > 0 {
				t.Errorf("the barrier has ended after %v", d)
			}
			p.Conn.Close()
		})
	}
	inBubble(t, socketcluster.Config{Limits: limits}, func(w *world) {
		w.srv.Handle("text", socketcluster.Func(func(context.Context, socketcluster.None) (string, error) { return text, nil }))
		socketcluster.On(w.srv, func(e socketcluster.ConnectEvent) { become(e.Socket) })
		p := w.client()
		p.frames("")
		for i := range 20 {
			p.send(fmt.Sprintf(`{"event":"text","cid":%d}`, i+2))
		}
		synctest.Wait()
		p.send("")
		p.frames("T")
		for i := range 20 {
			p.frames(fmt.Sprintf(`{"rid":%d,"data":%s}`, i+2, quote(text)))
		}
		p.Conn.Close()
	})
}

// QK-54: with Compat.TokenAfterAnswer, what the handler of a call does to the token
// reaches the client behind the answer and its pong. The socket has it at once, and
// other packets do not wait.
func TestTokenAfterAnswer(t *testing.T) {
	compat := socketcluster.Compat{TokenAfterAnswer: true}
	call := func(t *testing.T, cfg socketcluster.Config, handler func(ctx context.Context, c *socketcluster.Call) (any, error), check func(w *world, p *peer)) {
		t.Helper()
		inBubble(t, cfg, func(w *world) {
			w.srv.Handle("login", socketcluster.HandlerFunc(handler))
			p := w.client()
			p.send(`{"event":"login","cid":2}`)
			check(w, p)
			p.Conn.Close()
		})
	}
	set := func(ctx context.Context, c *socketcluster.Call) (any, error) {
		t.Helper()
		if err := c.Socket.SetAuthToken(ctx, map[string]any{}); err != nil || c.Socket.AuthToken() == nil {
			t.Errorf("no token: %v", err)
		}
		return nil, nil
	}
	pong := func(p *peer) {
		p.silent(time.Second)
		p.send("")
	}
	t.Run("an answer at the end", func(t *testing.T) {
		call(t, socketcluster.Config{Compat: compat}, func(ctx context.Context, c *socketcluster.Call) (any, error) {
			ctx, cancel := context.WithTimeout(ctx, time.Minute)
			defer cancel()
			set(ctx, c)
			transmit(t, c.Socket, "hello")
			if raw, err := c.Socket.Invoke(ctx, "ask", nil); err != nil || string(raw) != "7" {
				t.Errorf("ask: %s, %v", raw, err)
			}
			c.Reply(nil)
			transmit(t, c.Socket, "bye")
			return nil, nil
		}, func(w *world, p *peer) {
			p.frames(hello, `{"event":"ask","cid":1}`)
			p.send(`{"rid":1,"data":7}`)
			p.frames(`{"rid":2}`, "")
			pong(p)
			p.frames("T", bye)
		})
	})
	t.Run("an answer first", func(t *testing.T) {
		call(t, socketcluster.Config{Compat: compat}, func(ctx context.Context, c *socketcluster.Call) (any, error) {
			c.Reply(nil)
			set(ctx, c)
			return nil, nil
		}, func(w *world, p *peer) {
			start := time.Now()
			p.frames(`{"rid":2}`, "")
			if d := time.Since(start); d > 0 {
				t.Errorf("the ping came %v after the answer", d)
			}
			pong(p)
			p.frames("T")
		})
	})
	t.Run("no answer", func(t *testing.T) {
		call(t, socketcluster.Config{Compat: compat, Timeouts: socketcluster.Timeouts{Ack: 5 * time.Second}}, func(ctx context.Context, c *socketcluster.Call) (any, error) {
			c.Detach()
			return set(ctx, c)
		}, func(w *world, p *peer) {
			p.silent(5*time.Second - time.Millisecond)
			p.frames("T")
		})
	})
	t.Run("the end of the socket", func(t *testing.T) {
		call(t, socketcluster.Config{Compat: compat}, func(ctx context.Context, c *socketcluster.Call) (any, error) {
			set(ctx, c)
			c.Socket.Disconnect(4500, "")
			return nil, nil
		}, func(w *world, p *peer) {
			p.frames("T")
			p.wantClose(4500, "")
		})
	})
	t.Run("only the last change is told", func(t *testing.T) {
		call(t, socketcluster.Config{Compat: compat}, func(ctx context.Context, c *socketcluster.Call) (any, error) {
			set(ctx, c)
			c.Socket.Deauthenticate(ctx)
			return nil, nil
		}, func(w *world, p *peer) {
			p.frames(`{"rid":2}`, "")
			pong(p)
			p.frames(removeAuthToken)
			p.silent(time.Second)
		})
	})
	t.Run("a change by others is told at once, and nothing older", func(t *testing.T) {
		call(t, socketcluster.Config{Compat: compat}, func(ctx context.Context, c *socketcluster.Call) (any, error) {
			set(ctx, c)
			c.Socket.Deauthenticate(context.Background())
			return nil, nil
		}, func(w *world, p *peer) {
			p.frames(removeAuthToken, `{"rid":2}`)
			p.silent(time.Second)
		})
	})
	t.Run("confirmed, the token cannot wait", func(t *testing.T) {
		call(t, socketcluster.Config{Compat: compat}, func(ctx context.Context, c *socketcluster.Call) (any, error) {
			if err := c.Socket.ConfirmAuthToken(ctx, map[string]any{}); err != nil {
				t.Error(err)
			}
			return nil, nil
		}, func(w *world, p *peer) {
			p.frames("T")
			p.send(`{"rid":1}`)
			p.frames(`{"rid":2}`)
		})
	})
	t.Run("the token of another socket does not wait", func(t *testing.T) {
		call(t, socketcluster.Config{Compat: compat}, func(ctx context.Context, c *socketcluster.Call) (any, error) {
			for s := range c.Socket.Server().Clients() {
				if s != c.Socket {
					s.SetAuthToken(ctx, map[string]any{})
				}
			}
			return nil, nil
		}, func(w *world, p *peer) {
			synctest.Wait() // the first call is over
			other := w.client()
			other.send(`{"event":"nothing"}`)
			synctest.Wait()
			p.send(`{"event":"login","cid":3}`)
			other.frames("T")
			other.Conn.Close()
		})
	})
	t.Run("without it, the token comes first", func(t *testing.T) {
		call(t, socketcluster.Config{}, func(ctx context.Context, c *socketcluster.Call) (any, error) {
			set(ctx, c)
			return nil, nil
		}, func(w *world, p *peer) { p.frames("T", `{"rid":2}`) })
	})
}

// QK-53: a ping that overtakes what a slow client has not read says nothing of the
// answer behind it.
func TestPingThatOvertakesAnAnswer(t *testing.T) {
	cfg := socketcluster.Config{Timeouts: socketcluster.Timeouts{PingInterval: time.Second, Ping: time.Minute, Ack: time.Hour}, Limits: socketcluster.Limits{OutboxStall: time.Hour}}
	inBubble(t, cfg, func(w *world) {
		p := w.client()
		s := w.only()
		p.send("") // as if one had been asked for
		big := strings.Repeat("x", 200_000)
		if err := s.Send(context.Background(), big); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // it is being written, and fills what is between the two
		once := sync.OnceFunc(func() { become(s) })
		socketcluster.On(s, func(socketcluster.AuthenticateEvent) {
			if s.AuthToken() != nil {
				once()
			}
		})
		p.send(`{"event":"#authenticate","data":` + quote(w.sign(map[string]any{})) + `,"cid":2}`)
		time.Sleep(1500 * time.Millisecond) // a ping has come, and goes first
		p.frames(big, "", wasAdmitted, "")
		p.send("") // to the first one alone
		p.silent(100 * time.Millisecond)
		p.send("")
		p.frames("T")
	})
}

// A batch that is dropped behind a barrier takes along nothing that was never in it.
func TestCancelBatchKeepsWhatABarrierHolds(t *testing.T) {
	for name, cancel := range map[string]func(s *socketcluster.Socket){
		"CancelBatch":    func(s *socketcluster.Socket) { s.StartBatch(); s.StartBatch().Cancel() },
		"CancelBatching": func(s *socketcluster.Socket) { s.StartBatching(); s.StartBatching().Cancel() },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, socketcluster.Config{}, func(w *world) {
				socketcluster.On(w.srv, func(e socketcluster.ConnectEvent) {
					become(e.Socket)
					e.Socket.Transmit(context.Background(), "hello", nil)
					cancel(e.Socket)
				})
				p := w.client()
				p.frames("") // ping
				p.send("")
				p.frames("T", hello)
			})
		})
	}
}

// Packets that were sent before a batch began do not become part of it behind a
// barrier.
func TestBatchBehindBarrier(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		ctx := context.Background()
		socketcluster.On(w.srv, func(e socketcluster.ConnectEvent) {
			become(e.Socket)
			e.Socket.Transmit(ctx, "hello", nil)
			e.Socket.Send(ctx, "raw")
			e.Socket.StartBatch()
			e.Socket.Transmit(ctx, "bye", nil)
		})
		p := w.client()
		p.frames("")
		p.send("")
		p.frames("T", hello, "raw")
		p.Conn.Close()
	})
}

// A batch behind a barrier is one message.
func TestFlushBehindBarrier(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		ctx := context.Background()
		socketcluster.On(w.srv, func(e socketcluster.ConnectEvent) {
			become(e.Socket)
			e.Socket.StartBatch()
			e.Socket.Transmit(ctx, "hello", nil)
			e.Socket.Transmit(ctx, "bye", nil)
			e.Socket.StartBatch().End()
		})
		p := w.client()
		p.frames("")
		p.send("")
		p.frames("T", "["+hello+","+bye+"]")
		p.Conn.Close()
	})
}

// Transmit waits no longer than its context, behind a barrier too.
func TestTransmitContextBehindBarrier(t *testing.T) {
	limits := socketcluster.Limits{Outbox: 64 << 10, MessageSize: 32 << 10}
	inBubble(t, socketcluster.Config{Limits: limits}, func(w *world) {
		text := strings.Repeat("x", 10<<10)
		socketcluster.On(w.srv, func(e socketcluster.ConnectEvent) { become(e.Socket) })
		p := w.client()
		p.frames("")
		s := w.only()
		for range 4 {
			if err := s.Transmit(socketcluster.NoWait(context.Background()), "text", text); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		start := time.Now()
		err := s.Transmit(ctx, "late", 1)
		t.Logf("after %v: %v", time.Since(start), err)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the error of ctx", err)
		}
		p.Conn.Close()
	})
}
