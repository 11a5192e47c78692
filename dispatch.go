package socketcluster

import (
	"github.com/socketcluster-go/socketcluster/internal/lane"
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
	size    int           // of its data, as it counts in Socket.held
	running chan struct{} // nil: in order, one at a time
	marker  bool          // it marks a place in the queue, and holds no slot
}

// Handle implements lane.Handler.
func (q *nameQueue) Handle(t task) {
	if t.running == nil {
		defer q.done(t)
		q.run(t)
		return
	}
	t.running <- struct{}{}
	go func() {
		defer func() { <-t.running; q.done(t) }()
		q.run(t)
	}()
}

func (q *nameQueue) run(t task) {
	if t.marker || !q.socket.dropsWaiting() {
		t.run()
	}
}

// done tells that a task has been handled.
func (q *nameQueue) done(t task) {
	s := q.socket
	s.giveHeld(t.size)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !t.marker {
		<-s.ext.slots // does not block: the task holds one
	}
	if q.users--; q.users == 0 {
		delete(s.ext.queues, q.name)
	}
}

// dispatchCall gives a call to the consumers of this socket, or else to the
// server's handler. It waits while the socket has too many calls running.
func (s *Socket) dispatchCall(c *Call) {
	consumers := consumersOf(s, c.Procedure, procedures)
	var h registered[Handler]
	if len(consumers) == 0 {
		var ok bool
		if h, ok = lookup(&s.srv.handlers.procedures, &s.srv.handlers.allCalls, c.Procedure); !ok {
			if !s.srv.cfg.SilentUnhandledCalls {
				s.respond(c.ID, nil, errUnknownProcedure)
			}
			return
		}
	}
	s.dispatch(queueName{true, c.Procedure}, len(c.Data), h.concurrent, func() {
		if len(consumers) == 0 {
			serveCall(s.Context(), h.handler, c)
			return
		}
		c.holders.Store(int32(len(consumers)))
		for _, consumer := range consumers {
			consumer.write(c)
		}
	})
}

// abandoned tells that a loop was left before it has taken the call. When
// there is no other one, whoever handles the procedure now gets the call.
func (c *Call) abandoned() {
	if c.holders.Add(-1) == 0 && !c.Sent() && !c.Socket.dropsWaiting() {
		go c.Socket.dispatchCall(c)
	}
}

// dispatchTransmission is dispatchCall for a transmission. Without anybody to
// take it, it is lost, as in JavaScript.
func (s *Socket) dispatchTransmission(t *Transmission) {
	consumers := consumersOf(s, t.Receiver, receivers)
	var r registered[Receiver]
	if len(consumers) == 0 {
		var ok bool
		if r, ok = lookup(&s.srv.handlers.receivers, &s.srv.handlers.allEvents, t.Receiver); !ok {
			return
		}
	}
	s.dispatch(queueName{false, t.Receiver}, len(t.Data), r.concurrent, func() {
		if len(consumers) == 0 {
			serveTransmission(s.Context(), r.handler, t)
			return
		}
		t.holders.Store(int32(len(consumers)))
		for _, consumer := range consumers {
			consumer.write(t)
		}
	})
}

// abandoned is that of a call.
func (t *Transmission) abandoned() {
	if t.holders.Add(-1) == 0 && !t.Socket.dropsWaiting() {
		go t.Socket.dispatchTransmission(t)
	}
}

// dispatch runs fn behind what the queue has already, on a goroutine of the
// queue, or on one of its own if several may run at a time.
func (s *Socket) dispatch(name queueName, size, concurrent int, fn func()) {
	if !s.takeSlot() {
		return
	}
	s.addHeld(size)
	s.mu.Lock()
	x := s.ext
	q := x.queues[name]
	if q == nil {
		q = &nameQueue{socket: s, name: name}
		if x.queues == nil {
			x.queues = make(map[queueName]*nameQueue)
		}
		x.queues[name] = q
	}
	q.users++
	t := task{run: fn, size: size}
	if concurrent > 1 {
		if cap(q.running) != concurrent {
			q.running = make(chan struct{}, concurrent)
		}
		t.running = q.running
	}
	q.lane.Push(t, q) // with mu, so that a marker comes behind all that was counted
	s.mu.Unlock()
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
