package upstream_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/broker/upstream"
	"github.com/socketcluster-go/socketcluster/client"
	"github.com/socketcluster-go/socketcluster/wire"
)

var errNo = socketcluster.Errorf("NoError", "Not for you")

// What the upstream server refuses is refused with its error, and not tried again.
func TestRefused(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		var asked atomic.Int32
		w.up(socketcluster.Config{}, func(srv *socketcluster.Server) {
			socketcluster.Use(srv, func(context.Context, *socketcluster.PublishIn) error { return errNo })
			socketcluster.Use(srv, func(context.Context, *socketcluster.Subscribe) error { asked.Add(1); return errNo })
		})
		w.start(upstream.Options{})
		for what, err := range map[string]error{
			"Publish":   w.node.Publish(t.Context(), "a", []byte("1")),
			"Subscribe": w.node.Subscribe(t.Context(), "a"),
		} {
			if e, ok := errors.AsType[*wire.Error](err); !ok || e.Name != "NoError" || e.Message != "Not for you" {
				t.Errorf("%s: %v", what, err)
			}
		}
		if n := w.node.NumChannels(); n != 0 {
			t.Errorf("the node keeps %d channels", n)
		}
		time.Sleep(time.Hour)
		if gaps := w.takeGaps(); asked.Load() != 1 || len(gaps) != 0 {
			t.Errorf("asked %d times; gaps: %+v", asked.Load(), gaps)
		}
	})
}

// A subscription that is not confirmed fails in time, and is taken back.
func TestNotConfirmed(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		release := make(chan struct{})
		w.up(socketcluster.Config{}, func(srv *socketcluster.Server) {
			socketcluster.Use(srv, func(context.Context, *socketcluster.Subscribe) error { <-release; return nil })
		})
		w.start(upstream.Options{})
		began := time.Now()
		if err := w.node.Subscribe(t.Context(), "a"); !errors.Is(err, wire.ErrTimeout) || time.Since(began) != client.DefaultAckTimeout {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := w.node.Subscribe(ctx, "b"); err != context.DeadlineExceeded {
			t.Errorf("with a deadline: %v", err)
		}
		close(release)
		synctest.Wait()
		if n := w.srv.Exchange().NumSubscribers("a") + w.srv.Exchange().NumSubscribers("b"); n != 0 {
			t.Errorf("%d subscriptions are left at the upstream server", n)
		}
	})
}

// A channel from which the node is kicked out is asked for again, until the upstream
// server lets it in.
func TestKickedOut(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		var asked atomic.Int32
		var allowed atomic.Bool
		allowed.Store(true)
		w.up(socketcluster.Config{}, func(srv *socketcluster.Server) {
			socketcluster.Use(srv, func(context.Context, *socketcluster.Subscribe) error {
				if asked.Add(1); !allowed.Load() {
					return errNo
				}
				return nil
			})
		})
		w.start(upstream.Options{}, "a", "b")
		time.Sleep(time.Minute)
		allowed.Store(false)
		asked.Store(0)
		from := time.Now().Add(-pingTimeout)
		if err := w.only().KickOut(t.Context(), "a", "go"); err != nil {
			t.Fatal(err)
		}
		gap := w.began("a", from)
		if kick, ok := errors.AsType[*client.KickOutError](gap.Cause); !ok || string(kick.Message) != `"go"` {
			t.Errorf("the cause is %v", gap.Cause)
		}
		time.Sleep(10 * time.Minute)
		if gaps := w.takeGaps(); len(gaps) != 0 || asked.Load() < 10 || asked.Load() > 30 {
			t.Errorf("in ten minutes: asked %d times; gaps: %+v", asked.Load(), gaps)
		}
		w.publish("b", "1")
		w.received(`b "1"`)
		allowed.Store(true)
		time.Sleep(2 * time.Minute)
		w.ended(gap, 2*time.Minute)
		w.received("a lost 0-0")
		w.publish("a", "2")
		w.received(`a "2"`)
		if err := w.node.Unsubscribe(t.Context(), "a"); err != nil {
			t.Error(err)
		}
		w.publish("a", "3")
		w.received()
	})
}

// A channel that is refused after an outage is a gap of its own, from the beginning of the
// outage. That of the others ends.
func TestRefusedAfterAnOutage(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		var allowed atomic.Bool
		allowed.Store(true)
		guard := func(srv *socketcluster.Server) {
			socketcluster.Use(srv, func(_ context.Context, a *socketcluster.Subscribe) error {
				if a.Channel == "a" && !allowed.Load() {
					return errNo
				}
				return nil
			})
		}
		w.up(socketcluster.Config{}, guard)
		w.start(upstream.Options{}, "a", "b")
		from := time.Now()
		w.down()
		all := w.began("", from)
		allowed.Store(false)
		w.up(socketcluster.Config{}, guard)
		time.Sleep(10 * time.Second)
		gaps := w.takeGaps()
		if len(gaps) != 2 || gaps[0].Channel != "a" || !gaps[0].From.Equal(from) || !gaps[0].To.IsZero() ||
			gaps[1].Channel != "" || gaps[1].To.IsZero() || gaps[1].Cause != all.Cause {
			t.Fatalf("gaps: %+v", gaps)
		}
		allowed.Store(true)
		time.Sleep(time.Minute)
		w.ended(gaps[0], time.Minute)
		w.publish("a", "1")
		w.received("b lost 0-0", "a lost 0-0", `a "1"`)
	})
}

// A channel that could not be asked for again during an outage is asked for after it.
func TestKickedOutBeforeAnOutage(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.up(socketcluster.Config{}, nil)
		w.start(upstream.Options{}, "a")
		from := time.Now()
		if err := w.only().KickOut(t.Context(), "a", nil); err != nil {
			t.Fatal(err)
		}
		gap := w.began("a", from)
		w.down()
		time.Sleep(10 * time.Minute)
		w.takeGaps() // of the outage
		w.up(socketcluster.Config{}, nil)
		time.Sleep(upstream.DefaultMaxDelay)
		gaps := w.takeGaps()
		if len(gaps) != 2 || gaps[0].Channel != "" || gaps[1].Channel != "a" || gaps[1].Cause != gap.Cause || gaps[1].To.IsZero() {
			t.Errorf("gaps: %+v", gaps)
		}
		w.publish("a", "1")
		w.received("a lost 0-0", `a "1"`)
	})
}
