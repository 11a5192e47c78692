package route

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type key struct{}

// recorder is a broker that checks the order of its calls.
type recorder struct {
	t      testing.TB
	mu     sync.Mutex
	calls  []string
	on     map[string]bool
	inside map[string]bool
	fail   func() error
	slow   func(what string)
}

func newRecorder(t testing.TB) *recorder {
	return &recorder{
		t: t, on: make(map[string]bool), inside: make(map[string]bool),
		fail: func() error { return nil },
		slow: func(string) {},
	}
}

func (b *recorder) call(ctx context.Context, what, channel string, on bool) (err error) {
	if ctx.Err() != nil {
		b.t.Errorf("%s %s with a context that has ended", what, channel)
	}
	b.mu.Lock()
	if b.inside[channel] {
		b.t.Errorf("calls for %s overlap", channel)
	}
	if b.on[channel] == on {
		b.t.Errorf("%s %s, twice in a row", what, channel)
	}
	b.inside[channel] = true
	b.calls = append(b.calls, what+" "+channel)
	b.mu.Unlock()
	b.slow(what)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.inside[channel] = false
	if on {
		err = b.fail()
	}
	if err == nil {
		b.on[channel] = on
	}
	return err
}

func (b *recorder) Subscribe(ctx context.Context, channel string) error {
	return b.call(ctx, "subscribe", channel, true)
}

func (b *recorder) Unsubscribe(ctx context.Context, channel string) {
	_ = b.call(ctx, "unsubscribe", channel, false)
}

func (b *recorder) want(calls ...string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if !slices.Equal(b.calls, calls) {
		b.t.Errorf("calls: %q, want %q", b.calls, calls)
	}
	b.calls = nil
}

// The broker is called for the first and the last.
func TestFirstAndLast(t *testing.T) {
	b := newRecorder(t)
	table := New(b)
	ctx := t.Context()
	for _, channel := range []string{"a", "a", "b"} {
		if err := table.Join(ctx, channel); err != nil {
			t.Fatal(err)
		}
	}
	b.want("subscribe a", "subscribe b")
	table.Leave(ctx, "a")
	b.want()
	table.Leave(ctx, "a")
	table.Leave(ctx, "b")
	b.want("unsubscribe a", "unsubscribe b")
	if n := len(table.routes); n != 0 {
		t.Errorf("%d routes are left", n)
	}
}

func TestNilTable(t *testing.T) {
	var table *Table
	if err := errors.Join(table.Join(t.Context(), "a"), table.Leave(t.Context(), "a")); err != nil {
		t.Error(err)
	}
}

// Whatever happens side by side, calls for a channel alternate and do not overlap,
// and who has joined is on.
func TestConcurrently(t *testing.T) {
	b := newRecorder(t)
	b.fail = func() error {
		if rand.N(4) == 0 {
			return errors.New("failed")
		}
		return nil
	}
	table := New(b)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 500 {
				channel := string(rune('a' + rand.N(2)))
				ctx, cancel := context.WithCancel(t.Context())
				if rand.N(2) == 0 {
					cancel()
				}
				if table.Join(ctx, channel) == nil {
					b.mu.Lock()
					if !b.on[channel] {
						t.Errorf("joined %s, which is off", channel)
					}
					b.mu.Unlock()
					table.Leave(ctx, channel)
				}
				cancel()
			}
		})
	}
	all.Wait()
	for i := 0; ; i++ { // some go on in the background
		table.mu.Lock()
		n := len(table.routes)
		table.mu.Unlock()
		if n == 0 {
			break
		}
		if i == 5000 {
			t.Fatalf("%d routes are left", n)
		}
		time.Sleep(time.Millisecond)
	}
	for channel, on := range b.on {
		if on {
			t.Errorf("%s is on at the end", channel)
		}
	}
}

