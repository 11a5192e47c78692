package wheel

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestLevels checks the levels against a list of due ticks, over distances of
// up to the longest that a Wheel asks for.
func TestLevels(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s levelSet
		timers := make([]Timer, 20)
		set := map[*Timer]tick{}
		distance := rapid.Custom(func(t *rapid.T) tick {
			limit := rapid.SampledFrom([]tick{3, 64, 70, 4096, 5000, 1 << 18, 1 << 25, 1 << 32, 1 << 39}).Draw(t, "limit")
			return tick(rapid.Int64Range(1, int64(limit)).Draw(t, "distance"))
		})
		take := func(t *rapid.T) *Timer {
			timer := &timers[rapid.IntRange(0, len(timers)-1).Draw(t, "timer")]
			if _, ok := set[timer]; ok {
				s.unlink(timer)
				delete(set, timer)
			}
			return timer
		}
		place := func(t *rapid.T) {
			timer := take(t)
			timer.setDue(s.current + distance.Draw(t, "due"))
			set[timer] = timer.due()
			s.place(timer)
		}
		t.Repeat(map[string]func(*rapid.T){
			"place":      place,
			"place more": place,
			"unlink":     func(t *rapid.T) { take(t) },
			"advance": func(t *rapid.T) {
				to := s.current + distance.Draw(t, "to")
				for s.advance(to) {
					for timer := s.heads[dueList]; timer != nil; timer = s.heads[dueList] {
						if set[timer] != s.current || s.current > to {
							t.Fatalf("timer for %d is due at %d on the way to %d", set[timer], s.current, to)
						}
						for _, due := range set {
							if due < s.current {
								t.Fatalf("timer for %d is still set at %d", due, s.current)
							}
						}
						s.unlink(timer)
						delete(set, timer)
					}
				}
				if s.current != to {
					t.Fatalf("advanced to %d, want %d", s.current, to)
				}
				for _, due := range set {
					if due <= to {
						t.Fatalf("timer for %d is still set at %d", due, to)
					}
				}
			},
			"": func(t *rapid.T) {
				if s.count != len(set) {
					t.Fatalf("count = %d, want %d", s.count, len(set))
				}
				at, _, ok := s.next()
				if ok != (len(set) > 0) {
					t.Fatalf("next = %v with %d timers", ok, len(set))
				}
				var dues []tick
				for _, due := range set {
					dues = append(dues, due)
				}
				if ok && (at <= s.current || at > slices.Min(dues)) {
					t.Fatalf("next event at %d, now %d, first timer %d", at, s.current, slices.Min(dues))
				}
				for i := range timers {
					if _, ok := set[&timers[i]]; ok != (timers[i].list() != noList) {
						t.Fatalf("timer %d set: %v, linked: %v", i, ok, !ok)
					}
				}
			},
		})
	})
}
