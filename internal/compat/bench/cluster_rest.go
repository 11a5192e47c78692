//go:build linux

package main

import (
	"context"
	"fmt"
	"time"
)

// runRest measures what a node takes that has nothing to do.
func runRest(ctx context.Context, n *nodes, l clusterLoad) ([]figure, error) {
	idle, err := n.idle(ctx, l)
	if err != nil {
		return nil, err
	}
	resident, err := residentBytes(n.servers[0].Pid())
	if err != nil {
		return nil, err
	}
	return []figure{
		{title: "a node at rest, with 9 streams", unit: coreUnit, value: idle / clusterSize},
		{title: "a node at rest, with 9 streams", unit: megabyteUnit, value: float64(resident) / (1 << 20)},
	}, nil
}

// runFollowed measures what nodes take that have nothing to do but to compare channels
// with their histories. Each channel has one publication.
func runFollowed(ctx context.Context, n *nodes, l clusterLoad) ([]figure, error) {
	f, answers, err := openCounted(ctx, n.servers[0].endpoint, l.subscribers)
	if err != nil {
		return nil, err
	}
	defer f.abandon()
	before, err := n.idle(f.ctx, l)
	if err != nil {
		return nil, err
	}
	if err := callAll(f, answers, l.followed, func(c *conn, dst []byte, i int) []byte {
		return c.proto.appendPublish(dst, c.id, historyChannel(i), payload)
	}); err != nil {
		return nil, err
	}
	if err := subscribeAll(f, answers, l.followed, historyChannel); err != nil {
		return nil, err
	}
	if err := n.settle(f.ctx, l); err != nil {
		return nil, err
	}
	after, err := n.idle(f.ctx, l)
	if err != nil {
		return nil, err
	}
	return []figure{{
		title: fmt.Sprintf("a node at rest that has subscribers on %d channels with history: more, over all nodes", l.followed),
		unit:  coreUnit, value: after - before,
	}}, nil
}

// restReadings is the length of the window in readings.
const restReadings = 20

// idle is the CPU time that all nodes take at rest, in percent of a core.
func (n *nodes) idle(ctx context.Context, l clusterLoad) (float64, error) {
	window := l.settleEvery * restReadings
	before, err := n.cpu()
	if err != nil {
		return 0, err
	}
	begun := time.Now()
	if err := sleep(ctx, window); err != nil {
		return 0, err
	}
	after, err := n.cpu()
	return 100 * (after - before).Seconds() / time.Since(begun).Seconds(), err
}
