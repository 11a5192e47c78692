package socketcluster_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"github.com/socketcluster-go/socketcluster"
)

// shutdown calls Shutdown and returns its result when it is there.
func (w *world) shutdown(ctx context.Context) chan error {
	done := make(chan error, 1)
	go func() { done <- w.srv.Shutdown(ctx) }()
	synctest.Wait()
	return done
}

// TR-5, TR-34, QK-24: all clients are told to come back, those without a
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
		if n := w.srv.ClientsCount() + w.srv.PendingClientsCount(); n != 0 {
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

// A client that does not answer the close frame holds up Shutdown for the
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

// One slow handler holds up neither the other clients, which are told at
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
			p.conn.SetReadDeadline(time.Now().Add(time.Second))
			if f, err := readFrame(p.in); err == nil && f.Header.OpCode == ws.OpClose {
				told++
				p.sendFrame(f)
			}
		}
		if told < 4 {
			t.Errorf("%d of 5 clients were told", told)
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
	inBubble(t, socketcluster.Config{CloseTimeout: time.Hour}, func(w *world) {
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
// with it. Loops that never begin hold up nothing but what they listen to.
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
			for range seq {
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
		w.srv.Handle("hang", socketcluster.HandlerFunc(func(ctx context.Context, c *socketcluster.Call) { <-ctx.Done() }))
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
