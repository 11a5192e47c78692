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
	// OnLater, if set, is called when the first queue begins to wait for Flush, and has
	// to see to it that Flush is called soon, whatever becomes of those who push. It is
	// called with locks held, and must not block.
	OnLater func()

	mu      sync.Mutex
	todo    []func() // todo[done:] are the next ones, in the order in which they were added
	done    int
	members int
	later   []func()    // what Flush adds to todo; at most one for each outbox
	any     atomic.Bool // later is not empty
}

// keepQueues bounds the lists that a crew keeps, 128 KiB each. There is one crew for each
// server, and a publication to fewer subscribers allocates no list.
const keepQueues = 16 << 10

// add makes the crew flush a queue.
func (c *Crew) add(flush func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.take(flush)
}

// take adds queues to what is to do. It is called with the lock held.
func (c *Crew) take(flushes ...func()) {
	if c.done > keepQueues && c.done >= len(c.todo)/2 {
		n := copy(c.todo, c.todo[c.done:])
		clear(c.todo[n:])
		c.todo, c.done = c.todo[:n], 0
	}
	c.todo = append(c.todo, flushes...)
	for left := len(c.todo) - c.done; c.members < left && c.members < runtime.GOMAXPROCS(0); c.members++ {
		go c.work()
	}
}

// addLater makes the crew flush a queue after the next call of Flush.
func (c *Crew) addLater(flush func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.later = append(c.later, flush)
	if !c.any.Swap(true) && c.OnLater != nil {
		c.OnLater()
	}
}

// fewQueues is the number of queues up to which it costs more to start goroutines for
// them than to flush them.
const fewQueues = 4

// Flush makes the crew flush the queues that wait for it. Those who push frames that are
// to be written later call it when they have pushed them all.
func (c *Crew) Flush() { c.flush(nil) }

// FlushHere is Flush for a caller that has time for a few writes: it flushes the queues
// itself if they are few. It does not wait for their connections.
func (c *Crew) FlushHere() {
	var few [fewQueues]func()
	for _, flush := range c.flush(few[:]) {
		flush()
	}
}

// flush returns the queues that waited if there is room for them in here. Otherwise the
// crew flushes them.
func (c *Crew) flush(here []func()) []func() {
	if !c.any.Load() {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.later) <= len(here) {
		here = here[:copy(here, c.later)]
	} else {
		c.take(c.later...)
		here = nil
	}
	clear(c.later)
	if c.later = c.later[:0]; cap(c.later) > keepQueues {
		c.later = nil
	}
	c.any.Store(false)
	return here
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
		if c.members == 0 && cap(c.todo) > keepQueues {
			c.todo = nil
		}
		return nil
	}
	flush := c.todo[c.done]
	c.todo[c.done] = nil
	c.done++
	return flush
}
