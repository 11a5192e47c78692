package socketcluster

import (
	"context"
	"iter"
)

// Procedure returns the calls of a procedure on this socket as a sequence for
// a for loop, in place of the server's handler. Calls count from the call of
// Procedure on, not from the start of the loop: ask for the sequence in the
// handler of the [ConnectEvent], and loop over it in a goroutine. The loop
// ends with the socket. The sequence can be looped over once.
//
// Each call must be answered. When several loops share a procedure, each gets
// every call, and the first answer counts. Calls wait for a slow loop in
// order; they hold up no other procedure. Those that still wait when the last
// loop is left go to the server's handler.
func (s *Socket) Procedure(name string) iter.Seq[*Call] {
	return stream(s, name, (*Call).abandoned, procedures)
}

// Receiver is [Socket.Procedure] for transmissions.
func (s *Socket) Receiver(name string) iter.Seq[*Transmission] {
	return stream(s, name, nil, receivers)
}

func procedures(x *extension) *consumers[*Call]        { return &x.procedures }
func receivers(x *extension) *consumers[*Transmission] { return &x.receivers }

// consumersOf returns the loops over a stream of a socket.
func consumersOf[T any](s *Socket, name string, in func(*extension) *consumers[T]) []*consumer[T] {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ext == nil {
		return nil
	}
	return (*in(s.ext))[name]
}

// stream adds a consumer to the ones that are found in the extension.
func stream[T any](s *Socket, name string, unread func(T), in func(*extension) *consumers[T]) iter.Seq[T] {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := newConsumer[T](context.Background(), s.doneLocked())
	c.unread = unread
	all := in(s.ext)
	all.add(name, c)
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
