package cluster

import (
	"context"
	"sync"
)

// turns let those who want the same thing go one after the other. The zero value is ready
// for use.
type turns struct {
	mu  sync.Mutex
	all map[string]*turn // things that somebody has or waits for
}

type turn struct {
	taken chan struct{} // full while somebody has it
	count int           // of those who have it or wait for it
}

// take waits until nobody else has a thing, or ctx ends. Whoever gets no error must call
// done.
func (t *turns) take(ctx context.Context, thing string) (done func(), err error) {
	t.mu.Lock()
	mine := t.all[thing]
	if mine == nil {
		if t.all == nil {
			t.all = make(map[string]*turn)
		}
		mine = &turn{taken: make(chan struct{}, 1)}
		t.all[thing] = mine
	}
	mine.count++
	t.mu.Unlock()
	leave := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if mine.count--; mine.count == 0 {
			delete(t.all, thing)
		}
	}
	select {
	case mine.taken <- struct{}{}:
		return func() { <-mine.taken; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}
