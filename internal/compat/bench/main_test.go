//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

// smallLoad makes a whole scenario take a second or less. Centrifuge wants a
// pong before the next ping, so that pings must not be too close.
func smallLoad() load {
	return load{
		duration: 150 * time.Millisecond, warmup: 20 * time.Millisecond,
		connections: 20, subscribers: 15, callers: 3, callWindow: 4, publishWindow: 4, handshakers: 2, crowd: 5,
		pingEvery: 500 * time.Millisecond, settleEvery: 10 * time.Millisecond,
	}
}

func TestScenarios(t *testing.T) {
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel() // most of it is waiting
			r, err := measure(t.Context(), s, allTargets, smallLoad(), 1, io.Discard)
			if err != nil {
				t.Fatal(err)
			}
			for _, target := range allTargets {
				got, ok := r.Median[target.name]
				if s.unit == memoryUnit {
					// So few connections may fit into memory that the server has.
					if !ok || got.Operations != 0 {
						t.Errorf("%s: got %+v", target.name, got)
					}
					continue
				}
				if got.Operations == 0 || got.PerSecond <= 0 || got.Cost <= 0 {
					t.Errorf("%s: got %+v", target.name, got)
				}
			}
		})
	}
}

func TestRunReportsJSON(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	args := []string{"-only", "go,js", "-run", "^echo$", "-rounds", "2", "-duration", "50ms", "-json"}
	if err := run(t.Context(), args, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	var got report
	if err := json.Unmarshal([]byte(out.String()), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Results) != 1 || got.Results[0].Name != "echo" || len(got.Results[0].Rounds["js"]) != 2 || got.Results[0].Ratios["JS : Go"] <= 0 {
		t.Errorf("got %+v", got)
	}
}

func TestRunRefusesBadFlags(t *testing.T) {
	for _, args := range [][]string{
		{"-only", "c"}, {"-only", "go,"}, {"-run", "nothing"}, {"-run", "("}, {"-duration", "0s"},
		{"-connections", "0"}, {"-rounds", "0"}, {"-unknown"}, {"-cluster", "-only", "centrifuge"}, {"-cluster", "-run", "nothing"},
	} {
		if err := run(t.Context(), append(args, "-json"), io.Discard, io.Discard); err == nil {
			t.Errorf("no error for %q", args)
		}
	}
}

// A server that dies under load ends the run with the reason and its output.
func TestMeasureReportsADyingServer(t *testing.T) {
	kill := scenario{name: "kill", run: func(ctx context.Context, s server, l load) (sample, error) {
		f, err := openIdle(ctx, s, 3, 1)
		if err != nil {
			return sample{}, err
		}
		defer f.abandon()
		go s.Stop()
		l.warmup = time.Hour
		return sampleWindow(f.ctx, s, l, f.pings)
	}}
	_, err := measureOnce(t.Context(), kill, allTargets[0], smallLoad())
	if err == nil || !strings.Contains(err.Error(), "connection ") || !strings.Contains(err.Error(), "listening on") {
		t.Errorf("got %v", err)
	}
	if errors.Is(err, context.Canceled) {
		t.Errorf("the cause is lost: %v", err)
	}
}
