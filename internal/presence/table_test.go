package presence

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A user leaves when there was no row for the debounce, and only then. The model
// looks at the whole history.
func TestDebounce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const debounce = 5 * time.Second
		tb := table{debounce: debounce}
		now := time.Unix(0, 0)
		type state struct {
			rows map[string]bool
			here bool
			gone time.Time // when rows became empty
		}
		model := make(map[Who]*state)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 1).Draw(t, "seconds")) * time.Second)
			var want, got []string
			for key, m := range model {
				if m.here && len(m.rows) == 0 && !m.gone.Add(debounce).After(now) {
					m.here = false
					want = append(want, fmt.Sprint(key))
				}
			}
			tb.expire(now, func(key Who, _ json.RawMessage) { got = append(got, fmt.Sprint(key)) })
			if len(got) != len(want) {
				t.Fatalf("%v have left, want %v", got, want)
			}
			key := Who{"x", rapid.SampledFrom([]string{"alice", "bob"}).Draw(t, "user")}
			instance := rapid.SampledFrom([]string{"a1", "b1"}).Draw(t, "instance")
			const socket = "1"
			m := model[key]
			if m == nil {
				m = &state{rows: make(map[string]bool)}
				model[key] = m
			}
			r := Row{Key: Key{key.Channel, socket}, User: key.User}
			if rapid.Bool().Draw(t, "put") {
				if joined := tb.put(instance, "a", r); joined == m.here {
					t.Fatalf("%v joins: %v", key, joined)
				}
				m.here = true
				m.rows[instance+socket] = true
			} else {
				tb.remove(instance, r, now)
				if m.rows[instance+socket] {
					delete(m.rows, instance+socket)
					m.gone = now
				}
			}
			for key, m := range model {
				p := tb.channels[key.Channel][key.User]
				if (p != nil) != m.here || p != nil && len(p.Sockets) != len(m.rows) {
					t.Fatalf("%v is %v, want %v", key, p, m)
				}
			}
			if at, ok := tb.next(); ok && !at.After(now) && at.Add(debounce).Before(now) {
				t.Fatal("an absence is older than the debounce")
			}
		}
		tb.expire(now.Add(2*debounce), func(Who, json.RawMessage) {})
		if _, ok := tb.next(); ok || tb.absences != nil {
			t.Fatal("absences are left")
		}
	})
}
