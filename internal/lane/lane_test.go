package lane

import (
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"unsafe"
)

func TestSize(t *testing.T) {
	if got := unsafe.Sizeof(Lane[[]byte]{}); got > 64 {
		t.Errorf("an idle lane takes %d bytes, want at most 64", got)
	}
}

type item struct{ producer, seq int }

// checker fails when items overlap or one producer's items change order.
type checker struct {
	t       *testing.T
	active  atomic.Int32
	last    map[int]int
	handled int
}

func (c *checker) Handle(v item) {
	if c.active.Add(1) != 1 {
		c.t.Error("two items are handled at the same time")
	}
	if c.last[v.producer] != v.seq-1 {
		c.t.Errorf("producer %d: item %d after %d", v.producer, v.seq, c.last[v.producer])
	}
	c.last[v.producer] = v.seq
	c.handled++
	if v.seq%7 == 0 {
		runtime.Gosched()
	}
	c.active.Add(-1)
}

func TestConcurrentProducers(t *testing.T) {
	const producers, each = 8, 500
	synctest.Test(t, func(t *testing.T) {
		var l Lane[item]
		c := &checker{t: t, last: map[int]int{}}
		for p := range producers {
			go func() {
				for seq := 1; seq <= each; seq++ {
					ok := false
					if p%2 == 0 {
						ok = l.Push(item{p, seq}, c)
					} else {
						ok = l.PushWait(item{p, seq}, c, 1+p)
					}
					if !ok {
						t.Error("refused by an open lane")
					}
				}
			}()
		}
		synctest.Wait()
		if c.handled != producers*each {
			t.Errorf("handled %d items, want %d", c.handled, producers*each)
		}
		if l.busy || l.queue != nil {
			t.Error("the drained lane keeps a worker or a queue")
		}
	})
}

// TestConcurrentClose checks that every item is handled, dropped or refused,
// exactly once, whatever Close races with.
func TestConcurrentClose(t *testing.T) {
	const producers, each = 4, 200
	synctest.Test(t, func(t *testing.T) {
		for round := range 20 {
			var l Lane[item]
			c := &checker{t: t, last: map[int]int{}}
			var refused atomic.Int32
			for p := range producers {
				go func() {
					for seq := 1; seq <= each; seq++ {
						if !l.PushWait(item{p, seq}, c, 1+p) {
							refused.Add(1)
						}
					}
				}()
			}
			for range round * 10 {
				runtime.Gosched()
			}
			dropped := 0
			l.Close(func(item) { dropped++ })
			l.Close(func(item) { t.Error("the second Close drops something") })
			synctest.Wait()
			if sum := c.handled + dropped + int(refused.Load()); sum != producers*each {
				t.Fatalf("handled %d + dropped %d + refused %d = %d, want %d",
					c.handled, dropped, refused.Load(), sum, producers*each)
			}
		}
	})
}

// TestCloseWithoutDrop pins that a nil drop still drops the queue, at once.
func TestCloseWithoutDrop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l Lane[int]
		h := &gated{release: make(chan struct{})}
		for v := range 5 {
			l.Push(v, h)
		}
		l.Close(nil)
		if l.Len() != 0 || l.queue != nil {
			t.Error("the closed lane keeps its queue while an item is handled")
		}
		close(h.release)
		synctest.Wait()
		if want := []int{0}; !slices.Equal(h.ended, want) {
			t.Errorf("handled %v, want %v", h.ended, want)
		}
	})
}

// TestQueueFollowsItsLength pins that a burst does not stay allocated in a lane
// that is never idle, and that order survives the resizing.
func TestQueueFollowsItsLength(t *testing.T) {
	var q queue[int]
	in, out := 0, 0
	push := func() { q.push(in); in++ }
	pop := func() {
		if got := q.pop(); got != out {
			t.Fatalf("popped %d, want %d", got, out)
		}
		out++
		if limit := max(minCapacity, 4*q.n); len(q.ring) > limit {
			t.Fatalf("a queue of %d has a capacity of %d", q.n, len(q.ring))
		}
	}
	for _, burst := range []int{3, 1000, 7, 100} {
		for range burst {
			push()
			push()
			pop()
		}
		for q.n > 1 {
			pop()
		}
	}
}

// TestWaitersWithDifferentLimits pins that a freed place wakes a waiter that
// can use it, also when another one with a lower limit waits longer.
func TestWaitersWithDifferentLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l Lane[int]
		h := &gated{release: make(chan struct{})}
		for v := range 5 { // one running, four queued
			l.Push(v, h)
		}
		go l.PushWait(100, h, 1)
		synctest.Wait()
		go l.PushWait(200, h, 4)
		synctest.Wait()
		h.release <- struct{}{}
		synctest.Wait()
		if got := l.Len(); got != 4 {
			t.Errorf("Len = %d after one item, want 4: the waiter with limit 4 is not in", got)
		}
		for range 6 {
			h.release <- struct{}{}
		}
		synctest.Wait()
		if want := []int{0, 1, 2, 3, 4, 200, 100}; !slices.Equal(h.ended, want) {
			t.Errorf("handled %v, want %v", h.ended, want)
		}
	})
}

// reentrant uses its lane from inside Handle.
type reentrant struct {
	lane    *Lane[int]
	handled []int
}

func (r *reentrant) Handle(v int) {
	r.handled = append(r.handled, v)
	switch {
	case v < 3:
		r.lane.Push(v+1, r)
	case v == 3:
		r.lane.Push(4, r)
		r.lane.Close(func(v int) { r.handled = append(r.handled, -v) })
	}
}

