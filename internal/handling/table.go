// Package handling has what an application registers to handle the calls and
// transmissions of a peer.
//
// A lookup is one atomic load. Changes take a lock of the table, and may be made at
// any time; see package registry.
package handling

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/socketcluster-go/socketcluster/internal/registry"
)

// Options says how a handler runs.
type Options struct {
	Concurrent int // the number of calls of one peer that may run at a time; 0 means 1
	Tempo      *Tempo
}

// With returns the options that functions of the application set.
func With[F ~func(*Options)](set []F) Options {
	o := Options{Tempo: new(Tempo)}
	for _, f := range set {
		f(&o)
	}
	return o
}

// Registered is a handler or receiver with its options.
type Registered[H any] struct {
	Wrapped H // as it is to be called
	handler H // as it was registered
	Options
}

// Table has the handlers, or the receivers, of a server or client. The zero value
// is empty.
type Table[H any] struct {
	names registry.Names[Registered[H]]
	rest  atomic.Pointer[Registered[H]] // for names without a handler

	mu    sync.Mutex // of changes
	wraps []func(H) H
}

// Set registers the handler of a name, in place of an earlier one.
func (t *Table[H]) Set(name string, h H, o Options) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.names.Set(name, t.wrapped(h, o))
}

// SetDefault registers the handler of all names that have none.
func (t *Table[H]) SetDefault(h H, o Options) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.wrapped(h, o)
	t.rest.Store(&r)
}

// Wrap wraps all handlers, including those that are registered later. The first of several
// wrappers is the outermost.
func (t *Table[H]) Wrap(wrap func(H) H) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.wraps = append(t.wraps, wrap)
	for name, r := range t.names.All() {
		t.names.Set(name, t.wrapped(r.handler, r.Options))
	}
	if r := t.rest.Load(); r != nil {
		all := t.wrapped(r.handler, r.Options)
		t.rest.Store(&all)
	}
}

// wrapped wraps a handler. mu must be held.
func (t *Table[H]) wrapped(h H, o Options) Registered[H] {
	r := Registered[H]{Wrapped: h, handler: h, Options: o}
	for _, wrap := range slices.Backward(t.wraps) {
		r.Wrapped = wrap(r.Wrapped)
	}
	return r
}

// Name returns a name without a copy, if it has a handler of its own.
func (t *Table[H]) Name(name []byte) string { return t.names.Intern(name) }

// Lookup returns the handler for a name, or the default one.
func (t *Table[H]) Lookup(name string) (r Registered[H], ok bool) {
	if r, ok := t.names.Get(name); ok {
		return r, true
	}
	if all := t.rest.Load(); all != nil {
		return *all, true
	}
	return r, false
}

// Has reports whether a name has a handler of its own.
func (t *Table[H]) Has(name string) bool {
	_, ok := t.names.Get(name)
	return ok
}

// HasDefault reports whether there is a handler for all other names.
func (t *Table[H]) HasDefault() bool { return t.rest.Load() != nil }

// Tempo is what is known of how long a handler takes. One that has been too slow for where
// it was read runs on goroutines of its own for some time: several of those that one client
// calls at once would begin one after the other.
type Tempo struct{ skip atomic.Int32 }

// skips is how often a slow handler is not tried.
const skips = 256

// Slow records that the handler has been too slow.
func (p *Tempo) Slow() { p.skip.Store(skips) }

// Quick reports whether the handler may run where a message was read.
func (p *Tempo) Quick() bool {
	if p.skip.Load() <= 0 {
		return true
	}
	p.skip.Add(-1)
	return false
}
