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
			all[i].Init(peer(conns[i], &ownerLog{}), limits, nil)
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
		const rounds = 20 * keepQueues
		busy := make([]busyConn, runtime.GOMAXPROCS(0))
		all := make([]Outbox[int], len(busy)+1)
		for i := range busy {
			c := &busy[i]
			c.now, c.most, c.outbox = &now, &most, &all[i]
			c.left.Store(rounds)
			all[i].Init(peer(c, &ownerLog{}), limits, nil)
			all[i].Push([]byte("x"))
		}
		o := &all[len(busy)]
		o.Init(peer(&crewConn{now: &now, most: &most}, &ownerLog{}), limits, nil)
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
		if n := cap(limits.Crew.todo); n > 10*keepQueues {
			t.Errorf("the list has grown to %d", n)
		}
	})
}

// What is pushed for later leaves in one write for each outbox when the crew is told to
// flush, in order with everything else. A pushed frame that is in no hurry does not hold up
// those of outboxes that are being written.
func TestFlushLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int32
		limits := &Limits{Crew: new(Crew)}
		conns := make([]*corkConn, 3)
		all := make([]Outbox[int], len(conns))
		later := func(i int, text string) {
			if err := all[i].PushLater(Frame[int]{Bytes: []byte(text)}); err != nil {
				t.Fatal(err)
			}
		}
		want := func(texts ...string) {
			t.Helper()
			synctest.Wait()
			for i, text := range texts {
				if got, writes := conns[i].written(); got != text || writes != min(len(text), 1) {
					t.Errorf("outbox %d: %d writes of %q, want %q", i, writes, got, text)
				}
			}
		}
		for i := range all {
			conns[i] = &corkConn{crewConn: crewConn{now: &now, most: &most}}
			all[i].Init(peer(conns[i], &ownerLog{}), limits, nil)
		}
		limits.Crew.Flush() // of nothing
		for _, text := range []string{"a", "b"} {
			later(0, text)
			later(1, text)
		}
		all[0].Push([]byte("c")) // behind them
		all[2].Push([]byte("x"))
		want("", "", "x")
		limits.Crew.Flush()
		want("abc", "ab", "x")
		for i := range all {
			if all[i].queue != nil {
				t.Errorf("outbox %d: the queue was not given back", i)
			}
		}

		// One that is killed is not written, and the others are.
		later(0, "d")
		later(1, "e")
		all[0].Kill()
		limits.Crew.Flush()
		synctest.Wait()
		if got, _ := conns[0].written(); got != "abc" {
			t.Errorf("a killed outbox has written %q", got)
		}
		if got, _ := conns[1].written(); got != "abe" {
			t.Errorf("the other one has written %q", got)
		}
		if limits.Crew.members != 0 || len(limits.Crew.later) != 0 {
			t.Errorf("%d members, %d for later", limits.Crew.members, len(limits.Crew.later))
		}
	})
}

// A crew that never has nothing to do keeps no list of what is done.
func TestFlushLaterForgets(t *testing.T) {
	c := new(Crew)
	most, left := 0, 8*keepQueues
	done := make(chan struct{})
	var again func()
	again = func() {
		c.mu.Lock()
		most = max(most, len(c.todo))
		c.mu.Unlock()
		if left--; left == 0 {
			close(done)
			return
		}
		c.addLater(again)
		c.Flush()
	}
	c.addLater(again)
	c.Flush()
	<-done
	if most > 3*keepQueues {
		t.Errorf("the list has grown to %d, with one to do", most)
	}
}

// gateConn writes when its gate has been opened.
type gateConn struct {
	crewConn
	gate chan struct{}
}

func (c *gateConn) WriteFrames(frames [][]byte, stall time.Duration) (int, error) {
	<-c.gate
	return c.crewConn.WriteFrames(frames, stall)
}

// A few queues are flushed by the caller of FlushHere, more of them by the crew. A
// connection that takes nothing does not hold up the caller.
func TestFlushHere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int32
		limits := &Limits{Crew: new(Crew)}
		open := make(chan struct{})
		close(open)
		conns := make([]*gateConn, fewQueues+1)
		all := make([]Outbox[int], len(conns))
		for i := range all {
			conns[i] = &gateConn{crewConn{now: &now, most: &most, free: make(chan struct{})}, open}
			all[i].Init(peer(conns[i], &ownerLog{}), limits, nil)
		}
		written := func() (n int) {
			for _, c := range conns {
				n += len(c.got)
			}
			return n
		}
		later := func(n int) {
			for i := range n {
				all[i].PushLater(Frame[int]{Bytes: []byte("x")})
			}
		}
		limits.Crew.FlushHere() // of nothing
		conns[0].stuck = true
		later(fewQueues)
		limits.Crew.FlushHere()
		if n := written(); n != fewQueues-1 {
			t.Errorf("%d of %d were written here, beside one that takes nothing", n, fewQueues)
		}
		close(conns[0].free)
		synctest.Wait()
		if n := written(); n != fewQueues {
			t.Errorf("%d of %d were written", n, fewQueues)
		}
		later(fewQueues + 1)
		gate := make(chan struct{})
		for _, c := range conns {
			c.gate = gate
		}
		limits.Crew.FlushHere() // would wait for ever if it wrote
		close(gate)
		synctest.Wait()
		if n := written(); n != 2*fewQueues+1 {
			t.Errorf("%d of %d were written", n, 2*fewQueues+1)
		}
	})
}
