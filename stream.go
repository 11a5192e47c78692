package socketcluster

import (
	"iter"

	"github.com/socketcluster-go/socketcluster/internal/loop"
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

func procedures(x *extension) *loop.Set[*Call]        { return &x.procedures }
func receivers(x *extension) *loop.Set[*Transmission] { return &x.receivers }

// loopsOver returns the loops that take what comes on a stream of a socket.
func loopsOver[T any](s *Socket, name string, in func(*extension) *loop.Set[T]) []*loop.Loop[T] {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ext == nil {
		return nil
	}
	return in(s.ext).Open(name)
}

// stream adds a loop to the ones that are found in the extension.
func stream[T any](s *Socket, name string, admit func(T) bool, unread func(T), in func(*extension) *loop.Set[T]) iter.Seq[T] {
	l := loop.NewNamed(admit, unread)
	s.mu.Lock()
	defer s.mu.Unlock()
	all := in(s.extend())
	if s.state == Closed {
		l.Finish()
	} else {
		all.Add(name, l)
	}
	return func(yield func(T) bool) {
		defer l.End() // once nobody can find it any more
		defer func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			all.Remove(name, l)
		}()
		l.Read(yield)
	}
}

// closeStream lets the loops over a stream take what has come before.
func closeStream[T any](s *Socket, name queueName, in func(*extension) *loop.Set[T]) {
	for _, l := range closeLoops(s, name, in) {
		l.Release()
	}
}

// closeLoops closes the loops over a stream, and returns those that have not begun.
func closeLoops[T any](s *Socket, name queueName, in func(*extension) *loop.Set[T]) (unbegun []*loop.Loop[T]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ext == nil {
		return nil
	}
	begun, unbegun := in(s.ext).Close(name.name)
	if begun == nil {
		return unbegun
	}
	finish := func() {
		for _, l := range begun {
			l.Finish()
		}
	}
	q := s.ext.queues[name]
	if q == nil {
		finish()
		return unbegun
	}
	q.users++
	if !q.lane.Push(task{marker: true, run: finish}, q) { // see dropWaiting
		q.users--
		finish()
	}
	return unbegun
}

// killStream ends the loops over a stream at once.
func killStream[T any](s *Socket, name string, in func(*extension) *loop.Set[T]) {
	s.mu.Lock()
	var killed []*loop.Loop[T]
	if s.ext != nil {
		killed = in(s.ext).Kill(name)
	}
	s.mu.Unlock()
	for _, l := range killed {
		l.End()
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
	return s.ext.procedures.Names(), s.ext.receivers.Names()
}

// dropsWaiting tells whether what the socket has sent is of no use any more.
func (s *Socket) dropsWaiting() bool {
	return (s.srv.cfg.Compat.DropWaiting || s.dropping.Load()) && s.State() == Closed
}