// One for whom the broker fails, or ends the goroutine, has not joined, and others
// may try.
func TestFailures(t *testing.T) {
	b := newRecorder(t)
	table := New(b)
	failed := errors.New("failed")
	b.fail = func() error { return failed }
	if err := table.Join(t.Context(), "a"); err != failed {
		t.Errorf("got %v", err)
	}
	b.fail = func() error { runtime.Goexit(); return nil }
	if err := table.Join(t.Context(), "a"); err != errExited {
		t.Errorf("got %v", err)
	}
	if n := len(table.routes); n != 0 {
		t.Errorf("%d routes are left", n)
	}
	b.fail = func() error { return nil }
	if err := table.Join(t.Context(), "a"); err != nil {
		t.Error(err)
	}
	b.want("subscribe a", "subscribe a", "subscribe a")

	b.slow = func(what string) {
		if what == "unsubscribe" {
			runtime.Goexit()
		}
	}
	if err := table.Leave(t.Context(), "a"); err != errExited {
		t.Errorf("got %v", err)
	}
	if n := len(table.routes); n != 0 {
		t.Errorf("%d routes are left", n)
	}
}

// A broker that hangs delays Join no further than its context. What begins
// afterwards ends again, unless somebody else has joined meanwhile.
func TestJoinWithDeadline(t *testing.T) {
	for name, another := range map[string]bool{"alone": false, "with another": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newRecorder(t)
				table := New(b)
				hung := make(chan struct{})
				b.slow = func(string) { <-hung }
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				began := time.Now()
				if err := table.Join(ctx, "a"); err != context.DeadlineExceeded || time.Since(began) != time.Second {
					t.Errorf("Join: %v after %v", err, time.Since(began))
				}
				if err := table.Join(ctx, "b"); err != context.DeadlineExceeded {
					t.Errorf("Join after the end: %v", err)
				}
				if another {
					go table.Join(t.Context(), "a")
					synctest.Wait()
				}
				close(hung)
				synctest.Wait()
				if another {
					b.want("subscribe a")
					table.Leave(context.WithoutCancel(ctx), "a")
					b.want("unsubscribe a")
				}
				if n := len(table.routes); n != 0 {
					t.Errorf("%d routes are left", n)
				}
				if !another {
					b.want("subscribe a", "unsubscribe a")
				}
			})
		})
	}
}

// A broker that hangs delays neither Leave beyond its context nor other channels,
// and gets its calls in order.
func TestLeaveWithDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newRecorder(t)
		table := New(b)
		hung := make(chan struct{})
		b.slow = func(what string) {
			if what == "unsubscribe" {
				<-hung
			}
		}
		if err := table.Join(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), key{}, "x"), time.Second)
		defer cancel()
		began := time.Now()
		if err := table.Leave(ctx, "a"); err != context.DeadlineExceeded || time.Since(began) != time.Second {
			t.Errorf("Leave: %v after %v", err, time.Since(began))
		}
		var joined atomic.Bool
		go func() {
			_ = table.Join(t.Context(), "a")
			joined.Store(true)
		}()
		if err := table.Join(t.Context(), "b"); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if joined.Load() {
			t.Error("joined before the broker was through")
		}
		b.want("subscribe a", "unsubscribe a", "subscribe b")
		close(hung)
		synctest.Wait()
		b.want("subscribe a")
		if !joined.Load() {
			t.Error("not joined")
		}
		// Both have gone before the broker is called for one of them.
		table.Leave(context.WithoutCancel(ctx), "a")
		table.Leave(context.WithoutCancel(ctx), "b")
		b.want("unsubscribe a", "unsubscribe b")
	})
}

// A route that is joined again while the broker hangs continues afterwards.
func TestRejoinedMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newRecorder(t)
		table := New(b)
		began := make(chan struct{})
		b.slow = func(what string) {
			if what == "subscribe" {
				<-began
			}
		}
		go table.Join(t.Context(), "a")
		go table.Join(t.Context(), "a")
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		// One leaves while the broker is called for the first.
		if err := table.Leave(ctx, "a"); err != nil {
			t.Errorf("somebody else is there, but Leave waits: %v", err)
		}
		close(began)
		synctest.Wait()
		b.want("subscribe a")
		table.Leave(context.WithoutCancel(ctx), "a")
		b.want("unsubscribe a")
	})
}
