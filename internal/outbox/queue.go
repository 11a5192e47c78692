package outbox

import (
	"sync"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/account"
)

const (
	batchFrames = 64
	batchBytes  = 64 << 10

	// frameCost is the memory that the queue needs for a frame besides its
	// bytes: an entry, and as much again because slices grow by doubling.
	frameCost = 2 * 56

	// keepCapacity bounds the slices that go back to the pool.
	keepCapacity = 256
)

// Frame is a complete frame, with what the outbox needs to know while it is
// queued. It is never empty.
type Frame[Tag comparable] struct {
	Bytes  []byte
	Shared *account.Shared // nil for a frame that is not shared
	Tag    Tag             // by which Take finds it; the zero value means no tag
}

// own returns the number of bytes for which the frame counts in the shard.
func (f *Frame[Tag]) own() int {
	if f.Shared != nil {
		return frameCost
	}
	return len(f.Bytes) + frameCost
}

// release releases the shared part of the frame.
func (f *Frame[Tag]) release() {
	if f.Shared != nil {
		f.Shared.Release()
	}
	*f = Frame[Tag]{}
}

// queue has the fields that an outbox needs only while it has frames. Pushes
// append to pending while the flusher works through current; when current is
// used up, the two swap. The flusher moves frames from current to the batch,
// and gives wire to the connection. The outbox's mutex guards all fields except
// wire, which belongs to the flusher.
type queue[Tag comparable] struct {
	owner   *Outbox[Tag]
	bytes   int    // of frames queued or being written
	counted int    // in the shard: frames that are not shared, and frameCost for each
	run     func() // flush, bound once so that starting a flusher allocates nothing
	prompt  func() // flush that does not wait
	first   []byte // goes in front of all others
	pending []Frame[Tag]
	current []Frame[Tag]
	next    int          // current[next:] are the next frames
	batch   []Frame[Tag] // a frame that was put back is empty
	wire    [][]byte     // of the batch, prepared, without the bytes that have been written
	out     int          // bytes of batch[0] that have been written
	writing bool         // the connection has wire
	takers  int          // calls of Take that wait for the end of that
	waits   bool         // for Uncork: there is no flusher
	stuck   bool         // the connection took nothing of the last write
	blocked time.Time    // when the current wait for the connection began, or zero
}

// queues pools the queues of all outboxes; a program has outboxes of one type.
var queues sync.Pool

func takeQueue[Tag comparable](o *Outbox[Tag]) *queue[Tag] {
	q, _ := queues.Get().(*queue[Tag])
	if q == nil {
		q = new(queue[Tag])
		q.run = func() { q.flush(true) }
		q.prompt = func() { q.flush(false) }
	}
	q.owner = o
	return q
}

// release returns the queue to the pool, without its frames.
func (q *queue[Tag]) release() {
	q.drop()
	for i := range q.batch {
		q.batch[i].release()
	}
	clear(q.wire)
	q.batch, q.wire = q.batch[:0], q.wire[:0]
	q.current, q.next = q.current[:0], 0
	if cap(q.pending) > keepCapacity {
		q.pending = nil
	}
	if cap(q.current) > keepCapacity {
		q.current = nil
	}
	q.owner, q.bytes, q.counted, q.out, q.stuck, q.blocked = nil, 0, 0, 0, false, time.Time{}
	queues.Put(q)
}

func (q *queue[Tag]) push(f Frame[Tag]) { q.pending = append(q.pending, f) }

// len returns the number of frames. Those of the batch that were put back count
// where they are now.
func (q *queue[Tag]) len() int {
	n := len(q.pending) + len(q.current) - q.next
	if q.first != nil {
		n++
	}
	for i := range q.batch {
		if q.batch[i].Bytes != nil {
			n++
		}
	}
	return n
}

// fill makes a batch of the next frames if there is none. ok is false if no
// frames are left.
func (q *queue[Tag]) fill() (fresh, ok bool) {
	q.compact()
	if len(q.batch) > 0 {
		return false, true
	}
	if q.next == len(q.current) {
		spare := q.current[:0]
		if cap(spare) > keepCapacity && cap(spare)/4 > len(q.pending) {
			spare = nil
		}
		q.current, q.pending = q.pending, spare
		q.next = 0
	}
	size := len(q.first)
	if q.first != nil {
		q.batch = append(q.batch, Frame[Tag]{Bytes: q.first})
		q.wire = append(q.wire, q.first)
		q.first = nil
	}
	for q.next < len(q.current) && len(q.batch) < batchFrames {
		f := q.current[q.next]
		if len(q.batch) > 0 && size+len(f.Bytes) > batchBytes {
			break
		}
		size += len(f.Bytes)
		q.batch = append(q.batch, f)
		q.wire = append(q.wire, f.Bytes)
		q.current[q.next] = Frame[Tag]{}
		q.next++
	}
	return true, len(q.batch) > 0
}

// compact removes the frames that were put back from the batch.
func (q *queue[Tag]) compact() {
	n := 0
	for i := range q.batch {
		if q.batch[i].Bytes != nil {
			q.batch[n], q.wire[n] = q.batch[i], q.wire[i]
			n++
		}
	}
	q.shorten(n)
}

// shorten cuts the batch to n frames.
func (q *queue[Tag]) shorten(n int) {
	clear(q.batch[n:])
	clear(q.wire[n:])
	q.batch, q.wire = q.batch[:n], q.wire[:n]
}

// written releases the frames that are complete within the n bytes that the
// connection has taken. It returns their number, their size, and the bytes for
// which they counted in the shard.
func (q *queue[Tag]) written(n int) (frames, size, own int) {
	for frames < len(q.wire) && n >= len(q.wire[frames]) {
		f := &q.batch[frames]
		n -= len(q.wire[frames])
		size += len(f.Bytes)
		own += f.own()
		f.release()
		frames++
	}
	if frames > 0 {
		q.out = 0
		copy(q.wire, q.wire[frames:])
		q.shorten(copy(q.batch, q.batch[frames:]))
	}
	if n > 0 {
		q.wire[0] = q.wire[0][n:]
		// The prepared form may be larger than the frame.
		q.out = min(q.out+n, len(q.batch[0].Bytes))
	}
	return frames, size, own
}

// drop releases all frames except those of the batch, which the connection may
// still be reading.
func (q *queue[Tag]) drop() {
	q.first = nil
	for i := range q.pending {
		q.pending[i].release()
	}
	q.pending = q.pending[:0]
	for i := range q.current[q.next:] {
		q.current[q.next+i].release()
	}
	q.current = q.current[:q.next]
}

// take removes the frames for Take: all except those of which the connection
// has all or a part.
func (q *queue[Tag]) take(match func(*Frame[Tag]) bool) (taken []Frame[Tag]) {
	q.unfill()
	var rest []Frame[Tag]
	rest, taken = takeFrom(q.current[q.next:], nil, match)
	q.current = q.current[:q.next+len(rest)]
	q.pending, taken = takeFrom(q.pending, taken, match)
	return taken
}

// unfill puts the frames of the batch that the connection does not have back to
// where fill found them; fill prepares them again. A frame of PushFirst has no
// such place, and may stay.
func (q *queue[Tag]) unfill() {
	n := len(q.batch)
	for n > 0 && q.next > 0 && !q.writing && (n > 1 || q.out == 0) {
		n--
		if q.batch[n].Bytes != nil {
			q.next--
			q.current[q.next] = q.batch[n]
			q.batch[n] = Frame[Tag]{}
		}
	}
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
