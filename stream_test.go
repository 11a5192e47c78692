package socketcluster_test

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"go.uber.org/goleak"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
)

// ST-9, ST-10, QK-45: the receiver, the procedure and the event of one name
// are three streams, and each socket has its own.
func TestStreamsApart(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		got := map[string][]string{}
		note := func(stream, item string) { got[stream] = append(got[stream], item) }
		ended := make(chan struct{}, 6)
		n := 0
		socketcluster.On(w.srv, func(e socketcluster.ConnectEvent) {
			n++
			who := fmt.Sprint(n)
			s := e.Socket
			items, calls := s.Receiver("error").All(), s.Procedure("error").All()
			events := socketcluster.Events[socketcluster.ErrorEvent](context.Background(), s)
			go func() {
				for item := range items {
					note("receiver "+who, string(item.Data))
				}
				ended <- struct{}{}
			}()
			go func() {
				for call := range calls {
					note("procedure "+who, string(call.Data))
					call.Reply(nil)
				}
				ended <- struct{}{}
			}()
			go func() {
				for e := range events {
					note("event "+who, e.Err.Error())
				}
				ended <- struct{}{}
			}()
		})
		p := w.client()
		synctest.Wait() // the first one has its loops
		other := w.client()
		synctest.Wait()
		for _, step := range []struct {
			on     *peer
			send   string
			answer string
		}{
			{p, `{"event":"error","data":1}`, ""},
			{p, `{"event":"error","data":2,"cid":2}`, `{"rid":2}`},
			{p, `{"event":"#publish"}`, ""}, // an error
			{other, `{"event":"error","data":3}`, ""},
		} {
			step.on.send(step.send)
			if step.answer != "" {
				step.on.want(step.answer)
			}
			synctest.Wait()
		}
		for _, c := range []*peer{p, other} {
			c.sendFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(1000, "")))
		}
		for range 6 {
			<-ended
		}
		want := map[string][]string{
			"receiver 1":  {"1"},
			"procedure 1": {"2"},
			"event 1":     {"InvalidActionError: Publish channel name was malformatted"},
			"receiver 2":  {"3"},
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got  %v\nwant %v", got, want)
		}
	})
}

// ST-12, ST-13, CF-11: what a loop has not taken when its client leaves is
// still its own. Nothing that was accepted for it is lost, and then it ends.
func TestLoopsDrain(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		var taken []string
		ended := make(chan time.Time, 1)
		socketcluster.On(w.srv, func(e socketcluster.ConnectEvent) {
			items := e.Socket.Receiver("x").All()
			go func() {
				for item := range items {
					time.Sleep(30 * time.Millisecond)
					taken = append(taken, string(item.Data))
				}
				ended <- time.Now()
			}()
		})
		p := w.client()
		began := time.Now()
		var want []string
		for i := range 15 {
			p.send(fmt.Sprintf(`{"event":"x","data":%d}`, i))
			want = append(want, fmt.Sprint(i))
		}
		time.Sleep(110 * time.Millisecond)
		p.Conn.Close()
		end := <-ended
		if !slices.Equal(taken, want) {
			t.Errorf("taken %q, want %q", taken, want)
		}
		if d := end.Sub(began); d != 450*time.Millisecond {
			t.Errorf("the loop ended after %v", d)
		}
	})
}

// HS-20: the reserved events of a client reach no handler for the rest, and are
// answered by the server itself.
func TestReservedNames(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		w.srv.ReceiveDefault(func(_ context.Context, tr *socketcluster.Transmission) error {
			t.Errorf("handled %s", tr.Receiver)
			return nil
		})
		w.srv.HandleDefault(func(_ context.Context, c *socketcluster.Call) (any, error) {
			t.Errorf("handled %s", c.Procedure)
			return nil, nil
		})
		p := w.client()
		p.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`)
		p.send(`{"event":"#publish","data":{"channel":"a","data":1},"cid":3}`)
		p.send(`{"event":"#publish","data":{"channel":"a","data":2}}`)
		p.send(`{"event":"#unsubscribe","data":"a","cid":4}`)
		p.send(`{"event":"#authenticate","data":` + quote(w.sign(map[string]any{})) + `,"cid":2}`)
		p.send(removeAuthToken)
		p.want(`{"rid":2}`, `{"event":"#publish","data":{"channel":"a","data":1}}`, `{"rid":3}`,
			`{"event":"#publish","data":{"channel":"a","data":2}}`, `{"rid":4}`, wasAdmitted, removeAuthToken)
		p.quiet(time.Second)
	})
}

// ST-11, CF-12: packets that slow outbound middleware delays are the
// outbound backpressure; it falls again as they leave.
func TestOutboundBackpressure(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		ctx := context.Background()
		w.srv.UseOutbound(func(context.Context, socketcluster.Action) error {
			time.Sleep(time.Second)
			return nil
		})
		p := w.client()
		p.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`)
		p.want(`{"rid":2}`)
		s := w.only()
		if n := s.Stats().OutboundBackpressure; n != 0 {
			t.Errorf("%d packets before", n)
		}
		for i := range 3 {
			w.srv.Exchange().Publish(ctx, "a", i)
		}
		synctest.Wait()
		for i := range 3 {
			if n := s.Stats().OutboundBackpressure; n != 3-i {
				t.Errorf("%d packets, want %d", n, 3-i)
			}
			p.want(fmt.Sprintf(`{"event":"#publish","data":{"channel":"a","data":%d}}`, i))
			synctest.Wait()
		}
		if n := s.Stats().OutboundBackpressure; n != 0 {
			t.Errorf("%d packets after", n)
		}
	})
}

