package console

import (
	"bytes"
	"context"
	"testing"
)

// The record forgets the oldest happenings when there are too many, or when they are too
// large together.
func TestRecordIsBounded(t *testing.T) {
	large := bytes.Repeat([]byte{' '}, keptBytes/4)
	for name, test := range map[string]struct {
		data       []byte
		add        int
		take, want int // of the newest
	}{
		"number":                   {nil, kept + 100, 0, kept},
		"bytes":                    {large, 10, 0, 3}, // names count too
		"bytes, as some are taken": {large, 10, 3, 3},
		"one that is too large":    {bytes.Repeat(large, 5), 2, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			r := record{changed: make(chan struct{})}
			ended, cancel := context.WithCancel(t.Context())
			cancel()
			first := func(happening) bool { return true }
			for range test.take {
				r.add(happening{"publish", "news", test.data})
			}
			for range test.take {
				r.take(ended, first)
			}
			for i := range test.add {
				r.add(happening{"publish", string(rune('A' + i)), test.data})
			}
			if len(r.all) != test.want {
				t.Fatalf("%d are recorded, want %d", len(r.all), test.want)
			}
			for i := range test.want {
				h, ok := r.take(ended, first)
				if want := string(rune('A' + test.add - test.want + i)); !ok || h.name != want {
					t.Fatalf("number %d is %q, want %q", i, h.name, want)
				}
			}
			if r.bytes != 0 {
				t.Errorf("nothing is recorded, with %d bytes", r.bytes)
			}
		})
	}
}
