package route

import (
	"context"
	"sync"
)

// Broker is called for routes.
type Broker interface {
	// Subscribe begins a route. It returns when publications are being delivered.
	Subscribe(ctx context.Context, channel string) error
	// Unsubscribe ends a route. It must not panic.
	Unsubscribe(ctx context.Context, channel string)
}

// Table has the routes of a node. A nil Table is for a node that gets all
// channels: it makes no calls.
type Table struct {
	broker Broker

	mu     sync.Mutex
	routes map[string]*route
}

// route counts those who have joined a channel.
type route struct {
	users int           // guarded by Table.mu
	turn  chan struct{} // the lock for the broker's calls, which may take long
	on    bool          // the broker delivers; guarded by turn
}

func (r *route) lock()   { r.turn <- struct{}{} }
func (r *route) unlock() { <-r.turn }

// New returns a table without routes.
func New(b Broker) *Table { return &Table{broker: b, routes: make(map[string]*route)} }

// Join begins a route or joins an existing one. Call Leave once for each Join
// that has returned nil; an error is that of the broker.
func (t *Table) Join(ctx context.Context, channel string) error {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	r := t.routes[channel]
	if r == nil {
		r = &route{turn: make(chan struct{}, 1)}
		t.routes[channel] = r
	}
	r.users++
	t.mu.Unlock()

	r.lock()
	defer r.unlock()
	if r.on {
		return nil
	}
	defer func() { // even if the broker panics
		if !r.on {
			t.release(r)
			t.settle(ctx, channel, r)
		}
	}()
	if err := t.broker.Subscribe(context.WithoutCancel(ctx), channel); err != nil {
		return err
	}
	r.on = true
	return nil
}

// Leave undoes one Join. If this ends the route, it waits for the broker. If
// ctx ends first, Leave returns its error, and the route ends nevertheless.
func (t *Table) Leave(ctx context.Context, channel string) error {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	r := t.routes[channel]
	t.mu.Unlock()
	if t.release(r) {
		return nil
	}
	end := func() {
		r.lock()
		defer r.unlock()
		t.settle(ctx, channel, r)
	}
	if ctx.Done() == nil {
		end()
		return nil
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		end()
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// release removes one user of a route. It reports whether there are others.
func (t *Table) release(r *route) (used bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r.users--
	return r.users > 0
}

// settle ends a route that has no users. The route must be locked.
func (t *Table) settle(ctx context.Context, channel string, r *route) {
	if r.on && !t.used(r) {
		r.on = false
		t.broker.Unsubscribe(context.WithoutCancel(ctx), channel)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if r.users == 0 && t.routes[channel] == r { // nobody has joined meanwhile
		delete(t.routes, channel)
	}
}

func (t *Table) used(r *route) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return r.users > 0
}
