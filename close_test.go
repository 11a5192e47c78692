package socketcluster_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/wire"
)

// TR-33, QK-18, DOC-15: what a server may close a socket with. A refused code
// changes nothing.
func TestDisconnect(t *testing.T) {
	for _, test := range []struct {
		code         wire.CloseCode
		reason, sent string
		sentCode     int
	}{
		{0, "", "", 1000},
		{1000, "bye", "bye", 1000},
		{1001, "", "", 1001},
		{3000, "x", "x", 3000},
		{4444, strings.Repeat("ä", 100), strings.Repeat("ä", 61), 4444},
		{4999, "y", "y", 4999},
	} {
		t.Run(fmt.Sprint(test.code), func(t *testing.T) {
			inBubble(t, socketcluster.Config{}, func(w *world) {
				log := w.record()
				p := w.client()
				s := w.only()
				if err := s.Disconnect(test.code, test.reason); err != nil {
					t.Fatal(err)
				}
				p.wantClose(test.sentCode, test.sent)
				if test.sentCode <= 1001 {
					log.want("connect disconnect close end") // ERR-5
				} else {
					log.want("connect disconnect close error end")
				}
				if s.State() != socketcluster.Closed || w.srv.Client(s.ID()) != nil {
					t.Error("not closed")
				}
				if err := s.Disconnect(4000, ""); err != nil {
					t.Errorf("a second time: %v", err)
				}
				log.want("")
			})
		})
	}
	for _, code := range []wire.CloseCode{-1, 1, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65536 + 1000} {
		inBubble(t, socketcluster.Config{}, func(w *world) {
			log := w.record()
			p := w.client()
			s := w.only()
			if err := s.Disconnect(code, ""); !errors.Is(err, wire.ErrInvalidArguments) {
				t.Errorf("code %d: %v", code, err)
			}
			p.quiet(time.Second)
			log.want("connect")
			if s.State() != socketcluster.Open {
				t.Errorf("code %d: state %v", code, s.State())
			}
		})
	}
}

// PS-15, PS-17, CF-10, CF-16, ERR-4: the events of a close by the peer, in
// their order and with their codes, on the socket and on the server.
func TestCloseByPeer(t *testing.T) {
	for _, test := range []struct {
		name   string
		frame  ws.Frame
		code   wire.CloseCode
		reason string
		echo   int // 0 for an empty close frame
	}{
		{"PS-17: normal", ws.NewCloseFrame(ws.NewCloseFrameBody(1000, "")), 1000, "", 1000},
		{"CF-10: code and reason", ws.NewCloseFrame(ws.NewCloseFrameBody(4444, "why")), 4444, "why", 4444},
		{"ERR-4: code without a reason", ws.NewCloseFrame(ws.NewCloseFrameBody(4000, "")), 4000, "Server ping timed out", 4000},
		{"ERR-4: no code", ws.NewCloseFrame(nil), 1005, "Socket closed without status code", 0},
	} {
		for _, connected := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, connected %t", test.name, connected), func(t *testing.T) {
				inBubble(t, socketcluster.Config{}, func(w *world) {
					log := w.record()
					var told []string
					note := func(name string, code wire.CloseCode, reason string) {
						told = append(told, name)
						if code != test.code || reason != test.reason {
							t.Errorf("%s: %d %q, want %d %q", name, code, reason, test.code, test.reason)
						}
					}
					socketcluster.On(w.srv, func(e socketcluster.DisconnectEvent) { note("disconnection", e.Code, e.Reason) })
					socketcluster.On(w.srv, func(e socketcluster.ConnectAbortEvent) { note("connectionAbort", e.Code, e.Reason) })
					socketcluster.On(w.srv, func(e socketcluster.CloseEvent) { note("closure", e.Code, e.Reason) })
					socketcluster.On(w.srv, func(e socketcluster.WarningEvent) {
						told = append(told, "warning")
						want := wire.NewSocketProtocolError(test.code, test.reason)
						if !errors.Is(e.Err, wire.ErrSocketProtocol) || e.Err.Error() != want.Error() {
							t.Errorf("warning %v, want %v", e.Err, want)
						}
					})
					socketcluster.On(w.srv, func(e socketcluster.UnsubscribeEvent) { told = append(told, "unsubscription "+e.Channel) })
					p := w.dial()
					if connected {
						p.send(`[{"event":"#handshake","data":{},"cid":1},{"event":"#subscribe","data":{"channel":"a"},"cid":2}]`)
						p.next()
						p.want(`{"rid":2}`)
						log.take()
					}
					p.sendFrame(test.frame)
					f, err := p.nextFrame()
					if code, _ := ws.ParseCloseFrameData(f.Payload); err != nil || f.Header.OpCode != ws.OpClose || len(f.Payload) > 0 != (test.echo != 0) || test.echo != 0 && int(code) != test.echo {
						t.Errorf("answered with %v %q %v", f.Header, f.Payload, err)
					}
					synctest.Wait()
					want, events := "connectionAbort closure", "connectAbort close"
					if connected {
						want, events = "disconnection closure", "disconnect close"
					}
					if test.code != 1000 {
						want, events = want+" warning", events+" error"
					}
					if connected {
						want, events = want+" unsubscription a", events+" unsubscribe"
					}
					if got := strings.Join(told, " "); got != want {
						t.Errorf("got  %s\nwant %s", got, want)
					}
					log.want(events + " end")
				})
			})
		}
	}
}