// patient is for tests that take their time without answering pings.
var patient = socketcluster.Config{Timeouts: socketcluster.Timeouts{PingDisabled: true}}

// loop is a slow loop over a receiver.
type loop struct {
	taken []string
	ended bool
}

// slowly takes a second for each item.
func slowly(s *socketcluster.Socket, name string) *loop {
	l := &loop{}
	items := s.Receiver(name).All()
	go func() {
		defer func() { l.ended = true }()
		for item := range items {
			time.Sleep(time.Second)
			l.taken = append(l.taken, string(item.Data))
		}
	}()
	return l
}

func (l *loop) want(t *testing.T, ended bool, taken ...string) {
	t.Helper()
	synctest.Wait()
	if !slices.Equal(l.taken, taken) || l.ended != ended {
		t.Errorf("taken %q, ended %v; want %q, %v", l.taken, l.ended, taken, ended)
	}
}

func numbers(n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprint(i))
	}
	return all
}

func (p *peer) transmitAll(name string, data []string) {
	p.t.Helper()
	for _, d := range data {
		p.send(`{"event":"` + name + `","data":` + d + `}`)
	}
	synctest.Wait()
}

// ST-1, ST-5, ST-6: a stream that is closed ends its loops after all that has
// come before; what comes later is for the server's receiver, and for loops
// that begin later.
func TestCloseReceiver(t *testing.T) {
	inBubble(t, patient, func(w *world) {
		rest := w.received()
		p := w.client()
		s := w.only()
		first, second := slowly(s, "x"), slowly(s, "x")
		synctest.Wait()
		all := numbers(40) // more than wait in front of a loop
		p.transmitAll("x", all)
		s.Receiver("x").Close()
		s.Receiver("x").Close() // is closed already
		if n := s.Receiver("x").Backpressure(); n != 40 {
			t.Errorf("backpressure %d, want 39 items and the end", n)
		}
		p.transmitAll("x", []string{`"later"`})
		third := slowly(s, "x")
		p.transmitAll("x", []string{`"third's"`})
		time.Sleep(time.Minute)
		first.want(t, true, all...)
		second.want(t, true, all...)
		third.want(t, false, `"third's"`)
		if got := rest(); !slices.Equal(got, []string{`"later"`}) {
			t.Errorf("the server's receiver has got %q", got)
		}
		s.Receiver("x").Close()
		third.want(t, true, `"third's"`)
		s.Receiver("unknown").Close()
	})
}

// ST-5: killing a stream ends its loops after what they are handling. Items
// that no loop has taken go to the server's receiver.
func TestKillReceiver(t *testing.T) {
	inBubble(t, patient, func(w *world) {
		rest := w.received()
		p := w.client()
		s := w.only()
		s.Receiver("x").Kill() // there is none
		first, second := slowly(s, "x"), slowly(s, "x")
		synctest.Wait()
		p.transmitAll("x", numbers(40))
		s.Receiver("x").Kill()
		synctest.Wait()
		if n := s.Receiver("x").Backpressure(); n != 0 {
			t.Errorf("backpressure %d after the kill", n)
		}
		time.Sleep(time.Minute)
		first.want(t, true, "0")
		second.want(t, true, "0")
		got := rest()
		slices.SortFunc(got, func(a, b string) int { return cmp.Or(len(a)-len(b), strings.Compare(a, b)) })
		if !slices.Equal(got, numbers(40)[1:]) {
			t.Errorf("the server's receiver has got %q", got)
		}
	})
}

