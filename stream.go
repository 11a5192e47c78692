package socketcluster

import (
	"iter"

	"github.com/socketcluster-go/socketcluster/internal/loop"
)

// Stream is the stream of calls or transmissions of one name on one socket.
// While there are loops over it, it replaces the server's [Handler] or
// [Receiver] on that socket.
type Stream[T any] struct {
	socket *Socket
	name   queueName
}

// Procedure returns the stream of the calls of a procedure on this socket. Each
// call must be answered, by [Call.Reply] or [Call.Fail]. If there are several
// loops over a procedure, each gets every call, and the first answer counts.
//
// It panics for names that the server handles itself, see [Server.Handle].
func (s *Socket) Procedure(name string) Stream[*Call] {
	mustReach("Procedure", name)
	return Stream[*Call]{s, queueName{ofCalls, name}}
}

// Receiver returns the stream of the transmissions of a name on this socket. It
// panics as [Socket.Procedure] does.
func (s *Socket) Receiver(name string) Stream[*Transmission] {
	mustReach("Receiver", name)
	return Stream[*Transmission]{s, queueName{ofTransmissions, name}}
}

// All returns the stream as a sequence for a for loop. It contains what arrives
// after the call of All, not after the start of the loop: call it in the
// handler of the [ConnectEvent], and loop in a goroutine. The sequence can be
// looped over once.
//
// Calls and transmissions wait for a slow loop in order, and do not delay other
// names. The loop ends with the socket, after everything that arrived before,
// and by Close and Kill. When the last loop ends, calls that still wait go to
// the server's handler, in any order; transmissions go to its receiver, and are
// lost without one.
func (st Stream[T]) All() iter.Seq[T] {
	s := st.socket
	l := loop.NewNamed(stillIn)
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.extend()
	if s.state == Closed {
		l.Finish()
	} else {
		x.loops.Add(st.name, l)
	}
	return func(yield func(T) bool) {
		defer l.End() // once nobody can find it
		defer func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			x.loops.Remove(st.name, l)
		}()
		l.Read(func(p packet) bool { return yield(any(p).(T)) })
	}
}

// Close ends the loops once they have taken everything that has arrived so far.
// Later calls and transmissions go to the server's handler, or to loops that
// begin later. Close does not wait for the loops.
func (st Stream[T]) Close() {
	for _, l := range st.close() {
		l.Release()
	}
}

// close closes the loops, and returns those that have not begun.
func (st Stream[T]) close() (unbegun []*loop.Loop[packet]) {
	s := st.socket
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ext == nil {
		return nil
	}
	begun, unbegun := s.ext.loops.Close(st.name)
	if begun == nil {
		return unbegun
	}
	finish := func() {
		for _, l := range begun {
			l.Finish()
		}
	}
	q := s.ext.queues[st.name]
	if q == nil {
		finish()
		return unbegun
	}
	q.users++
	if !q.lane.Push(task{marker: finish}, q) { // see dropWaiting
		q.users--
		finish()
	}
	return unbegun
}

// Kill ends the loops at once. A loop finishes what it is handling; waiting
// calls and transmissions go where the comment of All describes. Kill does not
// wait for the loops.
func (st Stream[T]) Kill() {
	s := st.socket
	s.mu.Lock()
	var killed []*loop.Loop[packet]
	if s.ext != nil {
		killed = s.ext.loops.Kill(st.name)
	}
	s.mu.Unlock()
	for _, l := range killed {
		l.End()
	}
}

// Backpressure returns the number of calls or transmissions that the slowest
// loop has not taken yet, or that the server's handler has not finished.
func (st Stream[T]) Backpressure() int {
	s := st.socket
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waiting(st.name)
}

// loops returns the loops over a name that are not being closed. mu must be held.
func (s *Socket) loops(name queueName) []*loop.Loop[packet] {
	if s.ext == nil {
		return nil
	}
	return s.ext.loops.Open(name)
}

// endStreams ends the loops of a socket that has closed.
func (s *Socket) endStreams() {
	if s.srv.cfg.Compat.DropWaiting {
		s.killStreams()
		return
	}
	for _, name := range s.streams() {
		Stream[packet]{s, name}.Close()
	}
}

// killStreams ends all loops at once.
func (s *Socket) killStreams() {
	for _, name := range s.streams() {
		Stream[packet]{s, name}.Kill()
	}
}

// streams returns the names that have loops.
func (s *Socket) streams() []queueName {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ext == nil {
		return nil
	}
	return s.ext.loops.Names()
}

// dropsWaiting reports whether waiting messages of the socket are dropped.
func (s *Socket) dropsWaiting() bool {
	return (s.srv.cfg.Compat.DropWaiting || s.discards.Load()) && s.State() == Closed
}
