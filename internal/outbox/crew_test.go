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
