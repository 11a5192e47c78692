package registry

import (
	"iter"
	"maps"
	"slices"
	"sync/atomic"
)

// List is a list of entries. Those who have added entries can remove them. It
// must not be copied after first use.
type List[T any] struct{ entries value[[]*T] }

// Add appends entries. The returned function removes them again.
func (l *List[T]) Add(entries ...T) (remove func()) {
	added := make([]*T, len(entries))
	for i, e := range entries {
		added[i] = &e
	}
	l.entries.change(func(all []*T) []*T { return slices.Concat(all, added) })
	return func() {
		l.entries.change(func(all []*T) []*T {
			return slices.DeleteFunc(slices.Clone(all), func(e *T) bool { return slices.Contains(added, e) })
		})
	}
}

// All returns the entries.
func (l *List[T]) All() []*T { return l.entries.load() }

// Empty reports whether there are no entries.
func (l *List[T]) Empty() bool { return len(l.entries.load()) == 0 }

// Names has entries by name. It must not be copied after first use.
type Names[T any] struct{ entries value[map[string]named[T]] }

type named[T any] struct {
	name  string
	entry T
}

// Set adds an entry, and replaces an earlier one with that name.
func (n *Names[T]) Set(name string, entry T) {
	n.entries.change(func(all map[string]named[T]) map[string]named[T] {
		next := make(map[string]named[T], len(all)+1)
		maps.Copy(next, all)
		next[name] = named[T]{name, entry}
		return next
	})
}

// Get returns the entry with a name.
func (n *Names[T]) Get(name string) (entry T, ok bool) {
	e, ok := n.entries.load()[name]
	return e.entry, ok
}

// Intern returns a name as a string. It allocates one only if there is no entry with
// that name.
func (n *Names[T]) Intern(name []byte) string {
	if e, ok := n.entries.load()[string(name)]; ok {
		return e.name
	}
	return string(name)
}

// All yields the entries by name, in no particular order.
func (n *Names[T]) All() iter.Seq2[string, T] {
	all := n.entries.load()
	return func(yield func(string, T) bool) {
		for name, e := range all {
			if !yield(name, e.entry) {
				return
			}
		}
	}
}

// value is a value that is replaced as a whole.
type value[T any] struct{ now atomic.Pointer[T] }

func (v *value[T]) load() (now T) {
	if p := v.now.Load(); p != nil {
		now = *p
	}
	return now
}

// change replaces the value by the result of next. It calls next again if
// another change came in between.
func (v *value[T]) change(next func(T) T) {
	for {
		old := v.now.Load()
		var current T
		if old != nil {
			current = *old
		}
		changed := next(current)
		if v.now.CompareAndSwap(old, &changed) {
			return
		}
	}
}
