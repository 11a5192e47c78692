package socketcluster_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/wire"
)

// handshaken returns a socket of a server.
func handshaken(w *world) *socketcluster.Socket {
	w.client()
	return w.only()
}

// Registering something that can never be called panics, and the panic names
// it.
func TestMistakesPanic(t *testing.T) {
	handler := socketcluster.HandlerFunc(func(context.Context, *socketcluster.Call) (any, error) { return nil, nil })
	receiver := socketcluster.ReceiverFunc(func(context.Context, *socketcluster.Transmission) error { return nil })
	allow := func(context.Context, socketcluster.Action) error { return nil }
	inBubble(t, socketcluster.Config{}, func(w *world) {
		srv, socket := w.srv, handshaken(w)
		for _, test := range []struct {
			want string
			call func()
		}{
			{"handler of the procedure x is nil", func() { srv.Handle("x", nil) }},
			{"handler of the procedure x is nil", func() { srv.Handle("x", socketcluster.HandlerFunc(nil)) }},
			{"function of HandleDefault is nil", func() { srv.HandleDefault(nil) }},
			{"receiver of the event x is nil", func() { srv.Receive("x", nil) }},
			{"receiver of the event x is nil", func() { srv.Receive("x", socketcluster.ReceiverFunc(nil)) }},
			{"function of ReceiveDefault is nil", func() { srv.ReceiveDefault(nil) }},
			{"function of Func is nil", func() { socketcluster.Func[int, int](nil) }},
			{"function of Recv is nil", func() { socketcluster.Recv[int](nil) }},
			{"function of UpdateClaims is nil", func() { socketcluster.UpdateClaims[any](t.Context(), srv, "sub", "nobody", nil) }},
			{"Concurrent(0)", func() { srv.Handle("x", handler, socketcluster.Concurrent(0)) }},
			{"Concurrent(-1)", func() { srv.Receive("x", receiver, socketcluster.Concurrent(-1)) }},
			{"Handle: the server handles #publish itself", func() { srv.Handle("#publish", handler) }},
			{"Handle: the server handles #handshake itself", func() { srv.Handle("#handshake", handler) }},
			{"Handle: the server handles #subscribe itself", func() { srv.Handle("#subscribe", handler) }},
			{"Handle: the server handles #unsubscribe itself", func() { srv.Handle("#unsubscribe", handler) }},
			{"Handle: the server handles #authenticate itself", func() { srv.Handle("#authenticate", handler) }},
			{"Receive: the server handles #removeAuthToken itself", func() { srv.Receive("#removeAuthToken", receiver) }},
			{"Procedure: the server handles #publish itself", func() { socket.Procedure("#publish").All() }},
			{"Receiver: the server handles #publish itself", func() { socket.Receiver("#publish").All() }},
			{"middleware of the handshake line is nil", func() { srv.UseHandshake(nil) }},
			{"middleware of the inboundRaw line is nil", func() { srv.UseInboundRaw(nil) }},
			{"middleware of the inbound line is nil", func() { srv.UseInbound(allow, nil) }},
			{"middleware of the outbound line is nil", func() { srv.UseOutbound(nil) }},
			{"function of Use is nil", func() { socketcluster.Use[*socketcluster.Invoke](srv, nil) }},
			{"name the type of one action", func() { socketcluster.Use(srv, func(context.Context, socketcluster.Action) error { return nil }) }},
			{"handler of socketcluster.ConnectEvent is nil", func() { socketcluster.On[socketcluster.ConnectEvent](srv, nil) }},
			{"the emitter of socketcluster.ConnectEvent is nil", func() { socketcluster.On(nil, func(socketcluster.ConnectEvent) {}) }},
			{"the emitter of socketcluster.ConnectEvent is nil", func() { socketcluster.On((*socketcluster.Server)(nil), func(socketcluster.ConnectEvent) {}) }},
			{"the emitter of socketcluster.EndEvent is nil", func() { socketcluster.On((*socketcluster.Socket)(nil), func(socketcluster.EndEvent) {}) }},
			{"the emitter of socketcluster.ConnectEvent is nil", func() { socketcluster.Events[socketcluster.ConnectEvent](t.Context(), nil) }},
			{"name the type of one event", func() { socketcluster.On(srv, func(socketcluster.Event) {}) }},
			{"a *socketcluster.Server emits no socketcluster.ErrorEvent", func() { socketcluster.On(srv, func(socketcluster.ErrorEvent) {}) }},
			{"a *socketcluster.Server emits no socketcluster.EndEvent", func() { socketcluster.On(srv, func(socketcluster.EndEvent) {}) }},
			{"a *socketcluster.Server emits no socketcluster.MessageEvent", func() { socketcluster.Events[socketcluster.MessageEvent](t.Context(), srv) }},
			{"a *socketcluster.Server emits no socketcluster.RawEvent", func() { socketcluster.On(srv, func(socketcluster.RawEvent) {}) }},
			{"a *socketcluster.Server emits no socketcluster.AuthTokenSignedEvent", func() { socketcluster.On(srv, func(socketcluster.AuthTokenSignedEvent) {}) }},
			{"a *socketcluster.Socket emits no socketcluster.HandshakeEvent", func() { socketcluster.On(socket, func(socketcluster.HandshakeEvent) {}) }},
			{"a *socketcluster.Socket emits no socketcluster.WarningEvent", func() { socketcluster.On(socket, func(socketcluster.WarningEvent) {}) }},
			{"a *socketcluster.Socket emits no socketcluster.PublishEvent", func() { socketcluster.On(socket, func(socketcluster.PublishEvent) {}) }},
			{"a *socketcluster.Socket emits no socketcluster.AuditEvent", func() { socketcluster.Events[socketcluster.AuditEvent](t.Context(), socket) }},
		} {
			func() {
				defer func() {
					if text, _ := recover().(string); !strings.HasPrefix(text, "socketcluster: ") || !strings.Contains(text, test.want) {
						t.Errorf("panic %q, want %q", text, test.want)
					}
				}()
				test.call()
			}()
		}
	})
}