func TestUseFromInsideHandle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l Lane[int]
		r := &reentrant{lane: &l}
		l.Push(0, r)
		synctest.Wait()
		if want := []int{0, 1, 2, 3, -4}; !slices.Equal(r.handled, want) {
			t.Errorf("got %v, want %v", r.handled, want)
		}
	})
}

// TestLift pins that Lift lets go on who waits, and that the limit is back
// afterwards.
func TestLift(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l Lane[int]
		h := &gated{release: make(chan struct{})}
		var pushed atomic.Int32
		push := func() {
			if l.PushWait(0, h, 1) {
				pushed.Add(1)
			}
		}
		check := func(what string, want, queued int) {
			t.Helper()
			synctest.Wait()
			if n := int(pushed.Load()); n != want || l.Len() != queued {
				t.Errorf("%s: %d items pushed, %d queued, want %d, %d", what, n, l.Len(), want, queued)
			}
		}
		push() // is handled
		push() // fills the queue
		go push()
		check("limited", 2, 1)
		l.Lift(true)
		check("lifted", 3, 2)
		push()
		check("still lifted", 4, 3)
		l.Lift(false)
		go push()
		check("limited again", 4, 3)
		for range 2 {
			h.release <- struct{}{}
		}
		check("above the limit", 4, 1)
		h.release <- struct{}{}
		check("below the limit", 5, 1)
		close(h.release)
		check("drained", 5, 0)
	})
}

// TestIdle pins when the channel of Idle is closed.
func TestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		isIdle := func(idle <-chan struct{}) bool {
			synctest.Wait()
			select {
			case <-idle:
				return true
			default:
				return false
			}
		}
		var l Lane[int]
		h := &gated{release: make(chan struct{})}
		if !isIdle(l.Idle()) {
			t.Error("a new lane is not idle")
		}
		for _, items := range []int{1, 3} {
			for v := range items {
				l.Push(v, h)
			}
			idle, same := l.Idle(), l.Idle()
			for left := items; left > 0; left-- {
				if isIdle(idle) {
					t.Errorf("idle with %d of %d items left", left, items)
				}
				h.release <- struct{}{}
			}
			if !isIdle(idle) || !isIdle(same) || !isIdle(l.Idle()) {
				t.Errorf("not idle after %d items", items)
			}
		}
		l.Push(1, h)
		idle := l.Idle()
		l.Close(nil)
		if !isIdle(idle) || !isIdle(l.Idle()) {
			t.Error("a closed lane is not idle")
		}
		close(h.release)
		synctest.Wait()
	})
}

// faulty leaves Handle in the wrong way for some items.
type faulty struct {
	begin   chan struct{} // closed when the first item may be handled
	handled []int
	causes  []any
}

func (f *faulty) Handle(v int) {
	<-f.begin
	f.handled = append(f.handled, v)
	switch v {
	case 2:
		panic("two")
	case 4:
		runtime.Goexit()
	}
}

func (f *faulty) Panicked(v any) { f.causes = append(f.causes, v) }

func TestPanicAndGoexitDoNotWedge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l Lane[int]
		f := &faulty{begin: make(chan struct{})}
		for v := 1; v <= 6; v++ {
			l.Push(v, f)
		}
		close(f.begin) // the whole queue is there before the first panic
		synctest.Wait()
		if want := []int{1, 2, 3, 4, 5, 6}; !slices.Equal(f.handled, want) {
			t.Errorf("handled %v, want %v", f.handled, want)
		}
		if want := []any{"two"}; !slices.Equal(f.causes, want) {
			t.Errorf("panics %v, want %v", f.causes, want)
		}
		if l.busy || l.queue != nil {
			t.Error("the drained lane keeps a worker or a queue")
		}
		l.Push(2, f) // the last item may panic too
		synctest.Wait()
		l.Push(7, f)
		synctest.Wait()
		if got := f.handled[len(f.handled)-1]; got != 7 {
			t.Errorf("last handled %d, want 7", got)
		}
	})
}

type bomb struct{}

func (bomb) Handle(int) { panic("nobody recovers this") }

// TestPanicWithoutPanickedCrashes runs itself in a process of its own.
func TestPanicWithoutPanickedCrashes(t *testing.T) {
	const key = "LANE_TEST_CRASH"
	if os.Getenv(key) != "" {
		var l Lane[int]
		l.Push(1, bomb{})
		select {}
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "-test.run=^"+t.Name()+"$", "-test.timeout=60s")
	cmd.Env = append(os.Environ(), key+"=1")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "panic: nobody recovers this") {
		t.Errorf("err = %v, want a crash; output:\n%s", err, out)
	}
}

type counter struct{ sync.WaitGroup }

func (c *counter) Handle(int) { c.Done() }

// BenchmarkPushIdle starts a worker for each item.
func BenchmarkPushIdle(b *testing.B) {
	b.ReportAllocs()
	var l Lane[int]
	var c counter
	for b.Loop() {
		c.Add(1)
		l.Push(1, &c)
		c.Wait()
	}
}

// BenchmarkPushBusy keeps one worker at work.
func BenchmarkPushBusy(b *testing.B) {
	b.ReportAllocs()
	var l Lane[int]
	var c counter
	for b.Loop() {
		c.Add(1)
		l.PushWait(1, &c, 256)
	}
	c.Wait()
}
