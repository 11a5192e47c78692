package socketcluster_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/internal/memnet"
	"github.com/socketcluster-go/socketcluster/wire"
	"github.com/socketcluster-go/socketcluster/wire/minbin"
)

// path1 is where the servers of these tests speak version 1.
const path1 = "/socketcluster/v14/"

var twoPaths = socketcluster.Config{Protocol1Path: path1}

// client1 connects in version 1.
func (w *world) client1() *peer {
	w.t.Helper()
	p := w.dial1()
	p.send(`{"event":"#handshake","data":{"authToken":null},"cid":1}`)
	p.next()
	return p
}

func (w *world) dial1() *peer {
	w.t.Helper()
	p, resp := w.upgrade(func(r *http.Request) { r.URL.Path = path1 })
	if resp.StatusCode != http.StatusSwitchingProtocols {
		w.t.Fatalf("upgrade: %s", resp.Status)
	}
	return p
}

// PP-1, PP-4: a second listener speaks version 1 at the same path, for clients that
// cannot be given another.
func TestTwoListeners(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		listen := memnet.Listen()
		old := &http.Server{Handler: w.srv.Protocol1()}
		go old.Serve(listen)
		defer old.Close()
		p := w.client()
		w.listen = listen
		p1 := w.client()
		for _, p := range []*peer{p, p1} {
			p.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`)
			p.want(`{"rid":2}`)
		}
		p1.send(`{"event":"#publish","data":{"channel":"a","data":1}}`)
		p.want(`{"event":"#publish","data":{"channel":"a","data":1}}`)
		p1.want(`{"event":"#publish","data":{"channel":"a","data":1}}`)
		time.Sleep(socketcluster.DefaultPingInterval)
		if got := p1.next(); got != "#1" {
			t.Errorf("the ping is %q", got)
		}
		if _, resp := w.upgrade(func(r *http.Request) { r.URL.Path = "/other/" }); resp.StatusCode != http.StatusBadRequest {
			t.Errorf("another path: %s", resp.Status)
		}
	})
}

// PP-1, PP-4, HS-5: one server speaks both versions, each at its path, and its
// channels and handlers are those of all.
func TestTwoPaths(t *testing.T) {
	inBubble(t, twoPaths, func(w *world) {
		w.srv.Handle("version", socketcluster.Func(func(ctx context.Context, _ socketcluster.None) (wire.Version, error) {
			return socketcluster.FromContext(ctx).ProtocolVersion(), nil
		}))
		p, p1 := w.client(), w.client1()
		for _, c := range []struct {
			peer   *peer
			answer string
		}{{p, `{"rid":3,"data":2}`}, {p1, `{"rid":3,"data":1}`}} {
			c.peer.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`)
			c.peer.send(`{"event":"version","cid":3}`)
			c.peer.want(`{"rid":2}`, c.answer)
		}
		p.send(`{"event":"#publish","data":{"channel":"a","data":"new"}}`)
		p1.want(`{"event":"#publish","data":{"channel":"a","data":"new"}}`)
		p1.send(`{"event":"#publish","data":{"channel":"a","data":"old"}}`)
		p.want(`{"event":"#publish","data":{"channel":"a","data":"new"}}`, `{"event":"#publish","data":{"channel":"a","data":"old"}}`)
		p1.want(`{"event":"#publish","data":{"channel":"a","data":"old"}}`)

		for i := range 10 { // more than the pong timeout
			for _, c := range []struct {
				peer       *peer
				ping, pong string
			}{{p, "", ""}, {p1, "#1", "#2"}} {
				f, err := c.peer.nextFrame()
				if err != nil || string(f.Payload) != c.ping {
					t.Fatalf("ping %d: %q %v, want %q", i, f.Payload, err, c.ping)
				}
				c.peer.send(c.pong)
			}
		}
		if n := w.srv.NumClients(); n != 2 {
			t.Errorf("%d clients are left", n)
		}
		_, resp := w.upgrade(func(r *http.Request) { r.URL.Path = "/socketcluster/v13/" })
		if resp.StatusCode != http.StatusBadRequest {
			t.Errorf("at another path: %s", resp.Status)
		}
	})
}

