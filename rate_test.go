package socketcluster_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster"
)

// Limits.CallRate, PublishRate, SubscribeRate, AuthenticateRate: what two seconds
// allow comes through at once, the rest at the rate. Nothing is lost.
func TestRates(t *testing.T) {
	const rate, more = 10, 30
	for _, test := range []struct {
		setting string
		limits  socketcluster.Limits
		atOnce  int
		packet  string // with a place for the id
	}{
		{"Limits.CallRate", socketcluster.Limits{CallRate: rate}, 2 * rate, `{"event":"echo","cid":%d}`},
		{"Limits.PublishRate", socketcluster.Limits{PublishRate: rate}, 2 * rate, `{"event":"#publish","data":{"channel":"a"},"cid":%d}`},
		{"Limits.SubscribeRate", socketcluster.Limits{SubscribeRate: rate, Channels: 1}, 2 * rate, `{"event":"#subscribe","data":{"channel":"a"},"cid":%d}`},
		{"Limits.SubscribeRate", socketcluster.Limits{SubscribeRate: rate, Channels: 50}, 50, `{"event":"#unsubscribe","data":"a","cid":%d}`},
		{"Limits.AuthenticateRate", socketcluster.Limits{AuthenticateRate: rate}, 2 * rate, `{"event":"#authenticate","data":null,"cid":%d}`},
	} {
		t.Run(test.setting, func(t *testing.T) {
			inBubble(t, socketcluster.Config{Limits: test.limits}, func(w *world) {
				w.srv.Handle("echo", socketcluster.Func(echo))
				p := w.client()
				flood := func() {
					began := time.Now()
					go func() {
						for i := range test.atOnce + more {
							p.send(fmt.Sprintf(test.packet, i+2))
						}
					}()
					answered := func() {
						for {
							if text := p.next(); strings.HasPrefix(text, `{"rid":`) {
								return
							}
						}
					}
					for range test.atOnce {
						answered()
					}
					if d := time.Since(began); d != 0 {
						t.Errorf("the first %d took %v", test.atOnce, d)
					}
					for range more {
						answered()
					}
					// Each of the others takes a tenth of a second; a throttled socket
					// rests somewhat longer, which it gets back.
					if d := time.Since(began); d < more*time.Second/rate || d > more*time.Second/rate+20*time.Millisecond {
						t.Errorf("all took %v, want 3s", d)
					}
				}
				flood()
				time.Sleep(10 * time.Second)
				flood()
				if n := w.srv.Stats().LimitHits[test.setting]; n == 0 || n > 2*more {
					t.Errorf("%d hits of %s", n, test.setting)
				}
				if n := strings.Count(w.logs.String(), "limit="+test.setting); n != 1 {
					t.Errorf("%d lines in the log:\n%s", n, w.logs)
				}
			})
		})
	}
}

// Each kind has its own rate, and each socket its own: what is delayed is the
// inbox of one socket. Raw messages count as calls.
func TestRatesAreApart(t *testing.T) {
	inBubble(t, socketcluster.Config{Limits: socketcluster.Limits{CallRate: 1}}, func(w *world) {
		w.srv.Handle("echo", socketcluster.Func(echo))
		p, other := w.client(), w.client()
		began := time.Now()
		p.send("raw")
		p.send("raw")
		p.send(`{"event":"#publish","data":{"channel":"a"},"cid":2}`)
		p.want(`{"rid":2}`)
		if d := time.Since(began); d != 0 {
			t.Errorf("the publication took %v", d)
		}
		p.send("raw")
		other.send(`{"event":"echo","cid":2}`)
		other.want(`{"rid":2}`)
		if d := time.Since(began); d != 0 {
			t.Errorf("the other client's call took %v", d)
		}
		p.send(`{"event":"#publish","data":{"channel":"a"},"cid":3}`) // in order
		p.want(`{"rid":3}`)
		if d := time.Since(began); d < time.Second {
			t.Errorf("the publication behind the raw message took %v", d)
		}
	})
}

// Each socket that is slowed down has its line in the log, once.
func TestSlowedDownSocketsAreLogged(t *testing.T) {
	inBubble(t, socketcluster.Config{Limits: socketcluster.Limits{CallRate: 1}}, func(w *world) {
		w.srv.Handle("echo", socketcluster.Func(echo))
		peers := []*peer{w.client(), w.client()}
		for _, p := range peers {
			go func() {
				for i := range 5 { // of which two are free
					p.send(fmt.Sprintf(`{"event":"echo","cid":%d}`, i+2))
				}
			}()
		}
		for _, p := range peers {
			for range 5 {
				p.next()
			}
		}
		told := map[string]int{}
		for _, line := range w.lines() {
			if rest, ok := strings.CutPrefix(line, `level=WARN msg="a client is slowed down: it sends more than the limit allows" `); ok {
				told[rest]++
			}
		}
		if len(told) != 2 {
			t.Errorf("logged %v, want a line for each socket", told)
		}
		for rest, n := range told {
			if n != 1 || !strings.HasSuffix(rest, " limit=Limits.CallRate") {
				t.Errorf("%d times %s", n, rest)
			}
		}
	})
}

