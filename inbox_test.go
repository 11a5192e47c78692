package socketcluster_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster"
)

// Limits.InboxBytes: what a socket has sent and nobody has handled yet is
// bounded in bytes, with handlers too. The rest waits on the client's side,
// and nothing is lost.
func TestInboxBytes(t *testing.T) {
	const size, calls = 10_000, 40
	inBubble(t, socketcluster.Config{Timeouts: socketcluster.Timeouts{PingDisabled: true}, Limits: socketcluster.Limits{InboxBytes: 50_000}}, func(w *world) {
		release := make(chan struct{})
		w.srv.Handle("slow", socketcluster.Func(func(context.Context, json.RawMessage) (int, error) {
			<-release
			return 1, nil
		}), socketcluster.Concurrent(calls))
		p := w.client()
		s := w.only()
		before := s.Stats().BytesReceived
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			for i := range calls {
				p.send(fmt.Sprintf(`{"event":"slow","cid":%d,"data":%q}`, i+2, strings.Repeat("x", size)))
			}
		}()
		synctest.Wait()
		if got := s.Stats().BytesReceived - before; got > 100_000 {
			t.Errorf("%d bytes have been read, want about 50000", got)
		}
		close(release)
		<-sent
		for range calls {
			p.next()
		}
	})
}

// A message larger than the limit is let in when nothing else is held.
func TestInboxBytesAdmitsOneMessage(t *testing.T) {
	inBubble(t, socketcluster.Config{Limits: socketcluster.Limits{InboxBytes: 10}}, func(w *world) {
		w.srv.Handle("echo", socketcluster.Func(echo))
		p := w.client()
		for i := range 5 {
			p.send(fmt.Sprintf(`{"event":"echo","cid":%d,"data":"more than ten bytes"}`, i+2))
			p.want(fmt.Sprintf(`{"rid":%d,"data":"more than ten bytes"}`, i+2))
		}
	})
}

// A socket that waits for room can be closed.
func TestCloseWhileWaitingForRoom(t *testing.T) {
	inBubble(t, socketcluster.Config{Limits: socketcluster.Limits{InboxBytes: 10}}, func(w *world) {
		w.srv.Handle("slow", socketcluster.Proc(func(ctx context.Context, _ socketcluster.None) error {
			<-ctx.Done()
			return nil
		}))
		p := w.client()
		for i := range 3 {
			p.send(fmt.Sprintf(`{"event":"slow","cid":%d,"data":"more than ten bytes"}`, i+2))
		}
		synctest.Wait()
		w.only().Disconnect(4500, "")
		p.wantClose(4500, "")
	})
}

// An answer larger than Limits.Outbox reaches a client that reads.
func TestLargeAnswer(t *testing.T) {
	inBubble(t, socketcluster.Config{Limits: socketcluster.Limits{Outbox: 1000}}, func(w *world) {
		large := strings.Repeat("x", 100_000)
		w.srv.Handle("large", socketcluster.Func(func(context.Context, socketcluster.None) (string, error) { return large, nil }))
		p := w.client()
		for i := range 3 {
			p.send(fmt.Sprintf(`{"event":"large","cid":%d}`, i+2))
		}
		for i := range 3 {
			p.want(fmt.Sprintf(`{"rid":%d,"data":%q}`, i+2, large))
		}
		p.quiet(time.Second)
	})
}