// ST-5, RPC-5: calls that a killed loop has not taken go to the server's
// handler, so that each is answered.
func TestKillProcedure(t *testing.T) {
	for _, test := range []struct {
		name string
		end  func(s *socketcluster.Socket)
		want []string // answers to the calls
	}{
		{"kill", func(s *socketcluster.Socket) { s.Procedure("p").Kill() }, []string{"loop", "handler", "handler", "handler"}},
		{"close", func(s *socketcluster.Socket) { s.Procedure("p").Close() }, []string{"loop", "loop", "loop", "handler"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, patient, func(w *world) {
				w.srv.Handle("p", socketcluster.Func(func(context.Context, socketcluster.None) (string, error) {
					return "handler", nil
				}))
				p := w.client()
				s := w.only()
				calls := s.Procedure("p").All()
				ended := false
				go func() {
					for call := range calls {
						time.Sleep(time.Second)
						call.Reply("loop")
					}
					ended = true
				}()
				synctest.Wait()
				for cid := 2; cid <= 4; cid++ {
					p.send(fmt.Sprintf(`{"event":"p","cid":%d}`, cid))
				}
				synctest.Wait()
				test.end(s)
				p.send(`{"event":"p","cid":5}`)
				got := map[string]bool{}
				for range 4 {
					got[p.next()] = true
				}
				for i, who := range test.want {
					if answer := fmt.Sprintf(`{"rid":%d,"data":"%s"}`, i+2, who); !got[answer] {
						t.Errorf("no %s in %v", answer, got)
					}
				}
				synctest.Wait()
				if !ended {
					t.Error("the loop has not ended")
				}
			})
		})
	}
}

// A call that one loop has answered is not for the server's handler when the
// other loops over the procedure are killed before they have taken it.
func TestAnsweredCallIsNotHandledAgain(t *testing.T) {
	inBubble(t, patient, func(w *world) {
		handled := 0
		w.srv.Handle("p", socketcluster.HandlerFunc(func(context.Context, *socketcluster.Call) (any, error) { handled++; return nil, nil }))
		p := w.client()
		s := w.only()
		calls := s.Procedure("p").All()
		s.Procedure("p").All() // nobody ever loops over it
		go func() {
			for call := range calls {
				call.Reply("loop")
			}
		}()
		synctest.Wait()
		p.send(`{"event":"p","cid":2}`)
		p.want(`{"rid":2,"data":"loop"}`)
		s.Procedure("p").Kill()
		synctest.Wait()
		if handled != 0 {
			t.Errorf("the handler has got %d answered calls", handled)
		}
	})
}

// A loop may end its own stream.
func TestCloseInLoop(t *testing.T) {
	for _, test := range []struct {
		end   func(s *socketcluster.Socket)
		taken []string
	}{
		{func(s *socketcluster.Socket) { s.Receiver("x").Close() }, numbers(40)},
		{func(s *socketcluster.Socket) { s.Receiver("x").Kill() }, []string{"0"}},
	} {
		inBubble(t, socketcluster.Config{Timeouts: socketcluster.Timeouts{PingDisabled: true}, Limits: socketcluster.Limits{Calls: 19}}, func(w *world) {
			p := w.client()
			s := w.only()
			items := s.Receiver("x").All()
			var taken []string
			ended := false
			go func() {
				for item := range items {
					time.Sleep(time.Second)
					taken = append(taken, string(item.Data))
					if len(taken) == 1 {
						time.Sleep(time.Minute)
						test.end(s)
					}
				}
				ended = true
			}()
			synctest.Wait()
			// There is a slot for each of them: what waits in the inbox for
			// one counts as coming later.
			p.transmitAll("x", numbers(19))
			time.Sleep(time.Hour)
			synctest.Wait()
			want := test.taken[:min(len(test.taken), 19)]
			if !ended || !slices.Equal(taken, want) {
				t.Errorf("taken %q, ended %v; want %q", taken, ended, want)
			}
		})
	}
}

// A loop that has not begun when its stream is closed takes what waits in
// front of it, and nothing waits for it.
func TestCloseBeforeLoop(t *testing.T) {
	inBubble(t, patient, func(w *world) {
		p := w.client()
		s := w.only()
		late := s.Receiver("x").All()
		s.Receiver("x").All() // nobody ever loops over it
		killed := s.Receiver("y").All()
		p.transmitAll("x", numbers(40))
		p.transmitAll("y", numbers(40))
		s.Receiver("x").Close()
		s.Receiver("y").Kill()
		var taken []string
		for item := range late {
			taken = append(taken, string(item.Data))
		}
		if !slices.Equal(taken, numbers(16)) {
			t.Errorf("taken %q", taken)
		}
		for item := range killed {
			t.Errorf("%s from a stream that was killed", item.Data)
		}
		synctest.Wait()
		if n := s.Stats().Backpressure; n != 0 {
			t.Errorf("backpressure %d", n)
		}
		s.Terminate()
		for item := range s.Receiver("x").All() {
			t.Errorf("%s on a closed socket", item.Data)
		}
	})
}

