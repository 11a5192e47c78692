package outbox

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/account"
)

var (
	// ErrSlow reports that the connection has not taken enough for too long,
	// while much was waiting for it.
	ErrSlow = errors.New("outbox: the connection is too slow")
	// ErrClosed is returned by Push after Finish, Kill or a failed write.
	ErrClosed = errors.New("outbox: closed")
)

// Conn writes frames. An outbox never makes two calls at the same time, except
// calls of Prompt.
type Conn interface {
	// WriteFrames writes some of the frames, in order, and returns the number
	// of bytes, or 0 if it would have to wait. It modifies neither the slice
	// nor the bytes. A connection that is not Prompt may wait, and fails with
	// os.ErrDeadlineExceeded after stall.
	WriteFrames(frames [][]byte, stall time.Duration) (n int, err error)

	// AwaitWrite waits until WriteFrames would write something. It fails with
	// os.ErrDeadlineExceeded if that takes longer than stall.
	AwaitWrite(stall time.Duration) error

	// Prompt reports whether WriteFrames never waits.
	Prompt() bool
}

// Preparer is a Peer that writes frames in another form, such as a compressed
// one.
type Preparer interface {
	// Prepare returns the bytes to be written for a frame, which it does not
	// change.
	Prepare(frame []byte) []byte
}

// Limits bounds the frames that wait in an outbox.
type Limits struct {
	// Bytes is the number of bytes above which an outbox is full, until half of
	// them are left. 0 or less sets no limit.
	Bytes int
	// Stall is the time for which the connection may take nothing, or half of
	// it while more than Bytes waits. 0 or less sets no limit.
	Stall time.Duration
	// Drain is the time within which the connection must reduce the waiting
	// bytes by Bytes, or to Bytes, if more than Bytes wait.
	Drain time.Duration
	// Crew flushes the outboxes of prompt connections. Without it each has a
	// goroutine of its own while it is flushed.
	Crew *Crew
}

// Owner is notified when the outbox is full, and when it has ended. The package
// comment states when its methods are called.
type Owner interface {
	// OutboxFailed reports that a write has failed; all queued frames are gone.
	OutboxFailed(err error)
	// OutboxFlushed reports that everything up to the frame of Finish is written. It must
	// not wait.
	OutboxFlushed()
	// OutboxFull reports that WaitFor may wait from now on.
	OutboxFull()
}

// Peer is the connection of an outbox and its owner in one value, which takes
// less memory than two.
type Peer interface {
	Conn
	Owner
}

// Outbox is a FIFO of frames with an on-demand flusher. Init makes it ready; it
// must not be copied afterwards. Frames may have a Tag, by which Take finds them.
type Outbox[Tag comparable] struct {
	mu       sync.Mutex
	peer     Peer
	limits   *Limits
	reserved int // bytes that are on their way to Push
	shard    *account.Shard
	frames   uint64      // that have been written
	written  uint64      // their sizes
	queue    *queue[Tag] // not nil exactly while a flusher exists, or is to come by Uncork
	pressure *pressure   // nil while nobody waits and the outbox has not been full since it was empty
	finished bool
	killed   bool
	corked   bool // a queue that begins now waits for Uncork
}

// Init prepares the outbox. Many outboxes may share limits. shard, if not nil,
// counts the frames that are not shared, and the cost of each in the queue.
func (o *Outbox[Tag]) Init(p Peer, limits *Limits, shard *account.Shard) {
	o.peer, o.limits, o.shard = p, limits, shard
}

// Push queues a frame that is not shared. It never blocks. It returns ErrClosed
// or ErrSlow if the frame was not queued. A full outbox still accepts frames,
// as long as its connection takes enough.
func (o *Outbox[Tag]) Push(frame []byte) error { return o.PushFrame(Frame[Tag]{Bytes: frame}) }

// PushFrame is Push for a frame that is shared or tagged. The outbox takes over
// the caller's reference to Shared, and releases it when it no longer needs the
// frame: at once if the frame was not queued.
func (o *Outbox[Tag]) PushFrame(f Frame[Tag]) error { return o.pushFrame(f, false) }

// PushLater is PushFrame for a caller that calls [Crew.Flush] when it has pushed
// everything: if the outbox was empty, its frames are written after that.
func (o *Outbox[Tag]) PushLater(f Frame[Tag]) error { return o.pushFrame(f, true) }

func (o *Outbox[Tag]) pushFrame(f Frame[Tag], later bool) error {
	o.mu.Lock()
	filled, err := o.push(f, later)
	o.mu.Unlock()
	if filled {
		o.peer.OutboxFull()
	}
	return err
}

// PushFirst queues a frame in front of all others that are not being written
// yet. overtakes reports whether there are other frames, waiting or being
// written. It queues nothing if the outbox already has such a frame, or has
// ended.
func (o *Outbox[Tag]) PushFirst(frame []byte) (queued, overtakes bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.pushFirst(frame)
}

// TryPushFirst is PushFirst, unless the lock is taken: then ok is false.
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
	q := o.active()
	q.first = frame
	q.bytes += len(frame)
	o.count(len(frame) + frameCost)
	return true, overtakes
}

// push is called with the lock held.
func (o *Outbox[Tag]) push(f Frame[Tag], later bool) (filled bool, err error) {
	if err := o.refusal(); err != nil {
		f.release()
		return false, err
	}
	o.add(f, later)
	return o.grown(), nil
}

