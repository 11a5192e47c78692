package loop

import (
	"context"
	"sync"
	"sync/atomic"
)

// queueLength is how many items wait for a loop before its writer does.
const queueLength = 16

// Loop is one loop over a stream: a short queue between the goroutine that writes
// and the loop that reads.
type Loop[T any] struct {
	ctx      context.Context // ends the loop
	items    chan item[T]
	finished <-chan struct{} // closed when nothing more will be written
	ended    chan struct{}   // closed when nothing more will be read
	end      sync.Once
	begun    atomic.Bool // somebody reads
	mu       sync.Mutex  // keeps Release and the change of begun apart

	// Of a loop of a Set:
	admit   func(T) bool
	finish  func()
	closing bool // guarded by the lock of the owner
}

// item is what is written to a loop.
type item[T any] struct {
	value    T
	delivery *delivery // nil: of Write
	done     bool      // the loop counts as through with it
}

// delivery is what the loops that have got copies of an item have in common.
type delivery struct {
	handled, unread func()
	using, holding  atomic.Int32 // loops that are not through with it, that have it or have read it
}

// handled reports that the loop is through with the item.
func (i *item[T]) handled() {
	if i.delivery == nil || i.done {
		return
	}
	i.done = true
	if i.delivery.using.Add(-1) == 0 {
		i.delivery.handled()
	}
}

// New returns a loop that ends with ctx, and when finished is closed, with what was
// written before.
func New[T any](ctx context.Context, finished <-chan struct{}) *Loop[T] {
	return &Loop[T]{ctx: ctx, items: make(chan item[T], queueLength), finished: finished, ended: make(chan struct{})}
}

// NewNamed returns a loop for a [Set], which Finish and End end. admit decides, as
// the turn of an item comes, whether it is still for the loop.
func NewNamed[T any](admit func(T) bool) *Loop[T] {
	finished := make(chan struct{})
	l := New[T](context.Background(), finished)
	l.finish = sync.OnceFunc(func() { close(finished) })
	l.admit = admit
	return l
}

// Write waits for room, or until nobody will read.
func (l *Loop[T]) Write(v T) { l.write(item[T]{value: v}) }

func (l *Loop[T]) write(v item[T]) {
	select {
	case <-l.ended:
		l.giveUp(v)
		return
	case <-l.finished: // what came before may have been given up
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
	case <-l.ctx.Done(): // nobody may ever have begun to read
	}
	l.giveUp(v)
}

func (l *Loop[T]) giveUp(v item[T]) {
	v.handled()
	if d := v.delivery; d != nil && d.holding.Add(-1) == 0 {
		d.unread()
	}
}

// recheck takes back what was written while the loop ended.
func (l *Loop[T]) recheck() {
	select {
	case <-l.ended:
		l.drain()
	case <-l.finished:
		l.Release()
	default:
	}
}

// Finish ends the loop once it has read what was written before.
func (l *Loop[T]) Finish() { l.finish() }

// Release counts what waits for a finished loop as handled if nobody has begun to
// read, and leaves it to the loop all the same: nobody knows whether it ever begins.
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
			default: // somebody has written meanwhile
				l.giveUp(v)
			}
		default:
		}
	}
}

// End ends the loop at once. Writers are let go on, and what waits is given up.
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
		case <-l.ended: // killed, or it is the second loop
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

// hand gives the loop what it has taken. To come back is to have handled it.
func (l *Loop[T]) hand(v item[T], yield func(T) bool) bool {
	defer v.handled()
	return l.admit != nil && !l.admit(v.value) || yield(v.value)
}

// Deliver writes to several loops: to each a copy, which is its own. handled is
// called when the last one is through with it, and unread when none has read it and
// none will.
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
