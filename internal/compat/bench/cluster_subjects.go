//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// The limits of the memory of a channel's subject on a node that subscribes to it, and on
// another one.
const (
	maxLocal  = 1.5 // KB
	maxRemote = 0.9 // KB
)

// runSubjects measures the memory of channels to which clients of the first node have
// subscribed, on this node and on the two others, and of the same channels on a server
// that is no node.
func runSubjects(ctx context.Context, n *nodes, l clusterLoad) ([]figure, error) {
	clustered, err := memoryOfTopics(ctx, n, l)
	if err != nil {
		return nil, err
	}
	single, err := startSingle(ctx, tightHeap)
	if err != nil {
		return nil, err
	}
	alone, err := memoryOfTopics(ctx, single, l)
	if err := errors.Join(err, single.stop()); err != nil {
		return nil, err
	}
	what := fmt.Sprintf("a channel of %d, one subscriber each", l.subjects)
	return []figure{
		{title: what + ": the node with the subscriber", unit: memoryUnit, value: clustered[0]},
		{title: what + ": the part of it that a server without a cluster does not have", unit: memoryUnit, value: clustered[0] - alone[0], limit: maxLocal},
		{title: what + ": each other node", unit: memoryUnit, value: (clustered[1] + clustered[2]) / 2, limit: maxRemote},
	}, nil
}

// memoryOfTopics returns the memory in kilobytes that each channel takes on each server,
// if clients of the first one subscribe to them.
func memoryOfTopics(ctx context.Context, n *nodes, l clusterLoad) ([]float64, error) {
	f, answers, err := openCounted(ctx, n.servers[0].endpoint, l.subscribers)
	if err != nil {
		return nil, err
	}
	defer f.abandon()
	before, err := n.settledMemory(f.ctx, l)
	if err != nil {
		return nil, err
	}
	if err := subscribeAll(f, answers, l.subjects, topic); err != nil {
		return nil, err
	}
	after, err := n.settledMemory(f.ctx, l)
	if err != nil {
		return nil, err
	}
	each := make([]float64, len(after))
	for i := range after {
		each[i] = float64(after[i]-before[i]) / 1024 / float64(l.subjects)
	}
	return each, nil
}

// runSubscribe measures the CPU time of the same.
func runSubscribe(ctx context.Context, n *nodes, l clusterLoad) ([]figure, error) {
	f, answers, err := openCounted(ctx, n.servers[0].endpoint, l.subscribers)
	if err != nil {
		return nil, err
	}
	defer f.abandon()
	before, err := n.settledEach(f.ctx, l)
	if err != nil {
		return nil, err
	}
	if err := subscribeAll(f, answers, l.subjects, topic); err != nil {
		return nil, err
	}
	after, err := n.settledEach(f.ctx, l)
	if err != nil {
		return nil, err
	}
	each := func(i int) float64 { return float64((after[i] - before[i]).Nanoseconds()) / 1e3 / float64(l.subjects) }
	what := fmt.Sprintf("a subscription to a channel of its own, of %d", l.subjects)
	return []figure{
		{title: what + ": the node with the subscriber", unit: cpuTimeUnit, value: each(0)},
		{title: what + ": each other node", unit: cpuTimeUnit, value: (each(1) + each(2)) / 2},
	}, nil
}

func topic(i int) string { return fmt.Sprint("topic/", i) }

// openCounted opens connections whose answers are counted.
func openCounted(ctx context.Context, e endpoint, n int) (*fleet, *atomic.Int64, error) {
	answers := new(atomic.Int64)
	f, err := openFleet(ctx, e, n, anonymous, countAnswers(answers))
	return f, answers, err
}

// countAnswers is a reader that counts answers and drops everything else but refusals.
func countAnswers(answers *atomic.Int64) func(int, *conn) error {
	return func(_ int, c *conn) error {
		for {
			message, err := c.next()
			if err != nil {
				return err
			}
			switch c.proto.kind(message) {
			case answer:
				answers.Add(1)
			case refusal:
				return &refusedError{string(message)}
			}
		}
	}
}

// calling is how many calls may be on their way.
const calling = 128

// subscribeAll subscribes the connections of a fleet in turn to n channels, and waits for
// the answers, which readers of the fleet count.
func subscribeAll(f *fleet, answers *atomic.Int64, n int, channel func(i int) string) error {
	return callAll(f, answers, n, func(c *conn, dst []byte, i int) []byte {
		return c.proto.appendSubscribe(dst, c.id, channel(i))
	})
}

// callAll is the same for n calls of any kind.
func callAll(f *fleet, answers *atomic.Int64, n int, appendCall func(c *conn, dst []byte, i int) []byte) error {
	begun := answers.Load()
	wait := func(most int) error {
		for last, at := answers.Load(), time.Now(); ; {
			got := answers.Load()
			if got-begun >= int64(most) {
				return nil
			}
			if got != last {
				last, at = got, time.Now()
			}
			if time.Since(at) > stallTimeout {
				return fmt.Errorf("%d of %d calls were answered", got-begun, n)
			}
			if err := sleep(f.ctx, time.Millisecond/2); err != nil {
				return err
			}
		}
	}
	var frame, message []byte
	for i := range n {
		if i%calling == calling-1 {
			if err := wait(i - calling/2); err != nil {
				return err
			}
		}
		c := f.conns[i%len(f.conns)]
		c.id++
		message = appendCall(c, message[:0], i)
		frame = appendFrame(frame[:0], opText, message)
		if _, err := c.net.Write(frame); err != nil {
			return err
		}
	}
	return wait(n)
}

// settledMemory is the resident memory of each server.
func (n *nodes) settledMemory(ctx context.Context, l clusterLoad) ([]int64, error) {
	all := make([]int64, len(n.servers))
	failures := make([]error, len(n.servers))
	var reading sync.WaitGroup
	for i, s := range n.servers {
		reading.Go(func() { all[i], failures[i] = settledResident(ctx, s.Pid(), l.settleEvery) })
	}
	reading.Wait()
	return all, errors.Join(failures...)
}

// settledEach is the CPU time of each server, once all are at rest.
func (n *nodes) settledEach(ctx context.Context, l clusterLoad) ([]time.Duration, error) {
	all := make([]time.Duration, len(n.servers))
	for _, s := range n.servers {
		if err := settledCPU(ctx, s.Pid(), l.settleEvery); err != nil {
			return nil, err
		}
	}
	for i, s := range n.servers {
		var err error
		if all[i], err = s.cpu(); err != nil {
			return nil, err
		}
	}
	return all, nil
}
