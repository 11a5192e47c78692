//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// The limits of revocations.
const (
	maxRevoked = 10 // ms until another node has it in force
	maxLoaded  = 3  // s for a node to start with all of them
)

// removedToken begins the message that logs a client out.
var removedToken = []byte(`{"event":"#removeAuthToken"`)

// runRevoke revokes users one after the other on one node, whose sockets are on another.
func runRevoke(ctx context.Context, n *nodes, l clusterLoad) ([]figure, error) {
	loggedOut := make(chan int, l.victims)
	victims, err := openFleet(ctx, n.servers[1].endpoint, l.victims,
		func(i int, c *conn) error { return c.handshake(signToken(victim(i))) },
		func(i int, c *conn) error {
			for {
				message, err := c.next()
				if err != nil {
					return err
				}
				if bytes.HasPrefix(message, removedToken) {
					loggedOut <- i
				}
			}
		})
	if err != nil {
		return nil, err
	}
	defer victims.abandon()
	if err := n.settle(victims.ctx, l); err != nil {
		return nil, err
	}
	operator, err := dial(victims.ctx, n.servers[0].endpoint)
	if err != nil {
		return nil, err
	}
	defer operator.net.Close()
	if err := operator.handshake(""); err != nil {
		return nil, err
	}
	there, answered := new(latencies), new(latencies)
	for i := range l.victims {
		begun := time.Now()
		arrived := make(chan error, 1)
		go func() {
			select {
			case k := <-loggedOut:
				there.add(time.Since(begun))
				if k != i {
					arrived <- fmt.Errorf("user %d was logged out, not %d", k, i)
				}
			case <-victims.ctx.Done():
				arrived <- context.Cause(victims.ctx)
			case <-time.After(stallTimeout):
				arrived <- errors.New("a revoked user was not logged out on another node")
			}
			close(arrived)
		}()
		operator.id++
		call := operator.proto.appendCall(nil, operator.id, "revoke", fmt.Sprintf(`{"username":"%s"}`, victim(i)))
		_, err := operator.roundTrip(appendFrame(nil, opText, call), 1)
		answered.add(time.Since(begun))
		if err := errors.Join(err, <-arrived); err != nil {
			return nil, err
		}
	}
	return []figure{
		{title: "a revocation, until a socket on another node is logged out, p50", unit: millisecondUnit, value: milliseconds(there.percentile(50))},
		{title: "a revocation, until a socket on another node is logged out, p99", unit: millisecondUnit, value: milliseconds(there.percentile(99)), limit: maxRevoked},
		{title: "a revocation, until it is answered: in force on all nodes, p99", unit: millisecondUnit, value: milliseconds(answered.percentile(99))},
	}, nil
}

func victim(i int) string { return fmt.Sprint("victim-", i) }

// runRevocations starts a node again without revocations and with many.
func runRevocations(ctx context.Context, n *nodes, l clusterLoad) ([]figure, error) {
	without, before, err := startAgain(ctx, n, l)
	if err != nil {
		return nil, err
	}
	start, err := n.cpu()
	if err != nil {
		return nil, err
	}
	if err := addRevocations(ctx, n.servers[0].endpoint, l); err != nil {
		return nil, err
	}
	end, err := n.restingCPU(ctx, l)
	if err != nil {
		return nil, err
	}
	with, after, err := startAgain(ctx, n, l)
	if err != nil {
		return nil, err
	}
	what := fmt.Sprintf("%d revocations", l.revocations)
	return []figure{
		{title: what + ": each one, all nodes", unit: cpuTimeUnit, value: float64((end - start).Nanoseconds()) / 1e3 / float64(l.revocations)},
		{title: "a node starts again without any, until it accepts clients", unit: secondUnit, value: without.Seconds()},
		{title: what + ": a node starts again and loads them, until it accepts clients", unit: secondUnit, value: with.Seconds(), limit: maxLoaded},
		{title: what + " in the memory of a node", unit: megabyteUnit, value: float64(after-before) / (1 << 20)},
	}, nil
}

// startAgain starts a node again. It returns how long that took, and the memory of the
// node after it was started once more for that.
func startAgain(ctx context.Context, n *nodes, l clusterLoad) (took time.Duration, resident int64, err error) {
	const last = clusterSize - 1
	if took, err = n.restart(ctx, last); err != nil {
		return 0, 0, err
	}
	if err = n.settle(ctx, l); err != nil {
		return 0, 0, err
	}
	if _, err = n.restart(ctx, last, tightHeap); err != nil {
		return 0, 0, err
	}
	if err = n.settle(ctx, l); err != nil {
		return 0, 0, err
	}
	resident, err = residentBytes(n.servers[last].Pid())
	return took, resident, err
}

// addRevocations revokes users who are nowhere.
func addRevocations(ctx context.Context, e endpoint, l clusterLoad) error {
	var next, added atomic.Int64
	done := make(chan struct{})
	f, err := openFleet(ctx, e, l.revokers, anonymous, func(_ int, c *conn) error {
		for {
			i := next.Add(1)
			if i > int64(l.revocations) {
				return nil
			}
			c.id++
			call := c.proto.appendCall(nil, c.id, "revoke", fmt.Sprintf(`{"username":"user-%d"}`, i))
			if _, err := c.roundTrip(appendFrame(nil, opText, call), 1); err != nil {
				return err
			}
			if added.Add(1) == int64(l.revocations) {
				close(done)
			}
		}
	})
	if err != nil {
		return err
	}
	defer f.abandon()
	select {
	case <-done:
		return nil
	case <-f.ctx.Done():
		return context.Cause(f.ctx)
	}
}
