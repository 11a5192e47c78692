package socketcluster

import (
	"context"
	"slices"
	"sync"
)

// consumerQueue is how many items wait for a loop before its writer does.
const consumerQueue = 16

// consumer is one loop over a stream: a short queue between the goroutine
// that writes and the loop that reads.
type consumer[T any] struct {
	items chan T
	gone  chan struct{}   // closed when the loop has ended
	done  <-chan struct{} // closed when nothing more will be written
	once  sync.Once
}

func newConsumer[T any](done <-chan struct{}) *consumer[T] {
	return &consumer[T]{items: make(chan T, consumerQueue), gone: make(chan struct{}), done: done}
}

// write waits for room, until there will be nobody to read.
func (c *consumer[T]) write(v T) {
	select {
	case <-c.gone:
		return
	default:
	}
	select {
	case c.items <- v:
		return
	default:
	}
	select {
	case c.items <- v:
	case <-c.gone:
	case <-c.done:
	}
}

// read yields items until the loop is left, ctx ends, or the stream is done
// and the queue empty.
func (c *consumer[T]) read(ctx context.Context, yield func(T) bool) {
	defer c.once.Do(func() { close(c.gone) })
	for {
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
		case <-ctx.Done():
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

func (m consumers[T]) remove(name string, c *consumer[T]) {
	left := slices.DeleteFunc(slices.Clone(m[name]), func(other *consumer[T]) bool { return other == c })
	if len(left) == 0 {
		delete(m, name)
		return
	}
	m[name] = left
}
