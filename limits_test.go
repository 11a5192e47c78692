package socketcluster_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/wire"
)

// sized makes a call of n bytes.
func sized(event string, n int) string {
	const frame = `{"event":%q,"cid":1,"data":"%s"}`
	text := fmt.Sprintf(frame, event, "")
	return fmt.Sprintf(frame, event, strings.Repeat("x", n-len(text)))
}

// TR-8: the largest messages, before and after the handshake. One byte
// more closes with 1009.
func TestMessageSize(t *testing.T) {
	limits := socketcluster.Limits{MessageSize: 2000, HandshakeMessageSize: 300}
	for _, test := range []struct {
		name  string
		open  bool
		size  int
		split int // fragments
		fits  bool
	}{
		{"handshake, exactly", false, 300, 1, true},
		{"handshake, one more", false, 301, 1, false},
		{"handshake, one more in fragments", false, 301, 3, false},
		{"exactly", true, 2000, 1, true},
		{"exactly, in fragments", true, 2000, 3, true},
		{"one more", true, 2001, 1, false},
		{"one more, in fragments", true, 2001, 3, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, socketcluster.Config{Limits: limits}, func(w *world) {
				log := w.record()
				event := "#handshake"
				var p *peer
				if test.open {
					p, event = w.client(), "p"
				} else {
					p = w.dial()
				}
				log.take()
				p.sendFragments(sized(event, test.size), test.split)
				if test.fits {
					if text := p.next(); !strings.HasPrefix(text, `{"rid":1,`) {
						t.Errorf("got %s", text)
					}
					return
				}
				p.wantClose(1009, "")
				if test.open {
					log.want("error disconnect close error end")
				} else {
					log.want("error connectAbort close error end")
				}
			})
		})
	}
	t.Run("a length that promises too much", func(t *testing.T) {
		inBubble(t, socketcluster.Config{}, func(w *world) {
			p := w.client()
			header := ws.Header{Fin: true, OpCode: ws.OpText, Masked: true, Length: 1 << 62}
			if err := ws.WriteHeader(p.Conn, header); err != nil {
				t.Fatal(err)
			}
			p.wantClose(1009, "")
		})
	})
}

// sendFragments sends a text message in n frames.
func (p *peer) sendFragments(text string, n int) {
	p.t.Helper()
	for i := range n {
		part := text[i*len(text)/n : (i+1)*len(text)/n]
		op := ws.OpContinuation
		if i == 0 {
			op = ws.OpText
		}
		p.sendFrame(ws.NewFrame(op, i == n-1, []byte(part)))
	}
}

func TestFragments(t *testing.T) {
	inBubble(t, socketcluster.Config{Limits: socketcluster.Limits{Fragments: 4}}, func(w *world) {
		w.srv.Handle("p", socketcluster.Func(echo))
		p := w.client()
		p.sendFragments(`{"event":"p","cid":2}`, 4)
		p.want(`{"rid":2}`)
		p.sendFragments(`{"event":"p","cid":2}`, 5)
		p.wantClose(1009, "")
	})
}

// QK-32: the number of packets in a message, and how deep it goes.
func TestBatchSizeAndDepth(t *testing.T) {
	nested := func(depth int) string {
		return strings.Repeat("[", depth) + strings.Repeat("]", depth)
	}
	for _, test := range []struct {
		name    string
		message string
		fits    bool
	}{
		{"batch", `[` + strings.Repeat(`{"event":"x"},`, 2) + `{"event":"p","cid":2}]`, true},
		{"batch, one more", `[` + strings.Repeat(`{"event":"x"},`, 3) + `{"event":"p","cid":2}]`, false},
		{"depth", `{"event":"p","cid":2,"data":` + nested(9) + `}`, true},
		{"depth, one more", `{"event":"p","cid":2,"data":` + nested(10) + `}`, false},
		{"depth of what is no packet", nested(11), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, socketcluster.Config{Limits: socketcluster.Limits{BatchSize: 3, Depth: 10}}, func(w *world) {
				log := w.record()
				var ran atomic.Int32
				w.srv.Receive("x", socketcluster.ReceiverFunc(func(context.Context, *socketcluster.Transmission) error { ran.Add(1); return nil }))
				w.srv.Handle("p", socketcluster.Proc(func(context.Context, any) error {
					return nil
				}))
				p := w.client()
				log.take()
				p.send(test.message)
				if test.fits {
					p.want(`{"rid":2}`)
					return
				}
				p.wantClose(1008, "")
				log.want("error disconnect close error end")
				if ran.Load() != 0 {
					t.Error("a part of the message was handled")
				}
			})
		})
	}
}