// Everything that the npm server accepts is registered: names with a # that do
// not belong to the protocol (RPC-3), and all events that both emit.
func TestNoMistakes(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		srv, socket := w.srv, handshaken(w)
		for _, name := range []string{"", "#mine", "#setAuthToken", "#kickOut"} {
			srv.Handle(name, socketcluster.HandlerFunc(func(context.Context, *socketcluster.Call) (any, error) { return nil, nil }), socketcluster.Concurrent(1))
			srv.Receive(name, socketcluster.ReceiverFunc(func(context.Context, *socketcluster.Transmission) error { return nil }))
		}
		srv.UseInbound()
		for _, from := range []socketcluster.Emitter{srv, socket} {
			socketcluster.On(from, func(socketcluster.ConnectEvent) {})
			socketcluster.On(from, func(socketcluster.ConnectAbortEvent) {})
			socketcluster.On(from, func(socketcluster.DisconnectEvent) {})
			socketcluster.On(from, func(socketcluster.CloseEvent) {})
			socketcluster.On(from, func(socketcluster.SubscribeEvent) {})
			socketcluster.On(from, func(socketcluster.UnsubscribeEvent) {})
			socketcluster.On(from, func(socketcluster.AuthenticateEvent) {})
			socketcluster.On(from, func(socketcluster.DeauthenticateEvent) {})
			socketcluster.On(from, func(socketcluster.AuthStateChangeEvent) {})
			socketcluster.On(from, func(socketcluster.BadAuthTokenEvent) {})
		}
		socketcluster.On(srv, socketcluster.AuditLog(nil))
	})
}

// A log that is nil is the default one.
func TestAuditLogWithoutALog(t *testing.T) {
	var text strings.Builder
	former := slog.Default()
	defer slog.SetDefault(former)
	slog.SetDefault(slog.New(slog.NewTextHandler(&text, nil)))
	socketcluster.AuditLog(nil)(socketcluster.AuditEvent{Kind: socketcluster.AuditLogin})
	if !strings.Contains(text.String(), "kind=login") {
		t.Errorf("logged %q", text.String())
	}
}

// lines returns what has been logged since the last call, without the times.
func (w *world) lines() (lines []string) {
	synctest.Wait()
	for line := range strings.Lines(w.logs.String()) {
		_, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		lines = append(lines, rest)
	}
	w.logs.Reset()
	return lines
}

