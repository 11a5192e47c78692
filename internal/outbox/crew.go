package outbox

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Crew flushes the outboxes of prompt connections with a few goroutines, so
// that a publication to a thousand subscribers does not start a thousand. The
// goroutines exist only while there is something to write. A connection that
// accepts nothing gets a goroutine of its own, which waits for it. The zero
// value is ready to use.
type Crew struct {
	mu      sync.Mutex
	todo    []func() // todo[done:] are the next ones, in the order in which they were added
	done    int
	members int
	later   []func()    // what Flush adds
	any     atomic.Bool // later is not empty
}

// add makes the crew flush a queue.
func (c *Crew) add(flush func()) {
	c.mu.Lock()
	if c.done > keepCapacity && c.done >= len(c.todo)/2 {
		n := copy(c.todo, c.todo[c.done:])
		clear(c.todo[n:])
		c.todo, c.done = c.todo[:n], 0
	}
	c.todo = append(c.todo, flush)
	c.recruit()
	c.mu.Unlock()
}

// addLater makes the crew flush a queue after the next call of Flush.
func (c *Crew) addLater(flush func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.later = append(c.later, flush)
	c.any.Store(true)
}

// Flush makes the crew flush the queues that wait for it. Whoever has pushed frames that
// are to be written later calls it when there are no more of them.
func (c *Crew) Flush() {
	if !c.any.Load() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.todo = append(c.todo, c.later...)
	clear(c.later)
	if c.later = c.later[:0]; cap(c.later) > keepCapacity {
		c.later = nil
	}
	c.any.Store(false)
	c.recruit()
}

// recruit starts members for what is to do, up to one for each processor. It is
// called with the lock held.
func (c *Crew) recruit() {
	for left := len(c.todo) - c.done; c.members < left && c.members < runtime.GOMAXPROCS(0); c.members++ {
		go c.work()
	}
}

func (c *Crew) work() {
	for flush := c.next(); flush != nil; flush = c.next() {
		flush()
	}
}

// next returns nil if nothing is left, so that the goroutine must end.
func (c *Crew) next() func() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done == len(c.todo) {
		c.members--
		c.todo, c.done = c.todo[:0], 0
		if c.members == 0 && cap(c.todo) > keepCapacity {
			c.todo = nil
		}
		return nil
	}
	flush := c.todo[c.done]
	c.todo[c.done] = nil
	c.done++
	return flush
}
