package socketcluster

import (
	"slices"

	"github.com/socketcluster-go/socketcluster/internal/account"
	"github.com/socketcluster-go/socketcluster/internal/handling"
	"github.com/socketcluster-go/socketcluster/internal/lane"
	"github.com/socketcluster-go/socketcluster/internal/loop"
)

// queueName names a queue of a socket. A procedure, a receiver and a channel may have
// the same name.
type queueName struct {
	kind queueKind
	name string
}

// queueKind is what a queue is for.
type queueKind uint8

const (
	ofCalls queueKind = iota
	ofTransmissions
	ofPublications // see publishAside
)

// nameQueue handles the calls or transmissions of one socket to one procedure
// or receiver, or its publications to a channel, in order. It exists while it has work.
type nameQueue struct {
	socket  *Socket
	name    queueName
	lane    lane.Lane[task]
	users   int           // tasks that are not done; the socket's mu guards it
	running chan struct{} // a semaphore, see Concurrent; the socket's mu guards the field
	behind  bool          // a tail of this name runs; guarded by the socket's mu
}

// task is a call or transmission on its way to its handler.
type task struct {
	packet   packet               // with its handler
	deliver  func(handled func()) // instead: gives it to loops, which handle it later
	marker   func()               // instead: marks a place in the queue, and has no slot
	size     int                  // of its name and data, as counted in the ledger
	slotless bool                 // it takes no slot
	running  chan struct{}        // nil: in order, one at a time
}

// Handle implements lane.Handler.
func (q *nameQueue) Handle(t task) {
	if t.running == nil {
		defer q.done()
		q.run(t)
		return
	}
	t.running <- struct{}{}
	q.socket.count(account.Handlers, workerCost)
	go func() {
		defer func() {
			q.socket.count(account.Handlers, -workerCost)
			<-t.running
			q.done()
		}()
		q.run(t)
	}()
}

func (q *nameQueue) run(t task) {
	s := q.socket
	switch {
	case t.marker != nil:
		t.marker()
		return
	case t.deliver != nil && !s.dropsWaiting():
		t.deliver(func() { s.handled(t) })
		return
	}
	defer s.handled(t)
	if !s.dropsWaiting() {
		t.packet.serve()
	}
}

// drop drops a task that must no longer be handled.
func (q *nameQueue) drop(t task) {
	if t.marker != nil {
		t.marker()
	} else {
		q.socket.handled(t)
	}
	q.done()
}

// done records that a task has left the queue.
func (q *nameQueue) done() {
	s := q.socket
	s.mu.Lock()
	defer s.mu.Unlock()
	if q.users--; q.users == 0 {
		delete(s.ext.queues, q.name)
		s.count(account.Handlers, -workerCost)
	}
}

// tailEnded records that a tail no longer takes memory, or a slot, and lets the
// queue of its name go on.
func (s *Socket) tailEnded(t tail) {
	s.countTask(-t.size, -taskCost-workerCost)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.freeSlot()
	x := s.ext
	i := slices.Index(x.tails, t.name)
	x.tails = slices.Delete(x.tails, i, i+1)
	if q := x.queues[t.name]; q != nil && q.behind {
		q.behind = false
		q.lane.Resume(q)
	}
}

// The memory of tasks in bytes, measured with 25,000 calls: of each task
// besides its name and data, and of each goroutine of a queue, with a stack
// that handlers make grow beyond the smallest one, and the queue's place in a
// map.
const (
	taskCost   = 512
	workerCost = 9 << 9
)

// handled records that a task no longer takes memory, or a slot.
func (s *Socket) handled(t task) {
	s.countTask(-t.size, -taskCost)
	if t.slotless {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.freeSlot()
}

// dispatch passes a packet to the loops of its socket, or else to the server's
// handler. It waits while too many packets of the socket are being handled. A
// transmission without a loop or receiver is lost, as in JavaScript.
func dispatch(p packet, here bool) {
	s, name := p.socket(), p.queue()
	t := task{size: p.size()}
	var options handling.Options
	s.mu.Lock()
	if loops := s.loops(name); len(loops) > 0 {
		t.deliver = func(handled func()) {
			loop.Deliver(loops, p, packet.clone, handled, func() {
				// The loops ended before they took it, so the current handler
				// of the name gets it.
				if !s.dropsWaiting() {
					go dispatch(p, false)
				}
			})
		}
	} else if o, ok := p.bind(); ok {
		t.packet, options = p, o
	} else {
		closed := s.state == Closed // a closed socket may have had a loop
		s.mu.Unlock()
		if !s.srv.cfg.Compat.SilentUnhandledCalls && !closed {
			p.refuse(errUnknownProcedure)
		}
		return
	}
	s.enqueue(name, t, options, here)
}

// enqueue runs a task after those that are already in the queue, on a goroutine
// of the queue, or on one of its own if several may run at a time. If its name has
// no queue, and the caller is the goroutine that has read it (here), it becomes the
// tail of that goroutine. It is called with mu held, and releases it.
func (s *Socket) enqueue(name queueName, t task, o handling.Options, here bool) {
	if !t.slotless && !s.takeSlot() {
		s.mu.Unlock()
		return
	}
	x := s.ext
	q := x.queues[name]
	running := slices.Contains(x.tails, name)
	if here && q == nil && !running && o.Concurrent <= 1 && t.packet != nil && o.Tempo.Quick() {
		x.tail, s.tailed = tail{name, t, o.Tempo}, true
		x.tails = append(x.tails, name)
		s.countTask(t.size, taskCost+workerCost)
		s.mu.Unlock()
		return
	}
	s.countTask(t.size, taskCost)
	if q == nil {
		q = &nameQueue{socket: s, name: name}
		if running {
			q.behind = q.lane.Begin()
		}
		if x.queues == nil {
			x.queues = make(map[queueName]*nameQueue)
		}
		x.queues[name] = q
		s.count(account.Handlers, workerCost)
	}
	q.users++
	if o.Concurrent > 1 {
		if cap(q.running) != o.Concurrent {
			q.running = make(chan struct{}, o.Concurrent)
		}
		t.running = q.running
	}
	ok := q.lane.Push(t, q) // with mu, so that a marker comes after everything that was counted
	s.mu.Unlock()
	if !ok { // see dropWaiting
		q.drop(t)
	}
}

// takeSlot waits until one more task may be given to handlers. It returns false
// if the socket has closed meanwhile. It is called with mu held, which it releases
// while it waits.
func (s *Socket) takeSlot() bool {
	x := s.extend()
	for first := true; x.slots >= s.srv.cfg.Limits.Calls; first = false {
		if x.slotFreed == nil {
			x.slotFreed = make(chan struct{})
		}
		freed, done := x.slotFreed, s.doneLocked()
		s.mu.Unlock()
		if first {
			s.srv.hit(limitCalls)
			s.srv.watch.relieve(s) // the handlers may wait for answers of the client
		}
		ended := false
		select {
		case <-freed:
		case <-done:
			ended = true
		}
		s.mu.Lock()
		if ended {
			return false
		}
	}
	x.slots++
	return true
}

// freeSlot gives back what takeSlot has taken. mu must be held.
func (s *Socket) freeSlot() {
	x := s.ext
	x.slots--
	if x.slotFreed != nil {
		close(x.slotFreed)
		x.slotFreed = nil
	}
}
