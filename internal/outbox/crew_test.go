package outbox

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// crewConn counts those that are written at the same time. It takes nothing while it
// is stuck.
type crewConn struct {
	now, most *atomic.Int32
	mu        sync.Mutex
	stuck     bool
	free      chan struct{}
	got       []byte
}

func (c *crewConn) Prompt() bool { return true }

func (c *crewConn) AwaitWrite(time.Duration) error {
	<-c.free
	return nil
}

func (c *crewConn) WriteFrames(frames [][]byte, _ time.Duration) (n int, err error) {
	now := c.now.Add(1)
	defer c.now.Add(-1)
	for most := c.most.Load(); now > most && !c.most.CompareAndSwap(most, now); most = c.most.Load() {
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stuck {
		c.stuck = false
		return 0, nil
	}
	for _, f := range frames {
		c.got = append(c.got, f...)
		n += len(f)
	}
	runtime.Gosched()
	return n, nil
}

// A crew flushes any number of outboxes with as many goroutines as there are
// processors, each in order. Connections that take nothing delay nobody else.
func TestCrew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const outboxes, stuck = 300, 7
		var now, most atomic.Int32
		limits := &Limits{Crew: new(Crew)}
		conns := make([]*crewConn, outboxes)
		all := make([]Outbox[int], outboxes)
		for i := range all {
			conns[i] = &crewConn{now: &now, most: &most, stuck: i < stuck, free: make(chan struct{})}
			all[i].Init(conns[i], &ownerLog{}, limits, nil)
		}
		for _, f := range []string{"a", "b", "c"} {
			for i := range all {
				if err := all[i].Push([]byte(f)); err != nil {
					t.Fatal(err)
				}
			}
		}
		synctest.Wait()
		for i, c := range conns[stuck:] {
			if string(c.got) != "abc" {
				t.Fatalf("outbox %d has written %q", i, c.got)
			}
		}
		for i, c := range conns[:stuck] {
			if len(c.got) != 0 {
				t.Errorf("outbox %d has written %q", i, c.got)
			}
			close(c.free)
		}
		synctest.Wait()
		for i, c := range conns[:stuck] {
			if string(c.got) != "abc" {
				t.Errorf("outbox %d has written %q", i, c.got)
			}
		}
		if n := int(most.Load()); n > runtime.GOMAXPROCS(0)+stuck {
			t.Errorf("%d were written at a time", n)
		}
		if limits.Crew.members != 0 || len(limits.Crew.todo) != 0 {
			t.Errorf("%d members, %d to do, when all is written", limits.Crew.members, len(limits.Crew.todo))
		}
	})
}

// busyConn gets something new to write during each write.
type busyConn struct {
	crewConn
	outbox *Outbox[int]
	left   atomic.Int32
}

func (c *busyConn) WriteFrames(frames [][]byte, stall time.Duration) (int, error) {
	if c.left.Add(-1) > 0 {
		c.outbox.Push([]byte("x"))
	}
	return c.crewConn.WriteFrames(frames, stall)
}

// Connections that always have something to write do not keep a crew from the others.
func TestCrewIsFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int32
		limits := &Limits{Crew: new(Crew)}
		const rounds = 20_000
		busy := make([]busyConn, runtime.GOMAXPROCS(0))
		all := make([]Outbox[int], len(busy)+1)
		for i := range busy {
			c := &busy[i]
			c.now, c.most, c.outbox = &now, &most, &all[i]
			c.left.Store(rounds)
			all[i].Init(c, &ownerLog{}, limits, nil)
			all[i].Push([]byte("x"))
		}
		o := &all[len(busy)]
		o.Init(&crewConn{now: &now, most: &most}, &ownerLog{}, limits, nil)
		o.Push([]byte("y"))
		o.Drain()
		for i := range busy {
			if busy[i].left.Swap(0) <= 0 {
				t.Error("it had to wait until the others had nothing more to write")
			}
		}
		synctest.Wait()
		limits.Crew.mu.Lock()
		defer limits.Crew.mu.Unlock()
		if n := cap(limits.Crew.todo); n > 10*keepCapacity {
			t.Errorf("the list has grown to %d", n)
		}
	})
}
