//go:build linux

package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// figure is what a scenario has measured.
type figure struct {
	title string
	unit  unit
	value float64
	limit float64 // what it may be at most, in unit; 0 for none
}

const (
	millisecondUnit unit = "ms"
	secondUnit      unit = "s"
	megabyteUnit    unit = "RSS MB"
	coreUnit        unit = "% of a core"
)

// clusterReport has the figures of a run, in the order in which they were measured.
type clusterReport struct {
	Machine machine         `json:"machine"`
	Rounds  int             `json:"rounds"`
	Results []clusterResult `json:"results"`
}

// clusterResult is one figure, by the name of the server.
type clusterResult struct {
	Scenario string               `json:"scenario"`
	Title    string               `json:"title"`
	Unit     unit                 `json:"unit"`
	Limit    float64              `json:"limit,omitempty"`
	Median   map[string]float64   `json:"median"`
	Rounds   map[string][]float64 `json:"rounds"`
}

// add adds the figures of one round.
func (r *clusterReport) add(scenario, target string, figures []figure) {
	for _, f := range figures {
		i := slices.IndexFunc(r.Results, func(c clusterResult) bool { return c.Scenario == scenario && c.Title == f.title && c.Unit == f.unit })
		if i < 0 {
			i = len(r.Results)
			r.Results = append(r.Results, clusterResult{Scenario: scenario, Title: f.title, Unit: f.unit, Limit: f.limit, Rounds: make(map[string][]float64)})
		}
		rounds := r.Results[i].Rounds
		rounds[target] = append(rounds[target], f.value)
	}
}

// summarize takes the medians.
func (r *clusterReport) summarize() {
	for i := range r.Results {
		c := &r.Results[i]
		c.Median = make(map[string]float64)
		for name, values := range c.Rounds {
			c.Median[name] = medianOf(slices.Clone(values))
		}
	}
}

func (r clusterReport) writeMarkdown(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%d CPUs, %s, Node.js %s; median of %d rounds.\n\n", r.Machine.CPUs, r.Machine.Go, r.Machine.Node, r.Rounds)
	b.WriteString("| | Unit | Go | JS | Limit |\n|---|---|--:|--:|--:|\n")
	for _, c := range r.Results {
		fmt.Fprintf(&b, "| %s | %s |", c.Title, c.Unit)
		for _, name := range []string{"go", "js"} {
			v, ok := c.Median[name]
			b.WriteString(cell(v, ok, significant))
		}
		b.WriteString(cell(c.Limit, c.Limit > 0, func(v float64) string { return fmt.Sprint(v) }) + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func cell(v float64, ok bool, text func(float64) string) string {
	if !ok {
		return " – |"
	}
	return " " + text(v) + " |"
}
