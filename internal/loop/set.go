package loop

import (
	"maps"
	"slices"
)

// Set has loops by the names of their streams. The zero value is empty. A lock
// of the owner guards it.
type Set[Name comparable, T any] struct{ loops map[Name][]*Loop[T] }

// Add adds a loop from [NewNamed] to those over a stream.
func (s *Set[Name, T]) Add(name Name, l *Loop[T]) {
	if s.loops == nil {
		s.loops = make(map[Name][]*Loop[T])
	}
	s.loops[name] = append(slices.Clip(s.loops[name]), l)
}

// Remove removes a loop.
func (s *Set[Name, T]) Remove(name Name, l *Loop[T]) {
	left := slices.DeleteFunc(slices.Clone(s.loops[name]), func(other *Loop[T]) bool { return other == l })
	if len(left) == 0 {
		delete(s.loops, name)
		return
	}
	s.loops[name] = left
}

// Open returns the loops over a stream that are not being closed. The result must
// not be changed.
func (s *Set[Name, T]) Open(name Name) []*Loop[T] {
	all := s.loops[name]
	closing := func(l *Loop[T]) bool { return l.closing }
	if !slices.ContainsFunc(all, closing) {
		return all
	}
	return slices.DeleteFunc(slices.Clone(all), closing)
}

// Close closes the loops over a stream: Open no longer returns them. Loops that
// nobody has begun to read are finished and removed, because later items would
// wait for them forever; Release must be called on each, without the lock of
// the owner. The others can be killed until they have ended; Finish must be
// called on each once all earlier items have been written.
func (s *Set[Name, T]) Close(name Name) (begun, unbegun []*Loop[T]) {
	for _, l := range s.Open(name) {
		l.closing = true
		if l.begun.Load() {
			begun = append(begun, l)
			continue
		}
		s.Remove(name, l)
		l.Finish()
		unbegun = append(unbegun, l)
	}
	return begun, unbegun
}

// Kill removes the loops over a stream. End must be called on each, without the lock
// of the owner.
func (s *Set[Name, T]) Kill(name Name) []*Loop[T] {
	killed := s.loops[name]
	delete(s.loops, name)
	return killed
}

// Longest returns the number of items that wait for the slowest loop over a
// stream.
func (s *Set[Name, T]) Longest(name Name) (n int) {
	for _, l := range s.loops[name] {
		n = max(n, len(l.items))
	}
	return n
}

// Names returns the names of the streams that have loops.
func (s *Set[Name, T]) Names() []Name { return slices.Collect(maps.Keys(s.loops)) }