// QK-35: the length of channel names.
func TestChannelNameLimit(t *testing.T) {
	inBubble(t, socketcluster.Config{Limits: socketcluster.Limits{ChannelName: 4}}, func(w *world) {
		p := w.client()
		for i, event := range []string{"#publish", "#subscribe"} {
			what := []string{"Publish", "Subscribe"}[i]
			p.send(fmt.Sprintf(`{"event":%q,"data":{"channel":"ää"},"cid":2}`, event))
			p.want(`{"rid":2}`)
			p.send(fmt.Sprintf(`{"event":%q,"data":{"channel":"ääa"},"cid":3}`, event))
			p.want(`{"rid":3,"error":{"message":"` + what + ` channel name was malformatted","name":"InvalidActionError"}}`)
		}
	})
}

func TestTokenSize(t *testing.T) {
	inBubble(t, socketcluster.Config{Limits: socketcluster.Limits{TokenSize: 200}}, func(w *world) {
		w.handleLogin()
		p := w.login(map[string]any{})
		p.send(`{"event":"#authenticate","data":"` + strings.Repeat("x", 201) + `","cid":2}`)
		if text := p.next(); !strings.HasPrefix(text, `{"rid":2,"error":{`) || !strings.Contains(text, `"isBadToken":true`) {
			t.Errorf("got %s", text)
		}
		p.want(removeAuthToken)
		// A token that no client could present again is not given out either.
		p.send(`{"event":"login","data":{"x":"` + strings.Repeat("x", 200) + `"},"cid":3}`)
		p.wantClose(4002, "")
	})
}

// flood sends messages until the server stops reading, and returns how many
// it took.
func (w *world) flood(p *peer, message func(i int) string) (sent *atomic.Int32, stopped chan struct{}) {
	sent, stopped = new(atomic.Int32), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := range 10_000 {
			frame := ws.MaskFrame(ws.NewTextFrame([]byte(message(i))))
			if ws.WriteFrame(p.Conn, frame) != nil {
				return
			}
			sent.Add(1)
		}
	}()
	synctest.Wait()
	return sent, stopped
}

// A socket whose middleware is slow is not read from beyond Limits.Inbox; it
// is alive all the while, and catches up in order.
func TestInboxPushBack(t *testing.T) {
	const inbox = 5
	inBubble(t, socketcluster.Config{Limits: socketcluster.Limits{Inbox: inbox}, Timeouts: socketcluster.Timeouts{PingDisabled: true}}, func(w *world) {
		w.listen.BufferSize = 256
		gate := make(chan struct{})
		w.srv.UseInbound(func(ctx context.Context, a socketcluster.Action) error { <-gate; return nil })
		last := -1
		w.srv.Receive("x", socketcluster.Recv(func(_ context.Context, i int) error {
			if i != last+1 {
				t.Errorf("%d after %d", i, last)
			}
			last = i
			return nil
		}))
		p, other := w.client(), w.client()
		// The spaces make a frame of 72 bytes: the pipe is full with three of
		// them, and as many again may have been read ahead of their turn.
		sent, stopped := w.flood(p, func(i int) string { return fmt.Sprintf(`{"event":"x","data":%45d}`, i) })
		var s *socketcluster.Socket
		for c := range w.srv.Clients() {
			if s == nil || c.Stats().InboundBackpressure > s.Stats().InboundBackpressure {
				s = c
			}
		}
		// One is with the middleware, one with the reader.
		if n := s.Stats().InboundBackpressure; n != inbox+1 {
			t.Errorf("%d messages are waiting, want %d", n, inbox+1)
		}
		if n := sent.Load(); n > inbox+2+256/20+1 {
			t.Errorf("%d messages were taken", n)
		}
		other.send("raw")
		close(gate)
		<-stopped
		synctest.Wait()
		if last != 9999 || s.Stats().InboundBackpressure != 0 {
			t.Errorf("the last is %d; %d are waiting", last, s.Stats().InboundBackpressure)
		}
	})
}