// HS-6: in version 1, #disconnect has the reason why the client leaves, before
// the close frame. In version 2 the name is the application's.
func TestDisconnectPacket(t *testing.T) {
	for _, test := range []struct {
		data   string
		code   int
		reason string // in the server's event
	}{
		{`{"code":4321,"data":"bye"}`, 4321, "bye"},
		{`{"code":1000}`, 1000, ""},
		{`{"code":4321,"data":{"b":1}}`, 4321, `{"b":1}`},
		{`{"code":4001,"data":null}`, 4001, "Client pong timed out"},
	} {
		inBubble(t, twoPaths, func(w *world) {
			var told []socketcluster.DisconnectEvent
			socketcluster.On(w.srv, func(e socketcluster.DisconnectEvent) { told = append(told, e) })
			p := w.client1()
			p.send(`{"event":"#disconnect","data":` + test.data + `}`)
			p.wantClose(test.code, "")
			synctest.Wait()
			if len(told) != 1 || int(told[0].Code) != test.code || told[0].Reason != test.reason {
				t.Errorf("%s: told %+v", test.data, told)
			}
		})
	}

	t.Run("with the close frame behind it, while the inbox is busy", func(t *testing.T) {
		inBubble(t, twoPaths, func(w *world) {
			var told []string
			socketcluster.On(w.srv, func(e socketcluster.DisconnectEvent) { told = append(told, e.Reason) })
			w.srv.UseInbound(func(context.Context, socketcluster.Action) error {
				time.Sleep(time.Minute)
				return nil
			})
			p := w.client1()
			p.send(`{"event":"slow"}`)
			p.send(`{"event":"#disconnect","data":{"code":4321,"data":"bye"}}`)
			p.sendFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(4321, "")))
			time.Sleep(socketcluster.DefaultCloseTimeout) // what came before is given so much time
			synctest.Wait()
			if len(told) != 1 || told[0] != "bye" {
				t.Errorf("the reasons are %q", told)
			}
			time.Sleep(time.Hour) // for the middleware
		})
	})

	t.Run("a code that may not be sent", func(t *testing.T) {
		inBubble(t, twoPaths, func(w *world) {
			p := w.client1()
			for _, data := range []string{``, `,"data":null`, `,"data":7`, `,"data":{"code":1006}`, `,"data":{"code":99999}`, `,"data":{"code":"1000"}`, `,"data":{"code":1000.5}`} {
				p.send(`{"event":"#disconnect"` + data + `}`)
			}
			p.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`)
			p.want(`{"rid":2}`) // it is still served
		})
	})

	t.Run("version 2", func(t *testing.T) {
		inBubble(t, twoPaths, func(w *world) {
			got := w.received()
			p := w.client()
			p.send(`{"event":"#disconnect","data":{"code":4321}}`)
			if all := got(); len(all) != 1 || all[0] != `{"code":4321}` || w.only().State() != socketcluster.Open {
				t.Errorf("received %q", all)
			}
		})
	})
}

// HS-21, AUTH-36: in version 1, the code of a refused handshake and the status
// of a refused token are in the data beside the error too.
func TestRefusalsInVersion1(t *testing.T) {
	const refused = `"error":{"message":"no","name":"E","statusCode":4501}`
	const invalid = `{"message":"jwt malformed","name":"AuthTokenInvalidError","isBadToken":true}`
	inBubble(t, twoPaths, func(w *world) {
		blocked := (&wire.Error{Name: "E", Message: "no"}).With("statusCode", 4501)
		remove := socketcluster.Use(w.srv, func(context.Context, *socketcluster.Handshake) error { return blocked })
		for _, c := range []struct {
			peer *peer
			want string
		}{
			{w.dial(), `{"rid":1,` + refused + `}`},
			{w.dial1(), `{"rid":1,` + refused + `,"data":{"code":4501}}`},
		} {
			c.peer.send(`{"event":"#handshake","data":{},"cid":1}`)
			c.peer.want(c.want)
			c.peer.wantClose(4501, "")
		}
		remove()
		for _, c := range []struct {
			peer *peer
			want string
		}{
			{w.client(), `{"rid":2,"error":` + invalid + `}`},
			{w.client1(), `{"rid":2,"error":` + invalid + `,"data":{"isAuthenticated":false,"authError":` + invalid + `}}`},
		} {
			c.peer.send(`{"event":"#authenticate","data":"x","cid":2}`)
			c.peer.want(c.want, `{"event":"#removeAuthToken"}`)
		}
	})
}

// QK-55: in version 1 a call and a transmission of a name are one event. It goes
// to whoever has the name, as an action of the kind of whoever handles it. In
// version 2 they are two.
func TestOneEventInVersion1(t *testing.T) {
	const call, transmission = `{"event":"x","data":1,"cid":2}`, `{"event":"x","data":1}`
	const unknown = `{"rid":2,"error":{"message":"The server has no such procedure","name":"UnknownProcedureError"}}`
	handler := socketcluster.HandlerFunc(func(_ context.Context, c *socketcluster.Call) (any, error) { return "called", nil })
	handle := func(w *world, _ *socketcluster.Socket, handled func(string)) {
		w.srv.Handle("x", socketcluster.HandlerFunc(func(_ context.Context, c *socketcluster.Call) (any, error) {
			handled("Handle " + string(c.Data))
			return "called", nil
		}))
	}
	receiver := func(handled func(string), as string) socketcluster.Receiver {
		return socketcluster.ReceiverFunc(func(_ context.Context, t *socketcluster.Transmission) error {
			handled(as + " " + string(t.Data))
			return nil
		})
	}
	receive := func(w *world, _ *socketcluster.Socket, handled func(string)) {
		w.srv.Receive("x", receiver(handled, "Receive"))
	}
	finishInbox := func(w *world, _ *socketcluster.Socket, handled func(string)) {
		w.srv.HandleDefault(func(_ context.Context, c *socketcluster.Call) (any, error) {
			handled("HandleDefault " + c.Procedure)
			return "called", nil
		})
	}
	receiveRest := func(w *world, _ *socketcluster.Socket, handled func(string)) {
		w.srv.ReceiveDefault(receiver(handled, "ReceiveDefault").ServeTransmission)
	}
	other := func(w *world, _ *socketcluster.Socket, _ func(string)) {
		w.srv.Handle("y", handler)
		w.srv.Receive("X", socketcluster.ReceiverFunc(func(context.Context, *socketcluster.Transmission) error { return nil }))
	}
	procedure := func(_ *world, s *socketcluster.Socket, handled func(string)) {
		calls := s.Procedure("x").All()
		go func() {
			for c := range calls {
				handled("Procedure " + string(c.Data))
				c.Reply("called")
			}
		}()
	}
	receiverLoop := func(_ *world, s *socketcluster.Socket, handled func(string)) {
		transmissions := s.Receiver("x").All()
		go func() {
			for t := range transmissions {
				handled("Receiver " + string(t.Data))
			}
		}()
	}
	type register = func(*world, *socketcluster.Socket, func(string))
	for _, test := range []struct {
		name     string
		register []register
		packet   string
		action   string // that the middleware sees
		handled  string
		answer   string
	}{
		{"a call of a receiver", []register{receive}, call, "transmit", "Receive 1", `{"rid":2}`},
		{"a transmission to a procedure", []register{handle}, transmission, "invoke", "Handle 1", ""},
		{"a call, of both", []register{handle, receive}, call, "invoke", "Handle 1", `{"rid":2,"data":"called"}`},
		{"a transmission, to both", []register{handle, receive}, transmission, "transmit", "Receive 1", ""},
		{"a call of a receiver, beside a handler of the rest", []register{finishInbox, receive}, call, "transmit", "Receive 1", `{"rid":2}`},
		{"a transmission to a procedure, beside a receiver of the rest", []register{receiveRest, handle}, transmission, "invoke", "Handle 1", ""},
		{"a transmission to both, beside a handler of the rest", []register{handle, receive, finishInbox}, transmission, "transmit", "Receive 1", ""},
		{"a call of the rest", []register{finishInbox, receiveRest}, call, "invoke", "HandleDefault x", `{"rid":2,"data":"called"}`},
		{"a transmission to the rest", []register{finishInbox, receiveRest}, transmission, "transmit", "ReceiveDefault 1", ""},
		{"a call of the receiver of the rest", []register{receiveRest, other}, call, "transmit", "ReceiveDefault 1", `{"rid":2}`},
		{"a transmission to the handler of the rest", []register{finishInbox, other}, transmission, "invoke", "HandleDefault x", ""},
		{"a call of a loop over a receiver", []register{receiverLoop, finishInbox}, call, "transmit", "Receiver 1", `{"rid":2}`},
		{"a transmission to a loop over a procedure", []register{procedure, receiveRest}, transmission, "invoke", "Procedure 1", ""},
		{"a transmission to two loops over a procedure", []register{procedure, procedure}, transmission, "invoke", "Procedure 1, Procedure 1", ""},
		{"a call of nobody", []register{other}, call, "invoke", "", unknown},
		{"a transmission to nobody", []register{other}, transmission, "transmit", "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, twoPaths, func(w *world) {
				var mu sync.Mutex
				var handled, actions []string
				w.srv.UseInbound(func(_ context.Context, a socketcluster.Action) error {
					actions = append(actions, a.Type())
					return nil
				})
				p := w.client1()
				for _, r := range test.register {
					r(w, w.only(), func(by string) {
						mu.Lock()
						defer mu.Unlock()
						handled = append(handled, by)
					})
				}
				p.send(test.packet)
				if test.answer != "" {
					p.want(test.answer)
				}
				p.quiet(time.Second)
				synctest.Wait()
				if got, want := strings.Join(handled, ", "), test.handled; got != want {
					t.Errorf("handled by %q, want %q", got, want)
				}
				if got := strings.Join(actions, ", "); got != test.action {
					t.Errorf("the middleware saw %q, want %q", got, test.action)
				}
			})
		})
	}

	t.Run("version 2", func(t *testing.T) {
		inBubble(t, twoPaths, func(w *world) {
			var handled []string
			note := func(by string) { handled = append(handled, by) }
			receive(w, nil, note)
			p := w.client()
			p.send(call)
			p.want(unknown)
			handle(w, nil, note)
			w.srv.Receive("y", receiver(note, "y"))
			p.send(`{"event":"y","cid":3}`)
			p.next()
			w.srv.Handle("z", handler)
			p.send(`{"event":"z"}`)
			p.quiet(time.Second)
			synctest.Wait()
			if len(handled) > 0 {
				t.Errorf("handled by %q", handled)
			}
		})
	})
}

// QK-55: a guard of the kind of a handler stops both kinds of packets on their
// way to it, and a call learns of it.
func TestGuardsInVersion1(t *testing.T) {
	inBubble(t, twoPaths, func(w *world) {
		var handled []string
		w.srv.Handle("procedure", socketcluster.HandlerFunc(func(_ context.Context, c *socketcluster.Call) (any, error) {
			handled = append(handled, c.Procedure)
			return nil, nil
		}))
		w.srv.Receive("receiver", socketcluster.ReceiverFunc(func(_ context.Context, t *socketcluster.Transmission) error {
			handled = append(handled, t.Receiver)
			return nil
		}))
		no := &wire.Error{Name: "E", Message: "no"}
		socketcluster.Use(w.srv, func(context.Context, *socketcluster.Invoke) error { return no })
		socketcluster.Use(w.srv, func(context.Context, *socketcluster.Transmit) error { return no })
		p := w.client1()
		for _, name := range []string{"procedure", "receiver"} {
			p.send(`{"event":"` + name + `"}`)
			p.send(`{"event":"` + name + `","cid":7}`)
			p.want(`{"rid":7,"error":{"message":"no","name":"E"}}`)
		}
		p.quiet(time.Second)
		synctest.Wait()
		if len(handled) > 0 {
			t.Errorf("%q got what was blocked", handled)
		}
	})
}

// QK-55: what a handler answers to a transmission goes nowhere; an error is
// emitted, as that of a receiver is.
func TestAnswerToTransmission(t *testing.T) {
	inBubble(t, twoPaths, func(w *world) {
		var failures, results []string
		w.srv.Handle("half", socketcluster.HandlerFunc(func(_ context.Context, c *socketcluster.Call) (any, error) {
			results = append(results, errorText(c.Reply(1)), errorText(c.Reply(2)))
			return nil, nil
		}))
		w.srv.Handle("fails", socketcluster.Func(func(context.Context, int) (int, error) {
			return 0, &wire.Error{Name: "E", Message: "no"}
		}))
		p := w.client1()
		socketcluster.On(w.only(), func(e socketcluster.ErrorEvent) { failures = append(failures, e.Err.Error()) })
		p.send(`{"event":"half"}`)
		p.send(`{"event":"fails"}`)
		p.send(`{"event":"fails","data":"text"}`)
		p.quiet(time.Second)
		synctest.Wait()
		if len(results) != 2 || results[0] != "" || !strings.Contains(results[1], "already been sent") {
			t.Errorf("End returned %q", results)
		}
		if got := strings.Join(failures, ", "); got != "E: no, InvalidArgumentsError: The data does not have the form that is expected here" {
			t.Errorf("emitted %q", got)
		}
	})
}

// Packets that wait in a loop that ends go to the server's handler of the kind
// as which they were accepted.
func TestLeftLoopsInVersion1(t *testing.T) {
	inBubble(t, twoPaths, func(w *world) {
		p := w.client1()
		s := w.only()
		s.Procedure("nobody's").All()
		p.send(`{"event":"nobody's"}`)
		p.quiet(time.Second)
		s.Procedure("nobody's").Kill()
		p.quiet(time.Second) // the answer that nobody has it would go nowhere

		s.Procedure("call").All()
		s.Receiver("note").All()
		p.send(`{"event":"call"}`)
		p.send(`{"event":"note","cid":2}`)
		p.want(`{"rid":2}`)
		got := make(chan string, 4)
		for _, name := range []string{"call", "note"} {
			w.srv.Handle(name, socketcluster.HandlerFunc(func(_ context.Context, c *socketcluster.Call) (any, error) {
				got <- c.Procedure + " called"
				return 1, nil
			}))
			w.srv.Receive(name, socketcluster.ReceiverFunc(func(_ context.Context, t *socketcluster.Transmission) error {
				got <- t.Receiver + " received"
				return nil
			}))
		}
		s.Procedure("call").Kill()
		if first := <-got; first != "call called" {
			t.Error(first)
		}
		s.Receiver("note").Kill()
		if second := <-got; second != "note received" {
			t.Error(second)
		}
		p.quiet(time.Second)
	})
}

// HS-6: clients up to v5.0 give a cid to all that they send. Neither their reason
// to leave nor their logout is a mistake.
func TestCallsThatWantNoAnswer(t *testing.T) {
	inBubble(t, twoPaths, func(w *world) {
		log := w.record()
		var told []string
		socketcluster.On(w.srv, func(e socketcluster.DisconnectEvent) { told = append(told, e.Reason) })
		p := w.dial1()
		token, err := w.srv.Auth().Sign(context.Background(), map[string]string{"sub": "alice"})
		if err != nil {
			t.Fatal(err)
		}
		p.send(`{"event":"#handshake","data":{"authToken":` + quote(token.Signed()) + `},"cid":1}`)
		p.next()
		p.send(`{"event":"#removeAuthToken","cid":2}`)
		p.quiet(time.Second)
		p.send(`{"event":"#disconnect","data":{"code":4321,"data":"bye"},"cid":3}`)
		p.wantClose(4321, "")
		synctest.Wait()
		log.want("connect authStateChange authenticate authStateChange deauthenticate disconnect close error end")
		if len(told) != 1 || told[0] != "bye" {
			t.Errorf("told %q", told)
		}
	})
}

// QK-57: in version 1 a channel may be named by a text alone.
func TestSubscribeByTextInVersion1(t *testing.T) {
	inBubble(t, twoPaths, func(w *world) {
		var actions []string
		socketcluster.Use(w.srv, func(_ context.Context, a *socketcluster.Subscribe) error {
			actions = append(actions, a.Channel+" "+string(a.Data))
			return nil
		})
		var options []string
		socketcluster.On(w.srv, func(e socketcluster.SubscribeEvent) { options = append(options, string(e.Options)) })
		p, p1 := w.client(), w.client1()
		p1.send(`{"event":"#subscribe","data":"news","cid":2}`)
		p1.want(`{"rid":2}`)
		p.send(`{"event":"#publish","data":{"channel":"news","data":1}}`)
		p1.want(`{"event":"#publish","data":{"channel":"news","data":1}}`)
		p1.send(`{"event":"#unsubscribe","data":"news","cid":3}`)
		p1.want(`{"rid":3}`)
		if strings.Join(actions, ",") != "news " || strings.Join(options, ",") != "{}" {
			t.Errorf("the middleware saw %q, the event had %q", actions, options)
		}
		const malformatted = `"error":{"message":"Subscribe channel name was malformatted","name":"InvalidActionError"}}`
		for _, data := range []string{`""`, `"\ud800"`, `7`, `["news"]`} {
			p1.send(`{"event":"#subscribe","data":` + data + `,"cid":4}`)
			p1.want(`{"rid":4,` + malformatted)
		}
		p.send(`{"event":"#subscribe","data":"news","cid":5}`)
		p.want(`{"rid":5,` + malformatted)
	})
}

// wantPing checks the next message.
func (p *peer) wantPing(op ws.OpCode, payload string) {
	p.t.Helper()
	f, err := p.nextFrame()
	if err != nil || f.Header.OpCode != op || string(f.Payload) != payload {
		p.t.Fatalf("got opcode %d with %q, %v; want a ping %q", f.Header.OpCode, f.Payload, err, payload)
	}
}

// Ping and pong of version 1 in the codec of sc-codec-min-bin.
const codedPing, codedPong = "\xa2#1", "\xa2#2"

// QK-56, PP-1: with a codec, the first pings of version 1 are coded ones. What the
// first pong is like, all further ones are; a client that does not answer for half
// of its time gets a plain one then, between the others, and plain ones from then on.
func TestCodedPings(t *testing.T) {
	cfg := socketcluster.Config{Codec: minbin.Codec{}, Protocol1Path: path1}
	const enough = 12 // pings, longer than the pong timeout
	connect := func(p *peer) {
		p.t.Helper()
		p.sendCoded(minbin.Codec{}, `{"event":"#handshake","data":{"authToken":null},"cid":1}`)
		if _, err := p.nextFrame(); err != nil {
			p.t.Fatal(err)
		}
	}
	t.Run("a client that reads coded ones", func(t *testing.T) {
		inBubble(t, cfg, func(w *world) {
			log := w.record()
			p := w.dial1()
			connect(p)
			for i := range 2 * enough {
				p.wantPing(ws.OpBinary, codedPing)
				p.sendBinary(codedPong)
				if i == enough { // whoever listens to messages has pongs pass the inbox
					socketcluster.On(w.only(), func(socketcluster.MessageEvent) {})
				}
			}
			p.quiet(time.Second)
			log.want("connect") // neither an error nor a raw message
		})
	})
	t.Run("a client that reads plain ones", func(t *testing.T) {
		inBubble(t, cfg, func(w *world) {
			log := w.record()
			p := w.dial1()
			connect(p)
			p.wantPing(ws.OpBinary, codedPing) // after 8 s
			p.wantPing(ws.OpBinary, codedPing) // after 16 s
			for range enough {                 // after 19 s, of 30
				p.wantPing(ws.OpText, "#1")
				p.send("#2")
			}
			p.quiet(time.Second)
			log.want("connect")
		})
	})
	t.Run("a client that is late with its first pong", func(t *testing.T) {
		inBubble(t, cfg, func(w *world) {
			p := w.dial1()
			connect(p)
			p.wantPing(ws.OpBinary, codedPing)
			p.wantPing(ws.OpBinary, codedPing)
			p.wantPing(ws.OpText, "#1")
			p.sendBinary(codedPong)
			for range 3 { // also without an answer, once it is known
				p.wantPing(ws.OpBinary, codedPing)
			}
		})
	})
	t.Run("a client that sends other things than pongs", func(t *testing.T) {
		inBubble(t, cfg, func(w *world) {
			p := w.dial1()
			connect(p)
			for range 2 {
				p.wantPing(ws.OpBinary, codedPing)
				p.sendCoded(minbin.Codec{}, `{"event":"x"}`)
			}
			p.wantPing(ws.OpText, "#1")
		})
	})
	t.Run("pings at the end of the timeout", func(t *testing.T) {
		cfg := cfg
		cfg.Timeouts.PingInterval, cfg.Timeouts.Ping = 8*time.Second, 9*time.Second
		inBubble(t, cfg, func(w *world) {
			p := w.dial1()
			connect(p)
			p.wantPing(ws.OpBinary, codedPing)
			p.sendBinary(codedPong)
			p.wantPing(ws.OpBinary, codedPing)
		})
	})
	t.Run("pings at each part of the timeout", func(t *testing.T) {
		for _, interval := range []time.Duration{time.Second, 8 * time.Second, 14 * time.Second, 16 * time.Second, 20 * time.Second, 29 * time.Second, 29900 * time.Millisecond} {
			t.Run(interval.String(), func(t *testing.T) {
				cfg := cfg
				cfg.Timeouts.PingInterval = interval
				inBubble(t, cfg, func(w *world) {
					p := w.dial1()
					connect(p)
					began := time.Now()
					var f ws.Frame
					for f.Header.OpCode != ws.OpText { // the client takes no other for a ping
						var err error
						if f, err = p.nextFrame(); err != nil || f.Header.OpCode == ws.OpClose {
							t.Fatalf("closed after %v, %v", time.Since(began), err)
						}
					}
					const timeout = 30 * time.Second // of the client, too
					if at, want := time.Since(began), interval+(timeout-interval)/2; at < want || at >= min(want+30*time.Millisecond, timeout) {
						t.Errorf("the first plain ping comes after %v, want %v", at, want)
					}
					for range 3 {
						p.send("#2")
						p.wantPing(ws.OpText, "#1")
						if at := time.Since(began); at%interval > 100*time.Millisecond {
							t.Errorf("a ping after %v, want one for each %v", at, interval)
						}
					}
				})
			})
		}
	})
	t.Run("many pings in the timeout", func(t *testing.T) {
		cfg := cfg
		cfg.Timeouts.PingInterval, cfg.Timeouts.Ping = 50*time.Millisecond, 30*time.Second
		inBubble(t, cfg, func(w *world) {
			p := w.dial1()
			connect(p)
			for range 299 { // for 15 s
				p.wantPing(ws.OpBinary, codedPing)
			}
			for f := (ws.Frame{}); f.Header.OpCode != ws.OpText; {
				f, _ = p.nextFrame()
			}
			p.sendBinary(codedPong)
			p.wantPing(ws.OpBinary, codedPing)
		})
	})
	t.Run("a client that the server does not read from", func(t *testing.T) {
		cfg := cfg
		cfg.Limits.Inbox = 1
		inBubble(t, cfg, func(w *world) {
			w.srv.UseInbound(func(context.Context, socketcluster.Action) error {
				time.Sleep(time.Minute)
				return nil
			})
			p := w.dial1()
			connect(p)
			for range 3 { // one is handled, one waits, and one delays the rest
				p.sendCoded(minbin.Codec{}, `{"event":"slow"}`)
			}
			p.wantPing(ws.OpBinary, codedPing)
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				p.sendBinary(codedPong) // waits behind these
			}()
			for range 4 {
				p.wantPing(ws.OpBinary, codedPing)
			}
			<-sent
			time.Sleep(time.Hour) // for the middleware
		})
	})
	t.Run("version 2", func(t *testing.T) {
		inBubble(t, cfg, func(w *world) {
			p := w.dial()
			connect(p)
			raw := make(chan socketcluster.RawEvent, 1)
			socketcluster.On(w.only(), func(e socketcluster.RawEvent) { raw <- e })
			for range enough {
				p.wantPing(ws.OpText, "")
				p.send("")
			}
			p.sendBinary(codedPong) // is no pong there
			if e := <-raw; !e.Binary || string(e.Data) != codedPong {
				t.Errorf("got %+v", e)
			}
		})
	})
	t.Run("before the handshake", func(t *testing.T) {
		inBubble(t, cfg, func(w *world) {
			p := w.dial1()
			p.wantPing(ws.OpBinary, codedPing)
			p.sendBinary(codedPong)
			p.wantClose(4009, "") // HS-7
		})
	})
	t.Run("a codec without a form for pings", func(t *testing.T) {
		inBubble(t, socketcluster.Config{Codec: failingCodec{}, Protocol1Path: path1}, func(w *world) {
			p := w.dial1()
			p.wantPing(ws.OpText, "#1")
		})
	})
}
