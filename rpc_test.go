package socketcluster_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/wire"
)

func echo(_ context.Context, in json.RawMessage) (json.RawMessage, error) {
	return in, nil
}

// A call whose loop has ended with its socket is not answered as one that nobody
// handles, although the close frame may not have been sent yet.
func TestCallWhileDisconnecting(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		socketcluster.Use(w.srv, func(context.Context, *socketcluster.Invoke) error {
			time.Sleep(time.Second)
			return nil
		})
		socketcluster.On(w.srv, func(e socketcluster.ConnectEvent) {
			calls := e.Socket.Procedure("looped").All()
			go func() {
				for c := range calls {
					c.Reply(nil)
				}
			}()
		})
		socketcluster.On(w.srv, func(socketcluster.DisconnectEvent) { time.Sleep(2 * time.Second) })
		p := w.client()
		s := w.only()
		p.send(`{"event":"looped","cid":2}`)
		synctest.Wait()
		go s.Disconnect(4500, "")
		p.wantClose(4500, "")
	})
}

// RPC-1, RPC-8, CV-3, CV-4: the answers of calls, with absent and null data,
// and ids of all forms.
func TestInvoke(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		w.srv.Handle("echo", socketcluster.Func(echo))
		w.srv.Handle("none", socketcluster.Proc(func(context.Context, socketcluster.None) error {
			return nil
		}))
		w.srv.Handle("null", socketcluster.Func(func(context.Context, any) (*int, error) { return nil, nil }))
		p := w.client()
		for _, test := range [][2]string{
			{`{"event":"echo","cid":2,"data":{"b":1,"a":[1.50,12345678901234567890]}}`, `{"rid":2,"data":{"b":1,"a":[1.50,12345678901234567890]}}`},
			{`{"event":"echo","cid":3}`, `{"rid":3}`},
			{`{"event":"echo","cid":4,"data":null}`, `{"rid":4,"data":null}`},
			{`{"event":"none","cid":5,"data":1}`, `{"rid":5}`},
			{`{"event":"null","cid":6}`, `{"rid":6,"data":null}`},
			{`{"event":"echo","cid":1e3,"data":"<&>"}`, `{"rid":1000,"data":"<&>"}`},
			{`{"event":"echo","cid":-1.5,"data":0}`, `{"rid":-1.5,"data":0}`},
			{`{"event":"echo","cid":0,"data":false}`, `{"rid":0,"data":false}`},
			{`[{"event":"echo","cid":7,"data":1},{"event":"echo","cid":8,"data":2}]`, `{"rid":7,"data":1}`},
		} {
			p.send(test[0])
			p.want(test[1])
		}
		p.want(`{"rid":8,"data":2}`)
	})
}

// TR-18: JSON in a binary frame is understood.
func TestBinaryJSON(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		w.srv.Handle("echo", socketcluster.Func(echo))
		p := w.client()
		p.sendBinary(`{"event":"echo","cid":2,"data":"ä"}`)
		p.want(`{"rid":2,"data":"ä"}`)
	})
}

// A call that nobody handles is answered at once; RPC-5 asks for silence,
// which a switch restores.
func TestUnhandledCall(t *testing.T) {
	const call = `{"event":"nobody","cid":2}`
	inBubble(t, socketcluster.Config{}, func(w *world) {
		p := w.client()
		p.send(call)
		p.want(`{"rid":2,"error":{"message":"The server has no such procedure","name":"UnknownProcedureError"}}`)
	})
	inBubble(t, socketcluster.Config{Compat: socketcluster.Compat{SilentUnhandledCalls: true}}, func(w *world) {
		p := w.client()
		p.send(call)
		p.quiet(time.Minute)
	})
}

