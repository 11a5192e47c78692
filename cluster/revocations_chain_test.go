package cluster

import (
	"testing"

	"pgregory.net/rapid"
)

// A chain agrees with a set of what was handled, and ends where the first is missing.
func TestChain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var c chain
		seen := make(map[uint64]bool)
		end := func() (last uint64) {
			for seen[last+1] {
				last++
			}
			return last
		}
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			seq := rapid.Uint64Range(1, 30).Draw(t, "seq")
			if got := c.fresh(seq); got == seen[seq] {
				t.Fatalf("%d is fresh: %v", seq, got)
			}
			if rapid.IntRange(0, 9).Draw(t, "fill") == 0 {
				for s := uint64(1); s <= seq; s++ {
					seen[s] = true
				}
				c.upTo(seq)
			} else {
				seen[seq] = true
				if gap := c.handled(seq); gap != (seq > end()) {
					t.Fatalf("after %d there is a gap: %v", seq, gap)
				}
			}
			if c.last != end() {
				t.Fatalf("the chain ends at %d, want %d", c.last, end())
			}
			for s := uint64(1); s <= 31; s++ {
				if c.has(s) != seen[s] {
					t.Fatalf("has %d: %v", s, c.has(s))
				}
			}
		}
		if end() == 30 && len(c.ahead) > 0 {
			t.Fatalf("%d are remembered in vain", len(c.ahead))
		}
	})
}
