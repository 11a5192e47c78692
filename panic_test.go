package socketcluster_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/httpauth"
	"github.com/socketcluster-go/socketcluster/auth/revoke"
	"github.com/socketcluster-go/socketcluster/broker/mem"
)

// fuse makes the application's code panic once it is lit. One that is nil never
// is.
type fuse struct{ lit atomic.Bool }

func (f *fuse) burn() {
	if f != nil && f.lit.Load() {
		panic("oh no")
	}
}

// firework panics when it is encoded or decoded.
type firework struct{}

func (firework) MarshalJSON() ([]byte, error) { panic("oh no") }
func (*firework) UnmarshalJSON([]byte) error  { panic("oh no") }

type fusedEngine struct {
	auth.Engine
	sign, verify *fuse
}

func (e fusedEngine) Sign(ctx context.Context, claims any, opts ...auth.SignOption) (*auth.Token, error) {
	e.sign.burn()
	return e.Engine.Sign(ctx, claims, opts...)
}

func (e fusedEngine) Verify(ctx context.Context, signed string, opts ...auth.VerifyOption) (*auth.Token, error) {
	e.verify.burn()
	return e.Engine.Verify(ctx, signed, opts...)
}

type fusedStore struct {
	revoke.Memory
	check *fuse
}

func (s *fusedStore) Check(token *auth.Token) (revoke.Revocation, bool) {
	s.check.burn()
	return s.Memory.Check(token)
}

type fusedBroker struct {
	mem.Broker
	publish, subscribe, unsubscribe *fuse
}

func (b *fusedBroker) Publish(ctx context.Context, channel string, data []byte) error {
	b.publish.burn()
	return b.Broker.Publish(ctx, channel, data)
}

func (b *fusedBroker) Subscribe(ctx context.Context, channel string) error {
	b.subscribe.burn()
	return b.Broker.Subscribe(ctx, channel)
}

func (b *fusedBroker) Unsubscribe(ctx context.Context, channel string) error {
	b.unsubscribe.burn()
	return b.Broker.Unsubscribe(ctx, channel)
}

// fusedCodec is plain JSON.
type fusedCodec struct{ encode, decode *fuse }

func (c fusedCodec) Encode(dst, message []byte) ([]byte, error) {
	c.encode.burn()
	return append(dst, message...), nil
}

func (c fusedCodec) Decode(dst, message []byte, _ int) ([]byte, error) {
	c.decode.burn()
	return append(dst, message...), nil
}

func (fusedCodec) Binary() bool { return false }

