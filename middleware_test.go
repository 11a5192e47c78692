package socketcluster_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/wire"
)

// useAll adds one function to all lines.
func useAll(srv *socketcluster.Server, fn socketcluster.Middleware) (remove func()) {
	var all []func()
	for _, use := range []func(...socketcluster.Middleware) func(){srv.UseHandshake, srv.UseInboundRaw, srv.UseInbound, srv.UseOutbound} {
		all = append(all, use(fn))
	}
	return func() {
		for _, r := range all {
			r()
		}
	}
}

// MW-3, MW-9, MW-10, DOC-12: all nine actions with what they carry, in the
// order in which they come; and what passes no middleware.
func TestActions(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		var mu sync.Mutex
		var got []string
		note := func(format string, args ...any) {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, fmt.Sprintf(format, args...))
		}
		take := func() string {
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			all := strings.Join(got, "\n")
			got = nil
			return all
		}
		useAll(w.srv, func(ctx context.Context, a socketcluster.Action) error {
			var s *socketcluster.Socket
			switch a := a.(type) {
			case *socketcluster.Upgrade:
				note("%s %s", a.Type(), a.Request.URL.Path)
				return nil
			case *socketcluster.Handshake:
				s = a.Socket
				note("%s %t %t %v", a.Type(), a.SignedAuthToken != "", a.AuthToken != nil, a.AuthTokenError)
				if a.Request == nil || a.Request.URL.Path != "/socketcluster/" {
					t.Error("no request")
				}
			case *socketcluster.RawMessage:
				s = a.Socket
				note("%s %t %d", a.Type(), a.Binary, len(a.Data))
			case *socketcluster.Transmit:
				s = a.Socket
				note("%s %s %s", a.Type(), a.Receiver, a.Data)
			case *socketcluster.Invoke:
				s = a.Socket
				note("%s %s %s", a.Type(), a.Procedure, a.Data)
			case *socketcluster.Subscribe:
				s = a.Socket
				note("%s %s %s", a.Type(), a.Channel, a.Data)
			case *socketcluster.PublishIn:
				s = a.Socket
				note("%s %s %s", a.Type(), a.Channel, a.Data)
			case *socketcluster.Authenticate:
				s = a.Socket
				note("%s %t", a.Type(), a.SignedAuthToken == a.AuthToken.Signed())
			case *socketcluster.PublishOut:
				s = a.Socket
				note("%s %s %s", a.Type(), a.Channel, a.Data)
			}
			if s == nil || socketcluster.FromContext(ctx) != s {
				t.Errorf("%s: socket %v, of the context %v", a.Type(), s, socketcluster.FromContext(ctx))
			}
			return nil
		})
		w.srv.Handle("p", socketcluster.Func(echo))
		want := func(lines string) {
			t.Helper()
			if all := take(); all != lines {
				t.Errorf("got\n%s\nwant\n%s", all, lines)
			}
		}
		token := quote(w.sign(map[string]any{}))
		p := w.dial()
		want("handshakeWS /socketcluster/")
		handshake := `{"event":"#handshake","data":{"authToken":` + token + `},"cid":1}`
		p.send(handshake)
		p.next()
		want(fmt.Sprintf("message false %d\nhandshakeSC true true <nil>\nauthenticate true", len(handshake)))
		for _, test := range [][3]string{
			{`{"event":"t","data":[1]}`, "", "\ntransmit t [1]"},
			{`{"event":"p","cid":2}`, `{"rid":2}`, "\ninvoke p "},
			{`{"event":"#subscribe","data":{"channel":"a","data":{"x":1}},"cid":3}`, `{"rid":3}`, "\nsubscribe a {\"x\":1}"},
			{`{"event":"#publish","data":{"channel":"b","data":null},"cid":4}`, `{"rid":4}`, "\npublishIn b null"},
			{`{"event":"#publish","data":{"channel":"a","data":1}}`, `{"event":"#publish","data":{"channel":"a","data":1}}`, "\npublishIn a 1\npublishOut a 1"},
			// MW-9: none of these reaches a line beyond the raw one.
			{`{"event":"#unsubscribe","data":"a","cid":5}`, `{"rid":5}`, ""},
			{`{"event":"#removeAuthToken"}`, "", ""},
			{`{"rid":9}`, "", ""},
			{`raw`, "", ""},
			{``, "", ""},
			// MW-10: malformed packets are refused before.
			{`{"event":"#subscribe","cid":6}`, `{"rid":6,"error":{"message":"Subscribe channel name was malformatted","name":"InvalidActionError"}}`, ""},
			{`{"event":"#publish","cid":7}`, `{"rid":7,"error":{"message":"Publish channel name was malformatted","name":"InvalidActionError"}}`, ""},
		} {
			p.send(test[0])
			if test[1] != "" {
				p.want(test[1])
			}
			want(fmt.Sprintf("message false %d", len(test[0])) + test[2])
		}
		p.sendBinary("\x00")
		want("message true 1")
		s := w.only()
		s.Transmit(context.Background(), "x", 1)
		p.want(`{"event":"x","data":1}`)
		go s.Invoke(context.Background(), "x", 1)
		p.want(`{"event":"x","cid":1,"data":1}`)
		want("")
	})
}