// Calls that are with handlers delay the socket that has made them beyond
// Limits.Calls, and no other one.
func TestCallsPushBack(t *testing.T) {
	const calls = 5
	inBubble(t, socketcluster.Config{Limits: socketcluster.Limits{Calls: calls, Inbox: 1}}, func(w *world) {
		gate := make(chan struct{})
		var running, most atomic.Int32
		w.srv.HandleDefault(func(_ context.Context, c *socketcluster.Call) (any, error) {
			most.Store(max(most.Load(), running.Add(1)))
			<-gate
			running.Add(-1)
			return nil, nil
		}, socketcluster.Concurrent(100))
		w.srv.Handle("free", socketcluster.Func(echo))
		p, other := w.client(), w.client()
		go func() {
			for i := range 50 {
				p.send(fmt.Sprintf(`{"event":"p%d","cid":%d}`, i, i+2))
			}
		}()
		synctest.Wait()
		if n := running.Load(); n != calls {
			t.Errorf("%d calls are running, want %d", n, calls)
		}
		other.send(`{"event":"free","cid":2}`)
		other.want(`{"rid":2}`)
		close(gate)
		seen := map[string]bool{}
		for range 50 {
			seen[p.next()] = true
		}
		if len(seen) != 50 || most.Load() > calls {
			t.Errorf("%d answers; up to %d calls were running", len(seen), most.Load())
		}
	})
	// The same for a single name, which is handled in order.
	inBubble(t, socketcluster.Config{Limits: socketcluster.Limits{Calls: calls, Inbox: 1}, Timeouts: socketcluster.Timeouts{PingDisabled: true}}, func(w *world) {
		w.listen.BufferSize = 256
		gate := make(chan struct{})
		w.srv.Handle("p", socketcluster.HandlerFunc(func(_ context.Context, c *socketcluster.Call) (any, error) { <-gate; return nil, nil }))
		p := w.client()
		// The spaces make a frame of 71 bytes: the pipe is full with three of
		// them, and as many again may have been read ahead of their turn.
		sent, stopped := w.flood(p, func(i int) string { return fmt.Sprintf(`{"event":"p","cid":%45d}`, i+2) })
		if n := sent.Load(); n > calls+3+256/20+1 {
			t.Errorf("%d calls were taken", n)
		}
		close(gate)
		for i := range 10_000 {
			p.want(fmt.Sprintf(`{"rid":%d}`, i+2))
		}
		<-stopped
	})
}

