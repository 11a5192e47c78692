//go:build linux

package main

import (
	"io"
	"slices"
	"strings"
	"testing"
)

func TestCheckRatios(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	failed, err := checkRatios(t.Context(), smallLoad(), 1, map[string]float64{"echo": 1e6, "publish": 0}, &out, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(failed, []string{"publish"}) || strings.Count(out.String(), "\n") != 4 {
		t.Errorf("failed: %q\n%s", failed, out.String())
	}
}

func TestEachCeilingHasAScenario(t *testing.T) {
	for name := range ceilings {
		if !slices.ContainsFunc(scenarios, func(s scenario) bool { return s.name == name }) {
			t.Errorf("there is no scenario %q", name)
		}
	}
}

// The limits themselves hold without the race detector only, under which pools
// lose some of what they are given.
func TestAllocations(t *testing.T) {
	measured, err := allocations(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range measured {
		nothing := a.name == "delivery" // that it allocates
		if !nothing && (a.objects <= 0 || a.bytes <= 0) || a.mostObjects <= 0 || a.mostBytes <= 0 {
			t.Errorf("%+v", a)
		}
	}
}

func TestCheckAllocations(t *testing.T) {
	measured := []allocation{
		{name: "good", objects: 2, bytes: 3, mostObjects: 2, mostBytes: 3},
		{name: "objects", objects: 2.1, bytes: 3, mostObjects: 2, mostBytes: 3},
		{name: "bytes", objects: 2, bytes: 4, mostObjects: 2, mostBytes: 3},
	}
	if got := checkAllocations(measured, io.Discard); !slices.Equal(got, []string{"objects", "bytes"}) {
		t.Errorf("got %q", got)
	}
}
