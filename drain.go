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
	rate   int           // a second; as many are closed at once at the beginning
	within time.Duration // the time within which all must be closed
}

// due returns the number that must be closed by a time.
func (p pace) due(after time.Duration) int {
	if after >= p.within {
		return p.all
	}
	byRate := float64(p.rate) * (1 + after.Seconds())
	byTime := float64(p.all) * (after.Seconds() / p.within.Seconds())
	return int(min(max(byRate, byTime), float64(p.all)))
}

// drainTime returns the time that drain may take. The rest of the time until
// the deadline is for slow clients and event handlers.
func (srv *Server) drainTime(ctx context.Context) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return math.MaxInt64
	}
	left := time.Until(deadline)
	return max(left-left/10-srv.cfg.Timeouts.Close, left/2)
}

// drain closes all clients in batches, so that they connect elsewhere, and
// waits for the handlers of their events. When ctx ends, the rest is one batch.
// When Close is called, it closes the rest.
func (srv *Server) drain(ctx context.Context) {
	// Each socket of a batch has a goroutine, because event handlers may block.
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
		clear(left[:n]) // closed sockets are not kept
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

// pendingFirst is snapshot, but begins with the sockets that have not completed
// their handshake: their clients have nothing to lose yet.
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