// Answers do not wait for a rate: a handler that asks its own client gets them.
func TestAnswersAreNotThrottled(t *testing.T) {
	inBubble(t, socketcluster.Config{Limits: socketcluster.Limits{CallRate: 1}}, func(w *world) {
		p := w.client()
		for i := range 4 {
			p.send(fmt.Sprintf(`{"event":"unknown","cid":%d}`, i+2))
		}
		s := w.only()
		began := time.Now()
		answered := make(chan error, 1)
		go func() {
			_, err := s.Invoke(context.Background(), "ask", nil)
			answered <- err
		}()
		for text := ""; !strings.Contains(text, `"ask"`); {
			text = p.next()
		}
		p.send(`{"rid":1}`)
		if err := <-answered; err != nil || time.Since(began) != 0 {
			t.Errorf("answered after %v: %v", time.Since(began), err)
		}
	})
}

// A client that the server does not read from, for longer than the pong
// timeout, is not taken for a dead one: its pongs wait behind the rest. PP-3
// holds again afterwards.
func TestHeldUpClientIsAlive(t *testing.T) {
	for _, test := range []struct {
		name   string
		limits socketcluster.Limits
		hold   time.Duration // of middleware, for each message
		send   string
	}{
		{"by a rate", socketcluster.Limits{AuthenticateRate: 1, Inbox: 1}, 0, "[" + strings.Repeat(`{"event":"#removeAuthToken"},`, 99) + `{"event":"#removeAuthToken"}]`},
		{"by slow middleware", socketcluster.Limits{Inbox: 1}, time.Minute, `{"event":"x"}`},
		{"by Limits.InboxBytes", socketcluster.Limits{InboxBytes: 1}, time.Minute, `{"event":"x"}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, socketcluster.Config{Limits: test.limits}, func(w *world) {
				var ends []string
				socketcluster.On(w.srv, func(e socketcluster.DisconnectEvent) { ends = append(ends, fmt.Sprint(e.Code)) })
				w.srv.UseInbound(func(_ context.Context, a socketcluster.Action) error {
					if i, ok := a.(*socketcluster.Transmit); ok && i.Receiver == "x" {
						time.Sleep(test.hold)
					}
					return nil
				})
				w.srv.Handle("echo", socketcluster.Func(echo))
				p := w.client()
				p.send(test.send)
				p.send(`{"event":"x"}`)
				p.send(`{"event":"x"}`)
				p.send(`{"event":"echo","cid":2}`)
				began := time.Now()
				p.Conn.SetReadDeadline(time.Now().Add(time.Hour))
				for {
					f, err := p.ReadFrame()
					if err != nil {
						t.Errorf("after %v: %v", time.Since(began), err)
						time.Sleep(time.Hour) // until the middleware is done
						return
					}
					if string(f.Payload) == `{"rid":2}` {
						break
					}
					// Pongs are sent, and not read by the server.
					go p.send("")
				}
				if d := time.Since(began); d < 90*time.Second {
					t.Fatalf("answered after %v: the server was not held up", d)
				}
				synctest.Wait()
				began = time.Now()
				p.wantClose(4001, "")
				if d := time.Since(began); d < 25*time.Second || d > 35*time.Second {
					t.Errorf("closed after %v of silence, want about 30s", d)
				}
				synctest.Wait()
				if fmt.Sprint(ends) != "[4001]" {
					t.Errorf("disconnected with %v", ends)
				}
				if n := w.srv.Stats().LimitHits["Timeouts.Ping"]; n != 1 {
					t.Errorf("%d hits of Timeouts.Ping", n)
				}
			})
		})
	}
}

// A client must not throttle itself to keep a subscription that it has no
// right to any more.
func TestThrottlingDoesNotDelayKickOut(t *testing.T) {
	inBubble(t, socketcluster.Config{Limits: socketcluster.Limits{AuthenticateRate: 1}}, func(w *world) {
		socketcluster.Use(w.srv, func(_ context.Context, a *socketcluster.Subscribe) error {
			if a.Socket.AuthState() != socketcluster.Authenticated {
				return socketcluster.ErrBlocked
			}
			return nil
		})
		p := w.login(map[string]any{"a": 1})
		p.send(`{"event":"#subscribe","data":{"channel":"private"},"cid":2}`)
		p.want(`{"rid":2}`)
		s := w.only()
		const logout = `{"event":"#removeAuthToken"}`
		p.send("[" + strings.Repeat(logout+",", 99) + logout + "]")
		began := time.Now()
		for s.IsSubscribed("private") && time.Since(began) < time.Minute {
			time.Sleep(10 * time.Millisecond)
		}
		if d := time.Since(began); d > 2*time.Second {
			t.Errorf("kicked out after %v", d)
		}
	})
}

// Events of a client do not pile up while a slow event handler runs.
func TestEventsHoldUpTheInbox(t *testing.T) {
	inBubble(t, socketcluster.Config{Timeouts: socketcluster.Timeouts{PingDisabled: true}, Limits: socketcluster.Limits{Inbox: 10}}, func(w *world) {
		release := make(chan struct{})
		var told atomic.Int32
		p := w.client()
		s := w.only()
		socketcluster.On(s, func(socketcluster.UnsubscribeEvent) { <-release })
		socketcluster.On(s, func(socketcluster.RawEvent) { told.Add(1) })
		p.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`)
		p.want(`{"rid":2}`)
		go s.KickOut(context.Background(), "a", nil)
		p.next()
		go func() {
			for range 1000 {
				p.send("raw")
			}
		}()
		time.Sleep(time.Second)
		if n := s.Stats().Backpressure; n > 300 {
			t.Errorf("%d events wait", n)
		}
		close(release)
		time.Sleep(time.Second)
		if n := told.Load(); n != 1000 {
			t.Errorf("%d of 1000 messages were logged", n)
		}
	})
}
