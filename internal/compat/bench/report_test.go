//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

func testReport() report {
	echo := result{Name: "echo", Title: "RPC echo", Rounds: map[string][]sample{
		"go": {{CPUPerMillion: 4, PerSecond: 100, Operations: 10}, {CPUPerMillion: 6, PerSecond: 300, Operations: 30}},
		"js": {{CPUPerMillion: 20, PerSecond: 50, Operations: 5}, {CPUPerMillion: 30, PerSecond: 70, Operations: 7}},
	}}
	idle := result{Name: "idle", Title: "idle", Rounds: map[string][]sample{"js": {{BytesPerConnection: 32000.4}}}}
	r := report{Machine: machine{CPUs: 2, Go: "go1", Node: "v20"}, Rounds: 2, Results: []result{idle, echo}}
	for i := range r.Results {
		r.Results[i].Median = map[string]sample{}
		for name, samples := range r.Results[i].Rounds {
			r.Results[i].Median[name] = median(samples)
		}
	}
	return r
}

func TestMarkdown(t *testing.T) {
	var out strings.Builder
	if err := testReport().writeMarkdown(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"2 CPUs, go1, Node.js v20; median of 2 rounds.\n",
		"| idle | RSS bytes per connection | – | 32000 | – | – | – |\n",
		"| RPC echo | server CPU seconds per million | 5.00 | 25.00 | 5.0 | 200 | 60 |\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

func TestJSONRoundTrip(t *testing.T) {
	want := testReport()
	var out bytes.Buffer
	if err := want.writeJSON(&out); err != nil {
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
		{[]float64{3}, 3},
		{[]float64{9, 1}, 5},
		{[]float64{9, 1, 2}, 2},
		{[]float64{4, 9, 1, 2}, 3},
	} {
		var samples []sample
		for _, v := range test.values {
			samples = append(samples, sample{PerSecond: v})
		}
		if got := median(samples).PerSecond; got != test.want {
			t.Errorf("median of %v is %v, want %v", test.values, got, test.want)
		}
	}
}
