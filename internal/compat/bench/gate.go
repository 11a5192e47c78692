//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"strings"
	"time"
)

// ceilings are the highest ratios Go : centrifuge that pass the gate: 1.4 to 2.3 times
// those of a quiet machine, because a busy one shifts them, and so does one on which
// the kernel has another share. Lower the ceiling if you make a scenario cheaper.
var ceilings = map[string]float64{
	"handshake-token":   1.4,
	"handshake-expired": 1.5,
	"echo":              1.15,
	"publish":           0.95,
	"fanout-1":          1.1,
	"fanout":            0.8,
	"channels":          1.1,
	"ping":              0.7,
	"return":            1.05,
	"idle-channel":      0.2,
}

// gateLoad is large enough for a ratio and small enough for CI.
func gateLoad() load {
	l := defaultLoad(time.Second, 2000)
	l.warmup = 500 * time.Millisecond
	l.settleEvery = 200 * time.Millisecond
	return l
}

// gateTries is the number of times that a scenario above its ceiling is
// measured. On a busy machine it is above it once; if the server costs more,
// each time.
const gateTries = 3

// gate fails if an operation costs more than it should: in allocations, or in
// comparison with the other server in the same run. It uses no absolute times.
func gate(ctx context.Context, out, log io.Writer) error {
	measured, err := allocations(ctx)
	if err != nil {
		return err
	}
	failed := checkAllocations(measured, out)
	fmt.Fprintln(out)
	expensive, err := checkRatios(ctx, gateLoad(), 3, ceilings, out, log)
	if err != nil {
		return err
	}
	if failed = append(failed, expensive...); len(failed) > 0 {
		return fmt.Errorf("too expensive: %s", strings.Join(failed, "; "))
	}
	return nil
}

// checkRatios measures the scenarios that have a ceiling, writes their ratios,
// and returns the names of those that were above it each time.
func checkRatios(ctx context.Context, l load, rounds int, ceilings map[string]float64, out, log io.Writer) (failed []string, err error) {
	ratio := ratios[0]
	targets, err := selectTargets(ratio.of + "," + ratio.in)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(out, "| Operation | %s | at most |\n|---|--:|--:|\n", ratio.title)
	for _, s := range scenarios {
		ceiling, ok := ceilings[s.name]
		if !ok {
			continue
		}
		got, tries := math.Inf(1), 0
		for ; got > ceiling && tries < gateTries; tries++ {
			r, err := measure(ctx, s, targets, l, rounds, log)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", s.name, err)
			}
			measured, ok := r.Ratios[ratio.title]
			if !ok {
				return nil, fmt.Errorf("%s: a server had no measurable cost", s.name)
			}
			got = min(got, measured)
		}
		fmt.Fprintf(out, "| %s | %.2f | %.2f |\n", s.title(l), got, ceiling)
		if got > ceiling {
			failed = append(failed, s.name)
		}
	}
	return failed, nil
}
