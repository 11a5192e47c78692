package socketcluster

import (
	"sync"
	"sync/atomic"
	"time"
)

// A message is handled by the goroutine that has read it, together with the handler that
// it is for, if nothing of its socket is being handled: to start other goroutines would
// cost more than most handlers. What it sends leaves in one write at the end.
//
// Whatever takes longer than a moment has another goroutine take over the reading, as
// the Go scheduler does with a processor of which the goroutine is in a system call.
// From then on everything is as if it had been started on a goroutine of its own. A
// goroutine that handles something has a post meanwhile, and whoever relieves the post
// first decides: it itself, when it is through, or the watch.

const (
	// numPosts bounds how many goroutines handle what they have read at a time. Others
	// leave it to goroutines of their own.
	numPosts = 64
	manTries = 4 // that a goroutine looks at

	// watchPeriod is how often the watch looks at posts. The reading is taken over after
	// one to two of them.
	watchPeriod = time.Millisecond
)

// The phases of a post, in the low bits of its state. The others count its users.
const (
	postFree   = iota
	postTaken  // by somebody who is not there yet, or about to leave
	postManned // socket is set
	postPhases
)

type post struct {
	state  atomic.Uint64
	socket atomic.Pointer[Socket]
	seen   uint64 // state of the last look; the watch's
	_      [40]byte
}

// relieve frees a post that is in a state. It reports false if somebody else has done so.
func (p *post) relieve(state uint64) (s *Socket, ok bool) {
	if !p.state.CompareAndSwap(state, state-postManned+postTaken) {
		return nil, false
	}
	s = p.socket.Swap(nil)
	p.state.Store(state - postManned + postPhases + 1)
	return s, true
}

// watch has the reading taken over of sockets that are being handled for too long.
type watch struct {
	posts [numPosts]post
	armed atomic.Bool
	mu    sync.Mutex // of look
	timer *time.Timer
}

func newWatch() *watch {
	w := new(watch)
	w.timer = time.AfterFunc(time.Hour, w.look)
	w.timer.Stop()
	return w
}

// man takes a post for the goroutine that reads from a socket, or returns nil if all
// that it looks at are taken.
func (w *watch) man(s *Socket) (p *post, state uint64) {
	first := int(s.id[1])
	for i := range manTries {
		p := &w.posts[(first+i)%numPosts]
		free := p.state.Load()
		if free%(postPhases+1) == postFree && p.state.CompareAndSwap(free, free+postTaken) {
			p.socket.Store(s)
			p.state.Store(free + postManned)
			w.arm()
			return p, free + postManned
		}
	}
	return nil, 0
}

func (w *watch) arm() {
	if !w.armed.Load() && !w.armed.Swap(true) {
		w.timer.Reset(watchPeriod)
	}
}

// relieve has the reading taken over at once of a socket that is about to wait for its
// client.
func (w *watch) relieve(s *Socket) {
	first := int(s.id[1])
	for i := range manTries {
		p := &w.posts[(first+i)%numPosts]
		if state := p.state.Load(); p.socket.Load() == s && state%(postPhases+1) == postManned {
			if s, ok := p.relieve(state); ok {
				s.takeOver()
			}
		}
	}
}

// look relieves posts that have been manned since the last look.
func (w *watch) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.armed.Store(false)
	manned := false
	for i := range w.posts {
		p := &w.posts[i]
		state := p.state.Load()
		switch {
		case state%(postPhases+1) != postManned:
			continue
		case state != p.seen:
			p.seen = state
		default:
			if s, ok := p.relieve(state); ok {
				s.takeOver()
				continue
			}
		}
		manned = true
	}
	if manned {
		w.arm()
	}
}

// takeOver has another goroutine read, in place of one that is busy.
func (s *Socket) takeOver() {
	s.out.Uncork(false)
	if s.pushBack.Swap(0) == pushBackNoticed {
		s.seen(time.Now())
	}
	go s.read()
}

// handleHere handles a message on the goroutine that has read it. handled is false if
// that cannot be; then nothing has been done. reading is false if another goroutine reads
// by now. What was sent is corked if reading is true.
func (s *Socket) handleHere(in inboxItem) (handled, reading bool) {
	if !s.prompt || !s.inbox.Begin() {
		return false, true
	}
	s.out.Cork() // before there is a post that could be relieved
	p, state := s.srv.watch.man(s)
	if p == nil {
		s.inbox.Start(in, (*inboxWorker)(s))
		return true, true
	}
	through := false
	defer func() {
		if through {
			return
		}
		if _, ok := p.relieve(state); ok { // a handler has ended this goroutine
			s.takeOver()
		}
	}()
	s.inbox.Handle(in, (*hereWorker)(s))
	t, tailed := s.takeTail()
	s.inbox.Resume((*inboxWorker)(s)) // after which the tail is no longer this goroutine's
	if tailed {
		s.runTail(t)
	}
	through = true
	if _, reading = p.relieve(state); !reading && tailed {
		t.tempo.slow()
	}
	return true, reading
}

// hereWorker is inboxWorker for a message that is handled where it was read.
type hereWorker Socket

// Handle implements lane.Handler.
func (w *hereWorker) Handle(in inboxItem) {
	w.here = true
	defer func() { w.here = false }()
	(*inboxWorker)(w).Handle(in)
}

// Panicked implements lane.Handler's hook.
func (w *hereWorker) Panicked(v any) { (*inboxWorker)(w).Panicked(v) }

// tail is a task that the goroutine runs that has read it, when its message has been
// handled. Only that goroutine looks at the one of a socket.
type tail struct {
	name queueName
	task
	tempo *tempo
}

// tempo is what is known of how long a handler takes. One that has been too slow for where
// it was read runs on goroutines of its own for some time: several of those that one client
// calls at once would begin one after the other.
type tempo struct{ skip atomic.Int32 }

// skips is how often a slow handler is not tried.
const skips = 256

func (p *tempo) slow() { p.skip.Store(skips) }

// quick reports whether the handler may run where a message was read.
func (p *tempo) quick() bool {
	if p.skip.Load() <= 0 {
		return true
	}
	p.skip.Add(-1)
	return false
}

// takeTail returns the tail of a socket, if it has one. Only the worker of the inbox calls
// it.
func (s *Socket) takeTail() (t tail, ok bool) {
	if !s.tailed {
		return tail{}, false
	}
	s.tailed = false
	s.mu.Lock()
	defer s.mu.Unlock()
	t, s.ext.tail = s.ext.tail, tail{}
	return t, true
}

// passTail leaves the tail, if there is one, to another goroutine, as something comes
// after it that may take its time.
func (s *Socket) passTail() {
	if t, ok := s.takeTail(); ok {
		go s.runTail(t)
	}
}

// runTail runs a tail, and then what has been queued behind it meanwhile.
func (s *Socket) runTail(t tail) {
	defer s.tailEnded(t.name)
	defer s.handled(t.size)
	if !s.dropsWaiting() {
		t.run()
	}
}
