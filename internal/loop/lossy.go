package loop

import (
	"context"
	"sync"
)

// Lossy is a loop over a stream whose writers must not wait: a full queue loses
// its oldest items. Its methods are safe for concurrent use.
type Lossy[T any] struct {
	limit, limitBytes int
	release           func(T)

	mu    sync.Mutex
	queue []sized[T]
	bytes int // of the items in queue
	lost  uint64
	ready chan struct{} // holds one token while queue is not empty
	ended chan struct{} // closed by End
}

type sized[T any] struct {
	value T
	size  int
}

// NewLossy returns a loop with a queue of at most limit items and limitBytes
// bytes, or one larger item. release is called for each item after it was lost,
// dropped or read.
func NewLossy[T any](limit, limitBytes int, release func(T)) *Lossy[T] {
	return &Lossy[T]{limit: limit, limitBytes: limitBytes, release: release, ready: make(chan struct{}, 1), ended: make(chan struct{})}
}

// Write appends an item of size bytes. It never waits. It must not be called
// after End.
func (l *Lossy[T]) Write(v T, size int) {
	l.mu.Lock()
	for len(l.queue) > 0 && (len(l.queue) == l.limit || l.bytes+size > l.limitBytes) {
		l.release(l.popLocked())
		l.lost++
	}
	l.queue = append(l.queue, sized[T]{v, size})
	l.bytes += size
	l.mu.Unlock()
	select {
	case l.ready <- struct{}{}:
	default:
	}
}

// Lost returns the number of items that were lost because the queue was full.
func (l *Lossy[T]) Lost() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost
}

// popLocked removes and returns the oldest item of the queue, which must not be
// empty.
func (l *Lossy[T]) popLocked() T {
	oldest := l.queue[0]
	l.queue[0] = sized[T]{}
	if l.queue = l.queue[1:]; len(l.queue) == 0 {
		l.queue = nil
	}
	l.bytes -= oldest.size
	return oldest.value
}

func (l *Lossy[T]) empty() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.queue) == 0
}

func (l *Lossy[T]) pop() (v T, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) == 0 {
		return v, false
	}
	return l.popLocked(), true
}

// End ends the loop and drops the waiting items. It must be called once.
func (l *Lossy[T]) End() {
	close(l.ended)
	for v, ok := l.pop(); ok; v, ok = l.pop() {
		l.release(v)
	}
}

// Read yields items until yield returns false, until ctx ends, until finished
// is closed and nothing waits, or until the loop has ended.
func (l *Lossy[T]) Read(ctx context.Context, finished <-chan struct{}, yield func(T) bool) {
	for {
		if v, ok := l.pop(); ok {
			if !l.hand(ctx, v, yield) {
				return
			}
			continue
		}
		select {
		case <-l.ready:
		case <-l.ended: // this is the second loop
			return
		case <-ctx.Done():
			return
		case <-finished:
			if l.empty() {
				return
			}
		}
	}
}

func (l *Lossy[T]) hand(ctx context.Context, v T, yield func(T) bool) bool {
	defer l.release(v)
	return ctx.Err() == nil && yield(v)
}