// QK-16, QK-52: wherever the application's code panics, nobody else notices.
// It is logged once for each time, with the stack, and without the token and the
// messages of the client.
func TestPanics(t *testing.T) {
	ctx := context.Background()
	const internal = `{"message":"An internal error occurred","name":"InternalError"}`
	const secret = "s3cret" // of the client's
	call := `{"event":"p","data":"s3cret","cid":2}`
	engine := func(sign, verify *fuse) socketcluster.Config {
		jwt, err := auth.NewJWT(auth.Options{Key: testKey})
		if err != nil {
			t.Fatal(err)
		}
		return socketcluster.Config{AuthEngine: fusedEngine{jwt, sign, verify}}
	}
	plain := func(*fuse) socketcluster.Config { return socketcluster.Config{} }
	handle := func(w *world, h socketcluster.Handler, opts ...socketcluster.HandleOption) {
		w.srv.Handle("p", h, opts...)
	}
	handler := func(f *fuse) socketcluster.Handler {
		return socketcluster.HandlerFunc(func(_ context.Context, c *socketcluster.Call) (any, error) { f.burn(); return nil, nil })
	}
	use := func(use func(*socketcluster.Server, ...socketcluster.Middleware) func(), w *world, f *fuse) {
		use(w.srv, func(context.Context, socketcluster.Action) error { f.burn(); return nil })
	}
	for _, test := range []struct {
		name   string
		logged string // what has panicked
		cfg    func(f *fuse) socketcluster.Config
		run    func(w *world, f *fuse, p *peer)
	}{
		{"a handler", "a handler", plain, func(w *world, f *fuse, p *peer) {
			handle(w, handler(f))
			p.send(call)
			p.want(`{"rid":2,"error":` + internal + `}`)
		}},
		{"a concurrent handler", "a handler", plain, func(w *world, f *fuse, p *peer) {
			handle(w, handler(f), socketcluster.Concurrent(2))
			p.send(call)
			p.want(`{"rid":2,"error":` + internal + `}`)
		}},
		{"a handler that has answered", "a handler", plain, func(w *world, f *fuse, p *peer) {
			handle(w, socketcluster.HandlerFunc(func(_ context.Context, c *socketcluster.Call) (any, error) { c.Reply(1); f.burn(); return nil, nil }))
			p.send(call)
			p.want(`{"rid":2,"data":1}`)
		}},
		{"a typed handler", "a handler", plain, func(w *world, f *fuse, p *peer) {
			handle(w, socketcluster.Func(func(context.Context, string) (string, error) { f.burn(); return "", nil }))
			p.send(call)
			p.want(`{"rid":2,"error":` + internal + `}`)
		}},
		{"decoding for a typed handler", "a handler", plain, func(w *world, _ *fuse, p *peer) {
			handle(w, socketcluster.Func(func(context.Context, firework) (string, error) { return "", nil }))
			p.send(call)
			p.want(`{"rid":2,"error":` + internal + `}`)
		}},
		{"encoding the answer of a handler", "a handler", plain, func(w *world, _ *fuse, p *peer) {
			handle(w, socketcluster.Func(func(context.Context, string) (firework, error) { return firework{}, nil }))
			p.send(call)
			p.want(`{"rid":2,"error":` + internal + `}`)
		}},
		{"a receiver", "a receiver", plain, func(w *world, f *fuse, p *peer) {
			w.srv.Receive("t", socketcluster.ReceiverFunc(func(context.Context, *socketcluster.Transmission) error { f.burn(); return nil }))
			p.send(`{"event":"t","data":"s3cret"}`)
		}},
		{"a typed receiver", "a receiver", plain, func(w *world, f *fuse, p *peer) {
			w.srv.Receive("t", socketcluster.Recv(func(context.Context, string) error { f.burn(); return nil }))
			p.send(`{"event":"t","data":"s3cret"}`)
		}},
		{"middleware of upgrades", "middleware", plain, func(w *world, f *fuse, _ *peer) {
			use((*socketcluster.Server).UseHandshake, w, f)
			_, resp := w.upgrade(nil)
			refused(t, resp, http.StatusUnauthorized, "An internal error occurred")
		}},
		{"middleware of handshakes", "middleware", plain, func(w *world, f *fuse, _ *peer) {
			p := w.dial()
			use((*socketcluster.Server).UseHandshake, w, f)
			p.send(`{"event":"#handshake","cid":1}`)
			p.want(`{"rid":1,"error":{"message":"An internal error occurred","name":"InternalError","statusCode":4008}}`)
			p.wantClose(4008, "")
		}},
		{"raw inbound middleware", "middleware", plain, func(w *world, f *fuse, p *peer) {
			use((*socketcluster.Server).UseInboundRaw, w, f)
			p.send(call)
		}},
		{"inbound middleware", "middleware", plain, func(w *world, f *fuse, p *peer) {
			use((*socketcluster.Server).UseInbound, w, f)
			p.send(call)
			p.want(`{"rid":2,"error":` + internal + `}`)
		}},
		{"outbound middleware", "middleware", plain, func(w *world, f *fuse, p *peer) {
			p.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`)
			p.want(`{"rid":2}`)
			use((*socketcluster.Server).UseOutbound, w, f)
			p.send(`{"event":"#publish","data":{"channel":"a","data":"s3cret"},"cid":3}`)
			p.want(`{"rid":3}`)
		}},
		{"an event handler of the server", "an event handler", plain, func(w *world, f *fuse, _ *peer) {
			socketcluster.On(w.srv, func(socketcluster.ConnectEvent) { f.burn() })
			w.client()
		}},
		{"an event handler of a socket", "an event handler", plain, func(w *world, f *fuse, p *peer) {
			for s := range w.srv.Clients() {
				socketcluster.On(s, func(socketcluster.MessageEvent) { f.burn() })
			}
			p.send(`{"event":"t","data":"s3cret"}`)
		}},
		{"an event handler without a socket", "an event handler", plain, func(w *world, f *fuse, _ *peer) {
			socketcluster.On(w.srv, func(socketcluster.AuditEvent) { f.burn() })
			w.srv.Audit(socketcluster.AuditEvent{Kind: "own"})
		}},
		{"Engine.Verify", "Engine.Verify", func(f *fuse) socketcluster.Config { return engine(nil, f) }, func(w *world, _ *fuse, p *peer) {
			p.send(`{"event":"#authenticate","data":"eyJs3cret","cid":2}`)
			p.want(`{"rid":2,"data":{"isAuthenticated":false,"authError":` + internal + `}}`)
		}},
		{"Engine.Sign", "Engine.Sign", func(f *fuse) socketcluster.Config { return engine(f, nil) }, func(w *world, _ *fuse, p *peer) {
			w.handleLogin()
			p.send(`{"event":"login","data":{"username":"s3cret"},"cid":2}`)
			p.wantClose(4002, "")
		}},
		{"Engine.Sign at a renewal", "Engine.Sign", func(f *fuse) socketcluster.Config {
			cfg := engine(f, nil)
			cfg.TokenRenewal.Every = time.Minute
			return cfg
		}, func(_ *world, _ *fuse, p *peer) { p.wantClose(4002, "") }},
		{"Store.Check", "Config.Revocations", func(f *fuse) socketcluster.Config { return socketcluster.Config{Revocations: &fusedStore{check: f}} },
			func(w *world, f *fuse, _ *peer) {
				token, err := w.srv.Auth().Sign(ctx, map[string]any{"username": secret})
				if err != nil {
					t.Fatal(err)
				}
				_, status := w.connect(quote(token.Signed()))
				if e, _ := status["authError"].(map[string]any); e["name"] != "InternalError" || e["isBadToken"] != nil {
					t.Errorf("status %v", status)
				}
			}},
		{"Store.Check at a renewal", "Config.Revocations", func(f *fuse) socketcluster.Config {
			return socketcluster.Config{Revocations: &fusedStore{check: f}, TokenRenewal: socketcluster.TokenRenewal{Every: time.Minute}}
		}, func(_ *world, _ *fuse, p *peer) { p.quiet(2 * time.Minute) }},
		{"a token source", "an entry of Config.TokenSources", func(f *fuse) socketcluster.Config {
			return socketcluster.Config{TokenSources: []httpauth.Source{httpauth.Custom(func(*http.Request) (string, error) { f.burn(); return "", nil }, httpauth.NotAmbient)}}
		}, func(w *world, _ *fuse, _ *peer) { w.client() }},
		{"Subprotocol", "Config.Subprotocol", func(f *fuse) socketcluster.Config {
			return socketcluster.Config{Subprotocol: func(offered []string, _ *http.Request) string { f.burn(); return offered[0] }}
		}, func(w *world, _ *fuse, _ *peer) {
			_, resp := w.upgrade(func(r *http.Request) { r.Header.Set("Sec-WebSocket-Protocol", "a") })
			if got := resp.Header.Get("Sec-WebSocket-Protocol"); resp.StatusCode != http.StatusSwitchingProtocols || got != "" {
				t.Errorf("%s with the subprotocol %q", resp.Status, got)
			}
		}},
		{"Broker.Publish", "Broker.Publish", func(f *fuse) socketcluster.Config { return socketcluster.Config{Broker: &fusedBroker{publish: f}} },
			func(_ *world, _ *fuse, p *peer) {
				p.send(`{"event":"#publish","data":{"channel":"a","data":"s3cret"},"cid":2}`)
				p.want(`{"rid":2,"error":{"message":"An internal error occurred","name":"InternalError"}}`)
			}},
		{"Broker.Subscribe", "Broker.Subscribe", func(f *fuse) socketcluster.Config { return socketcluster.Config{Broker: &fusedBroker{subscribe: f}} },
			func(w *world, f *fuse, p *peer) {
				p.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`)
				p.want(`{"rid":2,"error":{"message":"Failed to subscribe socket to the a channel","name":"BrokerError"}}`)
			}},
		{"Broker.Unsubscribe of a client that is lost", "Broker.Unsubscribe", func(f *fuse) socketcluster.Config { return socketcluster.Config{Broker: &fusedBroker{unsubscribe: f}} },
			func(w *world, _ *fuse, p *peer) {
				p.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`)
				p.want(`{"rid":2}`)
				p.Conn.Close()
			}},
		{"Codec.Encode", "Codec.Encode", func(f *fuse) socketcluster.Config { return socketcluster.Config{Codec: fusedCodec{encode: f}} },
			func(w *world, _ *fuse, p *peer) {
				for s := range w.srv.Clients() {
					if s.AuthToken() != nil {
						s.Transmit(ctx, "t", secret)
					}
				}
			}},
		{"Codec.Decode", "Codec.Decode", func(f *fuse) socketcluster.Config { return socketcluster.Config{Codec: fusedCodec{decode: f}} },
			func(w *world, _ *fuse, p *peer) {
				p.send(call)
				p.wantClose(1011, "")
			}},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := new(fuse)
			cfg := test.cfg(f)
			cfg.Timeouts.PingDisabled = true // which renewals would take too long for
			inBubble(t, cfg, func(w *world) {
				p, other := w.login(map[string]any{"username": secret}), w.client()
				synctest.Wait() // the events of their logins have been emitted
				f.lit.Store(true)
				test.run(w, f, p)
				synctest.Wait()
				f.lit.Store(false)
				w.srv.Handle("echo", socketcluster.Func(echo))
				other.send(`{"event":"echo","data":3,"cid":9}`)
				other.want(`{"rid":9,"data":3}`)
				log := w.logs.String()
				if n := strings.Count(log, `msg="panic in `); n != 1 || strings.Contains(log, "error kept from the client") || !strings.Contains(log, fmt.Sprintf("level=ERROR msg=%q", "panic in "+test.logged)) {
					t.Errorf("%d panics are logged, want that of %s:\n%s", n, test.logged, log)
				}
				if !strings.Contains(log, `panic="oh no"`) || !strings.Contains(log, "panic_test.go") {
					t.Errorf("the log has no cause or no stack:\n%s", log)
				}
				if strings.Contains(log, secret) || strings.Contains(log, "eyJ") {
					t.Errorf("the log has what the client has sent:\n%s", log)
				}
			})
		})
	}
}

