package lane

import "sync"

const minCapacity = 4

// queue is a ring buffer whose capacity follows its length, so that a burst
// does not stay allocated in a lane that never drains. Its owner's mutex
// guards it.
type queue[T any] struct {
	ring  []T // the length is a power of two
	head  int
	n     int
	space *sync.Cond    // exists once somebody has waited
	idle  chan struct{} // exists once Idle has been called
}

func (q *queue[T]) push(v T) {
	if q.n == len(q.ring) {
		q.resize(max(minCapacity, 2*q.n))
	}
	q.ring[(q.head+q.n)&(len(q.ring)-1)] = v
	q.n++
}

// pop must not be called on an empty queue.
func (q *queue[T]) pop() T {
	var zero T
	v := q.ring[q.head]
	q.ring[q.head] = zero
	q.head = (q.head + 1) & (len(q.ring) - 1)
	q.n--
	if len(q.ring) > minCapacity && q.n <= len(q.ring)/4 {
		q.resize(len(q.ring) / 2)
	}
	return v
}

func (q *queue[T]) resize(capacity int) {
	ring := make([]T, capacity)
	first := copy(ring, q.ring[q.head:min(q.head+q.n, len(q.ring))])
	copy(ring[first:], q.ring[:q.n-first])
	q.ring, q.head = ring, 0
}

func (q *queue[T]) wait(l sync.Locker) {
	if q.space == nil {
		q.space = sync.NewCond(l)
	}
	q.space.Wait()
}

// drained is called when the queue is no longer needed.
func (q *queue[T]) drained() {
	if q.idle != nil {
		close(q.idle)
		q.idle = nil
	}
}

// wake wakes all waiters, not just one, because their limits may differ.
func (q *queue[T]) wake() {
	if q.space != nil {
		q.space.Broadcast()
	}
}
