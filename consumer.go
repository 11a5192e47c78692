package socketcluster

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
)

// consumerQueue is how many items wait for a loop before its writer does.
const consumerQueue = 16

// consumer is one loop over a stream: a short queue between the goroutine
// that writes and the loop that reads.
type consumer[T any] struct {
	ctx   context.Context // ends the loop
	items chan item[T]
	gone  chan struct{}   // closed when the loop has ended
	done  <-chan struct{} // closed when nothing more will be written
	once  sync.Once
	begun atomic.Bool // the loop is entered
	idle  sync.Mutex  // of letGo, and of the change of begun

	admit  func(T) bool // says, as its turn comes, whether an item is still for the loop; may be nil
	unread func(T)      // gets what was written and will not be read; may be nil

	// Of a stream of a socket:
	finish  func() // closes done
	closing bool   // finish is in the queue; guarded by the socket's mu
}

// item is what is written to a loop.
type item[T any] struct {
	value   T
	handled func() // tells, once or more often, that the loop is through with it; may be nil
}

func (i item[T]) done() {
	if i.handled != nil {
		i.handled()
	}
}

func newConsumer[T any](ctx context.Context, done <-chan struct{}) *consumer[T] {
	return &consumer[T]{ctx: ctx, items: make(chan item[T], consumerQueue), gone: make(chan struct{}), done: done}
}

// write waits for room, until there will be nobody to read.
func (c *consumer[T]) write(v T) { c.writeItem(item[T]{value: v}) }

func (c *consumer[T]) writeItem(v item[T]) {
	select {
	case <-c.gone:
		c.giveUp(v)
		return
	case <-c.done: // what came before may have been given up
		c.giveUp(v)
		return
	default:
	}
	select {
	case c.items <- v:
		c.recheck()
		return
	default:
	}
	select {
	case c.items <- v:
		c.recheck()
		return
	case <-c.gone:
	case <-c.done:
	case <-c.ctx.Done(): // the loop may never have begun
	}
	c.giveUp(v)
}

func (c *consumer[T]) giveUp(v item[T]) {
	v.done()
	if c.unread != nil {
		c.unread(v.value)
	}
}

// recheck takes back what was written while the loop ended.
func (c *consumer[T]) recheck() {
	select {
	case <-c.gone:
		c.drain()
	case <-c.done:
		c.letGo()
	default:
	}
}

// letGo tells that what waits is handled if the loop has not begun, and leaves
// it to the loop all the same: nobody knows whether it ever begins.
func (c *consumer[T]) letGo() {
	c.idle.Lock()
	defer c.idle.Unlock()
	if c.begun.Load() {
		return
	}
	for range len(c.items) {
		select {
		case v := <-c.items:
			v.done()
			select {
			case c.items <- v:
			default: // somebody has written meanwhile
				c.giveUp(v)
			}
		default:
		}
	}
}

// end tells writers that the loop has ended.
func (c *consumer[T]) end() {
	c.once.Do(func() { close(c.gone) })
	c.drain()
}

func (c *consumer[T]) drain() {
	for {
		select {
		case v := <-c.items:
			c.giveUp(v)
		default:
			return
		}
	}
}

// read yields items until the loop is left, ctx ends, or the stream is done
// and the queue empty. The caller ends the consumer.
func (c *consumer[T]) read(yield func(T) bool) {
	c.idle.Lock()
	c.begun.Store(true)
	c.idle.Unlock()
	for c.ctx.Err() == nil {
		select {
		case <-c.gone: // killed, or it is the second loop
			return
		default:
		}
		select {
		case v := <-c.items:
			if !c.hand(v, yield) {
				return
			}
			continue
		default:
		}
		select {
		case v := <-c.items:
			if !c.hand(v, yield) {
				return
			}
		case <-c.ctx.Done():
			return
		case <-c.gone:
			return
		case <-c.done:
			if len(c.items) == 0 {
				return
			}
		}
	}
}

// hand gives the loop what it has taken. To come back is to have handled it.
func (c *consumer[T]) hand(v item[T], yield func(T) bool) bool {
	defer v.done()
	return c.admit != nil && !c.admit(v.value) || yield(v.value)
}

// deliver writes to several loops: a copy to each, as middleware may yet change
// the data for one of them. handled is called when the last one is through with
// it.
func deliver[T any](to []*consumer[T], v T, clone func(T) T, handled func()) {
	var left atomic.Int32
	left.Store(int32(len(to)))
	for _, c := range to {
		own := v
		if len(to) > 1 {
			own = clone(v)
		}
		c.writeItem(item[T]{own, sync.OnceFunc(func() {
			if left.Add(-1) == 0 {
				handled()
			}
		})})
	}
}

// consumers are the loops over the streams of a socket, by name. The socket's
// mu guards them.
type consumers[T any] map[string][]*consumer[T]

func (m *consumers[T]) add(name string, c *consumer[T]) {
	if *m == nil {
		*m = make(consumers[T])
	}
	(*m)[name] = append(slices.Clip((*m)[name]), c)
}

// open returns the loops over a stream that is not being closed.
func (m consumers[T]) open(name string) []*consumer[T] {
	all := m[name]
	closing := func(c *consumer[T]) bool { return c.closing }
	if !slices.ContainsFunc(all, closing) {
		return all
	}
	return slices.DeleteFunc(slices.Clone(all), closing)
}

// longest is how much waits for the slowest loop over a stream.
func (m consumers[T]) longest(name string) (n int) {
	for _, c := range m[name] {
		n = max(n, len(c.items))
	}
	return n
}

func (m consumers[T]) names() []string { return slices.Collect(maps.Keys(m)) }

func (m consumers[T]) remove(name string, c *consumer[T]) {
	left := slices.DeleteFunc(slices.Clone(m[name]), func(other *consumer[T]) bool { return other == c })
	if len(left) == 0 {
		delete(m, name)
		return
	}
	m[name] = left
}
