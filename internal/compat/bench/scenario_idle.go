//go:build linux

package main

import (
	"context"
	"fmt"
)

// openIdle opens n connections, each with a token, and with subscriptions to
// this number of channels of its own.
func openIdle(ctx context.Context, s server, n, channels int) (*fleet, error) {
	return openFleet(ctx, s.endpoint, n, func(i int, c *conn) error {
		username := fmt.Sprint("user", i)
		if err := c.handshake(signToken(username)); err != nil {
			return err
		}
		for j := range channels {
			if err := c.subscribe(fmt.Sprint("user/", username, "/", j)); err != nil {
				return err
			}
		}
		return nil
	}, discard)
}

// runIdle measures the growth of the server's memory. A few connections come
// and go first, so that one-time costs are not counted.
func runIdle(ctx context.Context, s server, l load, channels int) (sample, error) {
	warm, err := openIdle(ctx, s, dialers, channels)
	if err != nil {
		return sample{}, err
	}
	warm.abandon()
	before, err := settledResident(ctx, s.Pid(), l.settleEvery)
	if err != nil {
		return sample{}, err
	}
	f, err := openIdle(ctx, s, l.connections, channels)
	if err != nil {
		return sample{}, err
	}
	defer f.abandon()
	after, err := settledResident(f.ctx, s.Pid(), l.settleEvery)
	if err != nil {
		return sample{}, err
	}
	return sample{Cost: float64(after-before) / 1024 / float64(l.connections)}, nil
}

func runPing(ctx context.Context, s server, l load) (sample, error) {
	f, err := openIdle(ctx, s, l.pinged(), 1)
	if err != nil {
		return sample{}, err
	}
	defer f.abandon()
	return sampleWindow(f.ctx, s, l, f.pings)
}
