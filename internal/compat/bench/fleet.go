//go:build linux

package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
)

// dialers is how many connections are set up at the same time. More would
// only queue up at the server, as it has the same few cores.
const dialers = 16

// fleet is a set of open connections, one reading goroutine each. The first
// failure of any of them ends the work of all: it cancels ctx with the cause.
type fleet struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	conns  []*conn

	closing atomic.Bool
	readers sync.WaitGroup
}

// openFleet dials n connections and runs setup on each.
func openFleet(ctx context.Context, addr string, n int, setup func(i int, c *conn) error) (*fleet, error) {
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
				c, err := dial(f.ctx, addr, "")
				if err == nil {
					f.conns[i] = c
					err = setup(i, c)
				}
				if err != nil {
					f.cancel(fmt.Errorf("connection %d: %w", i, err))
				}
			}
		})
	}
	workers.Wait()
	if f.ctx.Err() != nil {
		f.abandon()
		return nil, context.Cause(f.ctx)
	}
	return f, nil
}

// read starts body for each connection in a goroutine of its own. An error
// that body returns before the fleet closes fails the fleet.
func (f *fleet) read(body func(i int, c *conn) error) {
	for i, c := range f.conns {
		f.readers.Go(func() {
			if err := body(i, c); err != nil && !f.closing.Load() {
				f.cancel(fmt.Errorf("connection %d: %w", i, err))
			}
		})
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

// pings returns how many pings all connections have answered.
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