// ST-12, ST-13, CF-11: what has come before the end of a socket is handled,
// however much it is, or dropped with Compat.DropWaiting. With 30 ms an item and a
// disconnect after 110 ms, that is 15 of 15, or 4.
func TestDropWaiting(t *testing.T) {
	for _, test := range []struct {
		drop  bool
		sent  int
		taken int
	}{{false, 15, 15}, {true, 15, 4}, {false, 100, 100}, {true, 100, 4}} {
		inBubble(t, socketcluster.Config{Compat: socketcluster.Compat{DropWaiting: test.drop}, Timeouts: socketcluster.Timeouts{PingDisabled: true}}, func(w *world) {
			var looped, handled []string
			ended := false
			socketcluster.On(w.srv, func(e socketcluster.ConnectEvent) {
				items := e.Socket.Receiver("x").All()
				go func() {
					for item := range items {
						time.Sleep(30 * time.Millisecond)
						looped = append(looped, string(item.Data))
					}
					ended = true
				}()
			})
			w.srv.Receive("y", socketcluster.ReceiverFunc(func(_ context.Context, item *socketcluster.Transmission) error {
				time.Sleep(30 * time.Millisecond)
				handled = append(handled, string(item.Data))
				return nil
			}))
			p := w.client()
			p.transmitAll("x", numbers(test.sent))
			p.transmitAll("y", numbers(test.sent))
			time.Sleep(110 * time.Millisecond)
			p.sendFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(1000, "")))
			time.Sleep(time.Minute)
			synctest.Wait()
			if want := numbers(test.taken); !slices.Equal(looped, want) || !slices.Equal(handled, want) || !ended {
				t.Errorf("drop %v: the loop has taken %d, the receiver %d, want %d; ended: %v", test.drop, len(looped), len(handled), test.taken, ended)
			}
		})
	}
}

// Compat.DropWaiting drops calls too: they do not go from a loop to the handler.
func TestDropWaitingCalls(t *testing.T) {
	inBubble(t, socketcluster.Config{Compat: socketcluster.Compat{DropWaiting: true}, Timeouts: socketcluster.Timeouts{PingDisabled: true}}, func(w *world) {
		w.srv.Handle("p", socketcluster.HandlerFunc(func(context.Context, *socketcluster.Call) (any, error) {
			t.Error("the handler has got a call")
			return nil, nil
		}))
		p := w.client()
		s := w.only()
		calls := s.Procedure("p").All()
		n := 0
		go func() {
			for range calls {
				n++
				time.Sleep(time.Second)
			}
		}()
		synctest.Wait()
		for cid := range 40 {
			p.send(fmt.Sprintf(`{"event":"p","cid":%d}`, cid+2))
		}
		synctest.Wait()
		s.Terminate()
		time.Sleep(time.Minute)
		if n != 1 {
			t.Errorf("the loop has taken %d calls", n)
		}
	})
}

