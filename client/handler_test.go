package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/client"
	"github.com/socketcluster-go/socketcluster/wire"
)

type (
	call         = socketcluster.Call
	transmission = socketcluster.Transmission
)

func procedure(fn func(ctx context.Context, c *call) (any, error)) socketcluster.Handler {
	return socketcluster.HandlerFunc(fn)
}

func receiver(fn func(ctx context.Context, m *transmission) error) socketcluster.Receiver {
	return socketcluster.ReceiverFunc(fn)
}

// What the server calls is answered, each call once (CL-19, RPC-7, RPC-8). A call that
// nobody handles is answered too, and does not keep the server waiting (RPC-5).
func TestProcedures(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c, p := s.connect(client.Options{})
		c.Handle("add", socketcluster.Func(func(ctx context.Context, in []int) (int, error) {
			if client.FromContext(ctx) != c {
				t.Error("FromContext")
			}
			return in[0] + in[1], nil
		}))
		c.Handle("nothing", procedure(func(context.Context, *call) (any, error) { return nil, nil }))
		c.Handle("null", procedure(func(context.Context, *call) (any, error) { return json.RawMessage("null"), nil }))
		c.Handle("fail", procedure(func(context.Context, *call) (any, error) {
			return 1, socketcluster.Errorf("AppError", "no").With("x", 1)
		}))
		c.Handle("secret", procedure(func(context.Context, *call) (any, error) { return nil, errors.New("password") }))
		c.Handle("panic", procedure(func(context.Context, *call) (any, error) { panic("oops") }))
		c.Handle("exit", procedure(func(context.Context, *call) (any, error) { runtime.Goexit(); return nil, nil }))
		c.Handle("odd", procedure(func(context.Context, *call) (any, error) { return func() {}, nil }))
		c.Handle("twice", procedure(func(_ context.Context, call *call) (any, error) {
			if err := call.Reply(1); err != nil {
				t.Error(err)
			}
			if err := call.Reply(2); !errors.Is(err, wire.ErrInvalidAction) {
				t.Error(err)
			}
			return 3, nil
		}))
		c.Handle("detached", procedure(func(_ context.Context, call *call) (any, error) {
			call.Detach()
			time.AfterFunc(time.Second, func() { call.Reply("late") })
			return nil, nil
		}))
		for i, test := range []struct{ event, answer string }{
			{`"add","data":[1,2]`, `"data":3`},
			{`"add","data":"x"`, `"error":{"message":"The data of add does not have the type that it must have","name":"InvalidArgumentsError"}`},
			{`"nothing"`, ``},
			{`"null"`, `"data":null`},
			{`"fail"`, `"error":{"message":"no","name":"AppError","x":1}`},
			{`"secret"`, `"error":{"message":"An internal error occurred","name":"InternalError"}`},
			{`"panic"`, `"error":{"message":"An internal error occurred","name":"InternalError"}`},
			{`"odd"`, `"error":{"message":"An internal error occurred","name":"InternalError"}`},
			{`"twice"`, `"data":1`},
			{`"detached"`, `"data":"late"`},
			{`"unknown"`, `"error":{"message":"The client has no such procedure","name":"UnknownProcedureError"}`},
		} {
			p.send(fmt.Sprintf(`{"event":%s,"cid":%d}`, test.event, i+1))
			want := fmt.Sprintf(`{"rid":%d,%s}`, i+1, test.answer)
			if test.answer == "" {
				want = fmt.Sprintf(`{"rid":%d}`, i+1)
			}
			if got := p.next(); got != want && !strings.Contains(got, "InvalidArgumentsError") {
				t.Errorf("%s\ngot  %s\nwant %s", test.event, got, want)
			}
		}
		for range 300 { // more than may run at a time
			p.send(`{"event":"exit","cid":1}`)
		}
		p.send(`{"event":"add","data":[3,4],"cid":99}`)
		p.want(`{"rid":99,"data":7}`)
		c.HandleDefault(func(_ context.Context, call *call) (any, error) { return call.Procedure, nil })
		p.send(`{"event":"unknown","cid":1}`, `{"event":"#publish","data":{"channel":"a"},"cid":2}`, `{"event":"x","cid":"text"}`, `{"event":"","cid":4}`)
		got := map[string]bool{p.next(): true, p.next(): true, p.next(): true}
		if !got[`{"rid":1,"data":"unknown"}`] || !got[`{"rid":2,"data":"#publish"}`] || !got[`{"rid":4,"data":""}`] { // RPC-3
			t.Error(got)
		}
		p.quiet()
	})
}

