//go:build linux

package main

import "context"

// runRest measures what a node takes that has nothing to do.
func runRest(ctx context.Context, n *nodes, l clusterLoad) ([]figure, error) {
	window := l.settleEvery * restReadings
	before, err := n.cpu()
	if err != nil {
		return nil, err
	}
	if err := sleep(ctx, window); err != nil {
		return nil, err
	}
	after, err := n.cpu()
	if err != nil {
		return nil, err
	}
	resident, err := residentBytes(n.servers[0].Pid())
	if err != nil {
		return nil, err
	}
	return []figure{
		{title: "a node at rest, with 9 streams", unit: coreUnit, value: 100 * (after - before).Seconds() / window.Seconds() / clusterSize},
		{title: "a node at rest, with 9 streams", unit: megabyteUnit, value: float64(resident) / (1 << 20)},
	}, nil
}

// restReadings is the length of the window in readings.
const restReadings = 20
