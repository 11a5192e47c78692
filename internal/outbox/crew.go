package outbox

import (
	"runtime"
	"sync"
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
	more := c.members == 0 || len(c.todo)-c.done > c.members && c.members < runtime.GOMAXPROCS(0)
	if more {
		c.members++
	}
	c.mu.Unlock()
	if more {
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
