package route

import (
	"context"
	"errors"
	"sync"
)

// Broker is called for routes. Its methods must not panic.
type Broker interface {
	// Subscribe begins a route. It returns when publications are being delivered.
	Subscribe(ctx context.Context, channel string) error
	// Unsubscribe ends a route.
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

// errExited is the error of a call whose goroutine the broker has ended.
var errExited = errors.New("the broker has ended the goroutine of a call by runtime.Goexit")

// Join begins a route or joins an existing one. Call Leave once for each Join
// that has returned nil. It waits for the broker, and returns its error. If ctx
// ends first, Join returns the error of ctx, and what the broker has begun ends
// again.
func (t *Table) Join(ctx context.Context, channel string) error {
	if t == nil {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	t.mu.Lock()
	r := t.routes[channel]
	if r == nil {
		r = &route{turn: make(chan struct{}, 1)}
		t.routes[channel] = r
	}
	r.users++
	t.mu.Unlock()
	begin := func() error { return t.begin(context.WithoutCancel(ctx), channel, r) }
	return until(ctx, begin, func() { _ = t.Leave(context.WithoutCancel(ctx), channel) })
}

// begin calls the broker for a route, unless somebody else has done so.
func (t *Table) begin(ctx context.Context, channel string, r *route) error {
	r.lock()
	defer r.unlock()
	if r.on {
		return nil
	}
	defer func() { // even if the broker ends this goroutine
		if !r.on {
			t.release(r)
			t.settle(ctx, channel, r)
		}
	}()
	if err := t.broker.Subscribe(ctx, channel); err != nil {
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
	end := func() error {
		r.lock()
		defer r.unlock()
		t.settle(context.WithoutCancel(ctx), channel, r)
		return nil
	}
	return until(ctx, end, func() {})
}

// until returns the result of fn. If ctx ends first, it returns the error of
// ctx, and late runs if fn succeeds.
func until(ctx context.Context, fn func() error, late func()) error {
	if ctx.Done() == nil {
		return fn()
	}
	result := make(chan error)
	go func() {
		err := errExited
		defer func() {
			select {
			case result <- err:
			case <-ctx.Done():
				if err == nil {
					late()
				}
			}
		}()
		err = fn()
	}()
	select {
	case err := <-result:
		return err
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

// settle ends a route that has no users. The route must be locked. A route that
// is on never leaves the table.
func (t *Table) settle(ctx context.Context, channel string, r *route) {
	t.mu.Lock()
	defer func() { // even if the broker ends this goroutine
		if r.users == 0 && t.routes[channel] == r { // nobody has joined meanwhile
			delete(t.routes, channel)
		}
		t.mu.Unlock()
	}()
	if r.users == 0 && r.on {
		r.on = false
		t.mu.Unlock()
		defer t.mu.Lock()
		t.broker.Unsubscribe(ctx, channel)
	}
}
