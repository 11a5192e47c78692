//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/compat/proc"
)

// smallLoad makes a whole scenario take a second or less.
func smallLoad() load {
	return load{
		duration: 150 * time.Millisecond, warmup: 20 * time.Millisecond,
		connections: 20, subscribers: 10, callers: 3, window: 4, handshakers: 2,
		pingEvery: 10 * time.Millisecond, settleEvery: 10 * time.Millisecond,
	}
}

func TestScenarios(t *testing.T) {
	targets, err := selectTargets(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range scenarios {
		r, err := measure(t.Context(), s, targets, smallLoad(), 1, io.Discard)
		if err != nil {
			t.Errorf("%s: %v", s.name, err)
			continue
		}
		for _, target := range targets {
			got, ok := r.Median[target.name]
			if s.name == "idle" {
				// So few connections may fit into memory that the server has.
				if !ok || got.Operations != 0 || got.CPUPerMillion != 0 {
					t.Errorf("%s, %s: got %+v", s.name, target.name, got)
				}
				continue
			}
			if got.Operations == 0 || got.PerSecond <= 0 || got.CPUPerMillion <= 0 {
				t.Errorf("%s, %s: got %+v", s.name, target.name, got)
			}
		}
	}
}

func TestRunReportsJSON(t *testing.T) {
	var out strings.Builder
	args := []string{"-only", "js", "-run", "^echo$", "-rounds", "2", "-duration", "50ms", "-json"}
	if err := run(t.Context(), args, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	var got report
	if err := json.Unmarshal([]byte(out.String()), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Results) != 1 || got.Results[0].Name != "echo" || len(got.Results[0].Rounds["js"]) != 2 {
		t.Errorf("got %+v", got)
	}
}

func TestRunRefusesBadFlags(t *testing.T) {
	for _, args := range [][]string{
		{"-only", "c"}, {"-run", "nothing"}, {"-run", "("}, {"-duration", "0s"},
		{"-connections", "0"}, {"-rounds", "0"}, {"-unknown"},
	} {
		if err := run(t.Context(), append(args, "-json"), io.Discard, io.Discard); err == nil {
			t.Errorf("no error for %q", args)
		}
	}
}

// A server that dies under load ends the run with the reason and its output.
func TestMeasureReportsADyingServer(t *testing.T) {
	dying := target{"js", func(env ...string) (*exec.Cmd, error) {
		return proc.NodeCommand(t.Context(), "bench/js/server.js", env...)
	}}
	kill := scenario{name: "kill", title: func(load) string { return "" },
		run: func(ctx context.Context, p *proc.Process, l load) (sample, error) {
			f, err := openIdle(ctx, p, 3)
			if err != nil {
				return sample{}, err
			}
			defer f.abandon()
			f.read(discard)
			go p.Stop()
			l.warmup = time.Hour
			return sampleWindow(f.ctx, p, l, f.pings)
		}}
	_, err := measureOnce(t.Context(), kill, dying, smallLoad())
	if err == nil || !strings.Contains(err.Error(), "connection ") || !strings.Contains(err.Error(), "listening on") {
		t.Errorf("got %v", err)
	}
	if errors.Is(err, context.Canceled) {
		t.Errorf("the cause is lost: %v", err)
	}
}
