package socketcluster

import (
	"context"
	"iter"
	"sync"
)

// Procedure returns the calls of a procedure on this socket as a sequence for
// a for loop, in place of the server's handler. Calls count from the call of
// Procedure on, not from the start of the loop: ask for the sequence in the
// handler of the [ConnectEvent], and loop over it in a goroutine. The
// sequence can be looped over once.
//
// Each call must be answered. When several loops share a procedure, each gets
// every call, and the first answer counts. Calls wait for a slow loop in
// order; they hold up no other procedure.
//
// The loop ends with the socket, after the calls that have come before, and
// by [Socket.CloseProcedure] and [Socket.KillProcedure]. Calls that still wait
// when the last loop is left go to the server's handler, in any order.
//
// It panics for the names that the server handles itself, see [Server.Handle].
func (s *Socket) Procedure(name string) iter.Seq[*Call] {
	mustReach("Procedure", name)
	return stream(s, name, (*Call).stillIn, (*Call).abandoned, procedures)
}

// Receiver is [Socket.Procedure] for transmissions.
func (s *Socket) Receiver(name string) iter.Seq[*Transmission] {
	mustReach("Receiver", name)
	return stream(s, name, (*Transmission).stillIn, (*Transmission).abandoned, receivers)
}

// CloseProcedure ends the loops over a procedure on this socket once they have
// taken the calls that have come so far. Later calls are for the server's
// handler, or for loops that begin later. It does not wait for the loops.
func (s *Socket) CloseProcedure(name string) { closeStream(s, queueName{true, name}, procedures) }

// CloseReceiver is [Socket.CloseProcedure] for transmissions.
func (s *Socket) CloseReceiver(name string) { closeStream(s, queueName{false, name}, receivers) }

// KillProcedure ends the loops over a procedure on this socket at once. The
// call that a loop is handling is handled to its end; those that wait go to
// the server's handler. It does not wait for the loops.
func (s *Socket) KillProcedure(name string) { killStream(s, name, procedures) }

// KillReceiver is [Socket.KillProcedure] for transmissions. Without a receiver
// of the server's, those that wait are lost.
func (s *Socket) KillReceiver(name string) { killStream(s, name, receivers) }

func procedures(x *extension) *consumers[*Call]        { return &x.procedures }
func receivers(x *extension) *consumers[*Transmission] { return &x.receivers }

// consumersOf returns the loops that take what comes on a stream of a socket.
func consumersOf[T any](s *Socket, name string, in func(*extension) *consumers[T]) []*consumer[T] {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ext == nil {
		return nil
	}
	return in(s.ext).open(name)
}

// stream adds a consumer to the ones that are found in the extension.
func stream[T any](s *Socket, name string, admit func(T) bool, unread func(T), in func(*extension) *consumers[T]) iter.Seq[T] {
	done := make(chan struct{})
	c := newConsumer[T](context.Background(), done)
	c.finish = sync.OnceFunc(func() { close(done) })
	c.admit = admit
	c.unread = unread
	s.mu.Lock()
	defer s.mu.Unlock()
	all := in(s.extend())
	if s.state == Closed {
		c.finish()
	} else {
		all.add(name, c)
	}
	return func(yield func(T) bool) {
		defer c.end() // once nobody can find it any more
		defer func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			all.remove(name, c)
		}()
		c.read(yield)
	}
}

// closeStream lets the loops over a stream take what has come before.
func closeStream[T any](s *Socket, name queueName, in func(*extension) *consumers[T]) {
	for _, c := range closeLocked(s, name, in) {
		c.letGo()
	}
}

// closeLocked returns the loops that have not begun.
func closeLocked[T any](s *Socket, name queueName, in func(*extension) *consumers[T]) (unbegun []*consumer[T]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ext == nil {
		return nil
	}
	all := in(s.ext)
	q := s.ext.queues[name]
	var closing []*consumer[T]
	for _, c := range all.open(name.name) {
		switch {
		case !c.begun.Load(): // what waits behind it would wait for ever
			all.remove(name.name, c)
			c.finish()
			unbegun = append(unbegun, c)
		case q == nil:
			c.closing = true // and can be killed until it has ended
			c.finish()
		default:
			c.closing = true
			closing = append(closing, c)
		}
	}
	if closing == nil {
		return unbegun
	}
	finish := func() {
		for _, c := range closing {
			c.finish()
		}
	}
	q.users++
	if !q.lane.Push(task{marker: true, run: finish}, q) { // see dropWaiting
		q.users--
		finish()
	}
	return unbegun
}

// killStream ends the loops over a stream at once.
func killStream[T any](s *Socket, name string, in func(*extension) *consumers[T]) {
	s.mu.Lock()
	var killed []*consumer[T]
	if s.ext != nil {
		all := in(s.ext)
		killed = (*all)[name]
		delete(*all, name)
	}
	s.mu.Unlock()
	for _, c := range killed {
		c.end()
	}
}

// endStreams ends the loops of a socket that has closed.
func (s *Socket) endStreams() {
	if s.srv.cfg.Compat.DropWaiting {
		s.killStreams()
		return
	}
	calls, items := s.streams()
	for _, name := range calls {
		s.CloseProcedure(name)
	}
	for _, name := range items {
		s.CloseReceiver(name)
	}
}

// killStreams ends all loops at once.
func (s *Socket) killStreams() {
	calls, items := s.streams()
	for _, name := range calls {
		s.KillProcedure(name)
	}
	for _, name := range items {
		s.KillReceiver(name)
	}
}

// streams are the names of what there are loops over.
func (s *Socket) streams() (calls, items []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ext == nil {
		return nil, nil
	}
	return s.ext.procedures.names(), s.ext.receivers.names()
}

// dropsWaiting tells whether what the socket has sent is of no use any more.
func (s *Socket) dropsWaiting() bool {
	return (s.srv.cfg.Compat.DropWaiting || s.dropping.Load()) && s.State() == Closed
}
