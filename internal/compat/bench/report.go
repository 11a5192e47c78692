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

// result is what one scenario gave, by name of the server.
type result struct {
	Name   string              `json:"name"`
	Title  string              `json:"title"`
	Median map[string]sample   `json:"median"`
	Rounds map[string][]sample `json:"rounds"`
}

// median takes the median of each field on its own.
func median(samples []sample) sample {
	return sample{
		BytesPerConnection: medianOf(samples, func(s sample) float64 { return s.BytesPerConnection }),
		CPUPerMillion:      medianOf(samples, func(s sample) float64 { return s.CPUPerMillion }),
		PerSecond:          medianOf(samples, func(s sample) float64 { return s.PerSecond }),
		Operations:         uint64(medianOf(samples, func(s sample) float64 { return float64(s.Operations) })),
	}
}

func medianOf(samples []sample, field func(sample) float64) float64 {
	values := make([]float64, len(samples))
	for i, s := range samples {
		values[i] = field(s)
	}
	slices.Sort(values)
	middle := len(values) / 2
	if len(values)%2 == 1 {
		return values[middle]
	}
	return (values[middle-1] + values[middle]) / 2
}

func (r report) writeJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}

func (r report) writeMarkdown(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%d CPUs, %s, Node.js %s; median of %d rounds.\n\n", r.Machine.CPUs, r.Machine.Go, r.Machine.Node, r.Rounds)
	b.WriteString("| Operation | Measured | Go | JS | JS : Go | Go per second | JS per second |\n")
	b.WriteString("|---|---|--:|--:|--:|--:|--:|\n")
	for _, result := range r.Results {
		result.writeRow(&b)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (r result) writeRow(b *strings.Builder) {
	goSample, haveGo := r.Median["go"]
	jsSample, haveJS := r.Median["js"]
	measured, format := "server CPU seconds per million", "%.2f"
	value := func(s sample) float64 { return s.CPUPerMillion }
	if r.Name == "idle" {
		measured, format = "RSS bytes per connection", "%.0f"
		value = func(s sample) float64 { return s.BytesPerConnection }
	}
	cell := func(have bool, format string, v float64) string {
		if !have {
			return "–"
		}
		return fmt.Sprintf(format, v)
	}
	ratio := cell(haveGo && haveJS && value(goSample) > 0, "%.1f", value(jsSample)/value(goSample))
	fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s | %s |\n", r.Title, measured,
		cell(haveGo, format, value(goSample)), cell(haveJS, format, value(jsSample)), ratio,
		cell(haveGo && goSample.Operations > 0, "%.0f", goSample.PerSecond),
		cell(haveJS && jsSample.Operations > 0, "%.0f", jsSample.PerSecond))
}
