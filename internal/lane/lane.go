package lane

import (
	"math"
	"sync"
)

// A Handler handles the items of a lane.
//
// If it also has a method Panicked(v any), a panic in Handle is recovered, its
// value is passed to Panicked on the worker's goroutine, and the lane continues
// with the next item. Without that method a panic crashes the program.
//
// If it has a method Waiting(), each PushWait that has to wait calls it first.
// It must not call the lane.
type Handler[T any] interface {
	Handle(T)
}

type panicHandler interface {
	Panicked(v any)
}

type waitHandler interface {
	Waiting()
}

// Lane is a FIFO with an on-demand worker. The zero value is ready to use; a
// Lane must not be copied after first use.
//
// Each push has the handler as an argument, so that an idle lane need not store
// it. The worker keeps the one with which it was started: all pushes to one
// lane must have the same handler.
type Lane[T any] struct {
	mu     sync.Mutex
	queue  *queue[T] // nil unless items have queued up behind a running one
	busy   bool      // a worker exists
	closed bool
	lifted bool // PushWait does not wait
}

// Push appends v and never blocks. It returns false after Close; the caller
// then keeps v.
func (l *Lane[T]) Push(v T, h Handler[T]) bool {
	return l.PushWait(v, h, math.MaxInt)
}

// PushWait appends v as soon as fewer than limit items are queued, or Lift has
// removed the limits; a limit below 1 counts as 1. It returns false after
// Close, even if Close is called while it waits; the caller then keeps v.
func (l *Lane[T]) PushWait(v T, h Handler[T], limit int) bool {
	limit = max(limit, 1)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.full(limit) {
		if w, ok := h.(waitHandler); ok {
			w.Waiting()
		}
	}
	for l.full(limit) {
		l.queue.wait(&l.mu)
	}
	switch {
	case l.closed:
		return false
	case l.busy:
		if l.queue == nil {
			l.queue = new(queue[T])
		}
		l.queue.push(v)
	default:
		// The first item goes straight to a new worker, so a lane that keeps
		// up never allocates a queue.
		l.busy = true
		go l.work(v, h)
	}
	return true
}

func (l *Lane[T]) full(limit int) bool {
	return !l.closed && !l.lifted && l.queued() >= limit
}

// Begin makes its caller the worker of an idle lane: what is pushed from then on is
// queued. It reports false if there is a worker already, or after Close. The caller goes
// on with Start, or with Resume, before which it may Handle one item.
func (l *Lane[T]) Begin() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.busy || l.closed {
		return false
	}
	l.busy = true
	return true
}

// Handle handles v on its caller's goroutine, between Begin and Resume. If v ends that
// goroutine, Handle resumes the lane with the handler next.
func (l *Lane[T]) Handle(v T, h, next Handler[T]) {
	returned := false
	defer func() {
		if returned {
			return
		}
		if cause := recover(); cause != nil {
			panicked(h, cause)
		} else { // runtime.Goexit
			l.Resume(next)
		}
	}()
	h.Handle(v)
	returned = true
}

// Start handles v by a worker of its own, after Begin.
func (l *Lane[T]) Start(v T, h Handler[T]) { go l.work(v, h) }

// Resume has a worker handle what was pushed since Begin.
func (l *Lane[T]) Resume(h Handler[T]) {
	if v, ok := l.next(); ok {
		go l.work(v, h)
	}
}

// Lift makes PushWait ignore its limit, or obey it again. Calls that wait
// continue.
func (l *Lane[T]) Lift(on bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lifted = on
	if on && l.queue != nil {
		l.queue.wake()
	}
}

// Busy reports whether an item is queued or being handled. A closed lane is not busy.
func (l *Lane[T]) Busy() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.busy && !l.closed
}

// Idle returns a channel that is closed as soon as no item is queued or being
// handled, or the lane is closed.
func (l *Lane[T]) Idle() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || !l.busy {
		idle := make(chan struct{})
		close(idle)
		return idle
	}
	if l.queue == nil {
		l.queue = new(queue[T])
	}
	if l.queue.idle == nil {
		l.queue.idle = make(chan struct{})
	}
	return l.queue.idle
}

// Len returns the number of queued items, not counting the one being handled.
func (l *Lane[T]) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.queued()
}

// Close refuses further items and passes the queued ones to drop, in order and
// on the caller's goroutine; drop may be nil. The item being handled finishes,
// but Close does not wait for it. Calls after the first do nothing.
func (l *Lane[T]) Close(drop func(T)) {
	l.mu.Lock()
	q := l.queue
	l.queue = nil
	l.closed = true
	if q != nil {
		q.wake()
		q.drained()
	}
	l.mu.Unlock()
	if q == nil || drop == nil {
		return
	}
	for q.n > 0 {
		drop(q.pop())
	}
}

func (l *Lane[T]) queued() int {
	if l.queue == nil {
		return 0
	}
	return l.queue.n
}

// next takes the next item, or ends the worker if there is none.
func (l *Lane[T]) next() (v T, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.queued() == 0 {
		if l.queue != nil {
			l.queue.drained()
		}
		l.queue = nil
		l.busy = false
		return v, false
	}
	v = l.queue.pop()
	l.queue.wake()
	return v, true
}

func (l *Lane[T]) work(v T, h Handler[T]) {
	returned := false
	defer func() {
		if !returned {
			l.abandoned(h, recover())
		}
	}()
	for ok := true; ok; v, ok = l.next() {
		h.Handle(v)
	}
	returned = true
}

// abandoned runs if Handle did not return, because it panicked, or because it
// ended its goroutine by runtime.Goexit (then cause is nil). In both cases the
// queue needs a new worker.
func (l *Lane[T]) abandoned(h Handler[T], cause any) {
	if cause != nil {
		panicked(h, cause)
	}
	l.Resume(h)
}

// panicked passes the value of a panic to h, or panics again if h does not take it.
func panicked[T any](h Handler[T], cause any) {
	p, ok := h.(panicHandler)
	if !ok {
		panic(cause)
	}
	p.Panicked(cause)
}
