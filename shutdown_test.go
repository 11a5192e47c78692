package socketcluster_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/internal/sctest"
)

// shutdown calls Shutdown and returns its result when it is there.
func (w *world) shutdown(ctx context.Context) chan error {
	done := make(chan error, 1)
	go func() { done <- w.srv.Shutdown(ctx) }()
	synctest.Wait()
	return done
}

// TR-5, TR-34, QK-24: all clients are asked to come back, those without a
// handshake too, and get what was sent to them before; nobody new gets in.
func TestShutdown(t *testing.T) {
	closed := make(chan struct{})
	inBubble(t, socketcluster.Config{Broker: &faultyBroker{closed: closed}}, func(w *world) {
		ctx := context.Background()
		log := w.record()
		pending, p := w.dial(), w.client()
		s := w.only()
		log.take()
		for i := range 3 {
			s.Transmit(ctx, "last", strings.Repeat("x", i))
		}
		done := w.shutdown(ctx)
		select {
		case err := <-done:
			t.Fatalf("returned with clients connected: %v", err)
		default:
		}
		_, resp := w.upgrade(nil)
		refused(t, resp, 503, "Service Unavailable")
		p.want(`{"event":"last","data":""}`, `{"event":"last","data":"x"}`, `{"event":"last","data":"xx"}`)
		p.wantClose(1001, "")
		pending.wantClose(1001, "")
		if err := <-done; err != nil {
			t.Error(err)
		}
		<-closed
		if n := w.srv.NumClients() + w.srv.NumPendingClients(); n != 0 {
			t.Errorf("%d sockets", n)
		}
		for name, err := range map[string]error{
			"Shutdown": w.srv.Shutdown(ctx),
			"Close":    w.srv.Close(),
			"Publish":  w.srv.Exchange().Publish(ctx, "a", 1),
		} {
			if !errors.Is(err, socketcluster.ErrServerClosed) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := w.srv.Exchange().Subscribe(ctx, "a"); !errors.Is(err, socketcluster.ErrServerClosed) {
			t.Errorf("Subscribe: %v", err)
		}
	})
}

// A client that does not answer the close frame delays Shutdown for the
// close timeout, or for as long as the context allows.
func TestShutdownWithSilentClient(t *testing.T) {
	for _, test := range []struct {
		allowed, waited time.Duration
		err             error
	}{
		{time.Hour, 3 * time.Second, nil},
		{time.Second, time.Second, context.DeadlineExceeded},
		{0, 0, context.DeadlineExceeded},
	} {
		inBubble(t, socketcluster.Config{}, func(w *world) {
			p := w.client()
			began := time.Now()
			ctx, cancel := context.WithTimeout(context.Background(), test.allowed)
			defer cancel()
			if err := w.srv.Shutdown(ctx); !errors.Is(err, test.err) || err != nil && test.err == nil {
				t.Errorf("got %v, want %v", err, test.err)
			}
			if d := time.Since(began).Round(100 * time.Millisecond); d != test.waited {
				t.Errorf("waited %v, want %v", d, test.waited)
			}
			for { // what has been sent may still be read; then it is over
				if _, err := p.nextFrame(); err != nil {
					break
				}
			}
		})
	}
}

// One slow handler delays neither the other clients, which are told at
// once, nor Shutdown beyond its context.
func TestShutdownWithSlowHandler(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		gate := make(chan struct{})
		var blocked atomic.Bool
		socketcluster.On(w.srv, func(socketcluster.DisconnectEvent) {
			if !blocked.Swap(true) {
				<-gate
			}
		})
		var peers []*peer
		for range 5 {
			peers = append(peers, w.client())
		}
		began := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		done := w.shutdown(ctx)
		told := 0
		for _, p := range peers {
			p.Conn.SetReadDeadline(time.Now().Add(time.Second))
			if f, err := p.ReadFrame(); err == nil && f.Header.OpCode == ws.OpClose {
				told++
				p.sendFrame(f)
			}
		}
		if told < 4 {
			t.Errorf("%d of 5 clients were closed", told)
		}
		if err := <-done; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if d := time.Since(began).Round(100 * time.Millisecond); d != 2*time.Second {
			t.Errorf("waited %v", d)
		}
		close(gate)
	})
}

