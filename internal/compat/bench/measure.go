//go:build linux

package main

import (
	"context"
	"errors"
	"time"
)

// load is the load of each scenario.
type load struct {
	duration      time.Duration // of each measured window
	warmup        time.Duration // before it, under the same load
	connections   int           // idle ones
	subscribers   int           // of the fan-out, and channels where there are many
	callers       int           // connections that make calls
	callWindow    int           // calls of each that may be on their way
	publishWindow int           // publications that may be on their way
	handshakers   int           // goroutines that connect
	crowd         int           // clients that connect at once
	pingEvery     time.Duration // while pings are measured
	settleEvery   time.Duration // between readings until a server is at rest
}

// stallTimeout is the time within which a server under load must complete an
// operation.
const stallTimeout = 10 * time.Second

func defaultLoad(duration time.Duration, connections int) load {
	return load{
		duration:      duration,
		warmup:        time.Second,
		connections:   connections,
		subscribers:   min(1000, connections),
		callers:       50,
		callWindow:    8,
		publishWindow: 16,
		handshakers:   8,
		crowd:         1000,
		pingEvery:     time.Second,
		settleEvery:   500 * time.Millisecond,
	}
}

// Half of the idle connections are enough if CPU time is measured.
func (l load) pinged() int    { return (l.connections + 1) / 2 }
func (l load) returning() int { return (l.connections + 1) / 2 }

// sample is the result of one scenario on one server in one round.
type sample struct {
	Cost       float64 `json:"cost"` // of an operation or of a connection, in the scenario's unit
	PerSecond  float64 `json:"operations_per_second,omitempty"`
	Operations uint64  `json:"operations,omitempty"`
}

// clocked is what uses CPU time: a server, or all processes of a cluster.
type clocked interface{ cpu() (time.Duration, error) }

// sampleWindow observes a server under load: the CPU time that it uses while
// the counter of operations advances. The load must be running, and must
// continue after sampleWindow returns. The window is extended if no operation
// was completed in it. It fails when ctx ends.
func sampleWindow(ctx context.Context, s clocked, l load, operations func() uint64) (sample, error) {
	if err := sleep(ctx, l.warmup); err != nil {
		return sample{}, err
	}
	start, startCPU, startOps, err := reading(s, operations)
	if err != nil {
		return sample{}, err
	}
	end, endCPU, endOps := start, startCPU, startOps
	for endOps == startOps {
		if end.Sub(start) > stallTimeout {
			return sample{}, errors.New("no operation was completed in the measured time")
		}
		if err := sleep(ctx, l.duration); err != nil {
			return sample{}, err
		}
		if end, endCPU, endOps, err = reading(s, operations); err != nil {
			return sample{}, err
		}
	}
	ops := endOps - startOps
	return sample{
		Cost:       float64((endCPU - startCPU).Nanoseconds()) / 1e3 / float64(ops),
		PerSecond:  float64(ops) / end.Sub(start).Seconds(),
		Operations: ops,
	}, nil
}

func reading(s clocked, operations func() uint64) (now time.Time, cpu time.Duration, ops uint64, err error) {
	cpu, err = s.cpu()
	return time.Now(), cpu, operations(), err
}