// TR-34: a terminated connection ends without a close frame.
func TestTerminate(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		log := w.record()
		p := w.client()
		w.only().Terminate()
		if f, err := p.nextFrame(); err == nil {
			t.Errorf("got %v", f)
		}
		log.want("connect disconnect close error end")
	})
}

// A client that does not answer a close frame is cut off after a while; what
// it sends meanwhile is dropped.
func TestCloseTimeout(t *testing.T) {
	inBubble(t, socketcluster.Config{Timeouts: socketcluster.Timeouts{Close: 2 * time.Second}}, func(w *world) {
		called := false
		w.srv.Handle("p", socketcluster.HandlerFunc(func(context.Context, *socketcluster.Call) (any, error) { called = true; return nil, nil }))
		p := w.client()
		began := time.Now()
		w.only().Disconnect(4500, "")
		f, err := p.nextFrame()
		if err != nil || f.Header.OpCode != ws.OpClose {
			t.Fatalf("got %v %v", f, err)
		}
		p.send(`{"event":"p","cid":2}`)
		if f, err := p.nextFrame(); err == nil {
			t.Errorf("got %v", f)
		}
		if d := time.Since(began).Round(100 * time.Millisecond); d != 2*time.Second {
			t.Errorf("cut off after %v", d)
		}
		if called {
			t.Error("QK-4: a call was handled after the close")
		}
	})
}

// QK-4: what is queued behind a packet that closes the socket is not handled.
func TestNothingAfterClose(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		log := w.record()
		w.srv.Receive("quit", socketcluster.ReceiverFunc(func(_ context.Context, tr *socketcluster.Transmission) error { return nil }))
		p := w.client()
		p.send(`[{"event":"#handshake","cid":2},{"event":"#subscribe","data":{"channel":"a"},"cid":3},{"event":"#handshake","data":{},"cid":4}]`)
		p.wantClose(4008, "")
		log.want("connect error disconnect close error end")
		if w.srv.Exchange().IsSubscribed("a") {
			t.Error("subscribed after the close")
		}
	})
}