func (w *world) wantLines(want ...string) {
	w.t.Helper()
	if got := w.lines(); strings.Join(got, "\n") != strings.Join(want, "\n") {
		w.t.Errorf("logged\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

const misfitLine = ` msg="a client has sent data that does not have the form that a handler expects" `

// The log shows where data does not fit; the client only learns that it does
// not, and no value is logged.
func TestMisfitsAreLogged(t *testing.T) {
	type order struct {
		Items []struct{ Count int } `json:"items"`
	}
	inBubble(t, socketcluster.Config{}, func(w *world) {
		w.srv.Handle("order", socketcluster.Func(func(context.Context, order) (any, error) { return nil, nil }))
		w.srv.HandleDefault(socketcluster.Func(func(context.Context, int) (any, error) { return nil, nil }).ServeCall)
		w.srv.Receive("order", socketcluster.Recv(func(context.Context, order) error { return nil }))
		var told []error
		socketcluster.On(w.srv, func(e socketcluster.WarningEvent) { told = append(told, e.Err) })
		p := w.client()
		refused := `{"rid":2,"error":{"message":"The data does not have the form that is expected here","name":"InvalidArgumentsError"}}`
		w.lines()

		p.send(`{"event":"order","cid":2,"data":{"items":[{"Count":1},{"Count":"secret"}]}}`)
		p.want(refused)
		w.wantLines(`level=INFO` + misfitLine + `procedure=order path=/items/1/Count expected=int`)
		if told != nil {
			t.Errorf("a call is answered, not told of: %v", told)
		}

		// Clients must not fill the log.
		p.send(`{"event":"order","data":{"items":"secret"}}`)
		w.wantLines(`level=DEBUG` + misfitLine + `receiver=order path=/items expected="[]struct { Count int }"`)
		if len(told) != 1 || !errors.Is(told[0], wire.ErrInvalidArguments) || !strings.Contains(told[0].Error(), `at "/items", []struct { Count int } is expected`) {
			t.Errorf("told of %v", told)
		}

		// Text from the client is cut.
		time.Sleep(time.Second)
		p.send(fmt.Sprintf(`{"event":%q,"cid":2,"data":{"%s":"secret"}}`, strings.Repeat("p", 1000), strings.Repeat("k", 1000)))
		p.want(refused)
		w.wantLines(`level=INFO` + misfitLine + `procedure=` + strings.Repeat("p", 256) + ` path="" expected=int`)
	})
}

// Nobody but the log and listeners gets to know why a receiver has failed.
func TestReceiverErrorsAreLogged(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		errs := []error{errors.New("the database is down"), &wire.Error{Name: "QuotaError", Message: "too many"}}
		w.srv.Receive("x", socketcluster.Recv(func(_ context.Context, i int) error { return errs[i] }))
		w.srv.Handle("x", socketcluster.Func(func(_ context.Context, i int) (any, error) { return nil, errs[i] }))
		p := w.client()
		w.lines()
		const internal = `level=ERROR msg="error kept from the client" error="the database is down" `
		p.send(`{"event":"x","cid":2,"data":0}`)
		p.next()
		w.wantLines(internal + `procedure=x`)
		p.send(`{"event":"x","data":0}`)
		w.wantLines(internal + `receiver=x`)
		p.send(`{"event":"x","data":1}`)
		w.wantLines(`level=INFO msg="a receiver has refused data of a client" receiver=x error="QuotaError: too many"`)
		p.send(`{"event":"x","data":1}`)
		w.wantLines(`level=DEBUG msg="a receiver has refused data of a client" receiver=x error="QuotaError: too many"`)
		p.send(`{"event":"x","cid":2,"data":1}`)
		p.want(`{"rid":2,"error":{"message":"too many","name":"QuotaError"}}`)
		w.wantLines() // the client knows
	})
}

// A wrap is around all handlers, whenever they were registered; the first one is the
// outermost. It sees what they return, and may change it.
func TestWrapHandlers(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		var mu sync.Mutex
		var seen []string
		watch := func(name string) func(socketcluster.Handler) socketcluster.Handler {
			return func(next socketcluster.Handler) socketcluster.Handler {
				return socketcluster.HandlerFunc(func(ctx context.Context, c *socketcluster.Call) (any, error) {
					began := time.Now()
					answer, err := next.ServeCall(ctx, c)
					mu.Lock()
					defer mu.Unlock()
					seen = append(seen, fmt.Sprintf("%s %s %v %v %v", name, c.Procedure, answer, err, time.Since(began)))
					return answer, err
				})
			}
		}
		w.srv.Handle("before", socketcluster.Func(func(ctx context.Context, n int) (int, error) {
			if _, ok := ctx.Deadline(); !ok {
				t.Error("the context is not that of the wrap")
			}
			time.Sleep(time.Second)
			return n + 1, nil
		}), socketcluster.Concurrent(2))
		w.srv.WrapHandlers(watch("outer"))
		w.srv.WrapHandlers(func(next socketcluster.Handler) socketcluster.Handler {
			return socketcluster.HandlerFunc(func(ctx context.Context, c *socketcluster.Call) (any, error) {
				ctx, cancel := context.WithTimeout(ctx, time.Minute)
				defer cancel()
				answer, err := next.ServeCall(ctx, c)
				if err != nil {
					return "mended", nil
				}
				return answer, nil
			})
		})
		w.srv.WrapHandlers(watch("inner"))
		w.srv.Handle("after", socketcluster.Proc(func(context.Context, socketcluster.None) error { return errors.New("secret") }))
		w.srv.HandleDefault(func(context.Context, *socketcluster.Call) (any, error) { return "rest", nil })
		p := w.client()
		p.send(`{"event":"before","data":1,"cid":2}`)
		p.want(`{"rid":2,"data":2}`)
		p.send(`{"event":"after","cid":3}`)
		p.want(`{"rid":3,"data":"mended"}`)
		p.send(`{"event":"other","cid":4}`)
		p.want(`{"rid":4,"data":"rest"}`)
		want := []string{
			"inner before 2 <nil> 1s", "outer before 2 <nil> 1s",
			"inner after <nil> secret 0s", "outer after mended <nil> 0s",
			"inner other rest <nil> 0s", "outer other rest <nil> 0s",
		}
		if !slices.Equal(seen, want) {
			t.Errorf("seen %q", seen)
		}
		// The options of a handler stay.
		p.send(`{"event":"before","data":1,"cid":5}`)
		p.send(`{"event":"before","data":1,"cid":6}`)
		began := time.Now()
		p.next()
		p.next()
		if took := time.Since(began); took != time.Second {
			t.Errorf("two calls of a handler that may run twice took %v", took)
		}
	})
}