// What the server transmits reaches receivers, and is lost without one (RPC-5). What a
// receiver returns or does to end is an event.
func TestReceivers(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c, p := s.connect(client.Options{})
		r := record(t, c)
		c.Receive("note", socketcluster.Recv(func(_ context.Context, in int) error { r.note("received %d", in); return nil }))
		c.Receive("fail", receiver(func(context.Context, *transmission) error { return errors.New("no") }))
		c.Receive("panic", receiver(func(context.Context, *transmission) error { panic("oops") }))
		c.Receive("exit", receiver(func(context.Context, *transmission) error { runtime.Goexit(); return nil }))
		p.send(`{"event":"note","data":1}`, `{"event":"unknown"}`, `{"event":"note","data":2}`)
		r.want("received 1", "received 2")
		p.send(`{"event":"fail"}`)
		r.want("error no")
		p.send(`{"event":"panic"}`)
		r.want("error panic in a receiver: oops")
		p.send(`{"event":"exit"}`, `{"event":"exit"}`)
		c.ReceiveDefault(func(_ context.Context, m *transmission) error {
			r.note("default %s %s", m.Receiver, m.Data)
			return nil
		})
		p.send(`{"event":"unknown"}`)
		r.want("default unknown ")
		p.send(`{"event":"note","data":3,"cid":"text"}`) // TR-24: no call
		r.want("received 3")
		p.quiet()
	})
}

// One name is handled in order, several side by side, and with Concurrent as many as that
// (RPC-6).
func TestOrderOfHandlers(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c, p := s.connect(client.Options{})
		gate := make(chan struct{})
		var mu sync.Mutex
		running, most := make(map[string]int), make(map[string]int)
		h := procedure(func(_ context.Context, call *call) (any, error) {
			mu.Lock()
			running[call.Procedure]++
			most[call.Procedure] = max(most[call.Procedure], running[call.Procedure])
			mu.Unlock()
			<-gate
			mu.Lock()
			running[call.Procedure]--
			mu.Unlock()
			return call.Data, nil
		})
		c.Handle("a", h)
		c.Handle("b", h)
		c.Handle("many", h, socketcluster.Concurrent(3))
		for i := range 5 {
			for _, name := range []string{"a", "b", "many"} {
				p.send(fmt.Sprintf(`{"event":"%s","data":%d,"cid":%d}`, name, i, i))
			}
		}
		synctest.Wait()
		close(gate)
		for range 15 {
			p.next()
		}
		if most["a"] != 1 || most["b"] != 1 || most["many"] != 3 {
			t.Error(most)
		}
	})
}

// Answers that come after the connection do not reach the next one (RPC-9). The context of
// a call ends with its connection.
func TestAnswerAfterTheEnd(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c, p := s.connect(client.Options{})
		began, answered := make(chan struct{}, 2), make(chan error, 2)
		c.Handle("p", procedure(func(ctx context.Context, call *call) (any, error) {
			began <- struct{}{}
			<-ctx.Done()
			time.Sleep(time.Second)
			call.Detach()
			answered <- call.Reply(1)
			return nil, nil
		}))
		p.send(`{"event":"p","cid":1}`, `{"event":"p","cid":2}`)
		<-began
		p.write(closing(1001, ""))
		synctest.Wait()
		connecting(c)
		p = s.greet(2, noToken)
		if err := <-answered; err == nil {
			t.Error("the answer was accepted")
		}
		p.quiet()
		if len(began) > 0 {
			t.Error("a call of the connection that has ended was handled")
		}
	})
}

// Handlers of events run in order, one at a time; a panic or the end of the goroutine does
// no harm. One that is added by a handler gets what follows.
func TestEventHandlers(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c := s.new(client.Options{Reconnect: client.Reconnect{Disabled: true}})
		r := &recorder{t: t}
		client.On(c, func(client.ConnectingEvent) { panic("oops") })
		client.On(c, func(client.ConnectingEvent) {
			time.Sleep(time.Second)
			r.note("connecting")
			client.On(c, func(e client.ConnectEvent) { r.note("connect") })
		})
		client.On(c, func(client.DisconnectEvent) { runtime.Goexit() })
		client.On(c, func(client.CloseEvent) { r.note("close") })
		p := s.connectTo(c)
		time.Sleep(2 * time.Second)
		p.Close()
		r.want("connecting", "connect", "close")
	})
}

