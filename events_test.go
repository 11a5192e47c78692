package socketcluster_test

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/wire"
)

// ST-9: the handlers of a socket run before those of its server,
// and end when they are taken off.
func TestOn(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		var got []string
		note := func(name string) { got = append(got, name) }
		off := socketcluster.On(w.srv, func(e socketcluster.SubscribeEvent) { note("server " + e.Channel) })
		var s *socketcluster.Socket
		socketcluster.On(w.srv, func(e socketcluster.ConnectEvent) {
			s = e.Socket
			socketcluster.On(s, func(e socketcluster.SubscribeEvent) { note("first " + e.Channel) })
			socketcluster.On(s, func(e socketcluster.SubscribeEvent) { note("second " + e.Channel) })
			socketcluster.On(s, func(socketcluster.ConnectEvent) { note("too late") })
		})
		p := w.client()
		subscribe := func(channel, want string) {
			t.Helper()
			got = nil
			p.send(`{"event":"#subscribe","data":{"channel":"` + channel + `"},"cid":2}`)
			p.want(`{"rid":2}`)
			if all := strings.Join(got, ", "); all != want {
				t.Errorf("got %q, want %q", all, want)
			}
		}
		subscribe("a", "first a, second a, server a")
		off()
		off()
		subscribe("b", "first b, second b")
	})
}

// Events that a handler causes are emitted after it has returned, in order.
func TestEventsCausedByHandlers(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		ctx := context.Background()
		log := w.record()
		inside := false
		socketcluster.On(w.srv, func(e socketcluster.SubscribeEvent) {
			inside = true
			e.Socket.SetAuthToken(ctx, map[string]any{})
			e.Socket.KickOut(ctx, e.Channel, nil)
			e.Socket.Transmit(ctx, "done", nil)
			inside = false
		})
		alone := func() {
			if inside {
				t.Error("emitted in the middle of another handler")
			}
		}
		socketcluster.On(w.srv, func(socketcluster.AuthenticateEvent) { alone() })
		socketcluster.On(w.srv, func(socketcluster.UnsubscribeEvent) { alone() })
		p := w.client()
		p.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`)
		p.nextToken()
		p.want(`{"event":"#kickOut","data":{"channel":"a"}}`, `{"event":"done"}`,
			`{"rid":2,"error":{"message":"Failed to subscribe socket to the a channel - It was kicked out","name":"BrokerError"}}`)
		log.want("connect subscribe authTokenSigned authStateChange authenticate unsubscribe")
	})
}

// A panic in a handler is logged, and ends neither the connection nor the
// other handlers of the event.
func TestPanicInEventHandler(t *testing.T) {
	inBubble(t, socketcluster.Config{Origins: []string{"a.com:80"}, AllowMissingOrigin: true}, func(w *world) {
		after := 0
		socketcluster.On(w.srv, func(socketcluster.ConnectEvent) { panic("oh no") })
		socketcluster.On(w.srv, func(socketcluster.ConnectEvent) { after++ })
		socketcluster.On(w.srv, func(e socketcluster.WarningEvent) { panic("oh no") })
		p := w.client()
		p.send(`{"event":"x","cid":2}`)
		p.next()
		if after != 1 || !strings.Contains(w.logs.String(), "oh no") || !strings.Contains(w.logs.String(), "events_test.go") {
			t.Errorf("%d, logged %s", after, w.logs)
		}
		p.send(`{"event":"#publish","cid":3}`) // a warning
		p.next()
		_, resp := w.upgrade(func(r *http.Request) { r.Header.Set("Origin", "http://b.com") })
		if resp.StatusCode != 403 {
			t.Errorf("status %d", resp.StatusCode)
		}
	})
}

// A loop over events sees those from the call of Events on, in
// order, and ends after the end event of its socket.
func TestEventLoops(t *testing.T) {
	for name, end := range map[string]func(w *world, p *peer, s *socketcluster.Socket){
		"the client leaves":      func(_ *world, p *peer, _ *socketcluster.Socket) { p.Conn.Close() },
		"the server disconnects": func(_ *world, _ *peer, s *socketcluster.Socket) { s.Disconnect(4500, "") },
		"a handler disconnects": func(_ *world, p *peer, s *socketcluster.Socket) {
			socketcluster.On(s, func(e socketcluster.SubscribeEvent) { s.Disconnect(4500, "") })
			p.send(`{"event":"#subscribe","data":{"channel":"x"},"cid":9}`)
		},
		"a slow handler is at work": func(_ *world, p *peer, s *socketcluster.Socket) {
			socketcluster.On(s, func(e socketcluster.SubscribeEvent) { time.Sleep(time.Second) })
			p.send(`{"event":"#subscribe","data":{"channel":"x"},"cid":9}`)
			synctest.Wait()
			s.Terminate()
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, socketcluster.Config{}, func(w *world) {
				ctx := context.Background()
				var subscribed, unsubscribed, ends, disconnects atomic.Int32
				var loops atomic.Int32
				socketcluster.On(w.srv, func(e socketcluster.ConnectEvent) {
					count[socketcluster.SubscribeEvent](ctx, e.Socket, &loops, &subscribed)
					count[socketcluster.UnsubscribeEvent](ctx, e.Socket, &loops, &unsubscribed)
					count[socketcluster.EndEvent](ctx, e.Socket, &loops, &ends)
					count[socketcluster.DisconnectEvent](ctx, e.Socket, &loops, &disconnects)
				})
				p := w.client()
				p.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`)
				p.next()
				synctest.Wait()
				if loops.Load() != 4 || subscribed.Load() != 1 {
					t.Errorf("%d loops, %d events", loops.Load(), subscribed.Load())
				}
				s := w.only()
				end(w, p, s)
				time.Sleep(5 * time.Second)
				if loops.Load() != 0 {
					t.Errorf("%d loops go on", loops.Load())
				}
				if unsubscribed.Load() != subscribed.Load() || ends.Load() != 1 || disconnects.Load() != 1 {
					t.Errorf("%d unsubscribed of %d, %d disconnects, %d ends", unsubscribed.Load(), subscribed.Load(), disconnects.Load(), ends.Load())
				}
				for range socketcluster.Events[socketcluster.EndEvent](ctx, s) {
					t.Error("an event after the end")
				}
			})
		})
	}
}