// A client that answers what handlers ask it gets all of its calls answered,
// however many it makes at once: while a handler waits, Limits.Inbox does not
// keep the server from reading.
func TestAnswersBehindFullInbox(t *testing.T) {
	for _, calls := range []int{700, 1500} {
		for _, concurrent := range []int{1, 64} {
			inBubble(t, socketcluster.Config{}, func(w *world) {
				w.srv.Handle("ask", socketcluster.Func(func(ctx context.Context, _ socketcluster.None) (json.RawMessage, error) {
					return socketcluster.FromContext(ctx).Invoke(ctx, "q", 1)
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
	inBubble(t, socketcluster.Config{Timeouts: socketcluster.Timeouts{PingDisabled: true}, Limits: socketcluster.Limits{Inbox: 5, InboxBytes: 15_000}}, func(w *world) {
		gate := make(chan struct{})
		w.srv.UseInbound(func(context.Context, socketcluster.Action) error { <-gate; return nil })
		w.listen.BufferSize = 256
		p := w.client()
		s := w.only()
		ctx, cancel := context.WithCancel(context.Background())
		sent, stopped := w.flood(p, func(int) string { return `{"event":"x"}` })
		if n := s.Stats().InboundBackpressure; n > 10 {
			t.Errorf("%d messages wait, want about 5", n)
		}
		go s.Invoke(ctx, "q", 1) // nobody reads it
		synctest.Wait()
		if n := s.Stats().InboundBackpressure; n < 80 || n > 120 {
			t.Errorf("%d messages wait with a call, want about 100; %d are sent", n, sent.Load())
		}
		cancel()
		close(gate)
		go func() {
			for { // what the server sends
				if _, err := p.ReadFrame(); err != nil {
					return
				}
			}
		}()
		<-stopped
		synctest.Wait()
		if n := s.Stats().InboundBackpressure; n != 0 {
			t.Errorf("%d messages are left", n)
		}
	})
}

// Once a call has been answered, or has been given up, the inbox is bounded as
// before it.
func TestInboxBoundedAfterCall(t *testing.T) {
	inBubble(t, socketcluster.Config{Timeouts: socketcluster.Timeouts{PingDisabled: true}, Limits: socketcluster.Limits{Inbox: 5}}, func(w *world) {
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
		if n := s.Stats().InboundBackpressure; n != 6 {
			t.Errorf("%d messages wait, want 5 and one with the reader", n)
		}
		close(gate)
		<-stopped
	})
}

// MW-11, ST-11, CF-12: messages pass the raw middleware as they arrive, not
// when their turn comes.
func TestRawMiddlewareAheadOfInbox(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		var mu sync.Mutex
		var backpressure []int
		socketcluster.Use(w.srv, func(_ context.Context, a *socketcluster.RawMessage) error {
			mu.Lock()
			defer mu.Unlock()
			backpressure = append(backpressure, a.Socket.Stats().InboundBackpressure)
			a.Data = bytes.ReplaceAll(a.Data, []byte("old"), []byte("new"))
			if bytes.Contains(a.Data, []byte("drop")) {
				return socketcluster.ErrBlocked
			}
			return nil
		})
		socketcluster.Use(w.srv, func(_ context.Context, a *socketcluster.Transmit) error {
			if string(a.Data) == `"slow"` {
				time.Sleep(time.Second)
			}
			return nil
		})
		got := w.received()
		p := w.client()
		s := w.only()
		for _, data := range []string{`"slow"`, `"old"`, `"drop"`, `1`} {
			p.send(`{"event":"a","data":` + data + `}`)
			synctest.Wait()
		}
		mu.Lock()
		// The handshake; slow, which is being processed at once; then those
		// that wait. The dropped one counts as processed.
		if want := []int{1, 1, 1, 2, 2}; !slices.Equal(backpressure, want) {
			t.Errorf("backpressure %v, want %v", backpressure, want)
		}
		mu.Unlock()
		time.Sleep(2 * time.Second)
		if want := []string{`"slow"`, `"new"`, `1`}; !slices.Equal(got(), want) {
			t.Errorf("received %q, want %q", got(), want)
		}
		if n := s.Stats().InboundBackpressure; n != 0 {
			t.Errorf("%d messages are left", n)
		}
	})
}

// received collects the data of all transmissions from now on.
func (w *world) received() func() []string {
	var mu sync.Mutex
	var got []string
	w.srv.ReceiveDefault(func(_ context.Context, tr *socketcluster.Transmission) error {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, string(tr.Data))
		return nil
	})
	return func() []string {
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(got)
	}
}

// Raw middleware that is removed lets no message overtake those that it holds
// up (TR-23, PS-25).
func TestRawMiddlewareRemoved(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		got := w.received()
		p := w.client()
		remove := w.srv.UseInboundRaw(func(context.Context, socketcluster.Action) error {
			time.Sleep(time.Second)
			return nil
		})
		p.send(`{"event":"a","data":1}`)
		p.send(`{"event":"a","data":2}`)
		synctest.Wait()
		remove()
		p.send(`{"event":"a","data":3}`)
		time.Sleep(time.Minute)
		if want := []string{`1`, `2`, `3`}; !slices.Equal(got(), want) {
			t.Errorf("received %q, want %q", got(), want)
		}
	})
}

// A socket that closes while raw middleware is at work drops what waits for
// it, and its reading goroutine is not delayed.
func TestRawMiddlewareCloses(t *testing.T) {
	inBubble(t, socketcluster.Config{Limits: socketcluster.Limits{Inbox: 1}}, func(w *world) {
		p := w.client()
		s := w.only()
		release := make(chan struct{})
		calls := 0
		w.srv.UseInboundRaw(func(context.Context, socketcluster.Action) error {
			calls++
			<-release
			return nil
		})
		for range 5 {
			p.send(`{"event":"a"}`)
		}
		synctest.Wait()
		s.Terminate()
		w.srv.Close() // waits for the reading goroutine
		close(release)
		synctest.Wait()
		if calls != 1 {
			t.Errorf("the middleware ran %d times, want 1", calls)
		}
	})
}

// A response that somebody listens to as a message counts once (ST-11).
func TestInboundBackpressureOfResponse(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		p := w.client()
		s := w.only()
		socketcluster.On(s, func(socketcluster.MessageEvent) {})
		go s.Invoke(context.Background(), "ask", nil)
		p.want(`{"event":"ask","cid":1}`)
		p.send(`{"rid":1,"data":1}`)
		synctest.Wait()
		if n := s.Stats().InboundBackpressure; n != 0 {
			t.Errorf("backpressure %d, want 0", n)
		}
	})
}

