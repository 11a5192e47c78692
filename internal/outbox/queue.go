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
	frameCost = 2 * 48

	// keepCapacity bounds the slices that go back to the pool.
	keepCapacity = 256
)

// Frame is a complete frame, and what is to be known of it while it is queued.
type Frame[Tag comparable] struct {
	Bytes  []byte
	Shared *budget.Shared // nil for a frame of this outbox alone
	Tag    Tag            // what Take goes by; the zero value is no tag
}

// own returns what the frame counts for in the shard.
func (f *Frame[Tag]) own() int {
	if f.Shared != nil {
		return frameCost
	}
	return len(f.Bytes) + frameCost
}

// release lets go of the frame.
func (f *Frame[Tag]) release() {
	if f.Shared != nil {
		f.Shared.Release()
	}
	*f = Frame[Tag]{}
}

// queue holds what an outbox needs only while it has frames. Pushes append to
// pending while the flusher works through current; when current is used up the
// two swap. The owner's mutex guards all of it, except for the elements of the
// batch that is being written.
type queue[Tag comparable] struct {
	owner   *Outbox[Tag]
	run     func() // flush, bound once so that starting a flusher allocates nothing
	pending []Frame[Tag]
	current []Frame[Tag]
	begin   int // current[begin:end] is being written, current[end:] is to come
	end     int
	frames  [][]byte   // of current[begin:end], for the connection to do with as it likes
	space   *sync.Cond // exists once somebody has waited; never pooled, a waiter may still hold it
}

// queues has those of all outboxes; a program has outboxes of one kind.
var queues sync.Pool

func takeQueue[Tag comparable](o *Outbox[Tag]) *queue[Tag] {
	q, _ := queues.Get().(*queue[Tag])
	if q == nil {
		q = new(queue[Tag])
		q.run = q.flush
	}
	q.owner = o
	return q
}

func (q *queue[Tag]) release() {
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

func (q *queue[Tag]) push(f Frame[Tag]) { q.pending = append(q.pending, f) }

func (q *queue[Tag]) len() int { return len(q.pending) + len(q.current) - q.begin }

// next picks the frames of one write and their size; nil when none are left.
func (q *queue[Tag]) next() (frames [][]byte, size int) {
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
		n := len(q.current[q.end].Bytes)
		if q.end > q.begin && size+n > batchBytes {
			break
		}
		size += n
		q.frames = append(q.frames, q.current[q.end].Bytes)
		q.end++
	}
	if q.begin == q.end {
		return nil, 0
	}
	return q.frames[:len(q.frames):len(q.frames)], size
}

// written lets go of the frames that next has picked. It returns their number,
// and what they have counted for in the shard.
func (q *queue[Tag]) written() (n, own int) {
	n = len(q.frames)
	for i := range q.current[q.begin:q.end] {
		e := &q.current[q.begin+i]
		own += e.own()
		e.release()
	}
	clear(q.frames)
	q.frames = q.frames[:0]
	return n, own
}

// drop lets go of all frames but those being written, which the connection is
// still reading.
func (q *queue[Tag]) drop() {
	for i := range q.pending {
		q.pending[i].release()
	}
	q.pending = q.pending[:0]
	for i := range q.current[q.end:] {
		q.current[q.end+i].release()
	}
	q.current = q.current[:q.end]
}

// take removes what Take is for, from all but the batch that is being written.
func (q *queue[Tag]) take(match func(*Frame[Tag]) bool) (taken []Frame[Tag]) {
	var rest []Frame[Tag]
	rest, taken = takeFrom(q.current[q.end:], nil, match)
	q.current = q.current[:q.end+len(rest)]
	q.pending, taken = takeFrom(q.pending, taken, match)
	return taken
}

// takeFrom removes from a list, in order, the tagged frames that match, and appends
// them to taken.
func takeFrom[Tag comparable](list, taken []Frame[Tag], match func(*Frame[Tag]) bool) (rest, all []Frame[Tag]) {
	var none Tag
	rest = list[:0]
	for i := range list {
		if f := &list[i]; f.Tag != none && match(f) {
			taken = append(taken, *f)
		} else {
			rest = append(rest, *f)
		}
	}
	clear(list[len(rest):])
	return rest, taken
}

func (q *queue[Tag]) wait(l sync.Locker) {
	if q.space == nil {
		q.space = sync.NewCond(l)
	}
	q.space.Wait()
}

func (q *queue[Tag]) wake() {
	if q.space != nil {
		q.space.Broadcast()
	}
}