// count counts events in a loop.
func count[E socketcluster.Event](ctx context.Context, from socketcluster.Emitter, loops, n *atomic.Int32) {
	events := socketcluster.Events[E](ctx, from)
	loops.Add(1)
	go func() {
		defer loops.Add(-1)
		for range events {
			n.Add(1)
		}
	}()
}

// A loop ends with its context, also while events keep coming, and delays
// nobody after that. Nor does one that never began.
func TestEventLoopContext(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		ctx, cancel := context.WithCancel(context.Background())
		var taken int
		loop := socketcluster.Events[socketcluster.SubscribeEvent](ctx, w.srv)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for range loop {
				if taken++; taken == 3 {
					cancel()
				}
			}
		}()
		never := socketcluster.Events[socketcluster.SubscribeEvent](ctx, w.srv)
		p := w.client()
		for range 100 { // far more than a loop's queue
			p.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`)
			p.want(`{"rid":2}`)
		}
		<-ended
		if taken != 3 {
			t.Errorf("%d events", taken)
		}
		for range never {
			t.Error("an event after the end of the context")
		}
		for range loop {
			t.Error("a second loop got an event")
		}
	})
}

// ST-16: a loop that is left holds up nobody; a slow one delays its socket
// only.
func TestSlowEventLoop(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		gate := make(chan struct{})
		socketcluster.On(w.srv, func(e socketcluster.ConnectEvent) {
			if w.srv.NumClients() > 1 {
				return
			}
			events := socketcluster.Events[socketcluster.SubscribeEvent](context.Background(), e.Socket)
			go func() {
				n := 0
				for range events {
					if n++; n == 2 {
						<-gate
						break
					}
				}
			}()
		})
		p := w.client()
		synctest.Wait() // for the handler, which comes after the answer
		other := w.client()
		for range 60 {
			p.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`)
		}
		other.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`)
		other.want(`{"rid":2}`)
		synctest.Wait()
		answered := w.mostSent()
		close(gate)
		for range 60 {
			p.want(`{"rid":2}`)
		}
		if answered >= 60 {
			t.Errorf("%d of 60 were handled: the loop held up nothing", answered)
		}
	})
}

// mostSent is how many packets the socket has been sent that got most.
func (w *world) mostSent() (n int) {
	for s := range w.srv.Clients() {
		n = max(n, int(s.Stats().OutboundSent))
	}
	return n
}

// ST-1, ST-2, ST-8 in Go: several loops share a procedure, and the calls that
// a loop leaves behind are answered by whoever handles them next.
func TestAbandonedCalls(t *testing.T) {
	for _, test := range []struct {
		name   string
		handle bool
		answer string
	}{
		{"to the server's handler", true, `{"rid":%d}`},
		{"to nobody", false, `{"rid":%d,"error":{"message":"The server has no such procedure","name":"UnknownProcedureError"}}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, socketcluster.Config{}, func(w *world) {
				if test.handle {
					w.srv.Handle("p", socketcluster.Func(echo))
				}
				gate := make(chan struct{})
				socketcluster.On(w.srv, func(e socketcluster.ConnectEvent) {
					for range 2 {
						calls := e.Socket.Procedure("p").All()
						go func() {
							for c := range calls {
								<-gate
								c.Reply("loop")
								break
							}
						}()
					}
				})
				p := w.client()
				for i := range 40 {
					p.send(strings.ReplaceAll(`{"event":"p","cid":N}`, "N", strconv.Itoa(i+2)))
				}
				synctest.Wait()
				close(gate)
				answers := map[string]int{}
				for range 40 {
					answers[p.next()]++
				}
				if answers[`{"rid":2,"data":"loop"}`] != 1 {
					t.Errorf("the loops' call was not answered by them: %v", answers)
				}
				for i := range 39 {
					if want := strings.ReplaceAll(test.answer, "%d", strconv.Itoa(i+3)); answers[want] != 1 {
						t.Errorf("%d times %s", answers[want], want)
					}
				}
				p.quiet(time.Second)
			})
		})
	}
}