// refusal returns the reason why the outbox accepts nothing more, or nil. It is
// called with the lock held.
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
func (o *Outbox[Tag]) add(f Frame[Tag], later bool) {
	q := o.activate(later)
	q.push(f)
	q.bytes += len(f.Bytes)
	o.count(f.own())
	if q.bytes > batchBytes {
		o.pull()
	}
}

// Reserve counts n bytes that will be pushed, so that they already fill the
// outbox; cost is the number of bytes that count in the shard. Negative numbers
// undo this. It returns ErrClosed and ErrSlow as Push does, and has then
// counted nothing.
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
		o.peer.OutboxFull()
	}
	return err
}

// Take removes and returns, in order, the tagged frames that match and of which
// nothing has been written yet. The caller then owns them and their references
// to Shared, and they no longer count. match is called with the lock held. If a
// frame is not shared and stays, match may change its Bytes and its Tag.
func (o *Outbox[Tag]) Take(match func(*Frame[Tag]) bool) []Frame[Tag] {
	o.mu.Lock()
	defer o.mu.Unlock()
	if q := o.queue; q != nil && o.peer.Prompt() {
		q.takers++
		for q.writing {
			o.await(context.Background(), nil) // for the end of a short write
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
	o.queue.bytes += bytes
	o.count(own)
	o.shrunk(false)
	return taken
}

// count adds n to what the queue counts in the shard. It is called with the lock
// held.
func (o *Outbox[Tag]) count(n int) {
	o.queue.counted += n
	o.shard.Add(n)
}

// Finish queues the last frame after all others, whatever the limit; nil queues
// none. A corked outbox waits for Uncork. Afterwards Push returns ErrClosed. If the outbox has been finished or
// killed before, Finish does nothing and returns false.
func (o *Outbox[Tag]) Finish(frame []byte) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.finished || o.killed {
		return false
	}
	o.finished = true
	if frame != nil {
		o.add(Frame[Tag]{Bytes: frame}, false)
	}
	o.active()
	if !o.corked {
		o.pull()
	}
	o.wake()
	return true
}

// Kill drops all queued frames. A write that is under way is not interrupted,
// but no other write starts.
func (o *Outbox[Tag]) Kill() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.kill()
}

// Bytes returns the number of bytes that are queued or being written.
func (o *Outbox[Tag]) Bytes() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.bytes()
}

// bytes is Bytes with the lock held.
func (o *Outbox[Tag]) bytes() int {
	if o.queue == nil {
		return 0
	}
	return o.queue.bytes
}

// Len returns the number of frames that are queued or being written.
func (o *Outbox[Tag]) Len() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.queue == nil || o.killed {
		return 0
	}
	return o.queue.len()
}

// Held returns the memory of the frames that are queued or being written,
// including shared ones and places in the queue, plus the reserved bytes.
func (o *Outbox[Tag]) Held() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.queue == nil || o.killed {
		return o.reserved
	}
	return o.queue.bytes + frameCost*o.queue.len() + o.reserved
}

// Written returns the number of frames that have been written, and their size.
func (o *Outbox[Tag]) Written() (frames, size uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.frames, o.written
}

// kill is called with the lock held.
func (o *Outbox[Tag]) kill() {
	o.killed = true
	if o.queue != nil {
		o.queue.bytes = 0
		o.count(-o.queue.counted)
		o.queue.drop()
		o.pull() // which gives the queue back
	}
	o.wake()
}

// active returns the queue. If there is none, it makes one and starts a
// flusher. It is called with the lock held.
func (o *Outbox[Tag]) active() *queue[Tag] { return o.activate(false) }

// activate is active, but with later the flusher starts with Crew.Flush.
func (o *Outbox[Tag]) activate(later bool) *queue[Tag] {
	if o.queue == nil {
		o.queue = takeQueue(o)
		if o.corked {
			o.queue.waits = true
		} else {
			o.flush(later)
		}
	}
	return o.queue
}

// flush has somebody flush the queue. It is called with the lock held.
func (o *Outbox[Tag]) flush(later bool) {
	crew := o.limits.Crew
	switch {
	case crew == nil || !o.peer.Prompt():
		go o.queue.run()
	case later:
		crew.addLater(o.queue.prompt)
	default:
		crew.add(o.queue.prompt)
	}
}

// Cork collects the frames that are pushed to an empty outbox from now on, up to 64 KiB,
// until Uncork. A call that waits for the outbox ends the wait of the frames as well.
// Corking twice is corking once.
func (o *Outbox[Tag]) Cork() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.corked = true
}

// Uncork ends Cork, and starts the flusher if frames have collected. With here, the
// caller writes them itself, as far as the connection accepts them at once and for a few
// writes. Uncork does not wait for the connection.
func (o *Outbox[Tag]) Uncork(here bool) {
	o.mu.Lock()
	o.corked = false
	q := o.queue
	if q == nil || !q.waits {
		o.mu.Unlock()
		return
	}
	if !here || !o.peer.Prompt() {
		o.pull()
		o.mu.Unlock()
		return
	}
	q.waits = false
	o.mu.Unlock()
	q.prompt()
}

// pull has a queue flushed that waits for Uncork. It is called with the lock held.
func (o *Outbox[Tag]) pull() {
	if q := o.queue; q != nil && q.waits {
		q.waits = false
		o.flush(false)
	}
}
