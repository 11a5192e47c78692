package cluster

import (
	"context"
	"sync"
)

// rounds asks other nodes for those who wait for an answer. Those who wait at the
// same time share a question.
type rounds struct {
	ask func(seq uint64) // asks, and returns when the wait is over

	mu      sync.Mutex
	running bool
	next    *round // for those who came after the running question was asked
}

// round is a question to all nodes, and its end.
type round struct {
	seq  uint64 // the highest that those who share it wait for
	done chan struct{}
}

// wait waits for the end of a question that is asked after the call, about a
// sequence or a higher one, or until ctx ends.
func (s *rounds) wait(ctx context.Context, seq uint64) error {
	s.mu.Lock()
	if s.next == nil {
		s.next = &round{done: make(chan struct{})}
	}
	r := s.next
	r.seq = max(r.seq, seq)
	if !s.running {
		s.running = true
		go s.run()
	}
	s.mu.Unlock()
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run asks until nobody waits.
func (s *rounds) run() {
	for {
		s.mu.Lock()
		r := s.next
		s.next = nil
		if r == nil {
			s.running = false
		}
		s.mu.Unlock()
		if r == nil {
			return
		}
		s.ask(r.seq)
		close(r.done)
	}
}