// A subscription that the broker has panicked at is not counted as one.
func TestSubscribeAfterPanic(t *testing.T) {
	f, left := new(fuse), new(fuse)
	inBubble(t, socketcluster.Config{Broker: &fusedBroker{subscribe: f, unsubscribe: left}}, func(w *world) {
		f.lit.Store(true)
		p := w.client()
		p.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`)
		p.want(`{"rid":2,"error":{"message":"Failed to subscribe socket to the a channel","name":"BrokerError"}}`)
		f.lit.Store(false)
		left.lit.Store(true)
		p.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":3}`)
		p.want(`{"rid":3}`)
		p.send(`{"event":"#unsubscribe","data":"a","cid":4}`)
		p.want(`{"rid":4}`)
		if !strings.Contains(w.logs.String(), "Broker.Unsubscribe") {
			t.Error("the broker has not been notified that the last subscriber has left")
		}
	})
}

// A panic of the codec while a call waits for its answer is on the goroutine that reads.
func TestDecodePanicsWhileCalling(t *testing.T) {
	f := new(fuse)
	inBubble(t, socketcluster.Config{Codec: fusedCodec{decode: f}}, func(w *world) {
		p := w.client()
		s := w.only()
		done := make(chan error, 1)
		go func() {
			_, err := s.Invoke(context.Background(), "q", nil)
			done <- err
		}()
		p.want(`{"event":"q","cid":1}`)
		f.lit.Store(true)
		p.send(`{"rid":1,"data":2}`)
		p.wantClose(1011, "")
		if err := <-done; err == nil {
			t.Error("the call has succeeded")
		}
	})
}