// Names with escapes stay what they are while the message waits for its turn.
func TestEscapedNamesInInbox(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		w.srv.UseInbound(func(context.Context, socketcluster.Action) error {
			time.Sleep(time.Second)
			return nil
		})
		var mu sync.Mutex
		var got []string
		w.srv.ReceiveDefault(func(_ context.Context, tr *socketcluster.Transmission) error {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, tr.Receiver)
			return nil
		})
		p := w.client()
		want := []string{"aaaa", "bbbb", "cccc", "dddd"}
		for _, name := range want {
			p.send(`{"event":"\u00` + string("0123456789abcdef"[name[0]>>4]) + string("0123456789abcdef"[name[0]&15]) + name[1:] + `"}`)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if !slices.Equal(got, want) {
			t.Errorf("received %q, want %q", got, want)
		}
	})
}

// here runs a test with connections whose messages are handled where they were read.
func here(t *testing.T, fn func(w *world)) {
	t.Helper()
	inBubble(t, socketcluster.Config{}, func(w *world) {
		w.listen.Polled = true
		fn(w)
	})
}

// takeover is how long it takes at most until another goroutine reads.
const takeover = 2 * time.Millisecond

// A handler that blocks holds up calls of its name on its socket, which are
// handled in order, and nothing else for longer than a moment.
func TestBlockedHandlerIsRelieved(t *testing.T) {
	here(t, func(w *world) {
		gate := make(chan struct{})
		var mu sync.Mutex
		var order []int
		w.srv.Handle("slow", socketcluster.Func(func(_ context.Context, n int) (int, error) {
			mu.Lock()
			order = append(order, n)
			mu.Unlock()
			if n == 1 {
				<-gate
			}
			return n, nil
		}))
		w.srv.Handle("quick", socketcluster.Func(echo))
		p := w.client()
		began := time.Now()
		for i := 1; i <= 5; i++ {
			p.send(fmt.Sprintf(`{"event":"slow","data":%d,"cid":%d}`, i, i+1))
		}
		p.send(`{"event":"quick","data":"q","cid":9}`)
		p.want(`{"rid":9,"data":"q"}`)
		if took := time.Since(began); took > takeover {
			t.Errorf("another name was held up for %v", took)
		}
		p.quiet(time.Minute) // it is pinged meanwhile, and its pongs are read
		close(gate)
		for i := 1; i <= 5; i++ {
			p.want(fmt.Sprintf(`{"rid":%d,"data":%d}`, i+1, i))
		}
		if !slices.Equal(order, []int{1, 2, 3, 4, 5}) {
			t.Errorf("handled in the order %v", order)
		}
		p.send(`{"event":"slow","data":6,"cid":7}`)
		p.want(`{"rid":7,"data":6}`)
	})
}

// Handlers that have been slow begin side by side the next time, whatever their number.
func TestSlowHandlersBeginAtOnce(t *testing.T) {
	here(t, func(w *world) {
		const names = 50
		for i := range names {
			w.srv.Handle(fmt.Sprint("slow", i), socketcluster.Func(func(context.Context, socketcluster.None) (int, error) {
				time.Sleep(time.Second)
				return i, nil
			}))
		}
		p := w.client()
		for round := range 3 {
			began := time.Now()
			for i := range names {
				p.send(fmt.Sprintf(`{"event":"slow%d","cid":%d}`, i, i+2))
			}
			for range names {
				p.next()
			}
			took := time.Since(began)
			if round == 0 && took > time.Second+names*takeover || round > 0 && took != time.Second {
				t.Errorf("round %d took %v", round, took)
			}
		}
	})
}

