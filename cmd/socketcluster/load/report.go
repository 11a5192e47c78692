package load

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"text/tabwriter"
	"time"
)

// Report has the figures of a load test.
type Report struct {
	URL         string    `json:"url"`
	Began       time.Time `json:"began"`
	Connections int       `json:"connections"`
	Interrupted bool      `json:"interrupted,omitempty"` // before all was done
	Results     []Result  `json:"results"`
}

// Result has the figures of one kind of operation.
type Result struct {
	Name    string           `json:"name"`
	Count   int64            `json:"count"` // that have succeeded
	Errors  map[string]int64 `json:"errors,omitempty"`
	Seconds float64          `json:"seconds"`
	Rate    float64          `json:"rate"`    // per second
	Latency Latency          `json:"latency"` // in milliseconds, from when each was due
}

// Latency has percentiles in milliseconds.
type Latency struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Max  float64 `json:"max"`
}

func (t *test) report() *Report {
	r := &Report{Began: t.began, Connections: t.o.Connections}
	if len(t.clients) > 0 {
		r.URL = t.clients[0].URL()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, result := range t.results {
		r.Results = append(r.Results, result.summary())
	}
	return r
}

// Failed returns the number of operations that have failed.
func (r *Report) Failed() (n int64) {
	for _, result := range r.Results {
		for _, count := range result.Errors {
			n += count
		}
	}
	return n
}

// Read reads a report from a file of Write.
func Read(path string) (*Report, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r := new(Report)
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("%s is not a report of bench: %w", path, err)
	}
	if r.URL == "" || len(r.Results) == 0 {
		return nil, fmt.Errorf("%s is not a report of bench: it has no URL, or no results", path)
	}
	return r, nil
}

// Write writes the report to a file, as JSON.
func (r *Report) Write(path string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

// title says what the report is about.
func (r *Report) title() string {
	text := fmt.Sprintf("%s, %d connections", r.URL, r.Connections)
	if r.Interrupted {
		text += ", interrupted"
	}
	return text
}

// Print prints the report as a table.
func (r *Report) Print(w io.Writer) error {
	fmt.Fprintf(w, "%s\n\n", r.title())
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "\tcount\terrors\tper second\tp50 ms\tp90\tp99\tp99.9\tmax\t")
	for _, s := range r.Results {
		fmt.Fprintf(table, "%s\t%d\t%d\t%.0f\t", s.Name, s.Count, total(s.Errors), s.Rate)
		for _, ms := range []float64{s.Latency.P50, s.Latency.P90, s.Latency.P99, s.Latency.P999, s.Latency.Max} {
			if s.Count == 0 {
				fmt.Fprint(table, "–\t") // nothing has succeeded
			} else {
				fmt.Fprintf(table, "%.2f\t", ms)
			}
		}
		fmt.Fprintln(table)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, s := range r.Results {
		for _, name := range slices.Sorted(maps.Keys(s.Errors)) {
			fmt.Fprintf(w, "%s: %d × %s\n", s.Name, s.Errors[name], name)
		}
	}
	return nil
}

func total(counts map[string]int64) (n int64) {
	for _, count := range counts {
		n += count
	}
	return n
}

// Compare prints the figures of two reports beside each other, and their ratio.
func Compare(w io.Writer, a, b *Report) error {
	fmt.Fprintf(w, "A: %s, %s\nB: %s, %s\n\n", a.title(), a.Began.Format(time.DateTime), b.title(), b.Began.Format(time.DateTime))
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "\tA\tB\tB/A\t")
	for _, x := range a.Results {
		y, ok := b.result(x.Name)
		if !ok {
			continue
		}
		row := func(name string, has bool, p, q float64) {
			if !has {
				return
			}
			ratio := "–"
			if p > 0 {
				ratio = fmt.Sprintf("%.2f", q/p)
			}
			fmt.Fprintf(table, "%s %s\t%.2f\t%.2f\t%s\t\n", x.Name, name, p, q, ratio)
		}
		both := x.Count > 0 && y.Count > 0
		row("per second", true, x.Rate, y.Rate)
		row("p50 ms", both, x.Latency.P50, y.Latency.P50)
		row("p99 ms", both, x.Latency.P99, y.Latency.P99)
		row("max ms", both, x.Latency.Max, y.Latency.Max)
		p, q := total(x.Errors), total(y.Errors)
		row("errors", p+q > 0, float64(p), float64(q))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	onlyIn(w, "A", a, b)
	onlyIn(w, "B", b, a)
	return nil
}

// onlyIn names what only one of two reports has measured.
func onlyIn(w io.Writer, name string, r, other *Report) {
	for _, x := range r.Results {
		if _, ok := other.result(x.Name); !ok {
			fmt.Fprintf(w, "only in %s: %s\n", name, x.Name)
		}
	}
}

// result returns the figures of a kind of operation.
func (r *Report) result(name string) (Result, bool) {
	i := slices.IndexFunc(r.Results, func(x Result) bool { return x.Name == name })
	if i < 0 {
		return Result{}, false
	}
	return r.Results[i], true
}
