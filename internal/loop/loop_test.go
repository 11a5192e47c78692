package loop_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/socketcluster-go/socketcluster/internal/loop"
)

// queued is how many items wait for a loop before its writer does.
const queued = 16

func read[T any](l interface{ Read(func(T) bool) }) (all []T) {
	l.Read(func(v T) bool {
		all = append(all, v)
		return true
	})
	return all
}

func count(n int) (numbers []int) {
	for i := range n {
		numbers = append(numbers, i)
	}
	return numbers
}

// A writer waits while the queue is full, and nothing is lost.
func TestWriterWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		finished := make(chan struct{})
		l := loop.New[int](t.Context(), finished)
		var written atomic.Int32
		go func() {
			defer close(finished)
			for i := range 2 * queued {
				l.Write(i)
				written.Add(1)
			}
		}()
		synctest.Wait()
		if n := written.Load(); n != queued {
			t.Errorf("%d items were written while nobody read", n)
		}
		if got := read(l); !slices.Equal(got, count(2*queued)) {
			t.Errorf("read %d", got)
		}
	})
}

// The end of the loop or of the context lets writers continue.
func TestWriterIsLetGo(t *testing.T) {
	for name, end := range map[string]func(cancel func(), finish chan struct{}, l *loop.Loop[int]){
		"end":     func(_ func(), _ chan struct{}, l *loop.Loop[int]) { l.End() },
		"context": func(cancel func(), _ chan struct{}, _ *loop.Loop[int]) { cancel() },
		"finish":  func(_ func(), finished chan struct{}, _ *loop.Loop[int]) { close(finished) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				finished := make(chan struct{})
				l := loop.New[int](ctx, finished)
				for i := range queued {
					l.Write(i)
				}
				written := make(chan struct{})
				go func() {
					l.Write(queued)
					close(written)
				}()
				synctest.Wait()
				end(cancel, finished, l)
				<-written
			})
		})
	}
}

// named returns a loop with what it did not read, and how often items were handled.
func named(admit func(int) bool) (l *loop.Loop[int], unread *[]int, deliver func(v int), handled *int) {
	unread, handled = new([]int), new(int)
	l = loop.NewNamed(admit)
	deliver = func(v int) {
		loop.Deliver([]*loop.Loop[int]{l}, v, nil, func() { *handled++ }, func() { *unread = append(*unread, v) })
	}
	return l, unread, deliver, handled
}

// Finish comes after the items that were written. Later items are dropped.
func TestFinish(t *testing.T) {
	l, unread, deliver, handled := named(func(v int) bool { return v != 2 })
	for i := range 4 {
		deliver(i)
	}
	l.Finish()
	l.Finish()
	deliver(4)
	if got := read(l); !slices.Equal(got, []int{0, 1, 3}) {
		t.Errorf("read %d", got)
	}
	if !slices.Equal(*unread, []int{4}) || *handled != 5 {
		t.Errorf("unread %d, handled %d", *unread, *handled)
	}
}

// End takes effect at once, also in the middle of a loop, and a loop can be read once.
func TestEnd(t *testing.T) {
	l, unread, deliver, handled := named(nil)
	for i := range 4 {
		deliver(i)
	}
	var got []int
	l.Read(func(v int) bool {
		got = append(got, v)
		if v == 1 {
			l.End()
		}
		return true
	})
	if !slices.Equal(got, []int{0, 1}) || !slices.Equal(*unread, []int{2, 3}) || *handled != 4 {
		t.Errorf("read %d, unread %d, handled %d", got, *unread, *handled)
	}
	deliver(4)
	if second := read(l); second != nil || !slices.Equal(*unread, []int{2, 3, 4}) {
		t.Errorf("after the end: read %d, unread %d", second, *unread)
	}
}

// Items that wait for a loop that nobody has begun count as handled, but the
// loop still gets them if it begins.
func TestRelease(t *testing.T) {
	l, unread, deliver, handled := named(nil)
	deliver(0)
	deliver(1)
	l.Finish()
	l.Release()
	if *handled != 2 || *unread != nil {
		t.Errorf("handled %d, unread %d", *handled, *unread)
	}
	if got := read(l); !slices.Equal(got, []int{0, 1}) || *handled != 2 {
		t.Errorf("read %d, handled %d", got, *handled)
	}
}

// Each loop gets a copy, and the last one that is through with it counts.
func TestDeliver(t *testing.T) {
	for _, oneReads := range []bool{true, false} {
		first, second := loop.NewNamed[int](nil), loop.NewNamed[int](nil)
		copies, handled, unread := 0, 0, 0
		loop.Deliver([]*loop.Loop[int]{first, second}, 7, func(v int) int { copies++; return v }, func() { handled++ }, func() { unread++ })
		if oneReads {
			first.Finish()
			read(first)
		}
		first.End()
		if handled != 0 || unread != 0 || copies != 2 {
			t.Errorf("after one loop: %d copies, handled %d, unread %d", copies, handled, unread)
		}
		second.End()
		if wantUnread := map[bool]int{false: 1}[oneReads]; handled != 1 || unread != wantUnread {
			t.Errorf("after both: handled %d, unread %d", handled, unread)
		}
	}
}

func TestSet(t *testing.T) {
	var s loop.Set[string, int]
	if s.Open("a") != nil || s.Names() != nil || s.Longest("a") != 0 || s.Kill("a") != nil {
		t.Error("the zero value is not empty")
	}
	begins := func(l *loop.Loop[int]) { l.Read(func(int) bool { return false }) }
	begun, unbegun, other := loop.NewNamed[int](nil), loop.NewNamed[int](nil), loop.NewNamed[int](nil)
	begun.Write(1)
	begins(begun)
	unbegun.Write(2)
	s.Add("a", begun)
	s.Add("a", unbegun)
	s.Add("b", other)
	open := s.Open("a")
	if !slices.Equal(open, []*loop.Loop[int]{begun, unbegun}) || s.Longest("a") != 1 {
		t.Errorf("open: %v, longest %d", open, s.Longest("a"))
	}

	gotBegun, gotUnbegun := s.Close("a")
	if !slices.Equal(gotBegun, []*loop.Loop[int]{begun}) || !slices.Equal(gotUnbegun, []*loop.Loop[int]{unbegun}) {
		t.Errorf("closed: %v and %v", gotBegun, gotUnbegun)
	}
	if got := read(unbegun); !slices.Equal(got, []int{2}) {
		t.Errorf("the loop that had not begun reads %d", got)
	}
	if len(open) != 2 || len(s.Open("a")) != 0 {
		t.Error("a closed loop is open, or a reader's list has changed")
	}
	if again, none := s.Close("a"); again != nil || none != nil {
		t.Error("a loop was closed twice")
	}
	if killed := s.Kill("a"); !slices.Equal(killed, []*loop.Loop[int]{begun}) {
		t.Errorf("killed: %v", killed)
	}
	if names := s.Names(); !slices.Equal(names, []string{"b"}) {
		t.Errorf("left: %q", names)
	}
	s.Remove("b", other)
	if len(s.Names()) != 0 {
		t.Error("a removed loop is there")
	}
}