// Close drops everybody, also while Shutdown waits for them.
func TestClose(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		log := w.record()
		pending, p := w.dial(), w.client()
		log.take()
		if err := w.srv.Close(); err != nil {
			t.Error(err)
		}
		for _, c := range []*peer{p, pending} {
			if f, err := c.nextFrame(); err == nil {
				t.Errorf("got %v", f)
			}
		}
		if got := log.take(); strings.Count(got, "end") != 2 || strings.Count(got, "disconnect") != 1 || strings.Count(got, "connectAbort") != 1 {
			t.Errorf("events %s", got)
		}
		_, resp := w.upgrade(nil)
		refused(t, resp, 503, "Service Unavailable")
	})
	inBubble(t, socketcluster.Config{Timeouts: socketcluster.Timeouts{Close: time.Hour}}, func(w *world) {
		w.client()
		done := w.shutdown(context.Background())
		if err := w.srv.Close(); !errors.Is(err, socketcluster.ErrServerClosed) {
			t.Errorf("got %v", err)
		}
		if err := <-done; err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
}

// A server's event loops hear of those that Shutdown disconnects, and end
// with it. Loops that never begin delay nothing but what they listen to.
func TestShutdownEndsLoops(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		ctx := context.Background()
		var loops, disconnects, taken atomic.Int32
		count[socketcluster.DisconnectEvent](ctx, w.srv, &loops, &disconnects)
		_ = socketcluster.Events[socketcluster.ConnectEvent](ctx, w.srv)
		seq, err := w.srv.Exchange().Subscribe(ctx, "a")
		if err != nil {
			t.Fatal(err)
		}
		loops.Add(1)
		go func() {
			defer loops.Add(-1)
			for range seq.All() {
				taken.Add(1)
			}
		}()
		var peers []*peer
		for range 10 {
			peers = append(peers, w.client())
		}
		w.srv.Exchange().Publish(ctx, "a", 1)
		done := w.shutdown(ctx)
		for _, p := range peers {
			p.wantClose(1001, "")
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if loops.Load() != 0 || disconnects.Load() != 10 || taken.Load() != 1 {
			t.Errorf("%d loops go on; %d disconnects, %d publications", loops.Load(), disconnects.Load(), taken.Load())
		}
	})
}

// Calls under way end with their sockets.
func TestCloseEndsCalls(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		w.srv.Handle("hang", socketcluster.HandlerFunc(func(ctx context.Context, c *socketcluster.Call) (any, error) { <-ctx.Done(); return nil, nil }))
		var peers []*peer
		for i := range 5 {
			p := w.client()
			p.send(fmt.Sprintf(`{"event":"hang","cid":%d}`, i))
			peers = append(peers, p)
		}
		results := make(chan error, 5)
		for s := range w.srv.Clients() {
			go func() {
				_, err := s.Invoke(context.Background(), "hang", nil)
				results <- err
			}()
		}
		synctest.Wait()
		w.srv.Close()
		for range peers {
			if err := <-results; err == nil {
				t.Error("a call has succeeded")
			}
		}
	})
}

// leaver is a client that answers the close frame and goes.
type leaver struct {
	*peer
	mu    sync.Mutex
	texts []string
	code  ws.StatusCode // of the close frame, 0 until then
	told  time.Duration // after when it came
}

// leavers reads what comes for each peer from now on.
func leavers(peers ...*peer) []*leaver {
	began := time.Now()
	var all []*leaver
	for _, p := range peers {
		l := &leaver{peer: p}
		all = append(all, l)
		go l.read(began)
	}
	return all
}

func (l *leaver) read(began time.Time) {
	for {
		f, err := l.ReadFrame()
		if err != nil {
			l.Conn.Close()
			return
		}
		l.mu.Lock()
		if f.Header.OpCode == ws.OpClose {
			l.code, _ = ws.ParseCloseFrameData(f.Payload)
			l.told = time.Since(began)
			ws.WriteFrame(l.Conn, ws.MaskFrame(f))
		} else {
			l.texts = append(l.texts, string(f.Payload))
		}
		l.mu.Unlock()
	}
}

// take returns what has come, and whether that was the end.
func (l *leaver) take() (texts string, gone bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	texts, l.texts = strings.Join(l.texts, " "), nil
	return texts, l.code != 0
}

// clients connects several.
func (w *world) clients(n int) (all []*peer) {
	for range n {
		all = append(all, w.client())
	}
	return all
}

