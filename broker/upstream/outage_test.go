package upstream_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/broker/upstream"
	"github.com/socketcluster-go/socketcluster/client"
	"github.com/socketcluster-go/socketcluster/wire"
)

// pingTimeout is that of the upstream server, within which a loss is noticed.
const pingTimeout = socketcluster.DefaultPingTimeout

// A short outage is reported, and otherwise costs nothing but time: subscriptions
// are renewed, and publications and subscriptions wait.
func TestShortOutage(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.up(socketcluster.Config{}, nil)
		w.start(upstream.Options{}, "a", "b")
		time.Sleep(time.Minute)
		w.publish("a", "before")
		w.received(`a "before"`)

		lost := time.Now()
		w.down()
		gap := w.began("", lost.Add(-pingTimeout))
		if e, ok := errors.AsType[*wire.Error](gap.Cause); !ok {
			t.Errorf("the cause is %v", gap.Cause)
		} else if code, _ := e.Field("code"); code != int(wire.CloseAbnormal) {
			t.Errorf("the cause has the code %v", code)
		}
		done := make(chan error, 2)
		go func() { done <- w.node.Publish(t.Context(), "a", []byte(`"waited"`)) }()
		go func() { done <- w.node.Subscribe(t.Context(), "c") }()
		synctest.Wait()
		if len(done) != 0 {
			t.Fatalf("somebody has not waited: %v", <-done)
		}
		time.Sleep(500 * time.Millisecond)
		w.up(socketcluster.Config{}, nil)
		time.Sleep(5 * time.Second)
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		w.ended(gap, 5*time.Second)
		w.received("a lost 0-0", "b lost 0-0", `a "waited"`)
		for _, channel := range []string{"a", "b", "c"} {
			w.publish(channel, "after")
			w.received(channel + ` "after"`)
		}
		if log := w.logs.Take(); !strings.Contains(log, "may be missed") || !strings.Contains(log, "arrive again") {
			t.Errorf("the log is:\n%s", log)
		}
	})
}

// In a long outage nobody waits any more, and publications do not make the node
// connect more often.
func TestLongOutage(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.up(socketcluster.Config{}, nil)
		w.start(upstream.Options{}, "a")
		w.down()
		lost := time.Now()
		w.mu.Lock()
		w.dials = nil
		w.mu.Unlock()
		bounded, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := w.node.Publish(bounded, "a", []byte("1")); err != context.DeadlineExceeded || time.Since(lost) != time.Second {
			t.Errorf("with a deadline: %v after %v", err, time.Since(lost))
		}
		for _, call := range []func() error{
			func() error { return w.node.Publish(t.Context(), "a", []byte("1")) },
			func() error { return w.node.Subscribe(t.Context(), "b") },
		} {
			if err := call(); !errors.Is(err, wire.ErrBadConnection) || time.Since(lost) != client.DefaultAckTimeout {
				t.Errorf("%v after %v", err, time.Since(lost))
			}
		}
		for range 1000 {
			if err := w.node.Publish(t.Context(), "a", []byte("1")); !errors.Is(err, wire.ErrBadConnection) {
				t.Fatal(err)
			}
			time.Sleep(60 * time.Millisecond)
		}
		w.mu.Lock()
		if n := len(w.dials); n < 5 || n > 15 {
			t.Errorf("%d attempts to connect in 70 seconds", n)
		}
		w.mu.Unlock()
		w.up(socketcluster.Config{}, nil)
		time.Sleep(upstream.DefaultMaxDelay)
		if err := w.node.Publish(t.Context(), "a", []byte("2")); err != nil {
			t.Error(err)
		}
		w.received("a lost 0-0", "a 2")
	})
}

// What was on its way when the connection was lost fails, and is not sent again.
func TestLostOnTheWay(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		var asked atomic.Int32
		slow := func(srv *socketcluster.Server) {
			socketcluster.Use(srv, func(ctx context.Context, _ *socketcluster.PublishIn) error {
				if asked.Add(1) == 1 {
					<-ctx.Done()
				}
				return ctx.Err()
			})
		}
		w.up(socketcluster.Config{}, slow)
		w.start(upstream.Options{}, "a")
		done := make(chan error, 1)
		go func() { done <- w.node.Publish(t.Context(), "a", []byte("1")) }()
		synctest.Wait()
		w.down()
		if err := <-done; !errors.Is(err, wire.ErrBadConnection) {
			t.Errorf("got %v", err)
		}
		w.up(socketcluster.Config{}, slow)
		time.Sleep(time.Minute)
		w.received("a lost 0-0")
		if n := asked.Load(); n != 1 {
			t.Errorf("it was sent %d times", n)
		}
	})
}

// A client stays away after some close codes. A node does not.
func TestClosedForGood(t *testing.T) {
	for _, code := range []wire.CloseCode{1000, 4500} {
		inBubble(t, func(t *testing.T, w *world) {
			w.up(socketcluster.Config{}, nil)
			w.start(upstream.Options{}, "a")
			from := time.Now()
			if err := w.only().Disconnect(code, ""); err != nil {
				t.Fatal(err)
			}
			gap := w.began("", from)
			time.Sleep(2 * time.Second)
			w.ended(gap, 2*time.Second)
			w.publish("a", "again")
			w.received("a lost 0-0", `a "again"`)
		})
	}
}

// A channel that is left during an outage is not waited for.
func TestUnsubscribeInAnOutage(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.up(socketcluster.Config{}, nil)
		w.start(upstream.Options{}, "a", "b")
		from := time.Now()
		w.down()
		gap := w.began("", from)
		for _, channel := range []string{"a", "b"} {
			if err := w.node.Unsubscribe(t.Context(), channel); err != nil {
				t.Fatal(err)
			}
		}
		if gaps := w.takeGaps(); len(gaps) != 0 {
			t.Errorf("without channels and without a server: %+v", gaps)
		}
		w.up(socketcluster.Config{}, nil)
		if err := w.node.Subscribe(t.Context(), "b"); err != nil {
			t.Fatal(err)
		}
		w.ended(gap, 10*time.Second)
		w.publish("a", "nobody")
		w.publish("b", "1")
		w.received(`b "1"`)
	})
}

// A node that does not keep up loses the connection, keeps nothing, and goes on.
func TestFlood(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.up(socketcluster.Config{}, nil)
		w.start(upstream.Options{}, "a")
		from := time.Now()
		w.mu.Lock()
		w.hold = make(chan struct{})
		w.mu.Unlock()
		text := strings.Repeat("x", 64<<10)
		for range 1000 {
			w.publish("a", text)
		}
		time.Sleep(2 * time.Minute)
		gaps := w.takeGaps()
		if len(gaps) != 2 || gaps[0].Channel != "" || !gaps[0].From.Equal(from) || gaps[1].To.IsZero() {
			t.Fatalf("gaps: %+v", gaps)
		}
		w.publish("a", "after")
		synctest.Wait()
		w.mu.Lock()
		n, last := len(w.got), w.got[max(0, len(w.got)-2):]
		w.mu.Unlock()
		if n > 4 || !slices.Equal(last, []string{"a lost 0-0", `a "after"`}) { // and what was being delivered
			t.Errorf("%d publications and losses were delivered, the last ones %.20q", n, last)
		}
	})
}
