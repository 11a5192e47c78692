package outbox

import (
	"errors"
	"sync"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/budget"
)

var (
	// ErrFull is returned by Push when the frame does not fit under the limit.
	ErrFull = errors.New("outbox: full")
	// ErrClosed is returned by Push after Finish, Kill or a failed write.
	ErrClosed = errors.New("outbox: closed")
)

// Conn writes complete frames. It fails when the peer takes no byte for stall.
// An outbox never makes two calls at the same time.
type Conn interface {
	WriteFrames(frames [][]byte, stall time.Duration) error
}

// Owner learns how the outbox ended. See the package comment for when it is
// called.
type Owner interface {
	// OutboxFailed reports the write that failed; all queued frames are gone.
	OutboxFailed(err error)
	// OutboxFlushed reports that everything up to the frame of Finish is written.
	OutboxFlushed()
}

// Outbox is a bounded FIFO of frames with an on-demand flusher. Init makes it
// ready; it must not be copied afterwards. Frames may have a Tag, by which Take
// finds them.
type Outbox[Tag comparable] struct {
	mu       sync.Mutex
	conn     Conn
	owner    Owner
	maxBytes int
	stall    time.Duration
	bytes    int // of frames queued or being written
	counted  int // in the shard: frames that are not shared, and frameCost for each
	shard    *budget.Shard
	frames   uint64      // that have been written
	written  uint64      // their sizes
	queue    *queue[Tag] // not nil exactly while a flusher exists
	finished bool
	killed   bool
}

// Init prepares the outbox. At most maxBytes bytes are queued; 0 or less sets
// no limit. stall is passed on to every WriteFrames. shard, if not nil, counts
// the frames that are not shared, and what the queue takes for each.
func (o *Outbox[Tag]) Init(c Conn, owner Owner, maxBytes int, stall time.Duration, shard *budget.Shard) {
	o.conn, o.owner, o.maxBytes, o.stall, o.shard = c, owner, maxBytes, stall, shard
}

// Push queues a frame of this outbox alone and never blocks. It returns ErrFull
// or ErrClosed when the frame was not queued. A frame larger than the limit fits
// when nothing is queued.
func (o *Outbox[Tag]) Push(frame []byte) error { return o.PushFrame(Frame[Tag]{Bytes: frame}) }

// PushFrame is Push for a frame that is shared or tagged. A reference to Shared
// passes from the caller to the outbox, which releases it when it has let go of
// the frame: at once if the frame was not queued.
func (o *Outbox[Tag]) PushFrame(f Frame[Tag]) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	err := o.pushLocked(f)
	if err != nil {
		f.release()
	}
	return err
}

// TryPush is Push for a frame that does not matter much, unless somebody has the
// lock at present: then it reports false, and the frame is not queued.
func (o *Outbox[Tag]) TryPush(frame []byte) bool {
	if !o.mu.TryLock() {
		return false
	}
	defer o.mu.Unlock()
	_ = o.pushLocked(Frame[Tag]{Bytes: frame})
	return true
}

func (o *Outbox[Tag]) pushLocked(f Frame[Tag]) error {
	if o.finished || o.killed {
		return ErrClosed
	}
	if o.maxBytes > 0 && o.bytes > 0 && len(f.Bytes) > o.maxBytes-o.bytes {
		return ErrFull
	}
	o.add(f)
	return nil
}

// add queues a frame, whatever the limit. It is called with the lock held.
func (o *Outbox[Tag]) add(f Frame[Tag]) {
	o.bytes += len(f.Bytes)
	o.count(f.own())
	o.active().push(f)
}

// Take takes out, in order, the tagged frames that match and are not being
// written yet. They are the caller's then, with their references to Shared, and
// count no longer. match is called with the lock held. It may give a frame that
// is not shared, and stays, other Bytes and another Tag.
func (o *Outbox[Tag]) Take(match func(*Frame[Tag]) bool) []Frame[Tag] {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.queue == nil || o.killed {
		return nil
	}
	bytes, own := 0, 0
	taken := o.queue.take(func(f *Frame[Tag]) bool {
		bytes -= len(f.Bytes)
		own -= f.own()
		if match(f) {
			return true
		}
		bytes += len(f.Bytes)
		own += f.own()
		return false
	})
	o.bytes += bytes
	o.count(own)
	if bytes < 0 {
		o.queue.wake()
	}
	return taken
}

// count counts in the shard. It is called with the lock held.
func (o *Outbox[Tag]) count(n int) {
	o.counted += n
	o.shard.Add(n)
}

// Finish queues the last frame behind the rest, whatever the limit; nil queues
// none. Afterwards Push answers ErrClosed. Finish returns false, and does
// nothing, when the outbox has been finished or killed before.
func (o *Outbox[Tag]) Finish(frame []byte) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.finished || o.killed {
		return false
	}
	o.finished = true
	if frame != nil {
		o.add(Frame[Tag]{Bytes: frame})
	}
	o.active().wake()
	return true
}

// Kill drops all queued frames. A write that is under way is not interrupted,
// but no other one starts.
func (o *Outbox[Tag]) Kill() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.kill()
}

// Bytes returns the number of bytes queued or being written.
func (o *Outbox[Tag]) Bytes() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.bytes
}

// Len returns the number of frames queued or being written.
func (o *Outbox[Tag]) Len() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.queue == nil || o.killed {
		return 0
	}
	return o.queue.len()
}

// Holds returns what the frames that are queued or being written take, shared
// ones and their places in the queue included.
func (o *Outbox[Tag]) Holds() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.queue == nil || o.killed {
		return 0
	}
	return o.bytes + frameCost*o.queue.len()
}

// Written returns how many frames have been written, and their size.
func (o *Outbox[Tag]) Written() (frames, size uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.frames, o.written
}

// Wait blocks until fewer than below bytes are queued or being written, or
// Push would answer ErrClosed. A below under 1 counts as 1.
func (o *Outbox[Tag]) Wait(below int) {
	below = max(below, 1)
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.bytes >= below && !o.finished && !o.killed {
		o.queue.wait(&o.mu)
	}
}

// kill is called with the lock held.
func (o *Outbox[Tag]) kill() {
	o.killed = true
	o.bytes = 0
	o.count(-o.counted)
	if o.queue != nil {
		o.queue.drop()
		o.queue.wake()
	}
}

// active returns the queue, and starts a flusher with it if there is none. It
// is called with the lock held.
func (o *Outbox[Tag]) active() *queue[Tag] {
	if o.queue == nil {
		o.queue = takeQueue(o)
		go o.queue.run()
	}
	return o.queue
}