// RPC-15, RPC-19: what of an error crosses the wire. A handler that fails
// does not end anything: the next call works.
func TestHandlerErrors(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		w.srv.Handle("fail", socketcluster.Func(func(_ context.Context, how string) (string, error) {
			switch how {
			case "wire":
				return "", &wire.Error{Name: "MyError", Message: "mine", Fields: []wire.Field{{Key: "code", Value: 7}}}
			case "wrapped":
				return "", fmt.Errorf("private detail: %w", &wire.Error{Name: "MyError", Message: "mine"})
			case "plain":
				return "", errors.New("password of the database")
			case "long":
				return "", &wire.Error{Name: "MyError", Message: strings.Repeat("ä", 1000)}
			case "panic":
				panic("password of the database")
			}
			return "fine", nil
		}))
		p := w.client()
		for i, test := range [][2]string{
			{`"wire"`, `"error":{"message":"mine","name":"MyError","code":7}`},
			{`"wrapped"`, `"error":{"message":"mine","name":"MyError"}`},
			{`"plain"`, `"error":{"message":"An internal error occurred","name":"InternalError"}`},
			{`"panic"`, `"error":{"message":"An internal error occurred","name":"InternalError"}`},
			{`"long"`, `"error":{"message":"` + strings.Repeat("ä", 128) + `","name":"MyError"}`},
			{`{"not":"text"}`, `"error":{"message":"The data does not have the form that is expected here","name":"InvalidArgumentsError"}`},
			{`"ok"`, `"data":"fine"`},
		} {
			p.send(fmt.Sprintf(`{"event":"fail","cid":%d,"data":%s}`, i+2, test[0]))
			p.want(fmt.Sprintf(`{"rid":%d,%s}`, i+2, test[1]))
		}
		if !strings.Contains(w.logs.String(), "password of the database") {
			t.Error("the cause was not logged")
		}
	})
}

// A typed error of an application, with what it knows about its cause.
type orderError struct {
	Query string
	Items []int
}

func (*orderError) Error() string { return "order 7 failed" }

// QK-27, RPC-17: an error has the fields on the wire that it was given, and no
// others; what occurs twice in them is sent twice.
func TestErrorFields(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		shared := map[string]any{"id": 1}
		w.srv.Handle("fail", socketcluster.Func(func(_ context.Context, how string) (string, error) {
			private := &orderError{Query: "SELECT", Items: []int{1}}
			if how == "private" {
				return "", private
			}
			e := &wire.Error{Name: "OrderError", Message: "m"}
			return "", fmt.Errorf("%w, as %w", e.With("first", shared).With("second", shared), private)
		}))
		p := w.client()
		p.send(`{"event":"fail","cid":2,"data":"private"}`)
		p.want(`{"rid":2,"error":{"message":"An internal error occurred","name":"InternalError"}}`)
		p.send(`{"event":"fail","cid":3,"data":"public"}`)
		p.want(`{"rid":3,"error":{"message":"m","name":"OrderError","first":{"id":1},"second":{"id":1}}}`)
	})
}

