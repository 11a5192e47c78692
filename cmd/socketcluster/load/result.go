package load

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/socketcluster-go/socketcluster/client"
	"github.com/socketcluster-go/socketcluster/cmd/socketcluster/printable"
	"github.com/socketcluster-go/socketcluster/wire"
)

// The range of latencies, in microseconds.
const (
	shortest = 1
	longest  = 60_000_000
)

// result collects the latencies and errors of one kind of operation.
type result struct {
	name string

	mu      sync.Mutex
	latency *hdrhistogram.Histogram // in microseconds
	recent  *hdrhistogram.Histogram // since the last line of progress
	errors  map[string]int64        // by name
	begun   time.Time
	ended   time.Time // zero while it runs
}

func newResult(name string) *result {
	return &result{
		name:    name,
		latency: hdrhistogram.New(shortest, longest, 3),
		recent:  hdrhistogram.New(shortest, longest, 3),
		errors:  make(map[string]int64),
		begun:   time.Now(),
	}
}

// done records an operation that was due at a time and has just ended. One that
// the end of the test has cut off does not count.
func (r *result) done(due time.Time, err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	took := min(max(time.Since(due).Microseconds(), shortest), longest)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		name := errorName(err)
		if _, known := r.errors[name]; !known && len(r.errors) >= maxErrors {
			name = otherErrors
		}
		r.errors[name]++
		return
	}
	_ = r.latency.RecordValue(took) // it is within the range
	_ = r.recent.RecordValue(took)
}

// maxErrors is the number of names by which errors are counted: a server may give each
// error another one. otherErrors counts the rest.
const (
	maxErrors   = 20
	otherErrors = "other errors"
)

// maxErrorName is the number of bytes of a name that are shown.
const maxErrorName = 200

// miss records operations of which nothing was seen.
func (r *result) miss(n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n > 0 {
		r.errors[errNotDelivered.Error()] += n
	}
}

// errorName returns a name for errors of a kind, which may be the server's.
func errorName(err error) string {
	name := strings.NewReplacer("\n", " ", "\t", " ").Replace(printable.Text(nameOf(err)))
	if len(name) > maxErrorName {
		name = strings.ToValidUTF8(name[:maxErrorName], "") + "…"
	}
	return name
}

func nameOf(err error) string {
	if errors.Is(err, client.ErrNoToken) {
		return client.ErrNoToken.Error()
	}
	if e, ok := errors.AsType[*wire.Error](err); ok && e.Name != "" {
		return e.Name
	}
	return err.Error()
}

func (r *result) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended.IsZero() {
		r.ended = time.Now()
	}
}

func (r *result) successes() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.latency.TotalCount()
}

// progress describes what has happened since the last call, or returns "".
func (r *result) progress() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.recent.TotalCount() == 0 {
		return ""
	}
	failed := int64(0)
	for _, n := range r.errors {
		failed += n
	}
	line := fmt.Sprintf("%-10s %7d  p50 %s  p99 %s  max %s  errors %d", r.name, r.recent.TotalCount(),
		shown(r.recent.ValueAtQuantile(50)), shown(r.recent.ValueAtQuantile(99)), shown(r.recent.Max()), failed)
	r.recent.Reset()
	return line
}

// shown shows microseconds as milliseconds.
func shown(us int64) string { return fmt.Sprintf("%.2f ms", float64(us)/1000) }

// summary returns the figures of the report.
func (r *result) summary() Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	ended := r.ended
	if ended.IsZero() {
		ended = time.Now()
	}
	ms := func(q float64) float64 { return float64(r.latency.ValueAtQuantile(q)) / 1000 }
	s := Result{
		Name:    r.name,
		Count:   r.latency.TotalCount(),
		Errors:  r.errors,
		Seconds: ended.Sub(r.begun).Seconds(),
		Latency: Latency{P50: ms(50), P90: ms(90), P99: ms(99), P999: ms(99.9), Max: float64(r.latency.Max()) / 1000},
	}
	if s.Seconds > 0 {
		s.Rate = float64(s.Count) / s.Seconds
	}
	return s
}
