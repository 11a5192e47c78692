package cluster

import (
	"context"
	"log/slog"
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

// askInForce waits until all nodes that are alive have in force what was stored with
// a sequence, or syncTimeout has passed since they were asked.
func (n *Node) askInForce(seq uint64) {
	ctx, cancel := context.WithTimeout(n.users.ctx, syncTimeout)
	defer cancel()
	// Nodes that are gone are in the log already.
	_, err := n.users.ask(ctx, request{Op: opInForce, Seq: seq}, nil, func(*reply) bool { return false })
	if err != nil {
		n.o.Logger.Warn("cluster: a revocation is stored, but not known to be in force on all nodes", slog.Any("error", err))
	}
}
