package socketcluster

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/socketcluster-go/socketcluster/wire"
)

// drainStep is the time between two batches of drain.
const drainStep = 100 * time.Millisecond

// pace spreads a number of disconnects over time.
type pace struct {
	all    int
	rate   int           // a second; as many go at once in the beginning
	within time.Duration // when all must have gone at the latest
}

// due is how many of all must have gone by a time.
func (p pace) due(after time.Duration) int {
	if after >= p.within {
		return p.all
	}
	byRate := float64(p.rate) * (1 + after.Seconds())
	byTime := float64(p.all) * (after.Seconds() / p.within.Seconds())
	return int(min(max(byRate, byTime), float64(p.all)))
}

// drainTime is how long drain may take. What is left of the time until the
// deadline is for clients and event handlers that are slow.
func (srv *Server) drainTime(ctx context.Context) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return math.MaxInt64
	}
	left := time.Until(deadline)
	return max(left-left/10-srv.cfg.Timeouts.Close, left/2)
}

// drain tells all clients to connect elsewhere, in batches, and waits for the
// handlers of their events. When ctx ends, all that are left are one batch. When
// Close is called, they are left to it.
func (srv *Server) drain(ctx context.Context) {
	// A goroutine for each socket of a batch, as event handlers may block.
	var batches sync.WaitGroup
	defer batches.Wait()
	left := srv.pendingFirst()
	p := pace{all: len(left), rate: srv.cfg.DrainRate, within: srv.drainTime(ctx)}
	began := time.Now()
	step := time.NewTicker(drainStep)
	defer step.Stop()
	for {
		n := p.due(time.Since(began)) - (p.all - len(left))
		for _, s := range left[:n] {
			batches.Go(func() { s.closeWith(wire.CloseGoingAway) })
		}
		clear(left[:n]) // sockets that have gone are not kept
		if left = left[n:]; len(left) == 0 {
			return
		}
		select {
		case <-step.C:
		case <-ctx.Done():
			p.within = 0
		case <-srv.ctx.Done():
			return
		}
	}
}

// pendingFirst is snapshot with those in front that have not completed their
// handshake: there is nothing yet that the client would lose.
func (srv *Server) pendingFirst() []*Socket {
	all := srv.snapshot()
	pending := 0
	for i, s := range all {
		if s.State() == Connecting {
			all[pending], all[i] = s, all[pending]
			pending++
		}
	}
	return all
}