// A handler, middleware or receiver that calls its client gets the answer at once.
func TestInvokeWhereItWasRead(t *testing.T) {
	here(t, func(w *world) {
		w.srv.Handle("ask", socketcluster.Func(func(ctx context.Context, _ socketcluster.None) (string, error) {
			return socketcluster.InvokeAs[string](ctx, socketcluster.FromContext(ctx), "name", nil)
		}))
		socketcluster.Use(w.srv, func(ctx context.Context, a *socketcluster.Subscribe) error {
			_, err := a.Socket.Invoke(ctx, "may", a.Channel)
			return err
		})
		p := w.client()
		began := time.Now()
		p.send(`{"event":"ask","cid":2}`)
		p.want(`{"event":"name","cid":1}`)
		p.send(`{"rid":1,"data":"alice"}`)
		p.want(`{"rid":2,"data":"alice"}`)
		p.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":3}`)
		p.want(`{"event":"may","cid":2,"data":"a"}`)
		p.send(`{"rid":2}`)
		p.want(`{"rid":3}`)
		if took := time.Since(began); took != 0 {
			t.Errorf("took %v", took)
		}
	})
}

// What ends the goroutine that reads, or panics on it, ends nothing else.
func TestHandlerEndsItsGoroutine(t *testing.T) {
	here(t, func(w *world) {
		w.srv.Handle("exit", socketcluster.Func(func(context.Context, socketcluster.None) (int, error) {
			runtime.Goexit()
			return 0, nil
		}))
		w.srv.Handle("panic", socketcluster.Func(func(context.Context, socketcluster.None) (int, error) { panic("x") }))
		w.srv.Handle("quick", socketcluster.Func(echo))
		exits := false
		socketcluster.Use(w.srv, func(_ context.Context, a *socketcluster.PublishIn) error {
			exits = true
			runtime.Goexit()
			return nil
		})
		p := w.client()
		for i := range 3 {
			p.send(fmt.Sprintf(`{"event":"exit","cid":%d}`, 100+i))
			p.send(fmt.Sprintf(`{"event":"panic","cid":%d}`, 200+i))
			p.want(fmt.Sprintf(`{"rid":%d,"error":{"message":"An internal error occurred","name":"InternalError"}}`, 200+i))
			p.send(`{"event":"#publish","data":{"channel":"a"}}`)
			p.send(fmt.Sprintf(`{"event":"quick","data":%d,"cid":%d}`, i, 300+i))
			p.want(fmt.Sprintf(`{"rid":%d,"data":%d}`, 300+i, i))
		}
		synctest.Wait()
		if !exits {
			t.Error("the middleware was not asked")
		}
	})
}

// What waits behind middleware that ends its goroutine is handled as ever.
func TestGoexitWithQueue(t *testing.T) {
	here(t, func(w *world) {
		w.srv.Handle("quick", socketcluster.Func(echo))
		socketcluster.Use(w.srv, func(_ context.Context, a *socketcluster.PublishIn) error {
			time.Sleep(10 * time.Millisecond)
			runtime.Goexit()
			return nil
		})
		p := w.client()
		p.send(`{"event":"#publish","data":{"channel":"a"}}`)
		p.send(`{"event":"quick","data":1,"cid":2}`)
		p.want(`{"rid":2,"data":1}`)
	})
}

// runsWhereItWasRead reports whether the caller runs on the goroutine that has read its message.
func runsWhereItWasRead() bool {
	stack := make([]byte, 16<<10)
	return bytes.Contains(stack[:runtime.Stack(stack, false)], []byte("handleHere"))
}

