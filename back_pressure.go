package socketcluster

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
)

type noWaitKey struct{}

// NoWait returns a context for senders that must not wait for clients: with it,
// [Exchange.Publish], [Socket.Transmit], [Socket.Send] and [Socket.SendBinary]
// return at once. Their messages wait for the client as long as it reads at the
// pace of Limits.OutboxDrain and Limits.Budget permits. Outbound middleware
// gets such a context.
func NoWait(ctx context.Context) context.Context {
	return context.WithValue(ctx, noWaitKey{}, true)
}

func mayWait(ctx context.Context) bool { return ctx.Value(noWaitKey{}) == nil }

// awaitRoomFor waits until there is room for n bytes, or the socket has closed,
// or ctx ends, which is an error.
func (s *Socket) awaitRoomFor(ctx context.Context, n int) error {
	if !mayWait(ctx) {
		return nil
	}
	limit := s.srv.cfg.Limits.Outbox
	room := min(limit/2, limit-n)
	s.mu.Lock()
	over := s.batchFull(room)
	s.mu.Unlock()
	if over != nil {
		select {
		case <-over:
		case <-ctx.Done():
		}
	}
	if ctx.Err() == nil && s.out.WaitReserved(ctx, room) == nil {
		return nil
	}
	return fmt.Errorf("socket %s: the client has not read what waits for it (see Limits.Outbox): %w", s.ID(), context.Cause(ctx))
}

// crowd has the sockets for which publishers wait: those whose outboxes have
// become full. A publisher that waits for one finds out when it is no longer
// worth waiting.
type crowd struct {
	size    atomic.Int32
	mu      sync.Mutex // a leaf
	sockets map[*Socket]struct{}
}

// add may be called with any lock held.
func (c *crowd) add(s *Socket) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sockets == nil {
		c.sockets = make(map[*Socket]struct{})
	}
	c.sockets[s] = struct{}{}
	c.size.Store(int32(len(c.sockets)))
}

func (c *crowd) remove(s *Socket) {
	if c.size.Load() == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.sockets, s)
	c.size.Store(int32(len(c.sockets)))
}

func (c *crowd) all() []*Socket {
	if c.size.Load() == 0 {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Keys(c.sockets))
}

// awaitReaders waits for the subscribers of a channel that have much to read.
// The wait for each begins when its outbox is full, so waiting for all takes no
// longer than for one.
func (x *Exchange) awaitReaders(ctx context.Context, channel string) {
	if !mayWait(ctx) {
		return
	}
	c := &x.srv.crowd
	crowd := c.all()
	if len(crowd) > 0 {
		x.srv.outbox.Crew.Flush()
	}
	for _, s := range crowd {
		if s.out.Full() && s.IsSubscribed(channel) {
			s.out.WaitFor(ctx)
		}
		if !s.out.Full() {
			c.remove(s)
			if s.out.Full() { // again
				c.add(s)
			}
		}
	}
}