// ST-16: a loop over a channel that never begins, or is left, keeps nothing.
func TestChannelLoops(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		x := w.srv.Exchange()
		ctx, cancel := context.WithCancel(context.Background())
		never, err := x.Subscribe(ctx, "a")
		if err != nil {
			t.Fatal(err)
		}
		left, _ := x.Subscribe(context.Background(), "a")
		x.Publish(ctx, "a", 1)
		x.Publish(ctx, "a", 2)
		for raw := range left.All() {
			if string(raw) != "1" {
				t.Errorf("got %s", raw)
			}
			break
		}
		for range left.All() {
			t.Error("a second loop got a publication")
		}
		if n := x.NumSubscribers("a"); n != 1 {
			t.Errorf("%d subscribers", n)
		}
		cancel()
		synctest.Wait()
		if x.IsSubscribed("a") {
			t.Error("still subscribed after the context has ended")
		}
		for range never.All() {
			t.Error("a publication after the end of the context")
		}
	})
	// A loop that is too slow misses the oldest, and delays nobody.
	inBubble(t, socketcluster.Config{}, func(w *world) {
		x := w.srv.Exchange()
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		slow, err := x.Subscribe(ctx, "a")
		if err != nil {
			t.Fatal(err)
		}
		for i := range 5000 {
			x.Publish(ctx, "a", i)
		}
		n, last := 0, 0
		for i, err := range socketcluster.Messages[int](slow) {
			if err != nil || n > 0 && i != last+1 {
				t.Fatalf("%d after %d, %v", i, last, err)
			}
			n, last = n+1, i
			if i == 4999 {
				cancel()
			}
		}
		if n != 1024 {
			t.Errorf("%d publications, want the last 1024", n)
		}
	})
}

// HS-17: the server emits an event for a socket once it has its WebSocket,
// before any packet. The event of the handshake has what the client receives,
// with the error itself.
func TestHandshakeEvents(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		var began *socketcluster.Socket
		var connected []socketcluster.ConnectEvent
		socketcluster.On(w.srv, func(e socketcluster.HandshakeEvent) {
			began = e.Socket
			if s := e.Socket; s.State() != socketcluster.Connecting || s.ID() == "" || s.Request() == nil || s.Exchange() != w.srv.Exchange() {
				t.Errorf("a socket with id %q in state %v, request %v", s.ID(), s.State(), s.Request())
			}
			socketcluster.On(e.Socket, func(e socketcluster.ConnectEvent) { connected = append(connected, e) })
		})
		socketcluster.On(w.srv, func(e socketcluster.ConnectEvent) { connected = append(connected, e) })
		for _, test := range []struct {
			token     string
			admitted  bool
			authError error
		}{
			{"null", false, nil},
			{quote(w.sign(map[string]any{})), true, nil},
			{`"a.b.c"`, false, wire.ErrAuthTokenInvalid},
		} {
			began, connected = nil, nil
			p := w.dial()
			synctest.Wait()
			s := began
			if s == nil || len(connected) > 0 {
				t.Fatal("no event of the socket, or already one of its handshake")
			}
			p.send(`{"event":"#handshake","data":{"authToken":` + test.token + `},"cid":1}`)
			p.next()
			synctest.Wait()
			if len(connected) != 2 {
				t.Fatalf("emitted %d times, want on the socket and on the server", len(connected))
			}
			for _, e := range connected {
				if e.Socket != s || e.ID != s.ID() || e.PingTimeout != 30*time.Second || e.IsAuthenticated != test.admitted || !errors.Is(e.AuthError, test.authError) {
					t.Errorf("%s: %+v", test.token, e)
				}
			}
		}
	})
}

// ERR-6: an error that nobody listens to is lost; others reach the socket's
// handlers, and then to those of the server as a warning.
func TestUnheardError(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		p := w.client()
		p.send(`{"event":"#publish","cid":2}`)
		p.want(`{"rid":2,"error":{"message":"Publish channel name was malformatted","name":"InvalidActionError"}}`)
		heard := make(chan error, 10)
		s := w.only()
		socketcluster.On(s, func(e socketcluster.ErrorEvent) { heard <- e.Err })
		p.send(`{"event":"#publish"}`)
		const text = "InvalidActionError: Publish channel name was malformatted"
		if err := <-heard; err.Error() != text {
			t.Errorf("got %v", err)
		}
		off := socketcluster.On(w.srv, func(e socketcluster.WarningEvent) {
			if len(heard) != 1 || e.Socket != s || e.Err.Error() != text {
				t.Errorf("a warning %v", e.Err)
			}
			heard <- e.Err
		})
		p.send(`{"event":"#publish"}`)
		synctest.Wait()
		if len(heard) != 2 {
			t.Errorf("emitted %d times, want an error and a warning", len(heard))
		}
		off()
	})
}
