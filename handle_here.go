package socketcluster

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/handling"
	"github.com/socketcluster-go/socketcluster/internal/outbox"
)

// The goroutine that has read a message handles it, and runs the handler of its
// last call, if nothing else of the socket is being handled. Starting other goroutines
// would cost more than most handlers do. What the message makes the server send to
// the client leaves in one write at the end.
//
// If that takes longer than a moment, another goroutine takes over the reading, as
// the Go scheduler takes a processor from a goroutine in a system call. From then on,
// the socket is served as if the handler had a goroutine of its own. While a goroutine
// handles what it has read, it has a post. It leaves the post when it is done, or the
// watch relieves it before: the first of the two decides who reads on.

const (
	// numPosts is the number of goroutines that may handle what they have read at the
	// same time. Without a post, a message gets a worker of the inbox.
	numPosts = 64

	// manTries is the number of posts that are tried for a socket.
	manTries = 4

	// watchPeriod is how often the watch looks at posts. The reading is taken over after
	// one to two of them.
	watchPeriod = time.Millisecond
)

// The phases of a post, in the low bits of its state. The others count its users.
const (
	postFree   = iota
	postTaken  // socket is about to be set or cleared
	postManned // socket is set
	postPhases
)

type post struct {
	state  atomic.Uint64
	socket atomic.Pointer[Socket]
	seen   uint64 // state of the last look; the watch's
	_      [40]byte
}

// leave frees a post that is manned in a state, and returns its socket. It reports false
// if the post was left or relieved before.
func (p *post) leave(state uint64) (s *Socket, ok bool) {
	if !p.state.CompareAndSwap(state, state-postManned+postTaken) {
		return nil, false
	}
	s = p.socket.Swap(nil)
	p.state.Store(state - postManned + postPhases + 1)
	return s, true
}

// watch relieves posts that are manned for too long, and has publications written that
// wait for their publishers.
type watch struct {
	posts [numPosts]post
	armed atomic.Bool
	crew  *outbox.Crew
	mu    sync.Mutex // of look
	timer *time.Timer
}

func newWatch(crew *outbox.Crew) *watch {
	w := &watch{crew: crew}
	w.timer = time.AfterFunc(time.Hour, w.look)
	w.timer.Stop()
	crew.OnLater = w.arm
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
			if s, ok := p.leave(state); ok {
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
	w.crew.Flush() // of publications whose publisher has been busy for so long
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
			if s, ok := p.leave(state); ok {
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
	s.sendCorked(false)
	if s.pushBack.Swap(0) == pushBackNoticed {
		s.seen(time.Now())
	}
	go s.read()
}

// handleHere handles a message on the goroutine that has read it. handled is false if
// that cannot be; then nothing has been done. reading is false if another goroutine reads
// by now. What was sent is corked if reading is true, as it may have been before.
func (s *Socket) handleHere(in inboxItem, corked bool) (handled, reading bool) {
	if !s.prompt || !s.inbox.Begin() {
		return false, true
	}
	deepen(false)
	if !corked {
		s.out.Cork() // before there is a post that could be relieved
	}
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
		if _, ok := p.leave(state); ok { // a handler has ended this goroutine
			s.takeOver()
		}
	}()
	s.inbox.Handle(in, (*hereWorker)(s), (*inboxWorker)(s))
	t, tailed := s.takeTail()
	s.inbox.Resume((*inboxWorker)(s)) // after which the tail is no longer this goroutine's
	if tailed {
		before := p.state.Load()
		s.runTail(t)
		if before == state && p.state.Load() != state {
			t.tempo.Slow() // it was relieved because of the handler
		}
	}
	through = true
	if _, reading = p.leave(state); !reading {
		s.srv.outbox.Crew.Flush()
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
	tempo *handling.Tempo
}

// takeTail returns the tail of a socket, if it has one. Only the worker of the inbox calls
// it.
func (s *Socket) takeTail() (t tail, ok bool) {
	if !s.tailed {
		return tail{}, false
	}
	s.tailed = false
	t, s.ext.tail = s.ext.tail, tail{} // ext is there: this goroutine has set the tail
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
	defer s.tailEnded(t)
	if !s.dropsWaiting() {
		t.packet.serve()
	}
}
