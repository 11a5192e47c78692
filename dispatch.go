package socketcluster

import (
	"github.com/socketcluster-go/socketcluster/internal/account"
	"github.com/socketcluster-go/socketcluster/internal/lane"
	"github.com/socketcluster-go/socketcluster/internal/loop"
)

// queueName names a queue of a socket. A procedure and a receiver may have
// the same name.
type queueName struct {
	call bool
	name string
}

// nameQueue handles what one socket sends to one procedure or receiver, in
// order. It exists while it has something to do.
type nameQueue struct {
	socket  *Socket
	name    queueName
	lane    lane.Lane[task]
	users   int           // tasks given to it and not done; the socket's mu guards it
	running chan struct{} // a semaphore, see Concurrent; the socket's mu guards the field
}

// task is a call or transmission on its way to who handles it.
type task struct {
	run     func()
	deliver func(handled func()) // instead of run: loops have it, and handle it later
	size    int                  // of its name and data, as it counts in the ledger
	running chan struct{}        // nil: in order, one at a time
	marker  bool                 // it marks a place in the queue, and holds no slot
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
	case t.marker:
		t.run()
		return
	case t.deliver != nil && !s.dropsWaiting():
		t.deliver(func() { s.handled(t.size) })
		return
	}
	defer s.handled(t.size)
	if !s.dropsWaiting() {
		t.run()
	}
}

// drop gets what is not to be handled any more.
func (q *nameQueue) drop(t task) {
	if t.marker {
		t.run()
	} else {
		q.socket.handled(t.size)
	}
	q.done()
}

// done tells that a task has left the queue.
func (q *nameQueue) done() {
	s := q.socket
	s.mu.Lock()
	defer s.mu.Unlock()
	if q.users--; q.users == 0 {
		delete(s.ext.queues, q.name)
		s.count(account.Handlers, -workerCost)
	}
}

// What tasks take in bytes, measured with 25,000 calls of a process: each beside
// its name and data, and each goroutine of a queue, with a stack that handlers
// make grow beyond the smallest one, and the queue's place in a map.
const (
	taskCost   = 512
	workerCost = 9 << 9
)

// handled tells that a task takes no memory any more, and no slot.
func (s *Socket) handled(size int) {
	s.count(account.Messages, -size)
	s.count(account.Handlers, -taskCost)
	s.mu.Lock()
	slots := s.ext.slots
	s.mu.Unlock()
	<-slots // does not block: the task holds one
}

// dispatch gives a packet to the loops of its socket, or else to the server's handler.
// It waits while the socket has too many of them running. A transmission that nobody
// takes is lost, as in JavaScript.
func dispatch(p packet) {
	s, name := p.socket(), p.queue()
	t := task{size: p.size()}
	concurrent := 1
	if loops := (Stream[packet]{s, name}).loops(); len(loops) > 0 {
		t.deliver = func(handled func()) {
			loop.Deliver(loops, p, packet.clone, handled, func() {
				// The loops were left before they have taken it, so that whoever
				// handles the name now gets it.
				if !s.dropsWaiting() {
					go dispatch(p)
				}
			})
		}
	} else if t.run, concurrent = p.handler(); t.run == nil {
		// On a socket that has closed, there may have been a loop.
		if !s.srv.cfg.Compat.SilentUnhandledCalls && s.State() != Closed {
			p.refuse(errUnknownProcedure)
		}
		return
	}
	s.enqueue(name, t, concurrent)
}

// enqueue runs a task behind what the queue has already, on a goroutine of the
// queue, or on one of its own if several may run at a time.
func (s *Socket) enqueue(name queueName, t task, concurrent int) {
	if !s.takeSlot() {
		return
	}
	s.count(account.Messages, t.size)
	s.count(account.Handlers, taskCost)
	s.mu.Lock()
	x := s.ext
	q := x.queues[name]
	if q == nil {
		q = &nameQueue{socket: s, name: name}
		if x.queues == nil {
			x.queues = make(map[queueName]*nameQueue)
		}
		x.queues[name] = q
		s.count(account.Handlers, workerCost)
	}
	q.users++
	if concurrent > 1 {
		if cap(q.running) != concurrent {
			q.running = make(chan struct{}, concurrent)
		}
		t.running = q.running
	}
	ok := q.lane.Push(t, q) // with mu, so that a marker comes behind all that was counted
	s.mu.Unlock()
	if !ok { // see dropWaiting
		q.drop(t)
	}
}

// takeSlot waits until one more task may be with handlers. It reports false
// when the socket has closed meanwhile.
func (s *Socket) takeSlot() bool {
	s.mu.Lock()
	x := s.extend()
	if x.slots == nil {
		x.slots = make(chan struct{}, s.srv.cfg.Limits.Calls)
	}
	s.mu.Unlock()
	select {
	case x.slots <- struct{}{}:
		return true
	default:
	}
	s.srv.hit(limitCalls)
	select {
	case x.slots <- struct{}{}:
		return true
	case <-s.Done():
		return false
	}
}
