package socketcluster

// A Key stores values of the application with sockets, one of type T for each
// socket. Declare a variable for each kind of value; its address distinguishes
// it from other keys:
//
//	var room socketcluster.Key[string]
//
// It must not be copied. Its methods are safe for concurrent use.
type Key[T any] struct {
	_ noCopy
	_ byte // so that no two keys have the same address
}

// noCopy makes go vet report copies.
type noCopy struct{}

func (*noCopy) Lock()   {}
func (*noCopy) Unlock() {}

// Set stores a value with a socket, in place of an earlier one.
func (k *Key[T]) Set(s *Socket, v T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.extend()
	if x.values == nil {
		x.values = make(map[any]any)
	}
	x.values[k] = v
}

// Get returns the value that Set has stored with a socket. ok is false if there
// is none.
func (k *Key[T]) Get(s *Socket) (v T, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ext == nil {
		return v, false
	}
	v, ok = s.ext.values[k].(T)
	return v, ok
}