// When more clients are in handlers than goroutines may handle what they have read, the
// others are handled as ever.
func TestMoreMessagesThanPosts(t *testing.T) {
	here(t, func(w *world) {
		const clients, posts = 100, 64
		gate := make(chan struct{})
		var onReader, elsewhere atomic.Int32
		w.srv.Handle("wait", socketcluster.Func(func(_ context.Context, n int) (int, error) {
			if runsWhereItWasRead() {
				onReader.Add(1)
			} else {
				elsewhere.Add(1)
			}
			<-gate
			return n, nil
		}))
		var peers []*peer
		for range clients {
			peers = append(peers, w.client())
		}
		for i, p := range peers {
			p.send(fmt.Sprintf(`{"event":"wait","data":%d,"cid":2}`, i))
		}
		synctest.Wait() // no time passes, so no post is relieved
		if here, not := onReader.Load(), elsewhere.Load(); here == 0 || here > posts || here+not != clients {
			t.Errorf("of %d calls, %d are handled where they were read, and %d elsewhere", clients, here, not)
		}
		close(gate)
		for i, p := range peers {
			p.want(fmt.Sprintf(`{"rid":2,"data":%d}`, i))
			p.send(fmt.Sprintf(`{"event":"wait","data":%d,"cid":3}`, i))
			p.want(fmt.Sprintf(`{"rid":3,"data":%d}`, i))
		}
	})
}

// Middleware that is slow does not count against the handler behind it.
func TestSlowMiddlewareWhereItWasRead(t *testing.T) {
	here(t, func(w *world) {
		var onReader atomic.Int32
		w.srv.Handle("quick", socketcluster.Func(func(context.Context, socketcluster.None) (int, error) {
			if runsWhereItWasRead() {
				onReader.Add(1)
			}
			return 0, nil
		}))
		slow := true
		socketcluster.Use(w.srv, func(context.Context, *socketcluster.Invoke) error {
			if slow {
				time.Sleep(10 * time.Millisecond)
			}
			return nil
		})
		p := w.client()
		p.send(`{"event":"quick","cid":2}`)
		p.want(`{"rid":2,"data":0}`)
		slow = false
		p.send(`{"event":"quick","cid":3}`)
		p.want(`{"rid":3,"data":0}`)
		if n := onReader.Load(); n != 2 {
			t.Errorf("%d of 2 calls were handled where they were read", n)
		}
	})
}

// The packets of one message are handled as those of several: a handler holds up none
// of another name.
func TestBatchWhereItWasRead(t *testing.T) {
	here(t, func(w *world) {
		gate := make(chan struct{})
		w.srv.Handle("slow", socketcluster.Func(func(_ context.Context, n int) (int, error) {
			<-gate
			return n, nil
		}))
		w.srv.Handle("quick", socketcluster.Func(echo))
		p := w.client()
		began := time.Now()
		p.send(`[{"event":"slow","data":1,"cid":2},{"event":"slow","data":2,"cid":3},{"event":"quick","data":3,"cid":4}]`)
		p.want(`{"rid":4,"data":3}`)
		if took := time.Since(began); took != 0 {
			t.Errorf("took %v", took)
		}
		close(gate)
		p.want(`{"rid":2,"data":1}`, `{"rid":3,"data":2}`)
	})
}