// A loop runs on a goroutine of the application's, which recovers or not. It
// leaves nothing behind if it does: what waits is handled without it.
func TestPanicsInLoops(t *testing.T) {
	ctx := context.Background()
	inBubble(t, socketcluster.Config{}, func(w *world) {
		var recovered atomic.Int32
		run := func(loop func()) {
			go func() {
				defer func() {
					if recover() != nil {
						recovered.Add(1)
					}
				}()
				loop()
			}()
		}
		w.srv.Handle("p", socketcluster.Func(echo))
		p := w.client()
		s := w.only()
		calls := s.Procedure("p").All()
		run(func() {
			for range calls {
				panic("oh no")
			}
		})
		publications, err := w.srv.Exchange().Subscribe(ctx, "a")
		if err != nil {
			t.Fatal(err)
		}
		run(func() {
			for range publications.All() {
				panic("oh no")
			}
		})
		subscribed := socketcluster.Events[socketcluster.SubscribeEvent](ctx, s)
		run(func() {
			for range subscribed {
				panic("oh no")
			}
		})
		synctest.Wait()
		p.send(`[{"event":"p","data":1,"cid":2},{"event":"p","data":2,"cid":3},{"event":"p","data":3,"cid":4}]`)
		var got []json.RawMessage // of the first one there is no answer, as it was the loop's
		for range 2 {
			got = append(got, json.RawMessage(p.next()))
		}
		if text := fmt.Sprintf("%s", got); !strings.Contains(text, `{"rid":3,"data":2}`) || !strings.Contains(text, `{"rid":4,"data":3}`) {
			t.Errorf("got %s", text)
		}
		for cid := range 3 {
			p.send(fmt.Sprintf(`{"event":"#publish","data":{"channel":"a","data":1},"cid":%d}`, cid+10))
			p.want(fmt.Sprintf(`{"rid":%d}`, cid+10))
			p.send(fmt.Sprintf(`{"event":"#subscribe","data":{"channel":"b%d"},"cid":%d}`, cid, cid+20))
			p.want(fmt.Sprintf(`{"rid":%d}`, cid+20))
		}
		synctest.Wait()
		if n := recovered.Load(); n != 3 {
			t.Errorf("%d of 3 loops have panicked", n)
		}
		if w.srv.Exchange().IsSubscribed("a") {
			t.Error("the server is still subscribed")
		}
	})
}