// RPC-10, QK-31: what a handler has sent before it answers comes before its
// answer, whatever it is.
func TestAnswerComesLast(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		w.srv.Handle("p", socketcluster.Proc(func(ctx context.Context, _ socketcluster.None) error {
			s := socketcluster.FromContext(ctx)
			s.Transmit(ctx, "x", 1)
			w.srv.Exchange().Publish(ctx, "a", 2)
			s.Deauthenticate(ctx)
			return s.KickOut(ctx, "a", nil)
		}))
		for _, outbound := range []bool{false, true} {
			if outbound {
				w.srv.UseOutbound(func(context.Context, socketcluster.Action) error { time.Sleep(time.Second); return nil })
			}
			p := w.client()
			p.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`)
			p.want(`{"rid":2}`)
			p.send(`{"event":"p","cid":3}`)
			p.want(`{"event":"x","data":1}`, `{"event":"#publish","data":{"channel":"a","data":2}}`, removeAuthToken,
				`{"event":"#kickOut","data":{"channel":"a"}}`, `{"rid":3}`)
		}
	})
}

// RPC-6: one procedure's calls are handled in order, a slow one delays no
// other procedure; Concurrent lifts the order.
func TestCallOrder(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		slow := socketcluster.Func(func(_ context.Context, d int) (int, error) {
			time.Sleep(time.Duration(d) * time.Second)
			return d, nil
		})
		w.srv.Handle("slow", slow)
		w.srv.Handle("parallel", slow, socketcluster.Concurrent(2))
		w.srv.Handle("echo", socketcluster.Func(echo))
		p := w.client()
		p.send(`{"event":"slow","cid":2,"data":3}`)
		p.send(`{"event":"slow","cid":3,"data":1}`)
		p.send(`{"event":"echo","cid":4}`)
		p.want(`{"rid":4}`, `{"rid":2,"data":3}`, `{"rid":3,"data":1}`)
		p.send(`{"event":"parallel","cid":5,"data":3}`)
		p.send(`{"event":"parallel","cid":6,"data":1}`)
		p.send(`{"event":"parallel","cid":7,"data":1}`)
		p.want(`{"rid":6,"data":1}`, `{"rid":7,"data":1}`, `{"rid":5,"data":3}`)
	})
}

// RPC-7: a call is answered once.
func TestCallAnsweredOnce(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		second := make(chan error, 1)
		w.srv.Handle("twice", socketcluster.HandlerFunc(func(_ context.Context, c *socketcluster.Call) (any, error) {
			c.Reply(1)
			second <- c.Fail(errors.New("late"))
			return nil, nil
		}))
		p := w.client()
		p.send(`{"event":"twice","cid":2}`)
		p.want(`{"rid":2,"data":1}`)
		if err := <-second; !errors.Is(err, wire.ErrInvalidAction) || !strings.Contains(err.Error(), "Response to request 2 has already been sent") {
			t.Errorf("second answer: %v", err)
		}
		p.quiet(time.Second)
	})
}

// RPC-9: answering on a closed socket emits an error and does not panic.
func TestAnswerAfterClose(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		log := w.record()
		w.srv.Handle("slow", socketcluster.HandlerFunc(func(ctx context.Context, c *socketcluster.Call) (any, error) {
			<-ctx.Done()
			time.Sleep(time.Second)
			if err := c.Reply(1); err == nil || !strings.Contains(err.Error(), "WebSocket is not open") {
				t.Errorf("End: %v", err)
			}
			return nil, nil
		}))
		p := w.client()
		p.send(`{"event":"slow","cid":2}`)
		synctest.Wait()
		p.Conn.Close()
		time.Sleep(2 * time.Second)
		log.want("connect disconnect close error end error")
	})
}

// QK-25: an answer that cannot be encoded is answered with an error.
func TestAnswerThatCannotBeEncoded(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		w.srv.Handle("bad", socketcluster.HandlerFunc(func(_ context.Context, c *socketcluster.Call) (any, error) { return func() {}, nil }))
		p := w.client()
		p.send(`{"event":"bad","cid":2}`)
		p.want(`{"rid":2,"error":{"message":"An internal error occurred","name":"InternalError"}}`)
	})
}

// A handler that passes calls on answers them later, and gets the next one meanwhile.
func TestDetach(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		var passed []*socketcluster.Call
		w.srv.Handle("pass", socketcluster.HandlerFunc(func(_ context.Context, c *socketcluster.Call) (any, error) {
			c.Detach()
			if c.Data != nil {
				return nil, socketcluster.Errorf("PassError", "nobody takes it")
			}
			passed = append(passed, c)
			return "ignored", nil
		}))
		p := w.client()
		p.send(`{"event":"pass","cid":2}`)
		p.send(`{"event":"pass","cid":3}`)
		p.silent(time.Second)
		synctest.Wait() // the race detector does not know what time means
		if len(passed) != 2 || passed[0].Answered() {
			t.Fatalf("the handler got %d calls", len(passed))
		}
		// An error is the answer nevertheless.
		p.send(`{"event":"pass","data":"none","cid":4}`)
		p.want(`{"rid":4,"error":{"message":"nobody takes it","name":"PassError"}}`)
		passed[1].Reply("second")
		passed[0].Fail(socketcluster.Errorf("Late", "too %s", "late"))
		p.want(`{"rid":3,"data":"second"}`, `{"rid":2,"error":{"message":"too late","name":"Late"}}`)
	})
}

// QK-26: who answers with no error at all answers with one.
func TestNilError(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		w.srv.Handle("p", socketcluster.HandlerFunc(func(_ context.Context, c *socketcluster.Call) (any, error) { return nil, c.Fail(nil) }))
		p := w.client()
		p.send(`{"event":"p","cid":2}`)
		p.want(`{"rid":2,"error":{"message":"An internal error occurred","name":"InternalError"}}`)
	})
}

// RPC-3, QK-1: all names but those of the protocol are the application's, also
// those that are the protocol's on the client.
func TestProcedureNames(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		w.srv.HandleDefault(func(_ context.Context, c *socketcluster.Call) (any, error) { return "called " + c.Procedure, nil })
		w.srv.ReceiveDefault(func(_ context.Context, tr *socketcluster.Transmission) error {
			tr.Socket.Transmit(context.Background(), "got", tr.Receiver)
			return nil
		})
		p := w.client()
		for _, name := range []string{"a", "", "#custom", "#setAuthToken", "#kickOut", "#disconnect", "__proto__", "constructor", "#Publish", "#publish "} {
			p.send(fmt.Sprintf(`{"event":%q,"cid":2}`, name))
			p.want(fmt.Sprintf(`{"rid":2,"data":%q}`, "called "+name))
			p.send(fmt.Sprintf(`{"event":%q}`, name))
			p.want(fmt.Sprintf(`{"event":"got","data":%q}`, name))
		}
		for name, data := range map[string]string{"#subscribe": `{"channel":"a"}`, "#publish": `{"channel":"a"}`, "#unsubscribe": `"b"`, "#authenticate": `"a.b.c"`} {
			q := w.client()
			q.send(fmt.Sprintf(`{"event":%q,"data":%s,"cid":2}`, name, data))
			if got := q.next(); !strings.HasPrefix(got, `{"rid":2`) || strings.Contains(got, "called") {
				t.Errorf("%s was answered with %s", name, got)
			}
		}
		p.send(`[{"event":"#removeAuthToken","cid":2},{"event":"#publish"},{"event":"#unsubscribe"},{"event":"#subscribe"}]`)
		p.quiet(time.Second)
	})
}

// RPC-5, RPC-3, HS-6: transmissions reach their receiver, whatever their name.
func TestTransmit(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		type received struct{ name, data string }
		got := make(chan received, 10)
		w.srv.ReceiveDefault(func(_ context.Context, tr *socketcluster.Transmission) error {
			got <- received{tr.Receiver, string(tr.Data)}
			return nil
		})
		w.srv.Receive("typed", socketcluster.Recv(func(_ context.Context, n int) error {
			got <- received{"typed", fmt.Sprint(n)}
			return nil
		}))
		p := w.client()
		// The names of QK-1 are ordinary names, and so is a text cid (TR-24).
		p.send(`[{"event":"a","data":1},{"event":"__proto__","data":null},{"event":"toString"},{"event":"#custom","cid":"1"},{"event":"typed","data":5},{"event":""},{"event":"#disconnect"}]`)
		synctest.Wait()
		seen := map[received]bool{}
		for range 7 {
			seen[<-got] = true
		}
		for _, want := range []received{{"a", "1"}, {"__proto__", "null"}, {"toString", ""}, {"#custom", ""}, {"typed", "5"}, {"", ""}, {"#disconnect", ""}} {
			if !seen[want] {
				t.Errorf("%v was not received; got %v", want, seen)
			}
		}
	})
}

// A timeout is one for Go code too, whatever has set the time. A TimeoutError of
// the client is not, and a call whose context has ended is not sent.
func TestTimeoutIsDeadlineExceeded(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		p := w.client()
		s := w.only()
		check := func(err error, want bool) {
			t.Helper()
			if !errors.Is(err, wire.ErrTimeout) || errors.Is(err, context.DeadlineExceeded) != want || os.IsTimeout(err) != want {
				t.Errorf("%v, want a timeout here: %v", err, want)
			}
		}
		invoke := func(ctx context.Context) error {
			_, err := s.Invoke(ctx, "p", nil)
			return err
		}
		check(invoke(context.Background()), true)
		short, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		check(invoke(short), true)
		p.want(`{"event":"p","cid":1}`, `{"event":"p","cid":2}`)
		<-short.Done()
		check(invoke(short), true)
		p.quiet(time.Second)
		answer := make(chan error, 1)
		go func() { answer <- invoke(context.Background()) }()
		p.want(`{"event":"p","cid":3}`)
		p.send(`{"rid":3,"error":{"name":"TimeoutError","message":"another call"}}`)
		check(<-answer, false)
		gone, cancel := context.WithCancel(context.Background())
		cancel()
		if err := invoke(gone); err != context.Canceled {
			t.Error(err)
		}
		p.quiet(time.Second)
	})
}

// RPC-1, RPC-2, RPC-12, RPC-13, RPC-14, RPC-18: calls of the server to the
// client.
func TestServerInvoke(t *testing.T) {
	ctx := context.Background()
	inBubble(t, socketcluster.Config{}, func(w *world) {
		log := w.record()
		p := w.client()
		s := w.only()
		type result struct {
			data json.RawMessage
			err  error
		}
		invoke := func(data any) chan result {
			done := make(chan result, 1)
			go func() {
				data, err := s.Invoke(ctx, "p", data)
				done <- result{data, err}
			}()
			synctest.Wait()
			return done
		}
		r := invoke(nil)
		p.want(`{"event":"p","cid":1}`)
		p.send(`{"rid":1,"data":{"x":1}}`)
		if got := <-r; got.err != nil || string(got.data) != `{"x":1}` {
			t.Errorf("got %s %v", got.data, got.err)
		}
		r = invoke(json.RawMessage("null"))
		p.want(`{"event":"p","cid":2,"data":null}`)
		p.send(`[{"rid":2,"error":{"name":"ClientError","message":"m","extra":1}}]`)
		got := <-r
		var e *wire.Error
		if !errors.As(got.err, &e) || e.Name != "ClientError" || e.Message != "m" {
			t.Errorf("got %v", got.err)
		}
		r = invoke(1)
		p.want(`{"event":"p","cid":3,"data":1}`)
		p.send(`{"rid":2}`) // an answer that came before counts no more
		began := time.Now()
		got = <-r
		if !errors.Is(got.err, wire.ErrTimeout) || !strings.Contains(got.err.Error(), "Event response for p event timed out") {
			t.Errorf("got %v", got.err)
		}
		if d := time.Since(began).Round(100 * time.Millisecond); d != 10*time.Second {
			t.Errorf("timed out after %v", d)
		}
		r = invoke(nil)
		p.Conn.Close()
		got = <-r
		if !errors.Is(got.err, wire.ErrBadConnection) || !strings.Contains(got.err.Error(), "Event p was aborted due to a bad connection") {
			t.Errorf("got %v", got.err)
		}
		log.take()
		if _, err := s.Invoke(ctx, "p", nil); !errors.Is(err, wire.ErrBadConnection) || !strings.Contains(err.Error(), "Socket invoke p event was aborted") {
			t.Errorf("on a closed socket: %v", err)
		}
		if err := s.Transmit(ctx, "p", nil); !errors.Is(err, wire.ErrBadConnection) || !strings.Contains(err.Error(), "Socket transmit p event was aborted") {
			t.Errorf("on a closed socket: %v", err)
		}
		log.want("error error")
	})
}

// RPC-14: a loss rejects each call that waits, with the code and reason of the
// close, and before the disconnect event is emitted.
func TestCallsAreRejectedBeforeDisconnectEvent(t *testing.T) {
	ctx := context.Background()
	for name, test := range map[string]struct {
		end    func(p *peer, s *socketcluster.Socket)
		code   wire.CloseCode
		reason string
	}{
		"lost":     {func(p *peer, _ *socketcluster.Socket) { p.Conn.Close() }, 1006, "Socket hung up"},
		"closed":   {func(_ *peer, s *socketcluster.Socket) { s.Disconnect(4500, "enough") }, 4500, "enough"},
		"ordinary": {func(_ *peer, s *socketcluster.Socket) { s.Disconnect(1000, "") }, 1000, ""},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, socketcluster.Config{}, func(w *world) {
				p := w.client()
				s := w.only()
				told := &recorder{t: t}
				var errs [2]error
				for i, event := range []string{"a", "b"} {
					go func() {
						_, errs[i] = s.Invoke(ctx, event, nil)
						told.note("rejected")
					}()
				}
				socketcluster.On(s, func(socketcluster.DisconnectEvent) {
					synctest.Wait() // for whoever has been rejected
					told.note("disconnect")
				})
				synctest.Wait()
				test.end(p, s)
				time.Sleep(time.Second)
				told.want("rejected rejected disconnect")
				for i, event := range []string{"a", "b"} {
					want := &wire.Error{Name: "BadConnectionError", Message: "Event " + event + " was aborted due to a bad connection"}
					want = want.With("type", "disconnect").With("code", int(test.code)).With("reason", test.reason)
					if diff := cmp.Diff(error(want), errs[i]); diff != "" {
						t.Errorf("%s: %s", event, diff)
					}
				}
			})
		})
	}
}

// RPC-13, RPC-14: before the handshake is complete, a call waits for nothing: it
// is rejected at once, as one of a connection that was never open.
func TestCallBeforeHandshake(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		var got error
		socketcluster.On(w.srv, func(e socketcluster.HandshakeEvent) { _, got = e.Socket.Invoke(context.Background(), "p", nil) })
		w.dial()
		synctest.Wait()
		want := &wire.Error{Name: "BadConnectionError", Message: "Socket invoke p event was aborted due to a bad connection"}
		want = want.With("type", "connectAbort").With("code", 1001).With("reason", "Socket was disconnected")
		if diff := cmp.Diff(error(want), got); diff != "" {
			t.Error(diff)
		}
	})
}

// An answer reaches its caller although the caller is the middleware that the
// socket's inbox is waiting for.
func TestInvokeFromMiddleware(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		w.srv.Handle("echo", socketcluster.Func(echo))
		socketcluster.Use(w.srv, func(ctx context.Context, a *socketcluster.Invoke) error {
			_, err := a.Socket.Invoke(ctx, "confirm", nil)
			return err
		})
		p := w.client()
		p.send(`{"event":"echo","cid":2,"data":1}`)
		p.want(`{"event":"confirm","cid":1}`)
		p.send(`{"rid":1}`)
		p.want(`{"rid":2,"data":1}`)
	})
}

// ST-2 in Go: the calls on one socket as a loop, in place of the handler.
func TestProcedureLoop(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		w.srv.Handle("p", socketcluster.Func(echo))
		ended := make(chan struct{})
		socketcluster.On(w.srv, func(e socketcluster.ConnectEvent) {
			calls := e.Socket.Procedure("p").All()
			go func() {
				defer close(ended)
				n := 0
				for c := range calls {
					n++
					c.Reply(n)
				}
			}()
		})
		p := w.client()
		p.send(`{"event":"p","cid":2,"data":"x"}`)
		p.send(`{"event":"p","cid":3,"data":"x"}`)
		p.want(`{"rid":2,"data":1}`, `{"rid":3,"data":2}`)
		p.Conn.Close()
		<-ended
	})
}

// RPC-16, RPC-18: an error that another JavaScript side has made of a text goes
// on as that text.
func TestErrorValue(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		w.srv.Handle("relay", socketcluster.HandlerFunc(func(ctx context.Context, c *socketcluster.Call) (any, error) {
			_, err := c.Socket.Invoke(ctx, "ask", nil)
			return nil, fmt.Errorf("relay: %w", err)
		}))
		p := w.client()
		p.send(`{"event":"relay","cid":2}`)
		p.want(`{"event":"ask","cid":1}`)
		p.send(`{"rid":1,"error":"boom"}`)
		p.want(`{"rid":2,"error":"boom"}`)
	})
}
