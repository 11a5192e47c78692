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
	lane  lane.Lane[func()]
	users int // items given to it and not done; the socket's mu guards it
}

// Handle implements lane.Handler.
func (*nameQueue) Handle(run func()) { run() }

// dispatchCall gives a call to the consumers of this socket, or else to the
// server's handler. It waits while the socket has too many calls running.
func (s *Socket) dispatchCall(c *Call) {
	consumers := s.callConsumers(c.Procedure)
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
	s.dispatch(queueName{true, c.Procedure}, h.concurrent, func() {
		if len(consumers) == 0 {
			serveCall(s.Context(), h.handler, c)
			return
		}
		for _, consumer := range consumers {
			consumer.write(c)
		}
	})
}

// dispatchTransmission is dispatchCall for a transmission. Without anybody to
// take it, it is lost, as in JavaScript.
func (s *Socket) dispatchTransmission(t *Transmission) {
	consumers := s.eventConsumers(t.Receiver)
	var r registered[Receiver]
	if len(consumers) == 0 {
		var ok bool
		if r, ok = lookup(&s.srv.handlers.receivers, &s.srv.handlers.allEvents, t.Receiver); !ok {
			return
		}
	}
	s.dispatch(queueName{false, t.Receiver}, r.concurrent, func() {
		if len(consumers) == 0 {
			serveTransmission(s.Context(), r.handler, t)
			return
		}
		for _, consumer := range consumers {
			consumer.write(t)
		}
	})
}

// dispatch runs fn behind what the queue has already, on a goroutine of the
// queue, or on one of its own if several may run at a time.
func (s *Socket) dispatch(name queueName, concurrent int, fn func()) {
	s.mu.Lock()
	x := s.extend()
	if x.slots == nil {
		x.slots = make(chan struct{}, s.srv.cfg.Limits.Calls)
	}
	slots, done := x.slots, s.doneLocked()
	s.mu.Unlock()
	select {
	case slots <- struct{}{}:
	case <-done:
		return
	}

	s.mu.Lock()
	q := x.queues[name]
	if q == nil {
		q = &nameQueue{}
		if x.queues == nil {
			x.queues = make(map[queueName]*nameQueue)
		}
		x.queues[name] = q
	}
	q.users++
	s.mu.Unlock()
	finish := func() {
		<-slots
		s.mu.Lock()
		if q.users--; q.users == 0 {
			delete(x.queues, name)
		}
		s.mu.Unlock()
	}
	if concurrent <= 1 {
		q.lane.Push(func() { defer finish(); fn() }, q)
		return
	}
	running := s.concurrency(x, name, concurrent)
	q.lane.Push(func() {
		running <- struct{}{}
		go func() {
			defer func() { <-running; finish() }()
			fn()
		}()
	}, q)
}

// concurrency returns the semaphore of a queue whose items may run at the
// same time.
func (s *Socket) concurrency(x *extension, name queueName, n int) chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if x.running == nil {
		x.running = make(map[queueName]chan struct{})
	}
	sem := x.running[name]
	if sem == nil || cap(sem) != n {
		sem = make(chan struct{}, n)
		x.running[name] = sem
	}
	return sem
}

// hasProcedure tells whether anybody handles a procedure.
func (s *Socket) hasProcedure(name string) bool {
	if len(s.callConsumers(name)) > 0 {
		return true
	}
	_, ok := lookup(&s.srv.handlers.procedures, &s.srv.handlers.allCalls, name)
	return ok
}

// hasReceiver tells whether anybody receives an event.
func (s *Socket) hasReceiver(name string) bool {
	if len(s.eventConsumers(name)) > 0 {
		return true
	}
	_, ok := lookup(&s.srv.handlers.receivers, &s.srv.handlers.allEvents, name)
	return ok
}

func (s *Socket) callConsumers(name string) []*consumer[*Call] {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ext == nil {
		return nil
	}
	return s.ext.procedures[name]
}

func (s *Socket) eventConsumers(name string) []*consumer[*Transmission] {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ext == nil {
		return nil
	}
	return s.ext.receivers[name]
}
