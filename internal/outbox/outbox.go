package outbox

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/account"
)

var (
	// ErrSlow says that the connection has not taken enough for too long while
	// much was waiting for it.
	ErrSlow = errors.New("outbox: the connection is too slow")
	// ErrClosed is returned by Push after Finish, Kill or a failed write.
	ErrClosed = errors.New("outbox: closed")
)

// Conn writes frames. An outbox never makes two calls at the same time, except
// of Prompt.
type Conn interface {
	// WriteFrames writes some of the frames, in order, and returns how many
	// bytes; 0 if it would have to wait. It modifies
	// neither the slice nor the bytes. A connection that is not Prompt may wait,
	// and fails with os.ErrDeadlineExceeded after stall.
	WriteFrames(frames [][]byte, stall time.Duration) (n int, err error)

	// AwaitWrite waits until WriteFrames would write something. It fails with
	// os.ErrDeadlineExceeded when that takes longer than stall.
	AwaitWrite(stall time.Duration) error

	// Prompt reports whether WriteFrames never waits.
	Prompt() bool
}

// Preparer is a Conn that writes something else in place of a frame.
type Preparer interface {
	// Prepare returns what is to be written for a frame, which it does not
	// change.
	Prepare(frame []byte) []byte
}

// Limits bounds what waits in an outbox.
type Limits struct {
	// Bytes is beyond how many bytes an outbox is full, until half of them are
	// left. 0 or less sets no limit.
	Bytes int
	// Stall is how long the connection may take nothing; half of it while more
	// than Bytes waits. 0 or less sets no limit.
	Stall time.Duration
	// Drain is how long the connection may take to bring what waits, if that is
	// more than Bytes, down by as much, or to Bytes.
	Drain time.Duration
}

// Owner learns that the outbox is full, and how it ended. See the package comment
// for when it is called.
type Owner interface {
	// OutboxFailed reports the write that failed; all queued frames are gone.
	OutboxFailed(err error)
	// OutboxFlushed reports that everything up to the frame of Finish is written.
	OutboxFlushed()
	// OutboxFull reports that WaitFor may wait from now on.
	OutboxFull()
}

// Outbox is a FIFO of frames with an on-demand flusher. Init makes it ready; it
// must not be copied afterwards. Frames may have a Tag, by which Take finds them.
type Outbox[Tag comparable] struct {
	mu       sync.Mutex
	conn     Conn
	owner    Owner
	limits   *Limits
	bytes    int // of frames queued or being written
	reserved int // bytes that are on their way to Push
	counted  int // in the shard: frames that are not shared, and frameCost for each
	shard    *account.Shard
	frames   uint64      // that have been written
	written  uint64      // their sizes
	queue    *queue[Tag] // not nil exactly while a flusher exists
	pressure *pressure   // nil while nobody waits and nothing has been full since it was empty
	finished bool
	killed   bool
}

// Init prepares the outbox. The limits may be those of other outboxes too. shard,
// if not nil, counts the frames that are not shared, and what the queue takes for
// each.
func (o *Outbox[Tag]) Init(c Conn, owner Owner, limits *Limits, shard *account.Shard) {
	o.conn, o.owner, o.limits, o.shard = c, owner, limits, shard
}

// Push queues a frame of this outbox alone and never blocks. It returns ErrClosed
// or ErrSlow when the frame was not queued. A full outbox takes frames too, for as
// long as its connection takes enough.
func (o *Outbox[Tag]) Push(frame []byte) error { return o.PushFrame(Frame[Tag]{Bytes: frame}) }

// PushFrame is Push for a frame that is shared or tagged. A reference to Shared
// passes from the caller to the outbox, which releases it when it has let go of
// the frame: at once if the frame was not queued.
func (o *Outbox[Tag]) PushFrame(f Frame[Tag]) error {
	o.mu.Lock()
	filled, err := o.push(f)
	o.mu.Unlock()
	if filled {
		o.owner.OutboxFull()
	}
	return err
}