// A client that does not read is disconnected; those that read get everything,
// and do not wait for it.
func TestOutboxOverflow(t *testing.T) {
	for _, outbound := range []bool{false, true} {
		t.Run(fmt.Sprintf("outbound middleware %t", outbound), func(t *testing.T) {
			cfg := socketcluster.Config{Limits: socketcluster.Limits{Outbox: 50_000}, Timeouts: socketcluster.Timeouts{PingDisabled: true}}
			inBubble(t, cfg, func(w *world) {
				w.listen.BufferSize = 1000
				if outbound {
					w.srv.UseOutbound(func(context.Context, socketcluster.Action) error { return nil })
				}
				var told []string
				socketcluster.On(w.srv, func(e socketcluster.DisconnectEvent) { told = append(told, fmt.Sprint(e.Code, " ", e.Reason)) })
				reader, idle := w.client(), w.client()
				for _, p := range []*peer{reader, idle} {
					p.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`)
					p.want(`{"rid":2}`)
				}
				began := time.Now()
				for i := range 100 {
					w.srv.Exchange().Publish(context.Background(), "a", strings.Repeat("x", 1000))
					if text := reader.next(); len(text) < 1000 {
						t.Fatalf("publication %d: %s", i, text)
					}
				}
				if d := time.Since(began); d > 100*time.Millisecond {
					t.Errorf("the publisher has waited for %v", d)
				}
				time.Sleep(time.Until(began.Add(11 * time.Second)))
				synctest.Wait()
				if len(told) != 1 || told[0] != "1008 The client does not read fast enough" {
					t.Errorf("disconnected: %q", told)
				}
				if n := w.srv.Exchange().NumSubscribers("a"); n != 1 {
					t.Errorf("%d subscribers are left", n)
				}
			})
		})
	}
}

// Packets that wait for slow outbound middleware are bounded like those that
// wait for the client.
func TestOutboundQueueOverflow(t *testing.T) {
	cfg := socketcluster.Config{Limits: socketcluster.Limits{Outbox: 100_000}, Timeouts: socketcluster.Timeouts{PingDisabled: true}}
	inBubble(t, cfg, func(w *world) {
		w.srv.UseOutbound(func(ctx context.Context, _ socketcluster.Action) error { <-ctx.Done(); return nil })
		p := w.client()
		p.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`)
		p.want(`{"rid":2}`)
		s := w.only()
		big := json.RawMessage(`"` + strings.Repeat("x", 10_000) + `"`)
		published := 0
		for ; published < 100 && s.State() == socketcluster.Open; published++ {
			w.srv.Exchange().Publish(context.Background(), "a", big)
			time.Sleep(time.Second)
		}
		// Ten fill it, and that lasts for 30 s.
		if published < 40 || published > 43 {
			t.Errorf("closed after %d publications of 10 KB", published)
		}
	})
}

// Answers wait for a client that does not read: it delays itself, and
// nothing is lost, not even large answers.
func TestAnswersPushBack(t *testing.T) {
	cfg := socketcluster.Config{Limits: socketcluster.Limits{Outbox: 10_000, OutboxStall: time.Hour}, Timeouts: socketcluster.Timeouts{PingDisabled: true}}
	inBubble(t, cfg, func(w *world) {
		w.listen.BufferSize = 1000
		w.srv.Handle("p", socketcluster.Func(func(_ context.Context, n int) (string, error) {
			return strings.Repeat("x", n), nil
		}))
		p := w.client()
		size := func(i int) int { return 3000 + i%2*5000 } // small ones leave no room for large ones
		go func() {
			for i := range 50 {
				p.send(fmt.Sprintf(`{"event":"p","data":%d,"cid":%d}`, size(i), i+2))
			}
		}()
		time.Sleep(time.Minute)
		for i := range 50 {
			p.want(fmt.Sprintf(`{"rid":%d,"data":"%s"}`, i+2, strings.Repeat("x", size(i))))
		}
	})
}

// A client that pings without reading the pongs delays itself.
func TestPingFlood(t *testing.T) {
	cfg := socketcluster.Config{Limits: socketcluster.Limits{Outbox: 2000, OutboxStall: time.Hour}, Timeouts: socketcluster.Timeouts{PingDisabled: true}}
	inBubble(t, cfg, func(w *world) {
		w.listen.BufferSize = 1000
		p := w.client()
		go func() {
			for range 1000 {
				p.sendFrame(ws.NewPingFrame([]byte(strings.Repeat("x", 100))))
			}
		}()
		synctest.Wait()
		if s := w.only(); s.Stats().OutboxBytes > 2000 {
			t.Errorf("%d bytes are waiting", s.Stats().OutboxBytes)
		}
		for i := range 1000 {
			if f, err := p.nextFrame(); err != nil || f.Header.OpCode != ws.OpPong {
				t.Fatalf("pong %d: %v %v", i, f.Header, err)
			}
		}
	})
}

// RPC-19: how much of an error's text a client gets.
func TestErrorTextLimit(t *testing.T) {
	inBubble(t, socketcluster.Config{Limits: socketcluster.Limits{ErrorText: 5}}, func(w *world) {
		long := &wire.Error{Name: "E", Message: "abcdé"}
		w.srv.Handle("p", socketcluster.HandlerFunc(func(_ context.Context, c *socketcluster.Call) (any, error) { return nil, long }))
		p := w.client()
		p.send(`{"event":"p","cid":2}`)
		p.want(`{"rid":2,"error":{"message":"abcd","name":"E"}}`)
		if long.Message != "abcdé" {
			t.Error("the application's error was changed")
		}
	})
}

// Errors that repeat what a client has sent are cut like others.
func TestErrorTextOfLongNames(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		p := w.client()
		p.send(`{"event":"#unsubscribe","data":"` + strings.Repeat("x", 1000) + `","cid":2}`)
		var answer struct{ Error struct{ Message string } }
		if err := json.Unmarshal([]byte(p.next()), &answer); err != nil || len(answer.Error.Message) != 256 {
			t.Errorf("%+v, %v", answer, err)
		}
		if n := w.srv.Stats().LimitHits["Limits.ErrorText"]; n != 1 {
			t.Errorf("counted %d times", n)
		}
	})
}

// If messages are too large, the limit is reported: from the events, and from
// one line in the log for each socket: a warning for five sockets at once and
// five a second, and at level Debug beyond that.
func TestExceededLimitsAreNamed(t *testing.T) {
	for _, test := range []struct {
		limit, what string
		is          int
		code        int
		exceed      func(w *world) *peer
	}{
		{"Limits.MessageSize", "Max payload size exceeded", 2000, 1009, func(w *world) *peer {
			p := w.client()
			p.send(sized("p", 2001))
			return p
		}},
		{"Limits.HandshakeMessageSize", "Max payload size exceeded", 300, 1009, func(w *world) *peer {
			p := w.dial()
			p.send(sized("#handshake", 301))
			return p
		}},
		{"Limits.Fragments", "too many fragments in one message", 4, 1009, func(w *world) *peer {
			p := w.client()
			p.sendFragments(`{"event":"p","cid":2}`, 5)
			return p
		}},
		{"Limits.BatchSize", "wire: batch has too many packets", 3, 1008, func(w *world) *peer {
			p := w.client()
			p.send(`[1,2,3,4]`)
			return p
		}},
		{"Limits.Depth", "wire: message is nested too deeply", 10, 1008, func(w *world) *peer {
			p := w.client()
			p.send(strings.Repeat("[", 11) + strings.Repeat("]", 11))
			return p
		}},
	} {
		t.Run(test.limit, func(t *testing.T) {
			limits := socketcluster.Limits{MessageSize: 2000, HandshakeMessageSize: 300, Fragments: 4, BatchSize: 3, Depth: 10}
			inBubble(t, socketcluster.Config{Limits: limits}, func(w *world) {
				var told, reasons []string
				socketcluster.On(w.srv, func(e socketcluster.WarningEvent) { told = append(told, e.Err.Error()) })
				socketcluster.On(w.srv, func(e socketcluster.CloseEvent) { reasons = append(reasons, e.Reason) })
				want := fmt.Sprintf("%s: %s is %d", test.what, test.limit, test.is)
				for range 2 {
					p := test.exceed(w)
					p.wantClose(test.code, "")
				}
				synctest.Wait()
				if len(told) != 4 || strings.TrimPrefix(told[0], "Error: ") != want || len(reasons) != 2 || reasons[0] != want {
					t.Errorf("emitted %q, closed for %q; want %q", told, reasons, want)
				}
				if n := w.srv.Stats().LimitHits[test.limit]; n != 2 {
					t.Errorf("counted %d", n)
				}
				wantTold := func(warnings, others int) {
					t.Helper()
					of := map[string]int{} // the number of records of a socket
					levels := map[string]int{}
					for _, line := range w.lines() {
						level, rest, _ := strings.Cut(line, ` msg="a client is disconnected: its message is more than the limit allows" is=`)
						if is, socket, found := strings.Cut(rest, " socket="); found {
							socket, limit, _ := strings.Cut(socket, " ")
							of[socket]++
							levels[level]++
							if is != strconv.Itoa(test.is) || limit != "limit="+test.limit {
								t.Errorf("logged %s", line)
							}
						}
					}
					if len(of) != warnings+others || levels["level=WARN"] != warnings || levels["level=DEBUG"] != others {
						t.Errorf("the log has %d sockets, %v; want %d as warnings and %d others", len(of), levels, warnings, others)
					}
				}
				wantTold(2, 0)
				time.Sleep(time.Second)
				for range 8 {
					test.exceed(w).wantClose(test.code, "")
				}
				wantTold(5, 3)
				time.Sleep(time.Second / 5)
				for range 2 {
					test.exceed(w).wantClose(test.code, "")
				}
				wantTold(1, 1)
			})
		})
	}
}
