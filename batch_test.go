package socketcluster_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster"
)

// TR-29, TR-31, PS-24: packets of one batch are one message, in the order of
// the calls; pings and raw messages are not among them.
func TestBatch(t *testing.T) {
	ctx := context.Background()
	inBubble(t, socketcluster.Config{}, func(w *world) {
		w.srv.Handle("echo", socketcluster.Func(echo))
		p := w.client()
		s := w.only()
		p.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`)
		p.want(`{"rid":2}`)

		s.StartBatch()
		s.StartBatch().End()
		p.quiet(time.Second)

		s.StartBatch()
		s.Transmit(ctx, "x", 1)
		s.StartBatch().End()
		p.want(`[{"event":"x","data":1}]`)

		s.StartBatch()
		p.send(`{"event":"echo","cid":3}`)
		synctest.Wait()
		w.srv.Exchange().Publish(ctx, "a", 1)
		p.send(`{"event":"echo","cid":4}`)
		synctest.Wait()
		s.Send(ctx, "raw")
		p.want("raw")
		p.quiet(20 * time.Second) // pings come
		s.StartBatch()            // again loses nothing
		s.StartBatch().End()
		p.want(`[{"rid":3},{"event":"#publish","data":{"channel":"a","data":1}},{"rid":4}]`)
		s.Transmit(ctx, "x", 2)
		p.want(`{"event":"x","data":2}`)

		s.StartBatch()
		s.Transmit(ctx, "x", 3)
		s.StartBatch().Cancel()
		s.Transmit(ctx, "x", 4)
		p.want(`{"event":"x","data":4}`)

		s.StartBatch()
		s.Transmit(ctx, "x", 5)
		s.Disconnect(0, "")
		p.wantClose(1000, "") // TR-31: the rest is dropped
		s.StartBatch().End()
		s.StartBatch()
		s.StartBatching()
	})
}

// TR-29: a batch for each interval.
func TestBatching(t *testing.T) {
	ctx := context.Background()
	inBubble(t, socketcluster.Config{Batching: socketcluster.Batching{Interval: 100 * time.Millisecond}}, func(w *world) {
		p := w.client()
		s := w.only()
		began := time.Now()
		at := func(d time.Duration) {
			t.Helper()
			if got := time.Since(began); got != d {
				t.Errorf("at %v, want %v", got, d)
			}
		}
		s.StartBatching()
		s.Transmit(ctx, "x", 1)
		s.Transmit(ctx, "x", 2)
		p.want(`[{"event":"x","data":1},{"event":"x","data":2}]`)
		at(100 * time.Millisecond)
		time.Sleep(250 * time.Millisecond)
		s.Transmit(ctx, "x", 3)
		p.want(`[{"event":"x","data":3}]`)
		at(400 * time.Millisecond)
		s.Transmit(ctx, "x", 4)
		s.StartBatch().End() // sends early and goes on
		p.want(`[{"event":"x","data":4}]`)
		at(400 * time.Millisecond)
		s.Transmit(ctx, "x", 5)
		s.StartBatching().End()
		p.want(`[{"event":"x","data":5}]`)
		s.Transmit(ctx, "x", 6)
		p.want(`{"event":"x","data":6}`)
		s.StartBatching()
		s.Transmit(ctx, "x", 7)
		s.StartBatching().Cancel()
		s.Transmit(ctx, "x", 8)
		p.want(`{"event":"x","data":8}`)
		at(400 * time.Millisecond)
		s.StartBatching()
	})
}

// TR-30, CF-18: batching begins after the answer of the handshake and ends
// after a while.
func TestBatchOnHandshake(t *testing.T) {
	inBubble(t, socketcluster.Config{Batching: socketcluster.Batching{OnHandshake: 400 * time.Millisecond}}, func(w *world) {
		w.srv.Handle("echo", socketcluster.Func(echo))
		var asked []string
		socketcluster.Use(w.srv, func(_ context.Context, a *socketcluster.Subscribe) error {
			asked = append(asked, a.Channel)
			return nil
		})
		began := time.Now()
		p := w.client() // whose answer comes alone
		var channels, calls, answers []string
		for i := 2; i < 22; i++ {
			channels = append(channels, fmt.Sprint(i))
			calls = append(calls, fmt.Sprintf(`{"event":"#subscribe","data":{"channel":"%d"},"cid":%d}`, i, i))
			answers = append(answers, fmt.Sprintf(`{"rid":%d}`, i))
		}
		p.send("[" + strings.Join(calls, ",") + "]")
		p.want("[" + strings.Join(answers, ",") + "]")
		if n := w.only().Stats().Subscriptions; n != 20 {
			t.Errorf("%d subscriptions", n)
		}
		if !slices.Equal(asked, channels) {
			t.Errorf("middleware was asked about %q", asked)
		}
		for _, test := range []struct {
			after time.Duration // the handshake
			want  string
		}{{380 * time.Millisecond, `[{"rid":30}]`}, {410 * time.Millisecond, `{"rid":30}`}} {
			time.Sleep(time.Until(began.Add(test.after)))
			p.send(`{"event":"echo","cid":30}`)
			p.want(test.want)
		}
	})
}

// What a handler sends in a batch is bounded as all that waits is: a larger batch
// leaves in parts.
func TestLargeBatch(t *testing.T) {
	inBubble(t, socketcluster.Config{Limits: socketcluster.Limits{Outbox: 10_000}}, func(w *world) {
		p := w.client()
		s := w.only()
		s.StartBatch()
		const count = 100
		for i := range count {
			s.Transmit(context.Background(), "x", fmt.Sprint(i, strings.Repeat("x", 200)))
			synctest.Wait()
		}
		s.StartBatch().End()
		got := 0
		for parts := 0; got < count; parts++ {
			var part []struct{ Data string }
			text := p.next()
			if err := json.Unmarshal([]byte(text), &part); err != nil || len(text) > 10_000+300 {
				t.Fatalf("part %d: %d bytes, %v", parts, len(text), err)
			}
			for _, packet := range part {
				if !strings.HasPrefix(packet.Data, fmt.Sprint(got, "x")) {
					t.Fatalf("packet %d: %s", got, packet.Data)
				}
				got++
			}
		}
		if s.State() != socketcluster.Open {
			t.Error("the socket has closed")
		}
	})
}
