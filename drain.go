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
	left := srv.pendingFirst()
	p := pace{all: len(left), rate: srv.cfg.DrainRate, within: srv.drainTime(ctx)}
	began := time.Now()
	settling, cancel := context.WithTimeout(ctx, p.within)
	defer cancel()
	// Each socket of a batch has a goroutine, because event handlers may block.
	var batches sync.WaitGroup
	defer batches.Wait()
	step := time.NewTicker(drainStep)
	defer step.Stop()
	for {
		n := p.due(time.Since(began)) - (p.all - len(left))
		for _, s := range left[:n] {
			batches.Go(func() {
				s.settle(settling)
				s.closeWith(wire.CloseGoingAway)
			})
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

// settleStep is how often a client with something open is looked at.
const settleStep = 5 * time.Millisecond

// settle waits until all that has arrived from the client has been handled and answered, or
// ctx ends. Until there is such a moment, the client is served, but for no longer than
// Timeouts.Close or half of the time that is left. Then nothing more is taken from it.
func (s *Socket) settle(ctx context.Context) {
	serve := s.srv.cfg.Timeouts.Close
	if deadline, ok := ctx.Deadline(); ok {
		serve = min(serve, time.Until(deadline)/2)
	}
	var step *time.Ticker
	for began := time.Now(); s.isBusy(); {
		if step == nil {
			step = time.NewTicker(settleStep)
			defer step.Stop()
		}
		select {
		case <-step.C:
		case <-ctx.Done():
			return
		}
		if time.Since(began) >= serve {
			s.endFor(serverLeaves)
		}
	}
}

// isBusy reports whether something of the client waits to be read or is being handled, or an
// answer waits for the outbound middleware.
func (s *Socket) isBusy() bool {
	if s.State() == Closed {
		return false
	}
	// In the order in which messages go through, so that none slips by.
	if !s.endsFor(serverLeaves) && s.conn.Unread() || s.pushBack.Load() != 0 || s.inbox.Busy() {
		return true
	}
	s.mu.Lock()
	x, handling := s.ext, 0
	if x != nil {
		handling = x.slots + x.publishing
	}
	s.mu.Unlock()
	return handling > 0 || x != nil && (x.raw.Busy() || x.outbound.Busy())
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
