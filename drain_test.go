package socketcluster_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"github.com/socketcluster-go/socketcluster"
)

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
		f, err := l.readFrame()
		if err != nil {
			l.conn.Close()
			return
		}
		l.mu.Lock()
		if f.Header.OpCode == ws.OpClose {
			l.code, _ = ws.ParseCloseFrameData(f.Payload)
			l.told = time.Since(began)
			ws.WriteFrame(l.conn, ws.MaskFrame(f))
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

// gone is how many clients of a list have been told.
func gone(all []*leaver) (n int) {
	synctest.Wait()
	for _, l := range all {
		if _, gone := l.take(); gone {
			n++
		}
	}
	return n
}

// QK-24: beyond DrainRate clients are told in batches, those without a
// handshake first, and are served until then; nobody new gets in.
func TestDrainIsPaced(t *testing.T) {
	inBubble(t, socketcluster.Config{DrainRate: 10, PingTimeoutDisabled: true}, func(w *world) {
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
			inBubble(t, socketcluster.Config{DrainRate: rate, PingTimeoutDisabled: true}, func(w *world) {
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
						t.Errorf("%d are told by %v", i+1, l.told)
					}
				}
			})
		})
	}
}

// Clients that do not answer the close frame, and handlers that take a moment,
// do not make the shutdown late.
func TestDrainOfSilentClients(t *testing.T) {
	inBubble(t, socketcluster.Config{DrainRate: 1, PingTimeoutDisabled: true}, func(w *world) {
		socketcluster.On(w.srv, func(socketcluster.DisconnectEvent) { time.Sleep(500 * time.Millisecond) })
		w.clients(40)
		ctx, cancel := context.WithTimeout(context.Background(), 8*time.Second)
		defer cancel()
		if err := w.srv.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
}

// A handler that blocks holds up its own client, and none of a later batch.
func TestDrainWithSlowHandlers(t *testing.T) {
	inBubble(t, socketcluster.Config{DrainRate: 4, PingTimeoutDisabled: true}, func(w *world) {
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
			t.Errorf("%d are told although their handlers block", n)
		}
		time.Sleep(2 * time.Second)
		if n := gone(all); n != 8 {
			t.Errorf("%d of the other 8 are told", n)
		}
		for _, l := range all {
			l.conn.Close() // the connections end, but not the handlers
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
	inBubble(t, socketcluster.Config{DrainRate: 1, PingTimeoutDisabled: true}, func(w *world) {
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
			t.Errorf("%d are told, want the one of the first batch", n)
		}
	})
}

// When the context ends during the batches, the clients that are left are
// dropped, one too whose handler waits for the end of its socket while the
// server does not read from it.
func TestDrainWithCanceledContext(t *testing.T) {
	cfg := socketcluster.Config{DrainRate: 1, PingTimeoutDisabled: true, Limits: socketcluster.Limits{Inbox: 1}}
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

// Clients that leave by themselves meanwhile need not be told.
func TestDrainOfThoseWhoLeave(t *testing.T) {
	inBubble(t, socketcluster.Config{DrainRate: 1, PingTimeoutDisabled: true}, func(w *world) {
		log := w.record()
		peers := w.clients(4)
		log.take()
		done := w.shutdown(context.Background())
		for _, p := range peers {
			p.conn.Close()
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
