//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

type report struct {
	Machine machine  `json:"machine"`
	Rounds  int      `json:"rounds"`
	Results []result `json:"results"`
}

type machine struct {
	CPUs int    `json:"cpus"`
	Go   string `json:"go"`
	Node string `json:"node"`
}

// result has the results of one scenario, by the name of the server.
type result struct {
	Name   string              `json:"name"`
	Title  string              `json:"title"`
	Unit   unit                `json:"unit"`
	Median map[string]sample   `json:"median"`
	Ratios map[string]float64  `json:"ratios"`
	Rounds map[string][]sample `json:"rounds"`
}

// ratio is a column of the report: the cost of one server in that of another.
type ratio struct{ title, of, in string }

var ratios = []ratio{
	{"Go : centrifuge", "go", "centrifuge"},
	{"JS : Go", "js", "go"},
}

// summarize takes the medians. For a ratio, it takes the median of the ratios
// of the rounds, because servers that took turns ran under the same conditions.
func (r *result) summarize() {
	r.Median, r.Ratios = make(map[string]sample), make(map[string]float64)
	for name, samples := range r.Rounds {
		r.Median[name] = median(samples)
	}
	for _, ratio := range ratios {
		if values := roundRatios(r.Rounds[ratio.of], r.Rounds[ratio.in]); len(values) > 0 {
			r.Ratios[ratio.title] = medianOf(values)
		}
	}
}

// roundRatios leaves out rounds in which a server had no measurable cost, or was not
// measured.
func roundRatios(of, in []sample) (values []float64) {
	for i := range min(len(of), len(in)) {
		if of[i].Cost > 0 && in[i].Cost > 0 {
			values = append(values, of[i].Cost/in[i].Cost)
		}
	}
	return values
}

// median takes the median of each field separately.
func median(samples []sample) sample {
	var cost, perSecond, operations []float64
	for _, s := range samples {
		cost = append(cost, s.Cost)
		perSecond = append(perSecond, s.PerSecond)
		operations = append(operations, float64(s.Operations))
	}
	return sample{Cost: medianOf(cost), PerSecond: medianOf(perSecond), Operations: uint64(medianOf(operations))}
}

// medianOf sorts values. The median of none is 0.
func medianOf(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	middle := len(values) / 2
	if len(values)%2 == 1 {
		return values[middle]
	}
	return (values[middle-1] + values[middle]) / 2
}

func writeJSON(w io.Writer, r any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}

func (r report) writeMarkdown(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%d CPUs, %s, Node.js %s; median of %d rounds.\n\n", r.Machine.CPUs, r.Machine.Go, r.Machine.Node, r.Rounds)
	b.WriteString("| Operation | Unit | Go | centrifuge | JS |")
	for _, ratio := range ratios {
		b.WriteString(" " + ratio.title + " |")
	}
	b.WriteString("\n|---|---|--:|--:|--:|" + strings.Repeat("--:|", len(ratios)) + "\n")
	for _, result := range r.Results {
		result.writeRow(&b)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (r result) writeRow(b *strings.Builder) {
	fmt.Fprintf(b, "| %s | %s |", r.Title, r.Unit)
	for _, t := range allTargets {
		if s, ok := r.Median[t.name]; ok {
			fmt.Fprintf(b, " %s |", significant(s.Cost))
		} else {
			b.WriteString(" – |")
		}
	}
	for _, ratio := range ratios {
		if v, ok := r.Ratios[ratio.title]; ok {
			fmt.Fprintf(b, " %.2f |", v)
		} else {
			b.WriteString(" – |")
		}
	}
	b.WriteString("\n")
}

// significant writes three digits.
func significant(v float64) string {
	switch {
	case v < 10:
		return fmt.Sprintf("%.2f", v)
	case v < 100:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}
