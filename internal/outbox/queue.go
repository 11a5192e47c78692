package outbox

import "sync"

const (
	batchFrames = 64
	batchBytes  = 64 << 10

	// keepCapacity bounds the slices that go back to the pool.
	keepCapacity = 256
)

// queue holds what an outbox needs only while it has frames. Pushes append to
// pending while the flusher works through current; when current is used up the
// two swap. The owner's mutex guards all of it, except for the elements of the
// batch that is being written.
type queue struct {
	owner   *Outbox
	run     func() // flush, bound once so that starting a flusher allocates nothing
	pending [][]byte
	current [][]byte
	begin   int // current[begin:end] is being written, current[end:] is to come
	end     int
	space   *sync.Cond // exists once somebody has waited; never pooled, a waiter may still hold it
}

var queues sync.Pool

func takeQueue(o *Outbox) *queue {
	q, _ := queues.Get().(*queue)
	if q == nil {
		q = new(queue)
		q.run = q.flush
	}
	q.owner = o
	return q
}

func (q *queue) release() {
	q.drop()
	q.current, q.begin, q.end = q.current[:0], 0, 0
	if cap(q.pending) > keepCapacity {
		q.pending = nil
	}
	if cap(q.current) > keepCapacity {
		q.current = nil
	}
	q.owner, q.space = nil, nil
	queues.Put(q)
}

func (q *queue) push(frame []byte) { q.pending = append(q.pending, frame) }

func (q *queue) len() int { return len(q.pending) + len(q.current) - q.begin }

// next picks the frames of one write and their size; nil when none are left.
func (q *queue) next() (frames [][]byte, size int) {
	if q.end == len(q.current) {
		spare := q.current[:0]
		if cap(spare) > keepCapacity && cap(spare)/4 > len(q.pending) {
			spare = nil
		}
		q.current, q.pending = q.pending, spare
		q.begin, q.end = 0, 0
	}
	q.begin = q.end
	for q.end < len(q.current) && q.end-q.begin < batchFrames {
		n := len(q.current[q.end])
		if q.end > q.begin && size+n > batchBytes {
			break
		}
		size += n
		q.end++
	}
	if q.begin == q.end {
		return nil, 0
	}
	return q.current[q.begin:q.end:q.end], size
}

// drop lets go of all frames but those being written, which the connection is
// still reading.
func (q *queue) drop() {
	clear(q.pending)
	q.pending = q.pending[:0]
	clear(q.current[q.end:])
	q.current = q.current[:q.end]
}

func (q *queue) wait(l sync.Locker) {
	if q.space == nil {
		q.space = sync.NewCond(l)
	}
	q.space.Wait()
}

func (q *queue) wake() {
	if q.space != nil {
		q.space.Broadcast()
	}
}
