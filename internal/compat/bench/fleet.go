//go:build linux

package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
)

// dialers is the number of connections that are set up at the same time. More
// would only queue at the server, because it has the same few cores.
const dialers = 16

// fleet is a set of open connections. The first failure of any of them ends the
// work of all: it cancels ctx with the cause.
type fleet struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	conns  []*conn

	closing atomic.Bool
	readers sync.WaitGroup
}

// openFleet dials n connections, some at a time, and runs setup on each. After
// setup, body runs for the connection, in a goroutine of its own: an error that
// body returns before the fleet is abandoned fails the fleet. Without a body
// nobody reads.
func openFleet(ctx context.Context, e endpoint, n int, setup, body func(i int, c *conn) error) (*fleet, error) {
	return openFleetWith(ctx, dialers, e, n, setup, body)
}

func openFleetWith(ctx context.Context, dialers int, e endpoint, n int, setup, body func(i int, c *conn) error) (*fleet, error) {
	f := &fleet{conns: make([]*conn, n)}
	f.ctx, f.cancel = context.WithCancelCause(ctx)
	var (
		next    atomic.Int64
		workers sync.WaitGroup
	)
	for range min(dialers, n) {
		workers.Go(func() {
			for f.ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				c, err := dial(f.ctx, e)
				if err == nil {
					f.conns[i] = c
					err = setup(i, c)
				}
				if err != nil {
					f.cancel(fmt.Errorf("connection %d: %w", i, err))
				} else if body != nil {
					f.readers.Go(func() { f.read(i, c, body) })
				}
			}
		})
	}
	workers.Wait()
	if f.ctx.Err() != nil {
		err := context.Cause(f.ctx)
		f.abandon()
		return nil, err
	}
	return f, nil
}

func (f *fleet) read(i int, c *conn, body func(i int, c *conn) error) {
	if err := body(i, c); err != nil && !f.closing.Load() {
		f.cancel(fmt.Errorf("connection %d: %w", i, err))
	}
}

// discard is a reader that answers pings and drops everything else.
func discard(_ int, c *conn) error {
	for {
		if _, err := c.next(); err != nil {
			return err
		}
	}
}

// pings returns the number of pings that all connections have answered.
func (f *fleet) pings() (sum uint64) {
	for _, c := range f.conns {
		sum += c.pings.Load()
	}
	return sum
}

// abandon drops all connections and waits for their readers.
func (f *fleet) abandon() {
	f.closing.Store(true)
	for _, c := range f.conns {
		if c != nil {
			c.net.Close()
		}
	}
	f.readers.Wait()
	f.cancel(nil)
}
