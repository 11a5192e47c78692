package socketcluster_test

import (
	"context"
	"encoding/json"
	"iter"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/socketcluster-go/socketcluster"
)

// What waits for slow loops over a channel is bounded in bytes and counts in
// the budget, once for all of them; the oldest go first.
func TestChannelQueueBytes(t *testing.T) {
	const size, sent, loops = 100 << 10, 50, 20
	inBubble(t, socketcluster.Config{}, func(w *world) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		x := w.srv.Exchange()
		var all []iter.Seq[json.RawMessage]
		for range loops {
			messages, err := x.Subscribe(ctx, "a")
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, messages)
		}
		for i := range sent {
			if err := x.Publish(ctx, "a", string(rune('A'+i))+strings.Repeat("x", size)); err != nil {
				t.Fatal(err)
			}
		}
		if n := w.srv.Stats().BudgetUsed; n < 900<<10 || n > 1100<<10 {
			t.Errorf("%d bytes are counted, want about 1 MiB", n)
		}
		var got []byte
		for raw := range all[0] {
			got = append(got, raw[1])
			copy(raw, "the loop may write here")
			if len(got) == 10 {
				break
			}
		}
		if want := "ijklmnopqr"; string(got) != want {
			t.Errorf("got %q, want %q", got, want)
		}
		for raw := range all[1] {
			if raw[1] != 'i' {
				t.Errorf("another loop got %q", raw[:30])
			}
			break
		}
		// One that is larger than the queue is let in alone.
		if err := x.Publish(ctx, "a", strings.Repeat("y", 2<<20)); err != nil {
			t.Fatal(err)
		}
		for raw := range all[2] {
			if raw[1] != 'y' {
				t.Errorf("got %q", raw[:10])
			}
			break
		}
		// Loops that never begin give back what they hold when ctx ends.
		cancel()
		synctest.Wait()
		if n := w.srv.Stats().BudgetUsed; n != 0 {
			t.Errorf("%d bytes stay counted", n)
		}
	})
}

// A loop that is further behind than 1024 publications misses the oldest.
func TestChannelQueueCount(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		ctx := context.Background()
		messages := socketcluster.Messages[int](ctx, w.srv.Exchange(), "a")
		for i := range 2000 {
			if err := w.srv.Exchange().Publish(ctx, "a", i); err != nil {
				t.Fatal(err)
			}
		}
		var got []int
		for n, err := range messages {
			if err != nil {
				t.Fatal(err)
			}
			if got = append(got, n); n == 1999 {
				break
			}
		}
		if len(got) != 1024 || got[0] != 2000-1024 || !slices.IsSorted(got) {
			t.Errorf("got %d from %d on", len(got), got[0])
		}
	})
}