// PS-9: a subscription that middleware delays past the close is not made.
func TestSubscribePastClose(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		socketcluster.Use(w.srv, func(context.Context, *socketcluster.Subscribe) error { time.Sleep(time.Second); return nil })
		log := w.record()
		p := w.client()
		p.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`)
		synctest.Wait()
		p.Conn.Close()
		time.Sleep(2 * time.Second)
		if w.srv.Exchange().IsSubscribed("a") {
			t.Error("subscribed")
		}
		// The last error is that of the subscription.
		log.want("connect disconnect close error end error")
	})
}

// TR-35: when a write fails, its error is the reason of the close.
func TestStalledWrite(t *testing.T) {
	inBubble(t, socketcluster.Config{Limits: socketcluster.Limits{OutboxStall: 3 * time.Second}}, func(w *world) {
		w.listen.BufferSize = 1 << 10
		reasons := make(chan string, 1)
		socketcluster.On(w.srv, func(e socketcluster.DisconnectEvent) { reasons <- fmt.Sprint(e.Code, " ", e.Reason) })
		w.client() // it reads nothing from now on
		s := w.only()
		began := time.Now()
		if err := s.Transmit(context.Background(), "big", strings.Repeat("x", 10<<10)); err != nil {
			t.Fatal(err)
		}
		reason := <-reasons
		if !strings.HasPrefix(reason, "1006 ") || !strings.Contains(reason, "timeout") {
			t.Errorf("closed with %s", reason)
		}
		// Bytes that the connection's buffer accepts at once are progress.
		if d := time.Since(began).Round(100 * time.Millisecond); d < 3*time.Second || d > 6*time.Second {
			t.Errorf("closed after %v", d)
		}
	})
}

// A socket's handlers may close it, from wherever they run, and all of its
// events are emitted.
func TestCloseInHandlers(t *testing.T) {
	ctx := context.Background()
	quit := func(s *socketcluster.Socket) { s.Disconnect(4500, "") }
	const call = `{"event":"p","data":1,"cid":2}`
	for name, test := range map[string]struct {
		set    func(w *world)
		events string
	}{
		"handshake middleware": {func(w *world) {
			socketcluster.Use(w.srv, func(_ context.Context, a *socketcluster.Handshake) error { quit(a.Socket); return nil })
		}, "connectAbort close error end"},
		"raw middleware": {func(w *world) {
			socketcluster.Use(w.srv, func(_ context.Context, a *socketcluster.RawMessage) error { quit(a.Socket); return nil })
		}, "connectAbort close error end"},
		"inbound middleware": {func(w *world) {
			socketcluster.Use(w.srv, func(_ context.Context, a *socketcluster.Invoke) error { quit(a.Socket); return nil })
		}, "connect subscribe disconnect close error unsubscribe end"},
		"outbound middleware": {func(w *world) {
			socketcluster.Use(w.srv, func(_ context.Context, a *socketcluster.PublishOut) error { quit(a.Socket); return nil })
			socketcluster.On(w.srv, func(e socketcluster.SubscribeEvent) { w.srv.Exchange().Publish(ctx, e.Channel, 1) })
		}, "connect subscribe disconnect close error unsubscribe end"},
		"handshake event": {func(w *world) {
			socketcluster.On(w.srv, func(e socketcluster.HandshakeEvent) { quit(e.Socket) })
		}, "connectAbort close error end"},
		"connect event": {func(w *world) {
			socketcluster.On(w.srv, func(e socketcluster.ConnectEvent) { quit(e.Socket) })
		}, "connect disconnect close error end"},
		"subscribe event": {func(w *world) {
			socketcluster.On(w.srv, func(e socketcluster.SubscribeEvent) { quit(e.Socket) })
		}, "connect subscribe disconnect close error unsubscribe end"},
		"message event": {func(w *world) {
			socketcluster.On(w.srv, func(e socketcluster.HandshakeEvent) {
				socketcluster.On(e.Socket, func(socketcluster.MessageEvent) { quit(e.Socket) })
			})
		}, "connectAbort close error end"},
		"disconnect event": {func(w *world) {
			socketcluster.On(w.srv, func(e socketcluster.DisconnectEvent) { quit(e.Socket); e.Socket.Terminate() })
			socketcluster.On(w.srv, func(e socketcluster.ConnectEvent) { e.Socket.Terminate() })
		}, "connect disconnect close error end"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, socketcluster.Config{}, func(w *world) {
				log := w.record()
				test.set(w)
				p := w.dial()
				// It may be closed at once.
				for _, text := range []string{`{"event":"#handshake","cid":1}`, `{"event":"#subscribe","data":{"channel":"a"},"cid":2}`, call} {
					if ws.WriteFrame(p.Conn, ws.MaskFrame(ws.NewTextFrame([]byte(text)))) != nil {
						break
					}
					synctest.Wait()
				}
				time.Sleep(5 * time.Second)
				log.want(test.events)
				if n := w.srv.NumClients() + w.srv.NumPendingClients(); n != 0 {
					t.Errorf("%d sockets", n)
				}
			})
		})
	}
}

// ST-12, ST-13: what a client has sent before its close frame goes through the
// inbox first, in order; then the socket ends, as the client has said.
func TestSentThenClosed(t *testing.T) {
	const sent = 200
	normal := ws.NewCloseFrame(ws.NewCloseFrameBody(1000, ""))
	for name, test := range map[string]struct {
		cfg     socketcluster.Config
		raw     bool
		connect func(w *world) *peer
		leave   func(p *peer)
		all     bool
	}{
		"close frame":    {twoPaths, false, (*world).client, func(p *peer) { p.sendFrame(normal) }, true},
		"raw middleware": {twoPaths, true, (*world).client, func(p *peer) { p.sendFrame(normal) }, true},
		"version 1": {twoPaths, false, (*world).client1, func(p *peer) {
			p.send(`{"event":"#disconnect","data":{"code":1000}}`)
		}, true},
		"no close frame": {twoPaths, false, (*world).client, func(p *peer) { p.Conn.Close() }, false},
		"DropWaiting":    {socketcluster.Config{Compat: socketcluster.Compat{DropWaiting: true}}, false, (*world).client, func(p *peer) { p.sendFrame(normal) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, test.cfg, func(w *world) {
				var mu sync.Mutex
				var got []string
				socketcluster.Use(w.srv, func(context.Context, *socketcluster.Transmit) error {
					time.Sleep(10 * time.Millisecond)
					return nil
				})
				if test.raw {
					socketcluster.Use(w.srv, func(context.Context, *socketcluster.RawMessage) error {
						time.Sleep(time.Millisecond)
						return nil
					})
				}
				w.srv.Receive("x", socketcluster.ReceiverFunc(func(_ context.Context, tr *socketcluster.Transmission) error {
					mu.Lock()
					defer mu.Unlock()
					got = append(got, string(tr.Data))
					return nil
				}))
				codes := make(chan string, 1)
				socketcluster.On(w.srv, func(e socketcluster.DisconnectEvent) {
					mu.Lock()
					defer mu.Unlock()
					codes <- fmt.Sprint(int(e.Code), " with ", len(got) >= sent-1)
				})
				p := test.connect(w)
				p.transmitAll("x", numbers(sent))
				test.leave(p)
				if test.all {
					p.wantClose(1000, "")
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				mu.Lock()
				defer mu.Unlock()
				if all := slices.Equal(got, numbers(sent)); all != test.all {
					t.Errorf("%d of %d were handled", len(got), sent)
				}
				want := "1000 with true"
				if !test.all {
					want = "1000 with false"
					if name == "no close frame" {
						want = "1006 with false"
					}
				}
				if code := <-codes; code != want {
					t.Errorf("ended with %s, want %s", code, want)
				}
			})
		})
	}
}

// Nobody delays the end of a client that has left for longer than
// Timeouts.Close; the server's own end is not delayed at all.
func TestLeaveTimeout(t *testing.T) {
	for _, test := range []struct {
		end  func(s *socketcluster.Socket)
		want time.Duration
		code wire.CloseCode
	}{
		{func(*socketcluster.Socket) {}, 2 * time.Second, 1000},
		{func(s *socketcluster.Socket) { s.Disconnect(4500, "") }, 0, 4500},
	} {
		inBubble(t, socketcluster.Config{Timeouts: socketcluster.Timeouts{Close: 2 * time.Second}}, func(w *world) {
			gate := make(chan struct{})
			defer close(gate)
			w.srv.UseInbound(func(context.Context, socketcluster.Action) error { <-gate; return nil })
			codes := make(chan wire.CloseCode, 1)
			socketcluster.On(w.srv, func(e socketcluster.DisconnectEvent) { codes <- e.Code })
			p := w.client()
			s := w.only()
			p.transmitAll("x", numbers(5))
			p.sendFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(1000, "")))
			synctest.Wait()
			began := time.Now()
			test.end(s)
			<-s.Done()
			if d := time.Since(began).Round(100 * time.Millisecond); d != test.want {
				t.Errorf("ended after %v, want %v", d, test.want)
			}
			if f, err := p.nextFrame(); err != nil || f.Header.OpCode != ws.OpClose {
				t.Errorf("got %v %v", f, err)
			}
			if code := <-codes; code != test.code {
				t.Errorf("ended with %d, want %d", code, test.code)
			}
		})
	}
}

// RPC-13: a client that has left answers no calls. Those that wait fail at once,
// and so do those that handlers of its last messages make.
func TestCallsToClientThatLeaves(t *testing.T) {
	for name, test := range map[string]struct {
		connect func(w *world) *peer
		leave   func(p *peer)
	}{
		"version 2": {(*world).client, func(p *peer) { p.sendFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(1000, ""))) }},
		"version 1": {(*world).client1, func(p *peer) { p.send(`{"event":"#disconnect","data":{"code":1000}}`) }},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, twoPaths, func(w *world) {
				errs := make(chan error, 3)
				w.srv.Receive("x", socketcluster.Recv(func(ctx context.Context, _ int) error {
					_, err := socketcluster.FromContext(ctx).Invoke(ctx, "ask", nil)
					errs <- err
					return nil
				}))
				p := test.connect(w)
				s := w.only()
				began := time.Now()
				p.transmitAll("x", numbers(3))
				p.next() // the first call
				test.leave(p)
				<-s.Done()
				if d := time.Since(began); d != 0 {
					t.Errorf("the socket has closed after %v", d)
				}
				for range cap(errs) {
					if err := <-errs; !errors.Is(err, wire.ErrBadConnection) {
						t.Errorf("got %v", err)
					}
				}
			})
		})
	}
}

// saboteur is a field of an error that ends its socket while it is encoded.
type saboteur struct{ end func() }

func (s saboteur) MarshalJSON() ([]byte, error) {
	s.end()
	return []byte("true"), nil
}

// HS-19, QK-4: a socket that closes in its handshake never connects, however
// late that is.
func TestCloseLateInHandshake(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		events := w.record()
		socketcluster.Use(w.srv, func(_ context.Context, a *socketcluster.Authenticate) error {
			return (&wire.Error{Name: "E", Message: "m"}).With("field", saboteur{a.Socket.Terminate})
		})
		token, err := w.srv.Auth().Sign(context.Background(), map[string]any{})
		if err != nil {
			t.Fatal(err)
		}
		p := w.dial()
		p.send(`{"event":"#handshake","data":{"authToken":` + quote(token.Signed()) + `},"cid":1}`)
		events.want("error connectAbort close error end")
	})
}

// PS-17: the end event is the last one, also when the connection ends while
// the connect event is being handled.
func TestCloseInConnectHandler(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		events := w.record()
		socketcluster.On(w.srv, func(e socketcluster.ConnectEvent) { e.Socket.Disconnect(4321, "") })
		w.login(map[string]any{})
		events.want("connect disconnect close error end")
	})
}

// slowEngine takes its time to verify.
type slowEngine struct{ *auth.JWT }

func (e slowEngine) Verify(ctx context.Context, signed string, opts ...auth.VerifyOption) (*auth.Token, error) {
	time.Sleep(3 * time.Second)
	return e.JWT.Verify(ctx, signed, opts...)
}

// HS-19, QK-4: a socket that closes while its token is verified or while
// middleware runs opens no more, and no event is emitted after its end.
func TestCloseDuringHandshake(t *testing.T) {
	for _, line := range []string{"engine", "handshake", "inbound"} {
		t.Run(line, func(t *testing.T) {
			cfg := socketcluster.Config{}
			if line == "engine" {
				jwt, err := auth.NewJWT(auth.Options{Key: testKey})
				if err != nil {
					t.Fatal(err)
				}
				cfg.AuthEngine = slowEngine{jwt}
			}
			inBubble(t, cfg, func(w *world) {
				log := w.record()
				slow := func(context.Context, socketcluster.Action) error { time.Sleep(3 * time.Second); return nil }
				switch line {
				case "handshake":
					socketcluster.Use(w.srv, func(ctx context.Context, a *socketcluster.Handshake) error { return slow(ctx, a) })
				case "inbound":
					w.srv.UseInbound(slow)
				}
				p := w.dial()
				p.send(`{"event":"#handshake","data":{"authToken":` + quote(w.sign(map[string]any{})) + `},"cid":1}`)
				p.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`)
				synctest.Wait()
				if n := w.srv.NumPendingClients(); n != 1 {
					t.Errorf("%d pending", n)
				}
				p.Conn.Close()
				time.Sleep(10 * time.Second)
				log.want("connectAbort close error end")
				if n := w.srv.NumPendingClients() + w.srv.NumClients(); n != 0 {
					t.Errorf("HS-19: %d sockets", n)
				}
			})
		})
	}
}
