package socketcluster

import (
	"iter"

	"github.com/socketcluster-go/socketcluster/internal/loop"
)

// Stream is what a client sends to one procedure or receiver on one socket. It takes
// the place of the server's [Handler] or [Receiver] on that socket while there are loops
// over it.
type Stream[T any] struct {
	socket *Socket
	name   string
	kind   *streamKind[T]
}

// streamKind has what differs between calls and transmissions.
type streamKind[T any] struct {
	call bool
	in   func(*extension) *loop.Set[T]
}

var (
	procedures = &streamKind[*Call]{true, func(x *extension) *loop.Set[*Call] { return &x.procedures }}
	receivers  = &streamKind[*Transmission]{false, func(x *extension) *loop.Set[*Transmission] { return &x.receivers }}
)

// streamItem is a call or a transmission.
type streamItem interface {
	stillIn() bool
	abandoned()
}

// Procedure is the stream of the calls of a procedure on this socket. Each call must
// be answered, by [Call.Reply] or [Call.Fail]. When several loops share a procedure,
// each gets every call, and the first answer counts.
//
// It panics for the names that the server handles itself, see [Server.Handle].
func (s *Socket) Procedure(name string) Stream[*Call] {
	mustReach("Procedure", name)
	return Stream[*Call]{s, name, procedures}
}

// Receiver is the stream of the transmissions of a name on this socket. It panics as
// [Socket.Procedure] does.
func (s *Socket) Receiver(name string) Stream[*Transmission] {
	mustReach("Receiver", name)
	return Stream[*Transmission]{s, name, receivers}
}

// All returns the stream as a sequence for a for loop. It begins with the call of
// All, not with the loop: call it in the handler of the [ConnectEvent], and
// loop in a goroutine. The sequence can be looped over once.
//
// What comes waits for a slow loop in order, and holds up no other name. The loop ends
// with the socket, after what has come before, and by Close and Kill. Calls that still
// wait when the last loop is left go to the server's handler, in any order;
// transmissions go to its receiver, and are lost without one.
func (st Stream[T]) All() iter.Seq[T] {
	s := st.socket
	l := loop.NewNamed(
		func(v T) bool { return any(v).(streamItem).stillIn() },
		func(v T) { any(v).(streamItem).abandoned() },
	)
	s.mu.Lock()
	defer s.mu.Unlock()
	all := st.kind.in(s.extend())
	if s.state == Closed {
		l.Finish()
	} else {
		all.Add(st.name, l)
	}
	return func(yield func(T) bool) {
		defer l.End() // once nobody can find it any more
		defer func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			all.Remove(st.name, l)
		}()
		l.Read(yield)
	}
}

// Close ends the loops once they have taken what has come so far. What comes later is
// for the server's handler, or for loops that begin later. It does not wait for the
// loops.
func (st Stream[T]) Close() {
	for _, l := range st.close() {
		l.Release()
	}
}

// close closes the loops, and returns those that have not begun.
func (st Stream[T]) close() (unbegun []*loop.Loop[T]) {
	s := st.socket
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ext == nil {
		return nil
	}
	begun, unbegun := st.kind.in(s.ext).Close(st.name)
	if begun == nil {
		return unbegun
	}
	finish := func() {
		for _, l := range begun {
			l.Finish()
		}
	}
	q := s.ext.queues[queueName{st.kind.call, st.name}]
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

// Kill ends the loops at once. What a loop is handling is handled to its end; what
// waits goes where All says. It does not wait for the loops.
func (st Stream[T]) Kill() {
	s := st.socket
	s.mu.Lock()
	var killed []*loop.Loop[T]
	if s.ext != nil {
		killed = st.kind.in(s.ext).Kill(st.name)
	}
	s.mu.Unlock()
	for _, l := range killed {
		l.End()
	}
}

// Backpressure is how much has come and has not been taken by the slowest loop, or not
// been handled to its end by the server's handler.
func (st Stream[T]) Backpressure() int {
	s := st.socket
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waiting(queueName{st.kind.call, st.name})
}

// loops returns the loops that take what comes.
func (st Stream[T]) loops() []*loop.Loop[T] {
	s := st.socket
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ext == nil {
		return nil
	}
	return st.kind.in(s.ext).Open(st.name)
}

// endStreams ends the loops of a socket that has closed.
func (s *Socket) endStreams() {
	if s.srv.cfg.Compat.DropWaiting {
		s.killStreams()
		return
	}
	calls, items := s.streams()
	for _, name := range calls {
		Stream[*Call]{s, name, procedures}.Close()
	}
	for _, name := range items {
		Stream[*Transmission]{s, name, receivers}.Close()
	}
}

// killStreams ends all loops at once.
func (s *Socket) killStreams() {
	calls, items := s.streams()
	for _, name := range calls {
		Stream[*Call]{s, name, procedures}.Kill()
	}
	for _, name := range items {
		Stream[*Transmission]{s, name, receivers}.Kill()
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
