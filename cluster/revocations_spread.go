package cluster

import (
	"context"
	"log/slog"
	"sync"
)

// waiter waits until a message of the stream is in force here.
type waiter struct {
	seq  uint64
	done chan struct{}
}

// tell tells those who wait for what is in force now.
func (rv *Revocations) tell() {
	rv.mu.Lock()
	defer rv.mu.Unlock()
	for w := range rv.waiting {
		if rv.chain.has(w.seq) {
			close(w.done)
			delete(rv.waiting, w)
		}
	}
}

// await waits until a message of the stream is in force here, or ctx ends. If the
// node has not begun to load, it will be before the node accepts.
func (rv *Revocations) await(ctx context.Context, seq uint64) error {
	w := &waiter{seq, make(chan struct{})}
	rv.mu.Lock()
	if rv.chain.has(seq) || !rv.loading {
		rv.mu.Unlock()
		return nil
	}
	rv.waiting[w] = struct{}{}
	rv.mu.Unlock()
	select {
	case <-w.done:
		return nil
	case <-ctx.Done():
		rv.mu.Lock()
		delete(rv.waiting, w)
		rv.mu.Unlock()
		return ctx.Err()
	}
}

// inForce waits until a message of the stream of revocations is in force on this
// node, if it has revocations.
func (n *Node) inForce(ctx context.Context, seq uint64) error {
	rv := n.revocations.Load()
	if rv == nil || rv.stream == "" {
		return nil
	}
	return rv.await(ctx, seq)
}

// spreader waits until revocations are in force on all nodes. Those who wait at the
// same time share a question.
type spreader struct {
	n *Node

	mu      sync.Mutex
	running bool
	next    *spread // for those who came after the running question was asked
}

// spread is a question to all nodes, and its end.
type spread struct {
	seq  uint64
	done chan struct{}
}

// wait waits until all nodes that are alive have in force what was stored with a
// sequence, or ctx ends, or syncTimeout has passed since they were asked.
func (s *spreader) wait(ctx context.Context, seq uint64) {
	s.mu.Lock()
	if s.next == nil {
		s.next = &spread{done: make(chan struct{})}
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
	case <-ctx.Done():
	}
}

// run asks until nobody waits.
func (s *spreader) run() {
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
		ctx, cancel := context.WithTimeout(s.n.users.ctx, syncTimeout)
		err := s.n.users.ask(ctx, request{Op: opInForce, Seq: r.seq}, nil, func(*reply) bool { return false })
		cancel()
		if err != nil {
			s.n.o.Logger.Warn("cluster: a revocation is stored, but not known to be in force on all nodes", slog.Any("error", err))
		}
		close(r.done)
	}
}