// ST-4, ST-11: the backpressure of a stream is that of its slowest loop, and
// that of a socket the greatest of all.
func TestStreamBackpressure(t *testing.T) {
	inBubble(t, patient, func(w *world) {
		w.srv.Receive("handled", socketcluster.ReceiverFunc(func(context.Context, *socketcluster.Transmission) error { time.Sleep(time.Second); return nil }))
		p := w.client()
		s := w.only()
		check := func(looped, handled, all int) {
			t.Helper()
			synctest.Wait()
			if a, b, c := s.Receiver("looped").Backpressure(), s.Receiver("handled").Backpressure(), s.Stats().Backpressure; a != looped || b != handled || c != all {
				t.Errorf("backpressure of the loops %d, of the receiver %d, of the socket %d; want %d, %d, %d", a, b, c, looped, handled, all)
			}
		}
		check(0, 0, 0)
		quick, slow := s.Receiver("looped").All(), slowly(s, "looped")
		go func() {
			for range quick {
			}
		}()
		synctest.Wait()
		p.transmitAll("looped", numbers(20))
		check(19, 0, 19)
		p.transmitAll("handled", numbers(30))
		check(19, 30, 30)
		time.Sleep(10 * time.Second)
		check(9, 20, 20)
		time.Sleep(time.Minute)
		check(0, 0, 0)
		slow.want(t, false, numbers(20)...)

		release := make(chan struct{})
		socketcluster.On(s, func(socketcluster.RawEvent) { <-release })
		calls := s.Procedure("called").All()
		for range 3 {
			p.send(`{"event":"called","cid":2}`)
		}
		check(0, 0, 3)
		if n := s.Procedure("called").Backpressure(); n != 3 {
			t.Errorf("backpressure of the procedure %d, want 3", n)
		}
		for call := range calls {
			call.Reply(nil)
			break // the others are refused
		}
		check(0, 0, 0)
		close(release)

		// Messages that wait in the inbox, and packets that wait for outbound
		// middleware, count too.
		gate := make(chan struct{})
		remove := w.srv.UseInbound(func(context.Context, socketcluster.Action) error { <-gate; return nil })
		p.transmitAll("nobody", numbers(5))
		check(0, 0, 4) // and one that is being handled
		remove()
		close(gate)
		check(0, 0, 0)
		gate = make(chan struct{})
		remove = w.srv.UseOutbound(func(context.Context, socketcluster.Action) error { <-gate; return nil })
		p.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`)
		for range 4 {
			w.srv.Exchange().Publish(context.Background(), "a", 1)
		}
		synctest.Wait()
		for range 4 {
			w.srv.Exchange().Publish(context.Background(), "a", 1)
		}
		if n := s.Stats().OutboundBackpressure; n < 4 {
			t.Errorf("outbound backpressure %d", n)
		}
		check(0, 0, s.Stats().OutboundBackpressure)
		remove()
		close(gate)
		check(0, 0, 0)
	})
}

// ST-8: loops that are left early, or never begun, leave nothing behind, while
// the server and its sockets live on.
func TestLoopsLeakNothing(t *testing.T) {
	srv, err := socketcluster.New(socketcluster.Config{Auth: auth.Options{Key: testKey}})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	web := httptest.NewServer(srv)
	defer web.Close()
	connected := make(chan *socketcluster.Socket, 1)
	off := socketcluster.On(srv, func(e socketcluster.ConnectEvent) { connected <- e.Socket })
	conn, err := net.Dial("tcp", web.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", socketcluster.DefaultPath)
	go io.Copy(io.Discard, conn)
	send := func(text string) {
		if err := ws.WriteFrame(conn, ws.MaskFrame(ws.NewTextFrame([]byte(text)))); err != nil {
			t.Fatal(err)
		}
	}
	send(`{"event":"#handshake","cid":1}`)
	s := <-connected
	off()

	before := goleak.IgnoreCurrent()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	left := make(chan string)
	calls, items := s.Procedure("p").All(), s.Receiver("x").All()
	onSocket, onServer := socketcluster.Events[socketcluster.SubscribeEvent](ctx, s), socketcluster.Events[socketcluster.SubscribeEvent](ctx, srv)
	publications, err := srv.Exchange().Subscribe(ctx, "a")
	if err != nil {
		t.Fatal(err)
	}
	// Nobody ever loops over these.
	s.Procedure("p").All()
	s.Receiver("x").All()
	socketcluster.Events[socketcluster.SubscribeEvent](ctx, srv)
	if _, err := srv.Exchange().Subscribe(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	go func() {
		for call := range calls {
			call.Reply(nil)
			break
		}
		left <- "calls"
	}()
	go func() {
		for range items {
			break
		}
		left <- "items"
	}()
	go func() {
		for range onSocket {
			break
		}
		left <- "events of the socket"
	}()
	go func() {
		for range onServer {
			break
		}
		left <- "events of the server"
	}()
	go func() {
		for range publications.All() {
			break
		}
		left <- "publications"
	}()
	for i := range 20 { // more than wait for a loop
		send(fmt.Sprintf(`[{"event":"p","cid":%d},{"event":"x"},{"event":"#publish","data":{"channel":"a"}}]`, i+2))
		send(fmt.Sprintf(`{"event":"#subscribe","data":{"channel":"b%d"},"cid":%d}`, i, i+100))
		if i == 0 {
			for range 5 {
				<-left
			}
			cancel()
		}
	}
	s.Procedure("p").Kill()
	s.Receiver("x").Kill()
	// The socket is open, and may have another reader than before.
	endOfGoroutines(t, before, goleak.IgnoreAnyFunction("github.com/socketcluster-go/socketcluster.(*Socket).read"))
	for name := range srv.Exchange().Subscriptions() {
		if name == "a" {
			t.Error("the channel is left")
		}
	}
	if s.State() != socketcluster.Open {
		t.Error("the socket is closed")
	}
}
