//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func testReport() report {
	echo := result{Name: "echo", Title: "RPC echo", Unit: cpuTimeUnit, Rounds: map[string][]sample{
		"go":         {{Cost: 4, PerSecond: 100, Operations: 10}, {Cost: 6, PerSecond: 300, Operations: 30}, {Cost: 8}},
		"centrifuge": {{Cost: 8}, {Cost: 10}, {Cost: 80}},
		"js":         {{Cost: 20, PerSecond: 50, Operations: 5}, {Cost: 30, PerSecond: 70, Operations: 7}, {Cost: 4000}},
	}}
	idle := result{Name: "idle", Title: "idle", Unit: memoryUnit, Rounds: map[string][]sample{"js": {{Cost: 32.04}}}}
	r := report{Machine: machine{CPUs: 2, Go: "go1", Node: "v20"}, Rounds: 3, Results: []result{idle, echo}}
	for i := range r.Results {
		r.Results[i].summarize()
	}
	return r
}

func TestMarkdown(t *testing.T) {
	var out strings.Builder
	if err := testReport().writeMarkdown(&out); err != nil {
		t.Fatal(err)
	}
	const want = `2 CPUs, go1, Node.js v20; median of 3 rounds.

| Operation | Unit | Go | centrifuge | JS | Go : centrifuge | JS : Go |
|---|---|--:|--:|--:|--:|--:|
| idle | RSS KB | – | – | 32.0 | – | – |
| RPC echo | CPU µs | 6.00 | 10.0 | 30.0 | 0.50 | 5.00 |
`
	if got := out.String(); got != want {
		t.Errorf("got\n%s", got)
	}
}

// A round without a cost says nothing, and cannot be a ratio of 0, which would pass any gate.
func TestRoundRatios(t *testing.T) {
	of, in := []sample{{}, {Cost: 2}, {Cost: 3}, {Cost: 4}}, []sample{{Cost: 1}, {}, {Cost: 6}}
	if got := roundRatios(of, in); !slices.Equal(got, []float64{0.5}) {
		t.Errorf("got %v", got)
	}
	r := result{Rounds: map[string][]sample{"go": {{Cost: 1}}, "centrifuge": {{}}}}
	if r.summarize(); len(r.Ratios) > 0 {
		t.Errorf("got %v", r.Ratios)
	}
}

func TestJSONRoundTrip(t *testing.T) {
	want := testReport()
	var out bytes.Buffer
	if err := writeJSON(&out, want); err != nil {
		t.Fatal(err)
	}
	var got report
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestMedian(t *testing.T) {
	for _, test := range []struct {
		values []float64
		want   float64
	}{
		{nil, 0},
		{[]float64{3}, 3},
		{[]float64{9, 1}, 5},
		{[]float64{9, 1, 2}, 2},
		{[]float64{4, 9, 1, 2}, 3},
	} {
		if got := medianOf(slices.Clone(test.values)); got != test.want {
			t.Errorf("median of %v is %v, want %v", test.values, got, test.want)
		}
	}
}