// gone is the number of clients of a list that have been closed.
func gone(all []*leaver) (n int) {
	synctest.Wait()
	for _, l := range all {
		if _, gone := l.take(); gone {
			n++
		}
	}
	return n
}

// QK-24: beyond DrainRate clients are closed in batches, those without a
// handshake first, and are served until then; nobody new gets in.
func TestDrainIsPaced(t *testing.T) {
	inBubble(t, socketcluster.Config{DrainRate: 10, Timeouts: socketcluster.Timeouts{PingDisabled: true}}, func(w *world) {
		ctx := context.Background()
		w.srv.Handle("echo", socketcluster.Func(echo))
		open := w.clients(23)
		for _, p := range open {
			p.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`)
			p.want(`{"rid":2}`)
		}
		pending := leavers(w.dial(), w.dial())
		clients := leavers(open...)
		all := slices.Concat(pending, clients)
		synctest.Wait() // the server has begun with those that are pending
		began := time.Now()
		done := w.shutdown(ctx)
		if n := gone(pending); n != 2 {
			t.Errorf("%d of 2 clients without a handshake are gone at once", n)
		}
		for cid := 3; ; cid++ {
			after := time.Since(began)
			n := gone(all)
			if want := min(10+int(10*after.Seconds()), 25); n != want {
				t.Errorf("after %v %d are gone, want %d", after, n, want)
			}
			if n == len(all) || t.Failed() {
				break
			}
			_, resp := w.upgrade(nil)
			refused(t, resp, 503, "Service Unavailable")
			var served []*leaver
			for _, c := range clients {
				if _, gone := c.take(); !gone {
					served = append(served, c)
					c.send(fmt.Sprintf(`{"event":"echo","data":1,"cid":%d}`, cid))
				}
			}
			synctest.Wait()
			if err := w.srv.Exchange().Publish(ctx, "a", cid); err != nil {
				t.Error(err)
			}
			synctest.Wait()
			for _, c := range served {
				want := fmt.Sprintf(`{"rid":%d,"data":1} {"event":"#publish","data":{"channel":"a","data":%d}}`, cid, cid)
				if got, _ := c.take(); got != want {
					t.Errorf("after %v a client got %s, want %s", after, got, want)
				}
			}
			time.Sleep(100 * time.Millisecond)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		for _, l := range all {
			if l.code != ws.StatusGoingAway {
				t.Errorf("closed with %d", l.code)
			}
		}
	})
}

// The deadline makes the pace faster, so that the last clients have the close
// timeout and a tenth of the time to go, or half of a short time. It makes none
// slower.
func TestDrainFitsTheDeadline(t *testing.T) {
	const clients, rate = 41, 2
	for _, test := range []struct {
		allowed, last time.Duration
	}{
		{time.Hour, 19500 * time.Millisecond},
		{13 * time.Second, 8700 * time.Millisecond}, // the close timeout is 3 s
		{8 * time.Second, 4200 * time.Millisecond},
		{4 * time.Second, 2 * time.Second},
		{time.Second, 500 * time.Millisecond},
	} {
		t.Run(fmt.Sprint(test.allowed), func(t *testing.T) {
			inBubble(t, socketcluster.Config{DrainRate: rate, Timeouts: socketcluster.Timeouts{PingDisabled: true}}, func(w *world) {
				all := leavers(w.clients(clients)...)
				ctx, cancel := context.WithTimeout(context.Background(), test.allowed)
				defer cancel()
				began := time.Now()
				if err := w.srv.Shutdown(ctx); err != nil {
					t.Error(err)
				}
				if d := time.Since(began); d != test.last {
					t.Errorf("the last client has gone after %v, want %v", d, test.last)
				}
				slices.SortFunc(all, func(a, b *leaver) int { return cmp.Compare(a.told, b.told) })
				due := func(at time.Duration) int {
					return int(max(rate*(1+at.Seconds()), clients*at.Seconds()/test.last.Seconds()))
				}
				for i, l := range all {
					if l.told > 0 && due(l.told-100*time.Millisecond) > i || due(l.told) < i+1 {
						t.Errorf("%d are closed by %v", i+1, l.told)
					}
				}
			})
		})
	}
}

// Clients that do not answer the close frame, and handlers that take a moment,
// do not make the shutdown late.
func TestDrainOfSilentClients(t *testing.T) {
	inBubble(t, socketcluster.Config{DrainRate: 1, Timeouts: socketcluster.Timeouts{PingDisabled: true}}, func(w *world) {
		socketcluster.On(w.srv, func(socketcluster.DisconnectEvent) { time.Sleep(500 * time.Millisecond) })
		w.clients(40)
		ctx, cancel := context.WithTimeout(context.Background(), 8*time.Second)
		defer cancel()
		if err := w.srv.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
}

// A handler that blocks delays its own client, and none of a later batch.
func TestDrainWithSlowHandlers(t *testing.T) {
	inBubble(t, socketcluster.Config{DrainRate: 4, Timeouts: socketcluster.Timeouts{PingDisabled: true}}, func(w *world) {
		gate := make(chan struct{})
		var blocked atomic.Int32
		socketcluster.On(w.srv, func(socketcluster.DisconnectEvent) {
			if blocked.Add(1) <= 4 { // the whole first batch
				<-gate
			}
		})
		all := leavers(w.clients(12)...)
		done := w.shutdown(context.Background())
		if n := gone(all); n != 0 {
			t.Errorf("%d are closed although their handlers block", n)
		}
		time.Sleep(2 * time.Second)
		if n := gone(all); n != 8 {
			t.Errorf("%d of the other 8 are closed", n)
		}
		for _, l := range all {
			l.Conn.Close() // the connections end, but not the handlers
		}
		synctest.Wait()
		select {
		case err := <-done:
			t.Errorf("Shutdown has not waited for handlers: %v", err)
		default:
		}
		close(gate)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// Close does not wait for the batches that are left.
func TestCloseCutsDrainShort(t *testing.T) {
	inBubble(t, socketcluster.Config{DrainRate: 1, Timeouts: socketcluster.Timeouts{PingDisabled: true}}, func(w *world) {
		all := leavers(w.clients(5)...)
		began := time.Now()
		done := w.shutdown(context.Background())
		if err := w.srv.Close(); !errors.Is(err, socketcluster.ErrServerClosed) {
			t.Errorf("got %v", err)
		}
		if err := <-done; err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if d := time.Since(began); d != 0 {
			t.Errorf("it has taken %v", d)
		}
		if n := gone(all); n != 1 {
			t.Errorf("%d are closed, want the one of the first batch", n)
		}
	})
}

// When the context ends during the batches, the clients that are left are
// dropped, one too whose handler waits for the end of its socket while the
// server does not read from it.
func TestDrainWithCanceledContext(t *testing.T) {
	cfg := socketcluster.Config{DrainRate: 1, Timeouts: socketcluster.Timeouts{PingDisabled: true}, Limits: socketcluster.Limits{Inbox: 1}}
	inBubble(t, cfg, func(w *world) {
		w.srv.UseInbound(func(ctx context.Context, _ socketcluster.Action) error {
			<-ctx.Done()
			return nil
		})
		peers := w.clients(3)
		var sockets []*socketcluster.Socket
		for s := range w.srv.Clients() {
			sockets = append(sockets, s)
		}
		for _, p := range peers {
			p.transmitAll("x", numbers(5))
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := w.shutdown(ctx)
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		synctest.Wait()
		for _, s := range sockets {
			if s.State() != socketcluster.Closed {
				t.Error("a socket is left")
			}
		}
	})
}

// Clients that leave by themselves meanwhile need not be closed.
func TestDrainOfThoseWhoLeave(t *testing.T) {
	inBubble(t, socketcluster.Config{DrainRate: 1, Timeouts: socketcluster.Timeouts{PingDisabled: true}}, func(w *world) {
		log := w.record()
		peers := w.clients(4)
		log.take()
		done := w.shutdown(context.Background())
		for _, p := range peers {
			p.Conn.Close()
		}
		time.Sleep(10 * time.Second)
		if err := <-done; err != nil {
			t.Error(err)
		}
		if got := log.take(); strings.Count(got, "disconnect") != 4 || strings.Count(got, "end") != 4 {
			t.Errorf("events %s", got)
		}
	})
}

// A client is closed when what it has asked is answered, and is served until then.
func TestShutdownAnswersCalls(t *testing.T) {
	for name, ask := range map[string]string{
		"a call":        `{"event":"slow","cid":2}`,
		"a publication": `{"event":"#publish","data":{"channel":"slow","data":1},"cid":2}`,
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, socketcluster.Config{}, func(w *world) {
				gate := make(chan struct{})
				w.srv.Handle("echo", socketcluster.Func(echo))
				w.srv.Handle("slow", socketcluster.Proc(func(context.Context, socketcluster.None) error {
					<-gate
					return nil
				}))
				socketcluster.Use(w.srv, func(context.Context, *socketcluster.PublishIn) error {
					<-gate
					return nil
				})
				p, other := w.client(), w.client()
				p.send(ask)
				synctest.Wait()
				ctx, cancel := context.WithTimeout(context.Background(), socketcluster.DefaultShutdownTimeout)
				defer cancel()
				done := w.shutdown(ctx)
				other.wantClose(1001, "")
				if name == "a call" { // publications and calls of other procedures have their turn
					p.send(`{"event":"echo","data":1,"cid":3}`)
					p.want(`{"rid":3,"data":1}`)
				}
				time.Sleep(time.Second)
				close(gate)
				p.want(`{"rid":2}`)
				p.wantClose(1001, "")
				if err := <-done; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// Calls that have arrived are answered, also those that nobody has read yet.
func TestShutdownAnswersWhatHasArrived(t *testing.T) {
	srv, err := socketcluster.New(socketcluster.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	srv.Handle("echo", socketcluster.Func(echo))
	web := httptest.NewServer(srv)
	defer web.Close()
	clients := make([]*sctest.Client, 100)
	for i := range clients {
		clients[i] = sctest.Connect(t, sctest.TCP(web.Listener.Addr().String()), "")
	}
	for _, c := range clients {
		if err := c.Conn.Send(`{"event":"echo","data":1,"cid":7}`); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), socketcluster.DefaultShutdownTimeout)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- srv.Shutdown(ctx) }()
	failed := 0
	for _, c := range clients {
		if text, err := c.Conn.Next(); err != nil || text != `{"rid":7,"data":1}` {
			failed++
		}
		c.Close()
	}
	if failed > len(clients)/10 { // the kernel may still be carrying some
		t.Errorf("%d of %d calls have failed", failed, len(clients))
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A client that always has something open is closed nevertheless, and what was taken from
// it is answered.
func TestShutdownOfBusyClient(t *testing.T) {
	inBubble(t, socketcluster.Config{Timeouts: socketcluster.Timeouts{PingDisabled: true}}, func(w *world) {
		var handled atomic.Int32
		w.srv.Handle("slow", socketcluster.Proc(func(context.Context, socketcluster.None) error {
			time.Sleep(time.Second)
			handled.Add(1)
			return nil
		}), socketcluster.Concurrent(10))
		c := leavers(w.client())[0]
		var asking sync.WaitGroup
		defer asking.Wait()
		asking.Go(func() {
			for cid := 2; c.SendFrame(ws.NewTextFrame(fmt.Appendf(nil, `{"event":"slow","cid":%d}`, cid))) == nil; cid++ {
				time.Sleep(300 * time.Millisecond)
			}
		})
		time.Sleep(2 * time.Second)
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		began := time.Now()
		if err := w.srv.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		// It is served for Timeouts.Close, and the last call takes a second.
		if d := time.Since(began); d < 3*time.Second || d > 4100*time.Millisecond {
			t.Errorf("it has taken %v", d)
		}
		texts, _ := c.take()
		if n := strings.Count(texts, "rid"); n != int(handled.Load()) || n < 14 {
			t.Errorf("%d of %d calls are answered", n, handled.Load())
		}
	})
}

// A handler that waits for the end of its client holds the shutdown up until those that
// are left must go.
func TestShutdownWithEndlessCall(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		w.srv.Handle("hang", socketcluster.HandlerFunc(func(ctx context.Context, _ *socketcluster.Call) (any, error) {
			<-ctx.Done()
			return nil, nil
		}))
		p := w.client()
		p.send(`{"event":"hang","cid":2}`)
		synctest.Wait()
		c := leavers(p)[0]
		ctx, cancel := context.WithTimeout(context.Background(), socketcluster.DefaultShutdownTimeout)
		defer cancel()
		began := time.Now()
		if err := w.srv.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		// A tenth of the time and the close timeout are left.
		if d := time.Since(began).Round(100 * time.Millisecond); d != 4200*time.Millisecond {
			t.Errorf("it has taken %v", d)
		}
		if _, gone := c.take(); !gone {
			t.Error("the client was not asked to leave")
		}
	})
}