// MW-4, MW-5: what comes after sees replaced data.
func TestReplacedData(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		replace := json.RawMessage(`"new"`)
		got := w.received()
		w.srv.Handle("p", socketcluster.Func(echo))
		w.srv.UseInbound(func(_ context.Context, a socketcluster.Action) error {
			switch a := a.(type) {
			case *socketcluster.Transmit:
				a.Data = replace
			case *socketcluster.Invoke:
				a.Data = replace
			}
			return nil
		}, func(_ context.Context, a socketcluster.Action) error {
			if a, ok := a.(*socketcluster.Invoke); ok && string(a.Data) != string(replace) {
				t.Errorf("the second function sees %s", a.Data)
			}
			return nil
		})
		p := w.client()
		p.send(`{"event":"t","data":1}`)
		p.send(`{"event":"p","data":1,"cid":2}`)
		p.want(`{"rid":2,"data":"new"}`)
		for data, answer := range map[string]string{"null": `{"rid":4,"data":null}`, "": `{"rid":4}`} {
			replace = nil // no data at all
			if data != "" {
				replace = json.RawMessage(data)
			}
			p.send(`{"event":"p","data":1,"cid":4}`)
			p.want(answer)
		}
		replace = json.RawMessage(`"new"`)
		if all := got(); len(all) != 1 || all[0] != `"new"` {
			t.Errorf("received %q", all)
		}
		socketcluster.Use(w.srv, func(_ context.Context, a *socketcluster.RawMessage) error {
			a.Data = []byte(strings.ReplaceAll(string(a.Data), `"cid":3`, `"cid":33`))
			return nil
		})
		p.send(`{"event":"p","cid":3}`)
		p.want(`{"rid":33,"data":"new"}`)
	})
}

