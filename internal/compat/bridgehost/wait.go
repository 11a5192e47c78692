package main

import (
	"context"
	"sync"
)

// waitContext notices when somebody begins to wait: a wait under a context
// calls Done first.
type waitContext struct {
	context.Context
	once    sync.Once
	waiting chan struct{}
}

func newWaitContext() *waitContext {
	return &waitContext{Context: context.Background(), waiting: make(chan struct{})}
}

// Done implements [context.Context].
func (c *waitContext) Done() <-chan struct{} {
	c.once.Do(func() { close(c.waiting) })
	return c.Context.Done()
}

// signal wakes those who wait for the next event.
type signal struct {
	mu sync.Mutex
	ch chan struct{}
}

// next returns a channel that the next raise closes.
func (s *signal) next() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch == nil {
		s.ch = make(chan struct{})
	}
	return s.ch
}

func (s *signal) raise() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch != nil {
		close(s.ch)
		s.ch = nil
	}
}