// A handler may call every method of the client, and wait.
func TestHandlersMayWait(t *testing.T) {
	withServer(t, socketcluster.Config{}, func(t *testing.T, s *real) {
		c := s.new(client.Options{Limits: client.Limits{Held: 500}}) // so that reading pauses
		done := make(chan error, 1)
		client.On(c, func(e client.ConnectEvent) {
			sub, err := c.Subscribe(t.Context(), "a")
			if err == nil {
				err = c.Publish(t.Context(), "a", 1)
			}
			if err == nil {
				_, err = c.Invoke(t.Context(), "login", "alice")
			}
			if err == nil {
				err = c.Authenticate(t.Context(), c.SignedAuthToken())
			}
			if err == nil {
				err = c.Deauthenticate(t.Context())
			}
			if err == nil {
				sub.Close()
			}
			done <- err
		})
		if err := c.Connect(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// A sequence of events has those since it was made, ends with its context or the client, and
// can be left.
func TestEventLoops(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c, p := s.connect(client.Options{})
		raws := client.Events[client.RawEvent](t.Context(), c)
		unused, cancel := context.WithCancel(t.Context())
		client.Events[client.RawEvent](unused, c)
		p.send("1", "2", "3")
		var got []string
		for e := range raws {
			got = append(got, string(e.Data))
			if len(got) == 2 {
				break
			}
		}
		for range raws {
			t.Error("looped twice")
		}
		if strings.Join(got, "") != "12" {
			t.Error(got)
		}
		for i := range 20 { // more than wait for a loop
			p.send(fmt.Sprint(i))
		}
		synctest.Wait()
		cancel()
		synctest.Wait()
		ended := make(chan int, 1)
		more := client.Events[client.RawEvent](t.Context(), c)
		go func() {
			n := 0
			for range more {
				n++
			}
			ended <- n
		}()
		synctest.Wait()
		p.send("4")
		synctest.Wait()
		go c.Close()
		p.wantClose(1000, "")
		if n := <-ended; n != 1 {
			t.Errorf("%d events", n)
		}
	})
}

// What is no packet is raw: text that is no JSON, JSON that is no packet, each such element
// of a batch with the whole message, and binary messages, even if they look like packets (TR-19,
// TR-20, TR-23, TR-24, TR-25).
func TestRaw(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c, p := s.connect(client.Options{})
		r := record(t, c)
		c.ReceiveDefault(func(_ context.Context, m *transmission) error { r.note("received %s", m.Receiver); return nil })
		p.send(" ", "text", `{"a":1}`, `{"event":1}`, `{"rid":"1"}`, `{"event":"a"`, "1", `"x"`, `[]`)
		r.want(`raw " "`, `raw "text"`, `raw "{\"a\":1}"`, `raw "{\"event\":1}"`, `raw "{\"rid\":\"1\"}"`, `raw "{\"event\":\"a\""`, `raw "1"`, `raw "\"x\""`)
		p.send(`[1,{"event":"#setAuthToken","data":{"token":"t"}},2,[],{"event":"a"}]`)
		raw := `raw "[1,{\"event\":\"#setAuthToken\",\"data\":{\"token\":\"t\"}},2,[],{\"event\":\"a\"}]"`
		events := r.take()
		received := slices.Index(events, "received a") // its receiver does not wait for events
		if received < 0 {
			t.Fatalf("%q", events)
		}
		r.events = slices.Delete(events, received, received+1)
		r.want(raw, "authStateChange unauthenticated authenticated t", "authenticate t", raw, raw)
		p.write("\x82\x0d" + `{"event":"a"}` + "\x82\x00")
		r.want(`raw "{\"event\":\"a\"}"`, `raw ""`)
		p.send(`{"event":"a","rid":1}`) // event wins
		r.want("received a")
	})
}

// What comes in one segment takes effect in its order: at the moment of each step, everything
// before has taken effect, and nothing after.
func TestOrderInOneSegment(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c := s.new(client.Options{})
		sub := subscribe(t, c, "a")
		call := calling(c, "p", nil)
		p := s.accept()
		p.next()
		// The handshake, a token, the channel, a publication, the answer, another token, a kick-out.
		p.send(`{"rid":1,"data":{"id":"x","pingTimeout":3600000}}`)
		p.want(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`, `{"event":"p","cid":3}`)
		r := record(t, c)
		p.send(
			`{"event":"#setAuthToken","data":{"token":"t1"}}`,
			`{"rid":2}`,
			`{"event":"#publish","data":{"channel":"a","data":1}}`,
			`{"rid":3,"data":"answer"}`,
			`{"event":"#setAuthToken","data":{"token":"t2"}}`,
			`{"event":"#kickOut","data":{"channel":"a"}}`,
			`{"event":"#publish","data":{"channel":"a","data":2}}`,
			`{"event":"#removeAuthToken"}`,
			`raw`,
		)
		p.write(closing(1000, ""))
		if err := <-call; err != nil {
			t.Error(err)
		}
		events := r.take()
		removed := slices.Index(events, "removeAuthToken t2") // when the store is done
		if removed < slices.Index(events, "deauthenticate t2") {
			t.Fatalf("%q", events)
		}
		r.events = slices.Delete(events, removed, removed+1)
		r.want("authStateChange unauthenticated authenticated t1", "authenticate t1",
			"subscribeStateChange a pending subscribed", "subscribe a", "authenticate t2",
			"kickOut a ", "subscribeStateChange a subscribed unsubscribed", "unsubscribe a",
			"authStateChange authenticated unauthenticated ", "deauthenticate t2", "raw \"raw\"",
			"disconnect 1000 Socket closed normally", "close 1000 Socket closed normally")
		if got := all(sub); len(got) != 1 || got[0] != "1" {
			t.Errorf("%q", got)
		}
	})
}
