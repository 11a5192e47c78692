//go:build linux

package main

import (
	"context"
	"errors"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/compat/proc"
)

// load is how much each scenario puts on a server.
type load struct {
	duration    time.Duration // of each measured window
	warmup      time.Duration // before it, under the same load
	connections int           // idle ones
	subscribers int           // of the fan-out
	callers     int           // connections that make calls
	window      int           // calls or publications that may be on their way
	handshakers int           // goroutines that connect
	pingEvery   time.Duration // while pings are measured
	settleEvery time.Duration // between readings of the memory
}

// stallTimeout is how long a server under load may go without completing an
// operation.
const stallTimeout = 10 * time.Second

func defaultLoad(duration time.Duration, connections int) load {
	return load{
		duration:    duration,
		warmup:      time.Second,
		connections: connections,
		subscribers: min(1000, connections),
		callers:     50,
		window:      16,
		handshakers: 8,
		pingEvery:   time.Second,
		settleEvery: 500 * time.Millisecond,
	}
}

// sample is the outcome of one scenario on one server in one round. Either
// the memory or the other three fields are set.
type sample struct {
	BytesPerConnection float64 `json:"rss_bytes_per_connection,omitempty"`
	CPUPerMillion      float64 `json:"server_cpu_seconds_per_million,omitempty"`
	PerSecond          float64 `json:"operations_per_second,omitempty"`
	Operations         uint64  `json:"operations,omitempty"`
}

// sampleWindow observes a server that is under load: how much CPU time it
// uses while the counter of operations advances. The load must be running and
// must go on when sampleWindow returns. The window is made longer when no
// operation was completed in it. It fails when ctx ends.
func sampleWindow(ctx context.Context, p *proc.Process, l load, operations func() uint64) (sample, error) {
	if err := sleep(ctx, l.warmup); err != nil {
		return sample{}, err
	}
	start, startCPU, startOps, err := reading(p, operations)
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
		if end, endCPU, endOps, err = reading(p, operations); err != nil {
			return sample{}, err
		}
	}
	ops := endOps - startOps
	return sample{
		CPUPerMillion: (endCPU - startCPU).Seconds() * 1e6 / float64(ops),
		PerSecond:     float64(ops) / end.Sub(start).Seconds(),
		Operations:    ops,
	}, nil
}

func reading(p *proc.Process, operations func() uint64) (now time.Time, cpu time.Duration, ops uint64, err error) {
	cpu, err = cpuTime(p.Pid())
	return time.Now(), cpu, operations(), err
}