// A wrap of receivers sees their errors.
func TestWrapReceivers(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		seen := make(chan string, 3)
		w.srv.Receive("note", socketcluster.Recv(func(_ context.Context, n int) error { return fmt.Errorf("no %d", n) }))
		w.srv.WrapReceivers(func(next socketcluster.Receiver) socketcluster.Receiver {
			return socketcluster.ReceiverFunc(func(ctx context.Context, tr *socketcluster.Transmission) error {
				err := next.ServeTransmission(ctx, tr)
				seen <- fmt.Sprint(tr.Receiver, " ", err)
				return nil
			})
		})
		w.srv.ReceiveDefault(func(context.Context, *socketcluster.Transmission) error { return nil })
		log := w.record()
		p := w.client()
		log.want("connect")
		for message, want := range map[string]string{`{"event":"note","data":7}`: "note no 7", `{"event":"other"}`: "other <nil>"} {
			p.send(message)
			if got := <-seen; got != want {
				t.Errorf("seen %q, want %q", got, want)
			}
		}
		log.want("") // the wrap has kept the error to itself
	})
}

func TestWrapWithNil(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		for name, fn := range map[string]func(){
			"nil": func() { w.srv.WrapHandlers(nil) },
			"returns nil": func() {
				w.srv.Handle("p", socketcluster.Func(echo))
				w.srv.WrapHandlers(func(socketcluster.Handler) socketcluster.Handler { return nil })
			},
		} {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%s: no panic", name)
					}
				}()
				fn()
			}()
		}
	})
}

// Each key has its own value on each socket.
func TestKey(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		w.client()
		one := w.only()
		var name, nick socketcluster.Key[string]
		var size socketcluster.Key[int]
		if v, ok := name.Get(one); v != "" || ok {
			t.Errorf("got %q, %t before anything was set", v, ok)
		}
		name.Set(one, "alice")
		size.Set(one, 7)
		if v, ok := nick.Get(one); v != "" || ok {
			t.Errorf("another key has %q, %t", v, ok)
		}
		name.Set(one, "bob")
		if v, ok := name.Get(one); v != "bob" || !ok {
			t.Errorf("got %q, %t", v, ok)
		}
		if v, ok := size.Get(one); v != 7 || !ok {
			t.Errorf("got %d, %t", v, ok)
		}
		w.client()
		for s := range w.srv.Clients() {
			if v, ok := name.Get(s); s != one && (v != "" || ok) {
				t.Errorf("another socket has %q, %t", v, ok)
			}
		}
	})
}
