package socketcluster_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/wire"
)

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
		"no close frame": {twoPaths, false, (*world).client, func(p *peer) { p.conn.Close() }, false},
		"DropWaiting":    {socketcluster.Config{DropWaiting: true}, false, (*world).client, func(p *peer) { p.sendFrame(normal) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, test.cfg, func(w *world) {
				var mu sync.Mutex
				var got []string
				w.srv.UseInbound(socketcluster.Guard(func(context.Context, *socketcluster.Transmit) error {
					time.Sleep(10 * time.Millisecond)
					return nil
				}))
				if test.raw {
					w.srv.UseInboundRaw(socketcluster.Guard(func(context.Context, *socketcluster.Message) error {
						time.Sleep(time.Millisecond)
						return nil
					}))
				}
				w.srv.Receive("x", socketcluster.ReceiverFunc(func(_ context.Context, tr *socketcluster.Transmission) {
					mu.Lock()
					defer mu.Unlock()
					got = append(got, string(tr.Data))
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

// Nobody holds up the end of a client that has left for longer than
// CloseTimeout; the server's own end is not held up at all.
func TestLeaveTimeout(t *testing.T) {
	for _, test := range []struct {
		end  func(s *socketcluster.Socket)
		want time.Duration
		code wire.CloseCode
	}{
		{func(*socketcluster.Socket) {}, 2 * time.Second, 1000},
		{func(s *socketcluster.Socket) { s.Disconnect(4500, "") }, 0, 4500},
	} {
		inBubble(t, socketcluster.Config{CloseTimeout: 2 * time.Second}, func(w *world) {
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

// A client that answers what handlers ask it gets all of its calls answered,
// however many it makes at once: while a handler waits, Limits.Inbox does not
// keep the server from reading.
func TestAnswersBehindFullInbox(t *testing.T) {
	for _, calls := range []int{700, 1500} {
		for _, concurrent := range []int{1, 64} {
			inBubble(t, socketcluster.Config{}, func(w *world) {
				w.srv.Handle("ask", socketcluster.Func(func(ctx context.Context, c *socketcluster.Call, _ socketcluster.None) (json.RawMessage, error) {
					return c.Socket.Invoke(ctx, "q", 1)
				}), socketcluster.Concurrent(concurrent))
				p := w.client()
				var mu sync.Mutex // of writing
				send := func(text string) {
					mu.Lock()
					defer mu.Unlock()
					p.send(text)
				}
				go func() {
					for i := range calls {
						send(fmt.Sprintf(`{"event":"ask","cid":%d}`, i+2))
					}
				}()
				began := time.Now()
				for answered := 0; answered < calls; {
					var in struct {
						Event    string
						CID, RID int
						Error    json.RawMessage
					}
					text := p.next()
					if err := json.Unmarshal([]byte(text), &in); err != nil || in.Error != nil {
						t.Fatalf("%d of %d are answered; got %s", answered, calls, text)
					}
					if in.Event == "q" {
						send(fmt.Sprintf(`{"rid":%d,"data":2}`, in.CID))
					} else {
						answered++
					}
				}
				if d := time.Since(began); d != 0 {
					t.Errorf("%d calls, %d at a time, have taken %v", calls, concurrent, d)
				}
			})
		}
	}
}

// While a call waits for its answer, InboxBytes bounds what is read, of the
// smallest messages too.
func TestInboxBytesOfSmallMessages(t *testing.T) {
	inBubble(t, socketcluster.Config{PingTimeoutDisabled: true, Limits: socketcluster.Limits{Inbox: 5, InboxBytes: 15_000}}, func(w *world) {
		gate := make(chan struct{})
		w.srv.UseInbound(func(context.Context, socketcluster.Action) error { <-gate; return nil })
		w.listen.BufferSize = 256
		p := w.client()
		s := w.only()
		ctx, cancel := context.WithCancel(context.Background())
		sent, stopped := w.flood(p, func(int) string { return `{"event":"x"}` })
		if n := s.InboundBackpressure(); n > 10 {
			t.Errorf("%d messages wait, want about 5", n)
		}
		go s.Invoke(ctx, "q", 1) // nobody reads it
		synctest.Wait()
		if n := s.InboundBackpressure(); n < 80 || n > 120 {
			t.Errorf("%d messages wait with a call, want about 100; %d are sent", n, sent.Load())
		}
		cancel()
		close(gate)
		go func() {
			for { // what the server sends
				if _, err := p.readFrame(); err != nil {
					return
				}
			}
		}()
		<-stopped
		synctest.Wait()
		if n := s.InboundBackpressure(); n != 0 {
			t.Errorf("%d messages are left", n)
		}
	})
}

// Once a call has been answered, or has been given up, the inbox is bounded as
// before it.
func TestInboxBoundedAfterCall(t *testing.T) {
	inBubble(t, socketcluster.Config{PingTimeoutDisabled: true, Limits: socketcluster.Limits{Inbox: 5}}, func(w *world) {
		gate := make(chan struct{})
		w.srv.UseInbound(func(context.Context, socketcluster.Action) error { <-gate; return nil })
		w.listen.BufferSize = 256
		p := w.client()
		s := w.only()
		go s.Invoke(context.Background(), "q", 1)
		p.want(`{"event":"q","cid":1,"data":1}`)
		p.send(`{"rid":1}`)
		synctest.Wait()
		ctx, cancel := context.WithCancel(context.Background())
		go s.Invoke(ctx, "q", 2)
		p.want(`{"event":"q","cid":2,"data":2}`)
		cancel()
		synctest.Wait()
		_, stopped := w.flood(p, func(int) string { return `{"event":"x"}` })
		if n := s.InboundBackpressure(); n != 6 {
			t.Errorf("%d messages wait, want 5 and one with the reader", n)
		}
		close(gate)
		<-stopped
	})
}
