package console

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
)

// happening is something that the server has sent, or that it has caused.
type happening struct {
	kind string          // publish, transmit, call, event or close
	name string          // of the channel, procedure or event; the code of a close
	data json.RawMessage // nil if there is none
}

// size is the number of bytes that a happening holds.
func (h happening) size() int { return len(h.name) + len(h.data) }

// kept and keptBytes bound the happenings that are recorded, and their bytes. The last
// one is recorded whatever its size, which the client limits.
const (
	kept      = 10_000
	keptBytes = 64 << 20
)

// record has what has happened and was not expected yet.
type record struct {
	mu      sync.Mutex
	all     []happening                // the oldest first
	bytes   int                        // of all
	changed chan struct{}              // closed when something is added
	answers map[string]json.RawMessage // by procedure, see the command answer
}

func (r *record) add(h happening) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, h)
	r.bytes += h.size()
	drop := 0
	for len(r.all)-drop > kept || r.bytes > keptBytes && len(r.all)-drop > 1 {
		r.bytes -= r.all[drop].size()
		drop++
	}
	r.all = slices.Delete(r.all, 0, drop)
	close(r.changed)
	r.changed = make(chan struct{})
}

// take removes and returns the first happening that fits. It waits for one until
// ctx ends.
func (r *record) take(ctx context.Context, fits func(happening) bool) (h happening, ok bool) {
	for {
		r.mu.Lock()
		i := slices.IndexFunc(r.all, fits)
		changed := r.changed
		if i >= 0 {
			h = r.all[i]
			r.bytes -= h.size()
			r.all = slices.Delete(r.all, i, i+1)
		}
		r.mu.Unlock()
		if i >= 0 {
			return h, true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return happening{}, false
		}
	}
}

// last returns the last happening of a kind and name, to show it beside what was
// expected.
func (r *record) last(kind, name string) (h happening, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, h := range slices.Backward(r.all) {
		if h.kind == kind && h.name == name {
			return h, true
		}
	}
	return happening{}, false
}

func (r *record) setAnswer(procedure string, answer json.RawMessage) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.answers == nil {
		r.answers = make(map[string]json.RawMessage)
	}
	r.answers[procedure] = answer
}

func (r *record) answerTo(procedure string) (answer json.RawMessage, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	answer, ok = r.answers[procedure]
	return answer, ok
}
