package cluster

import (
	"maps"
	"slices"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Nothing moves before all has stood still for balanceRest.
func TestBalanceRests(t *testing.T) {
	t.Parallel()
	now := time.Now()
	var b balance
	for i, step := range []struct {
		after time.Duration
		leads map[string]int
		calm  bool
		want  bool
	}{
		{0, map[string]int{"a": 3}, true, false},
		{balanceRest, map[string]int{"a": 3}, true, true},
		{time.Second, map[string]int{"a": 3}, true, true},
		{time.Second, map[string]int{"a": 3}, false, false}, // a stream has no leader
		{balanceRest - 1, map[string]int{"a": 3}, true, false},
		{1, map[string]int{"a": 3, "b": 0}, true, false}, // a node has come
		{balanceRest - 1, map[string]int{"a": 3, "b": 0}, true, false},
		{1, map[string]int{"a": 2, "b": 1}, true, false}, // a stream has another leader
		{balanceRest, map[string]int{"a": 2, "b": 1}, true, true},
		{-1, nil, false, false}, // a move
		{2*balanceRest - 1, map[string]int{"a": 2, "b": 1}, true, false},
		{1, map[string]int{"a": 2, "b": 1}, true, true}, // it has changed nothing
		{-1, nil, false, false},
		{4*balanceRest - 1, map[string]int{"a": 2, "b": 1}, true, false},
		{1, map[string]int{"a": 2, "b": 1}, true, true},
	} {
		if step.after < 0 {
			b.moved(now)
			continue
		}
		now = now.Add(step.after)
		if got := b.look(step.leads, step.calm, now); got != step.want {
			t.Errorf("step %d: it is %v that it is time to move a stream", i, got)
		}
	}
}

func TestBalanceMoves(t *testing.T) {
	t.Parallel()
	led := []ledStream{{"s0", nil}, {"s1", []string{"b"}}, {"s2", []string{"b", "c"}}}
	for _, c := range []struct {
		leads      map[string]int
		stream, to string
	}{
		{map[string]int{"a": 3, "b": 1, "c": 0}, "s2", "c"},
		{map[string]int{"a": 3, "b": 0, "c": 0}, "s1", "b"},
		{map[string]int{"a": 3, "b": 1, "c": 2}, "s1", "b"},
		{map[string]int{"a": 3, "b": 2, "c": 2}, "", ""}, // it would lead fewer then
		{map[string]int{"a": 3, "b": 4, "c": 0}, "", ""}, // it is for b to move one
		{map[string]int{"a": 3, "0": 3, "c": 0}, "", ""}, // the first by name begins
		{map[string]int{"a": 3, "b": 3, "c": 0}, "s2", "c"},
		{map[string]int{"a": 3}, "", ""},                    // nobody else is alive
		{map[string]int{"a": 3, "d": 0, "e": 1}, "", ""},    // they have no copies
		{map[string]int{"a": 3, "b": 1, "d": 0}, "s1", "b"}, // d has none
	} {
		b := balance{leads: c.leads}
		stream, to, ok := "", "", false
		if b.turn("a") {
			stream, to, ok = b.move("a", led)
		}
		if stream != c.stream || to != c.to || ok != (to != "") {
			t.Errorf("%v: %q is moved to %q (%v), not %q to %q", c.leads, stream, to, ok, c.stream, c.to)
		}
	}
}

// Moves end, and then no node with a copy of each stream leads two more than another one.
func TestBalanceEnds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		nodes := make([]string, rapid.IntRange(1, 6).Draw(t, "nodes"))
		for i := range nodes {
			nodes[i] = strconv.Itoa(i)
		}
		copies := rapid.SampledFrom([]int{min(3, len(nodes)), len(nodes)}).Draw(t, "copies")
		type stream struct {
			leader string
			peers  []string
		}
		streams := make([]stream, rapid.IntRange(0, 30).Draw(t, "streams"))
		for i := range streams {
			peers := rapid.Permutation(nodes).Draw(t, "copies of it")[:copies]
			streams[i] = stream{rapid.SampledFrom(peers).Draw(t, "leader"), peers}
		}
		count := func() map[string]int {
			leads := make(map[string]int)
			for _, name := range nodes {
				leads[name] = 0
			}
			for _, s := range streams {
				leads[s.leader]++
			}
			return leads
		}
		for moves, moved := 0, true; moved; moves++ {
			if moves > len(streams) {
				t.Fatal("streams are moved on and on")
			}
			moved = false
			movers := 0
			b := balance{leads: count()} // what all know of at the same time
			for _, node := range nodes {
				var led []ledStream
				for i, s := range streams {
					if s.leader == node {
						led = append(led, ledStream{strconv.Itoa(i), slices.DeleteFunc(slices.Clone(s.peers), func(p string) bool { return p == node })})
					}
				}
				if !b.turn(node) {
					continue
				}
				name, to, ok := b.move(node, led)
				if !ok {
					continue
				}
				i, _ := strconv.Atoi(name)
				streams[i].leader, moved = to, true
				movers++
			}
			if movers > 1 {
				t.Fatalf("%d nodes move streams at the same time", movers)
			}
		}
		counts := slices.Sorted(maps.Values(count()))
		if copies == len(nodes) && counts[len(counts)-1]-counts[0] > 1 {
			t.Errorf("in the end the nodes lead %v", counts)
		}
	})
}