// Publications leave when the message that has them has been handled, and soon if that
// takes longer, or does not end.
func TestPublicationsWhereTheyWereRead(t *testing.T) {
	here(t, func(w *world) {
		socketcluster.Use(w.srv, func(_ context.Context, a *socketcluster.Invoke) error {
			if a.Procedure == "slow" {
				time.Sleep(time.Second)
			} else {
				runtime.Goexit()
			}
			return nil
		})
		reader := w.client()
		reader.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`)
		reader.want(`{"rid":2}`)
		publication := func(n int) string { return fmt.Sprintf(`{"event":"#publish","data":{"channel":"a","data":%d}}`, n) }
		for _, test := range []struct {
			behind string
			most   time.Duration
		}{
			{publication(0), 0},
			{`{"event":"slow","cid":2}`, time.Millisecond},
			{`{"event":"never","cid":2}`, 0},
		} {
			p := w.client()
			began := time.Now()
			p.send("[" + publication(1) + "," + publication(2) + "," + test.behind + "]")
			reader.want(publication(1), publication(2))
			if took := time.Since(began); took > test.most {
				t.Errorf("before %s: took %v", test.behind, took)
			}
			if test.behind == publication(0) {
				reader.want(publication(0))
			}
		}
		time.Sleep(time.Second) // the middleware
	})
}

// A publication leaves soon, whatever the goroutine that has read it does afterwards: also if
// it was relieved before, and if somebody else sends the publication on.
func TestPublicationsAreNotHeldUp(t *testing.T) {
	publication := func(n int) string { return fmt.Sprintf(`{"event":"#publish","data":{"channel":"a","data":%d}}`, n) }
	call := func(n int) string { return fmt.Sprintf(`{"event":"x","data":%d,"cid":%d}`, n, n+5) }
	busy := func(w *world, then func()) { // relieved at the first publication, and then busy
		socketcluster.Use(w.srv, func(_ context.Context, a *socketcluster.PublishIn) error {
			if time.Sleep(10 * time.Millisecond); string(a.Data) != "1" {
				then()
			}
			return nil
		})
	}
	for name, test := range map[string]struct {
		calls  int // Limits.Calls
		set    func(w *world)
		before func(w *world, reader *socketcluster.Socket, p *peer)
		send   string
		most   time.Duration
	}{
		"relieved, then slow": {set: func(w *world) { busy(w, func() { time.Sleep(5 * time.Second) }) },
			send: "[" + publication(1) + "," + publication(2) + "]", most: 15 * time.Millisecond},
		"relieved, then ended": {set: func(w *world) { busy(w, runtime.Goexit) },
			send: "[" + publication(1) + "," + publication(2) + "]", most: 15 * time.Millisecond},
		"relieved, then without a place": {calls: 1, set: func(w *world) {
			w.srv.Handle("x", socketcluster.Func(func(_ context.Context, n int) (int, error) {
				time.Sleep(time.Duration(n) * 100 * time.Millisecond)
				return n, nil
			}))
		}, send: "[" + call(0) + "," + call(20) + "," + publication(1) + "," + call(1) + "]", most: 15 * time.Millisecond},
		"withheld": {set: func(w *world) {
			socketcluster.Use(w.srv, func(_ context.Context, a *socketcluster.Subscribe) error {
				if a.Again {
					time.Sleep(time.Second)
				}
				return nil
			})
		}, before: func(w *world, reader *socketcluster.Socket, p *peer) {
			go reader.SetAuthToken(context.Background(), map[string]any{"username": "alice"})
			p.next()
			synctest.Wait()
		}, send: publication(1), most: time.Second + 15*time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := socketcluster.Config{Limits: socketcluster.Limits{Calls: test.calls}}
			inBubble(t, cfg, func(w *world) {
				w.listen.Polled = true
				test.set(w)
				reader := w.client()
				s := w.only()
				reader.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`)
				reader.want(`{"rid":2}`)
				p := w.client()
				if test.before != nil {
					test.before(w, s, reader)
				}
				began := time.Now()
				p.send(test.send)
				reader.want(publication(1))
				if took := time.Since(began); took > test.most {
					t.Errorf("took %v", took)
				}
				time.Sleep(10 * time.Second) // handlers and middleware
			})
		})
	}
}

// An answer waits for room that the client's own publication takes, which leaves meanwhile.
func TestAnswerBehindOwnPublication(t *testing.T) {
	inBubble(t, socketcluster.Config{Limits: socketcluster.Limits{Outbox: 8192}}, func(w *world) {
		w.listen.Polled = true
		socketcluster.Use(w.srv, func(context.Context, *socketcluster.PublishIn) error {
			time.Sleep(10 * time.Millisecond)
			return nil
		})
		p := w.client()
		p.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`)
		p.want(`{"rid":2}`)
		began := time.Now()
		p.send(fmt.Sprintf(`{"event":"#publish","data":{"channel":"a","data":%q},"cid":3}`, strings.Repeat("x", 7000)))
		p.next()
		p.want(`{"rid":3}`)
		if took := time.Since(began); took > 15*time.Millisecond {
			t.Errorf("took %v", took)
		}
	})
}

// A handler that closes its socket, or is still busy when the client leaves, keeps
// nothing.
func TestEndWhereItWasRead(t *testing.T) {
	here(t, func(w *world) {
		gate := make(chan struct{})
		w.srv.Handle("close", socketcluster.Proc(func(ctx context.Context, _ socketcluster.None) error {
			return socketcluster.FromContext(ctx).Disconnect(4500, "")
		}))
		w.srv.Handle("slow", socketcluster.Proc(func(context.Context, socketcluster.None) error {
			<-gate
			return nil
		}))
		p := w.client()
		p.send(`{"event":"close","cid":2}`)
		synctest.Wait()
		if n := w.srv.NumClients(); n != 0 {
			t.Errorf("%d clients", n)
		}
		p = w.client()
		p.send(`{"event":"slow","cid":2}`)
		p.Close()
		time.Sleep(takeover)
		synctest.Wait()
		if n := w.srv.NumClients(); n != 0 {
			t.Errorf("%d clients", n)
		}
		close(gate)
	})
}
