package outbox

import (
	"sync"

	"github.com/socketcluster-go/socketcluster/internal/budget"
)

const (
	batchFrames = 64
	batchBytes  = 64 << 10

	// frameCost is what the queue takes for a frame beside its bytes: an entry,
	// and as much again, as slices grow by doubling.
	frameCost = 2 * 32

	// keepCapacity bounds the slices that go back to the pool.
	keepCapacity = 256
)

// entry is a frame in the queue.
type entry struct {
	frame  []byte
	shared *budget.Shared // nil for a frame of this outbox alone
}

// release lets go of the frame.
func (e *entry) release() {
	if e.shared != nil {
		e.shared.Release()
	}
	*e = entry{}
}

// queue holds what an outbox needs only while it has frames. Pushes append to
// pending while the flusher works through current; when current is used up the
// two swap. The owner's mutex guards all of it, except for the elements of the
// batch that is being written.
type queue struct {
	owner   *Outbox
	run     func() // flush, bound once so that starting a flusher allocates nothing
	pending []entry
	current []entry
	begin   int // current[begin:end] is being written, current[end:] is to come
	end     int
	frames  [][]byte   // of current[begin:end], for the connection to do with as it likes
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

func (q *queue) push(frame []byte, shared *budget.Shared) {
	q.pending = append(q.pending, entry{frame, shared})
}

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
		n := len(q.current[q.end].frame)
		if q.end > q.begin && size+n > batchBytes {
			break
		}
		size += n
		q.frames = append(q.frames, q.current[q.end].frame)
		q.end++
	}
	if q.begin == q.end {
		return nil, 0
	}
	return q.frames[:len(q.frames):len(q.frames)], size
}

// written lets go of the frames that next has picked. It returns their number,
// and what they have counted for in the shard.
func (q *queue) written() (n, own int) {
	n = len(q.frames)
	for i := range q.current[q.begin:q.end] {
		e := &q.current[q.begin+i]
		own += frameCost
		if e.shared == nil {
			own += len(e.frame)
		}
		e.release()
	}
	clear(q.frames)
	q.frames = q.frames[:0]
	return n, own
}

// drop lets go of all frames but those being written, which the connection is
// still reading.
func (q *queue) drop() {
	for i := range q.pending {
		q.pending[i].release()
	}
	q.pending = q.pending[:0]
	for i := range q.current[q.end:] {
		q.current[q.end+i].release()
	}
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
