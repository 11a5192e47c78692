package outbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// turn is the number of writes after which a goroutine that writes for several
// outboxes, or has something else to do, leaves an outbox to another turn.
const turn = 4

// flush writes until nothing is left. Nothing else writes. At the end it
// returns the queue to the pool. If it may not wait for the connection, another
// goroutine continues where it would have to.
func (q *queue[Tag]) flush(mayWait bool) {
	o := q.owner
	preparer, prepares := o.peer.(Preparer)
	prompt := o.peer.Prompt()
	var failure error
	writes := 0
	o.mu.Lock()
	for q.yield(); !o.killed; q.yield() {
		fresh, ok := q.fill()
		if !ok {
			break
		}
		await := q.stuck || !prompt
		if fresh && prepares || await {
			if await && q.blocked.IsZero() {
				q.blocked = time.Now()
			}
			if await && !mayWait {
				o.mu.Unlock()
				go q.run()
				return
			}
			stall := o.stall()
			o.mu.Unlock()
			var err error
			if fresh && prepares {
				for i, frame := range q.wire {
					q.wire[i] = preparer.Prepare(frame)
				}
			}
			if await {
				err = o.peer.AwaitWrite(stall)
			}
			o.mu.Lock()
			if q.len() == 0 && errors.Is(err, os.ErrDeadlineExceeded) {
				continue // all frames were taken out: nobody has waited
			}
			if failure = err; o.ends(&failure) {
				break
			}
			if q.compact(); len(q.batch) == 0 {
				continue // the frame was taken out
			}
		}
		q.writing = true
		stall := o.stall()
		o.mu.Unlock()
		n, err := o.peer.WriteFrames(q.wire, stall)
		o.mu.Lock()
		q.writing = false
		failure, q.stuck = err, n == 0
		o.wrote(n)
		if o.ends(&failure) {
			break
		}
		if writes++; writes == turn && !mayWait && !q.stuck {
			o.flush(false) // when the others have had their turn
			o.mu.Unlock()
			return
		}
	}
	q.yield()
	flushed := o.finished && !o.killed
	o.queue = nil
	o.settle()
	o.mu.Unlock()
	q.release()

	switch {
	case failure == nil && flushed:
		o.peer.OutboxFlushed()
	case failure == nil:
	case mayWait:
		o.peer.OutboxFailed(failure)
	default:
		go o.peer.OutboxFailed(failure) // it may be slow
	}
}

// yield lets calls of Take go first. It is called with the lock held.
func (q *queue[Tag]) yield() {
	for q.takers > 0 {
		q.owner.await(context.Background(), nil)
	}
}

// wrote counts the bytes that the connection has taken. It is called with the
// lock held.
func (o *Outbox[Tag]) wrote(n int) {
	q := o.queue
	if n == 0 {
		o.wake()
		return
	}
	q.blocked = time.Time{}
	frames, size, own := q.written(n)
	if !o.killed {
		o.frames += uint64(frames)
		o.written += uint64(size)
		q.bytes -= size
		o.count(-own)
	}
	o.shrunk(true)
}

// ends reports whether writing ends here. It kills the outbox if the connection
// has failed or does not take enough. It is called with the lock held.
func (o *Outbox[Tag]) ends(failure *error) bool {
	switch {
	case o.killed:
		*failure = nil // it is not reported after Kill
		return true
	case *failure == nil && o.overdue():
		*failure = ErrSlow
	case *failure == nil:
		return false
	case o.crowded() && errors.Is(*failure, os.ErrDeadlineExceeded):
		*failure = fmt.Errorf("%w: %w", ErrSlow, *failure)
	}
	o.kill()
	return true
}
