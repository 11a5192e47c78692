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
	items chan T
	gone  chan struct{}   // closed when the loop has ended
	done  <-chan struct{} // closed when nothing more will be written
	once  sync.Once
	begun atomic.Bool // the loop is entered

	unread func(T) // gets what was written and will not be read; may be nil

	// Of a stream of a socket:
	finish  func() // closes done
	closing bool   // finish is in the queue; guarded by the socket's mu
}

func newConsumer[T any](ctx context.Context, done <-chan struct{}) *consumer[T] {
	return &consumer[T]{ctx: ctx, items: make(chan T, consumerQueue), gone: make(chan struct{}), done: done}
}

// write waits for room, until there will be nobody to read.
func (c *consumer[T]) write(v T) {
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

func (c *consumer[T]) giveUp(v T) {
	if c.unread != nil {
		c.unread(v)
	}
}

// recheck takes back what was written while the loop ended.
func (c *consumer[T]) recheck() {
	select {
	case <-c.gone:
		c.drain()
	default:
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
	c.begun.Store(true)
	for c.ctx.Err() == nil {
		select {
		case <-c.gone: // killed, or it is the second loop
			return
		default:
		}
		select {
		case v := <-c.items:
			if !yield(v) {
				return
			}
			continue
		default:
		}
		select {
		case v := <-c.items:
			if !yield(v) {
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
