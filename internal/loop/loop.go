package loop

import (
	"context"
	"sync"
	"sync/atomic"
)

// queueLength is the number of items that wait for a loop before its writer
// waits.
const queueLength = 16

// Loop is one loop over a stream: a short queue between the goroutine that writes
// and the loop that reads.
type Loop[T any] struct {
	ctx      context.Context // ends the loop
	items    chan item[T]
	finished <-chan struct{} // closed when nothing more will be written
	ended    chan struct{}   // closed when nothing more will be read
	end      sync.Once
	begun    atomic.Bool // the loop is being read
	mu       sync.Mutex  // keeps Release and the change of begun apart

	// Of a loop of a Set:
	admit   func(T) bool
	finish  func()
	closing bool // guarded by the lock of the owner
}

// item is an item in the queue of a loop.
type item[T any] struct {
	value    T
	delivery *delivery // nil: from Write
	done     bool      // the loop counts as finished with it
}

// delivery is shared by the loops that have copies of an item.
type delivery struct {
	handled, unread func()
	using, holding  atomic.Int32 // loops that have not finished with it; loops that have it or have read it
}

// handled reports that the loop has finished with the item.
func (i *item[T]) handled() {
	if i.delivery == nil || i.done {
		return
	}
	i.done = true
	if i.delivery.using.Add(-1) == 0 {
		i.delivery.handled()
	}
}

// New returns a loop that ends with ctx. It also ends when finished is closed,
// after the items that were written before.
func New[T any](ctx context.Context, finished <-chan struct{}) *Loop[T] {
	return &Loop[T]{ctx: ctx, items: make(chan item[T], queueLength), finished: finished, ended: make(chan struct{})}
}

// NewNamed returns a loop for a [Set], which Finish and End end. admit decides,
// when it is an item's turn, whether the loop still gets it.
func NewNamed[T any](admit func(T) bool) *Loop[T] {
	finished := make(chan struct{})
	l := New[T](context.Background(), finished)
	l.finish = sync.OnceFunc(func() { close(finished) })
	l.admit = admit
	return l
}

// Write writes an item. It waits for room, or until nobody will read.
func (l *Loop[T]) Write(v T) { l.write(item[T]{value: v}) }

func (l *Loop[T]) write(v item[T]) {
	select {
	case <-l.ended:
		l.giveUp(v)
		return
	case <-l.finished: // earlier items may have been dropped
		l.giveUp(v)
		return
	default:
	}
	select {
	case l.items <- v:
		l.recheck()
		return
	default:
	}
	select {
	case l.items <- v:
		l.recheck()
		return
	case <-l.ended:
	case <-l.finished:
	case <-l.ctx.Done(): // perhaps nobody has ever begun to read
	}
	l.giveUp(v)
}

func (l *Loop[T]) giveUp(v item[T]) {
	v.handled()
	if d := v.delivery; d != nil && d.holding.Add(-1) == 0 {
		d.unread()
	}
}

// recheck takes back items that were written while the loop ended.
func (l *Loop[T]) recheck() {
	select {
	case <-l.ended:
		l.drain()
	case <-l.finished:
		l.Release()
	default:
	}
}

// Finish ends the loop once it has read the items that were written before.
func (l *Loop[T]) Finish() { l.finish() }

// Release counts the items that wait for a finished loop as handled if nobody
// has begun to read. The items stay for the loop nevertheless, because it may
// still begin.
func (l *Loop[T]) Release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.begun.Load() {
		return
	}
	for range len(l.items) {
		select {
		case v := <-l.items:
			v.handled()
			select {
			case l.items <- v:
			default: // an item has been written meanwhile
				l.giveUp(v)
			}
		default:
		}
	}
}

// End ends the loop at once. Writers no longer wait, and waiting items are
// dropped.
func (l *Loop[T]) End() {
	l.end.Do(func() { close(l.ended) })
	l.drain()
}

func (l *Loop[T]) drain() {
	for {
		select {
		case v := <-l.items:
			l.giveUp(v)
		default:
			return
		}
	}
}

// Read yields items until yield returns false, or the loop has ended. The caller
// calls End afterwards.
func (l *Loop[T]) Read(yield func(T) bool) {
	l.mu.Lock()
	l.begun.Store(true)
	l.mu.Unlock()
	for l.ctx.Err() == nil {
		select {
		case <-l.ended: // killed, or this is the second loop
			return
		default:
		}
		select {
		case v := <-l.items:
			if !l.hand(v, yield) {
				return
			}
			continue
		default:
		}
		select {
		case v := <-l.items:
			if !l.hand(v, yield) {
				return
			}
		case <-l.ctx.Done():
			return
		case <-l.ended:
			return
		case <-l.finished:
			if len(l.items) == 0 {
				return
			}
		}
	}
}

// hand yields an item to the loop. It is handled when yield returns.
func (l *Loop[T]) hand(v item[T], yield func(T) bool) bool {
	defer v.handled()
	return l.admit != nil && !l.admit(v.value) || yield(v.value)
}

// Deliver writes a copy of v to each of several loops. handled is called when
// the last one has finished with it, and unread if none has read it and none
// will.
func Deliver[T any](to []*Loop[T], v T, clone func(T) T, handled, unread func()) {
	d := &delivery{handled: handled, unread: unread}
	d.using.Store(int32(len(to)))
	d.holding.Store(int32(len(to)))
	for _, l := range to {
		own := v
		if len(to) > 1 {
			own = clone(v)
		}
		l.write(item[T]{value: own, delivery: d})
	}
}
