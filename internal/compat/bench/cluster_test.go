//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"
)

// smallClusterLoad makes a scenario take a few seconds, most of which are the start of
// its nodes.
func smallClusterLoad() clusterLoad {
	return clusterLoad{
		load: smallLoad(), inFlight: 4, subjects: 300, subscribers: 3, followed: 50, members: 40, rooms: 5,
		clients: 30, histories: 5, publications: 50, victims: 3, revocations: 100, revokers: 4,
		ownDelay: [2]float64{0.1, 0.2},
	}
}

// What was measured before a failure is reported with it.
func TestClusterReportsWhatItHas(t *testing.T) {
	wrong := errors.New("the second one fails")
	calls := 0
	s := clusterScenario{name: "s", run: func(context.Context, *nodes, clusterLoad) ([]figure, error) {
		if calls++; calls == 2 {
			return nil, wrong
		}
		return []figure{{title: "one", unit: secondUnit, value: 4}}, nil
	}}
	empty := target{name: "go", cluster: func(context.Context, clusterLoad, ...string) (*nodes, error) { return &nodes{}, nil }}
	rep := clusterReport{Rounds: 3}
	if err := rep.measure(t.Context(), []clusterScenario{s}, []target{empty}, smallClusterLoad(), io.Discard); !errors.Is(err, wrong) {
		t.Errorf("got %v", err)
	}
	if len(rep.Results) != 1 || calls != 2 {
		t.Errorf("got %+v after %d calls", rep.Results, calls)
	}
}

func testClusterReport() clusterReport {
	r := clusterReport{Machine: machine{CPUs: 2, Go: "go1", Node: "v20"}, Rounds: 3}
	for _, v := range []float64{3, 1, 2} {
		r.add("a", "go", []figure{
			{title: "crossing", unit: millisecondUnit, value: v, limit: 1.5},
			{title: "crossing", unit: cpuTimeUnit, value: 100 * v},
		})
		r.add("a", "js", []figure{{title: "crossing", unit: millisecondUnit, value: 10 * v, limit: 1.5}})
	}
	r.summarize()
	return r
}

func TestClusterMarkdown(t *testing.T) {
	var out strings.Builder
	if err := testClusterReport().writeMarkdown(&out); err != nil {
		t.Fatal(err)
	}
	const want = `2 CPUs, go1, Node.js v20; median of 3 rounds.

| | Unit | Go | JS | Limit |
|---|---|--:|--:|--:|
| crossing | ms | 2.00 | 20.0 | 1.5 |
| crossing | CPU µs | 200 | – | – |
`
	if got := out.String(); got != want {
		t.Errorf("got\n%s", got)
	}
}

func TestClusterJSONRoundTrip(t *testing.T) {
	want := testClusterReport()
	var out strings.Builder
	if err := writeJSON(&out, want); err != nil {
		t.Fatal(err)
	}
	var got clusterReport
	if err := json.Unmarshal([]byte(out.String()), &got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) || !reflect.DeepEqual(got.Results[0].Rounds["go"], []float64{3, 1, 2}) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestPercentile(t *testing.T) {
	var l latencies
	if got := l.percentile(99); got != 0 {
		t.Errorf("that of nothing is %v", got)
	}
	for i := range 150 {
		l.add(time.Duration(150 - i))
	}
	for p, want := range map[int]time.Duration{1: 2, 50: 75, 99: 149, 100: 150} {
		if got := l.percentile(p); got != want {
			t.Errorf("percentile %d is %d, want %d", p, got, want)
		}
	}
	if l.count() != 150 {
		t.Errorf("%d are counted", l.count())
	}
	if l.reset(); l.count() != 0 {
		t.Error("reset keeps some")
	}
}

func TestRoomsOf(t *testing.T) {
	l := clusterLoad{members: 6, rooms: 2} // members 0, 1 and 2 of each host
	for alive, want := range map[int][]string{
		2: {`["member-00000-0","member-00000-1","member-00002-0","member-00002-1"]`, `["member-00001-0","member-00001-1"]`},
		1: {`["member-00000-0","member-00002-0"]`, `["member-00001-0"]`},
		0: {`[]`, `[]`},
	} {
		if got := roomsOf(l, alive); !reflect.DeepEqual(got, want) {
			t.Errorf("with %d hosts got %q, want %q", alive, got, want)
		}
	}
}

// A client that returns must get each publication once.
func TestReturningSeesWhatIsMissing(t *testing.T) {
	message := func(number string) []byte {
		return []byte(`{"event":"#publish","data":{"channel":"history.1","position":"e.1.1","data":` + number + `}}`)
	}
	var r returning
	for _, step := range []struct {
		number string
		fails  bool
	}{{"1", false}, {"2", false}, {"2", true}, {"4", true}, {"3", false}} {
		err := r.take(message(step.number))
		if errors.Is(err, errWrong) != step.fails || err != nil != step.fails {
			t.Errorf("%s: got %v", step.number, err)
		}
	}
	if r.position != "e.1.1" {
		t.Errorf("the position is %q", r.position)
	}
}