// PushFirst queues a frame in front of all others that are not being written yet.
// overtakes reports whether there are any, or some that are being written. It queues
// none in an outbox that has such a frame already, or has ended.
func (o *Outbox[Tag]) PushFirst(frame []byte) (queued, overtakes bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.pushFirst(frame)
}

// TryPushFirst is PushFirst unless the lock is taken at present: then ok is false.
func (o *Outbox[Tag]) TryPushFirst(frame []byte) (queued, overtakes, ok bool) {
	if !o.mu.TryLock() {
		return false, false, false
	}
	defer o.mu.Unlock()
	queued, overtakes = o.pushFirst(frame)
	return queued, overtakes, true
}

func (o *Outbox[Tag]) pushFirst(frame []byte) (queued, overtakes bool) {
	if o.finished || o.killed || o.queue != nil && o.queue.first != nil {
		return false, false
	}
	overtakes = o.queue != nil
	o.bytes += len(frame)
	o.count(len(frame) + frameCost)
	o.active().first = frame
	return true, overtakes
}

// push is called with the lock held.
func (o *Outbox[Tag]) push(f Frame[Tag]) (filled bool, err error) {
	if err := o.refusal(); err != nil {
		f.release()
		return false, err
	}
	o.add(f)
	return o.grown(), nil
}

// refusal is why the outbox takes nothing more, or nil. It is called with the lock
// held.
func (o *Outbox[Tag]) refusal() error {
	switch {
	case o.finished || o.killed:
		return ErrClosed
	case o.overdue():
		return ErrSlow
	}
	return nil
}

// add queues a frame. It is called with the lock held.
func (o *Outbox[Tag]) add(f Frame[Tag]) {
	o.bytes += len(f.Bytes)
	o.count(f.own())
	o.active().push(f)
}

// Reserve counts n bytes that are on their way to Push, so that they fill the
// outbox already; cost is how many of them count in the shard. Negative numbers
// take them off again. It returns ErrClosed and ErrSlow as Push does, and has
// counted nothing then.
func (o *Outbox[Tag]) Reserve(n, cost int) error {
	o.mu.Lock()
	if n < 0 {
		o.reserved += n
		o.shard.Add(cost)
		o.shrunk(false)
		o.settle()
		o.mu.Unlock()
		return nil
	}
	filled, err := false, o.refusal()
	if err == nil {
		o.reserved += n
		o.shard.Add(cost)
		filled = o.grown()
	}
	o.mu.Unlock()
	if filled {
		o.owner.OutboxFull()
	}
	return err
}

// Take takes out, in order, the tagged frames that match and of which the
// connection has nothing yet. They are the caller's then, with their references
// to Shared, and count no longer. match is called with the lock held. It may give a
// frame that is not shared, and stays, other Bytes and another Tag.
func (o *Outbox[Tag]) Take(match func(*Frame[Tag]) bool) []Frame[Tag] {
	o.mu.Lock()
	defer o.mu.Unlock()
	if q := o.queue; q != nil && o.conn.Prompt() {
		q.takers++
		for q.writing {
			o.await(context.Background(), nil) // for a moment
		}
		if q.takers--; q.takers == 0 {
			o.wake()
		}
	}
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
	o.shrunk(false)
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
	o.active()
	o.wake()
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

// Held returns what the frames that are queued or being written take, shared
// ones and their places in the queue included, and what is reserved.
func (o *Outbox[Tag]) Held() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.queue == nil || o.killed {
		return o.reserved
	}
	return o.bytes + frameCost*o.queue.len() + o.reserved
}

// Written returns how many frames have been written, and their size.
func (o *Outbox[Tag]) Written() (frames, size uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.frames, o.written
}

// kill is called with the lock held.
func (o *Outbox[Tag]) kill() {
	o.killed = true
	o.bytes = 0
	o.count(-o.counted)
	if o.queue != nil {
		o.queue.drop()
	}
	o.wake()
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
