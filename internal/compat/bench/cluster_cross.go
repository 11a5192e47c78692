//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// runCross measures publications to a client of another node.
func runCross(ctx context.Context, n *nodes, l clusterLoad) ([]figure, error) {
	var figures []figure
	for _, inFlight := range []int{1, l.publishWindow} {
		cost, took, err := cross(ctx, n, l, inFlight)
		if err != nil {
			return nil, err
		}
		what := fmt.Sprintf("a publication to a client of another node, %d in flight", inFlight)
		figures = append(figures,
			figure{title: what + ", p50", unit: millisecondUnit, value: milliseconds(took.percentile(50))},
			figure{title: what + ", p99", unit: millisecondUnit, value: milliseconds(took.percentile(99))},
			figure{title: what + ", all processes", unit: cpuTimeUnit, value: cost.Cost},
		)
	}
	return figures, nil
}

// cross lets a client of one node publish to a client of another. A publication leaves
// when an earlier one has arrived. The durations are from the publisher's write until
// the subscriber has read it.
func cross(ctx context.Context, n *nodes, l clusterLoad, inFlight int) (sample, *latencies, error) {
	sent := make(chan time.Time, inFlight)
	credits := make(chan struct{}, inFlight)
	for range inFlight {
		credits <- struct{}{}
	}
	took := new(latencies)
	channel := fmt.Sprint("bench/", inFlight) // what is still on its way in another one does not matter
	subscriber, err := openFleet(ctx, n.servers[1].endpoint, 1, subscribed(channel), func(_ int, c *conn) error {
		return receive(c, func() error {
			select {
			case at := <-sent:
				took.add(time.Since(at))
				credits <- struct{}{}
				return nil
			default:
				return errors.New("a publication came that nobody sent")
			}
		})
	})
	if err != nil {
		return sample{}, nil, err
	}
	defer subscriber.abandon()
	publisher, err := openFleet(subscriber.ctx, n.servers[0].endpoint, 1, anonymous, discard)
	if err != nil {
		return sample{}, nil, err
	}
	defer publisher.abandon()
	ctx, stop := context.WithCancel(publisher.ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		d := deliveries{targets: []string{channel}, data: payload, before: func() { sent <- time.Now() }}
		if err := publish(ctx, publisher.conns[0], d, credits); err != nil {
			publisher.cancel(err)
		}
	}()
	cost, err := sampleLatencies(ctx, n, l.load, took)
	stop()
	<-done
	return cost, took, err
}

// sampleLatencies is sampleWindow for operations whose durations are counted. Those of
// the warm-up are forgotten.
func sampleLatencies(ctx context.Context, s clocked, l load, took *latencies) (sample, error) {
	if err := sleep(ctx, l.warmup); err != nil {
		return sample{}, err
	}
	took.reset()
	l.warmup = 0
	return sampleWindow(ctx, s, l, took.count)
}