// MW-6, MW-7, MW-8, QK-16, RPC-19: what a client sees of each blocked action,
// and what is emitted, by the kind of error.
func TestBlocked(t *testing.T) {
	cause := errors.New("the cause")
	for _, kind := range []struct {
		name    string
		err     error
		panics  bool
		public  func(action, line string) string
		emitted string
	}{
		{"own error", &wire.Error{Name: "E", Message: "m"}, false,
			func(string, string) string { return `{"message":"m","name":"E"}` }, "E: m"},
		{"MW-6: silent", socketcluster.ErrBlocked, false, func(action, line string) string {
			return fmt.Sprintf(`{"message":"The %s AGAction was blocked by %s middleware","name":"SilentMiddlewareBlockedError","type":%q}`, action, line, line)
		}, "SilentMiddlewareBlockedError: The "},
		{"MW-6: silent with a cause", socketcluster.Silent(cause), false, func(action, line string) string {
			return fmt.Sprintf(`{"message":"The %s AGAction was blocked by %s middleware","name":"SilentMiddlewareBlockedError","type":%q}`, action, line, line)
		}, "the cause"},
		{"private error", cause, false,
			func(string, string) string { return `{"message":"An internal error occurred","name":"InternalError"}` }, "the cause"},
		{"QK-16: panic", nil, true,
			func(string, string) string { return `{"message":"An internal error occurred","name":"InternalError"}` }, "panic in middleware: the cause"},
	} {
		for _, mute := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, muted %t", kind.name, mute), func(t *testing.T) {
				inBubble(t, socketcluster.Config{MuteMiddlewareFailures: mute}, func(w *world) {
					var mu sync.Mutex
					var emitted []string
					socketcluster.On(w.srv, func(e socketcluster.WarningEvent) {
						mu.Lock()
						defer mu.Unlock()
						emitted = append(emitted, e.Err.Error())
					})
					check := func(what string) {
						t.Helper()
						synctest.Wait()
						mu.Lock()
						defer mu.Unlock()
						if mute && len(emitted) > 0 {
							t.Errorf("%s: MW-7: emitted %q", what, emitted)
						}
						if !mute && (len(emitted) != 1 || !strings.HasPrefix(emitted[0], kind.emitted)) {
							t.Errorf("%s: emitted %q, want %q", what, emitted, kind.emitted)
						}
						emitted = nil
					}
					got := w.received()
					w.srv.Handle("p", socketcluster.Func(echo))
					p := w.client()
					p.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`)
					p.want(`{"rid":2}`)
					only := "" // the action that is blocked
					remove := useAll(w.srv, func(_ context.Context, a socketcluster.Action) error {
						switch {
						case a.Type() != only:
							return nil
						case kind.panics:
							panic(cause)
						}
						return kind.err
					})
					for i, test := range []struct{ action, line, send string }{
						{"message", "inboundRaw", `{"event":"t"}`},
						{"transmit", "inbound", `{"event":"t"}`},
						{"publishIn", "inbound", `{"event":"#publish","data":{"channel":"a"}}`},
						{"subscribe", "inbound", `{"event":"#subscribe","data":{"channel":"b"}}`},
						{"publishOut", "outbound", `{"event":"#publish","data":{"channel":"a"}}`},
						{"invoke", "inbound", `{"event":"p","cid":%d}`},
						{"publishIn", "inbound", `{"event":"#publish","data":{"channel":"a"},"cid":%d}`},
						{"subscribe", "inbound", `{"event":"#subscribe","data":{"channel":"b"},"cid":%d}`},
					} {
						only = test.action
						if strings.Contains(test.send, "%d") {
							p.send(fmt.Sprintf(test.send, i+10))
							p.want(fmt.Sprintf(`{"rid":%d,"error":%s}`, i+10, kind.public(test.action, test.line)))
						} else {
							p.send(test.send)
							p.quiet(time.Second)
						}
						check(test.action)
					}
					if s := w.only(); s.Stats().Subscriptions != 1 || len(got()) != 0 {
						t.Errorf("%d subscriptions, %q received", s.Stats().Subscriptions, got())
					}
					only = "handshakeWS"
					_, resp := w.upgrade(nil)
					var public struct{ Message string }
					json.Unmarshal([]byte(kind.public("handshakeWS", "handshake")), &public)
					if body, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusUnauthorized || string(body) != public.Message {
						t.Errorf("handshakeWS: %s %q", resp.Status, body)
					}
					check("handshakeWS")
					remove()
					p.send(`{"event":"p","cid":3}`)
					p.want(`{"rid":3}`)
				})
			})
		}
	}
}

// MW-1 and MW-2 in Go: functions run in the order in which they were added,
// until one blocks; they may come and go while clients are connected (QK-15).
func TestMiddlewareOrder(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		var ran []string
		note := func(name string, err error) socketcluster.Middleware {
			return func(context.Context, socketcluster.Action) error {
				ran = append(ran, name)
				return err
			}
		}
		w.srv.Handle("p", socketcluster.Func(echo))
		p := w.client()
		call := func(want string) {
			t.Helper()
			ran = nil
			p.send(`{"event":"p","cid":2}`)
			p.next()
			if got := strings.Join(ran, " "); got != want {
				t.Errorf("ran %q, want %q", got, want)
			}
		}
		call("")
		removeAB := w.srv.UseInbound(note("a", nil), note("b", nil))
		removeC := w.srv.UseInbound(note("c", nil))
		call("a b c")
		removeStop := w.srv.UseInbound(note("stop", socketcluster.ErrBlocked))
		w.srv.UseInbound(note("never", nil))
		call("a b c stop")
		removeAB()
		removeAB()
		call("c stop")
		removeC()
		removeStop()
		call("never")
	})
}

// MW-2: middleware delays its own socket, in order, and no other one; it
// ends with its socket.
func TestMiddlewareHoldsUp(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		ended := make(chan error, 1)
		socketcluster.Use(w.srv, func(ctx context.Context, a *socketcluster.Invoke) error {
			if string(a.Data) == `"hang"` {
				<-ctx.Done()
				ended <- ctx.Err()
			}
			return nil
		})
		w.srv.Handle("p", socketcluster.Func(echo))
		p, other := w.client(), w.client()
		p.send(`{"event":"p","data":"hang","cid":2}`)
		p.send(`{"event":"p","cid":3}`)
		other.send(`{"event":"p","cid":2}`)
		other.want(`{"rid":2}`)
		p.quiet(time.Minute) // the pings go on
		p.Conn.Close()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("context: %v", err)
		}
	})
}

// Middleware may add and remove middleware, publish, and end other sockets.
func TestMiddlewareReenters(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		ctx := context.Background()
		w.srv.Handle("p", socketcluster.Func(echo))
		p, other := w.client(), w.client()
		for _, c := range []*peer{p, other} {
			c.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`)
			c.want(`{"rid":2}`)
		}
		var remove func()
		remove = socketcluster.Use(w.srv, func(_ context.Context, a *socketcluster.Invoke) error {
			remove()
			w.srv.UseInbound(func(context.Context, socketcluster.Action) error { return nil })
			w.srv.Exchange().Publish(ctx, "a", 1)
			for s := range w.srv.Clients() {
				if s != a.Socket {
					s.KickOut(ctx, "a", nil)
					s.Disconnect(4500, "out")
				}
			}
			return a.Socket.KickOut(ctx, "a", nil)
		})
		p.send(`{"event":"p","cid":3}`)
		p.want(`{"event":"#publish","data":{"channel":"a","data":1}}`, `{"event":"#kickOut","data":{"channel":"a"}}`, `{"rid":3}`)
		other.want(`{"event":"#publish","data":{"channel":"a","data":1}}`, `{"event":"#kickOut","data":{"channel":"a"}}`)
		other.wantClose(4500, "out")
	})
}

// Outbound middleware that is removed lets nothing overtake the publications
// that it delays (PS-26).
func TestOutboundMiddlewareRemoved(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		p := w.client()
		s := w.only()
		p.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`)
		p.want(`{"rid":2}`)
		remove := w.srv.UseOutbound(func(context.Context, socketcluster.Action) error {
			time.Sleep(time.Second)
			return nil
		})
		ctx := context.Background()
		w.srv.Exchange().Publish(ctx, "a", 1)
		synctest.Wait()
		remove()
		s.Transmit(ctx, "b", 2)
		w.srv.Exchange().Publish(ctx, "a", 3)
		p.want(`{"event":"#publish","data":{"channel":"a","data":1}}`, `{"event":"b","data":2}`,
			`{"event":"#publish","data":{"channel":"a","data":3}}`)
	})
}
