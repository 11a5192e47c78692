package cluster

import (
	"slices"
	"testing"
	"time"
)

func TestRoster(t *testing.T) {
	now := time.Now()
	r := &roster{name: "a", instance: "a1"}
	for i, step := range []struct {
		b     beatMessage
		after time.Duration
		want  hearing
		names string
	}{
		{beatMessage{"b", "b1", false, "h", 0, 0, false, nil}, 0, heardFirst, "ab"},
		{beatMessage{"b", "b1", false, "h", 0, 0, false, nil}, 1, heardAgain, "ab"},
		{beatMessage{"c", "c1", true, "h", 0, 0, false, nil}, 0, heardAgain, "ab"},  // nobody has known it
		{beatMessage{"b", "b2", false, "h", 0, 0, false, nil}, 0, heardAgain, "ab"}, // it may have been killed, and has started again
		{beatMessage{"b", "b2", false, "h", 0, 0, false, nil}, 1, heardAgain, "ab"},
		{beatMessage{"b", "b2", false, "h", 0, 0, false, nil}, 1, heardRestart, "ab"}, // it has
		{beatMessage{"b", "b1", true, "h", 0, 0, false, nil}, 0, heardAgain, "ab"},    // a late farewell
		{beatMessage{"b", "b1", false, "h", 0, 0, false, nil}, 0, heardAgain, "ab"},   // a late beat
		{beatMessage{"b", "b2", false, "h", 0, 0, false, nil}, 1, heardAgain, "ab"},
		{beatMessage{"b", "b3", false, "h", 0, 0, false, nil}, 0, heardAgain, "ab"}, // another one takes its name
		{beatMessage{"b", "b2", false, "h", 0, 0, false, nil}, 1, heardSameName, "ab"},
		{beatMessage{"b", "b3", true, "h", 0, 0, false, nil}, 0, heardAgain, "ab"}, // it ends
		{beatMessage{"b", "b2", false, "h", 0, 0, false, nil}, 1, heardAgain, "ab"},
		{beatMessage{"b", "b2", true, "h", 0, 0, false, nil}, 0, heardLeaving, "a"},
		{beatMessage{"b", "b3", false, "h", 0, 0, false, nil}, 0, heardFirst, "ab"}, // the other one of that name is left
		{beatMessage{"a", "a1", false, "h", 0, 0, false, nil}, 0, heardAgain, "ab"}, // this node, by a NATS that echoes
		{beatMessage{"a", "a0", true, "h", 0, 0, false, nil}, 0, heardAgain, "ab"},  // what this node was before
		{beatMessage{"a", "a2", false, "h", 0, 0, false, nil}, 0, heardOwnName, "ab"},
	} {
		now = now.Add(step.after * time.Second)
		if got := r.heard(step.b, now); got != step.want {
			t.Errorf("step %d: %v means %d, want %d", i, step.b, got, step.want)
		}
		var names string
		for _, name := range r.names() {
			names += name
		}
		if names != step.names {
			t.Errorf("step %d: the nodes are %s, want %s", i, names, step.names)
		}
	}
}

// A node that was not heard for its lifespan is gone. If this process stood
// still, nobody could be heard.
func TestRosterSilence(t *testing.T) {
	now := time.Now()
	r := &roster{name: "a", instance: "a1"}
	r.heard(beatMessage{Node: "b", Instance: "b1"}, now)
	r.heard(beatMessage{Node: "c", Instance: "c1"}, now)
	for range 2 {
		now = now.Add(beat)
		r.heard(beatMessage{Node: "c", Instance: "c1"}, now)
		if gone := r.silent(now); gone != nil {
			t.Fatalf("%v are gone", gone)
		}
	}
	now = now.Add(beat)
	r.heard(beatMessage{Node: "c", Instance: "c1"}, now)
	if gone := r.silent(now); !slices.Equal(gone, []string{"b"}) {
		t.Errorf("%v are gone, want b", gone)
	}
	now = now.Add(time.Hour)
	for range 3 {
		if gone := r.silent(now); gone != nil {
			t.Errorf("%v are gone after this process stood still", gone)
		}
		now = now.Add(beat)
	}
	if gone := r.silent(now); !slices.Equal(gone, []string{"c"}) {
		t.Errorf("%v are gone, want c", gone)
	}
}

// A node that is gone is missed for a time, unless it has said farewell or comes back.
func TestRosterMissed(t *testing.T) {
	now := time.Now()
	r := &roster{name: "a", instance: "a1"}
	check := func(want ...string) {
		t.Helper()
		got := r.missed(now)
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("missed are %v, want %v", got, want)
		}
	}
	for _, name := range []string{"b", "c", "d", "e"} {
		r.heard(beatMessage{Node: name, Instance: "1"}, now)
	}
	r.heard(beatMessage{Node: "b", Instance: "1", Leaving: true}, now)
	check()
	r.routeless(map[string]bool{"e": true}, now)
	check("c", "d")
	r.heard(beatMessage{Node: "c", Instance: "1"}, now) // its routes are back
	check("d")
	r.silent(now)
	now = now.Add(beat)
	r.heard(beatMessage{Node: "d", Instance: "1", Leaving: true}, now)
	check()
	for range 3 {
		now = now.Add(beat)
		r.silent(now)
	}
	check("c", "e")
	r.heard(beatMessage{Node: "c", Instance: "2"}, now) // it has started again
	now = now.Add(lostFor - beat - time.Millisecond)    // it was lost a beat ago
	check("e")
	now = now.Add(time.Millisecond)
	check()
}

// A node that has just come tells which nodes it misses, and for how long.
func TestRosterLearnsOfMissed(t *testing.T) {
	now := time.Now()
	b := &roster{name: "b", instance: "b1"}
	for _, name := range []string{"a", "c", "d"} {
		b.heard(beatMessage{Node: name, Instance: "1"}, now)
	}
	b.routeless(map[string]bool{"d": true}, now)
	now = now.Add(lostFor / 2)
	a := &roster{name: "a", instance: "a2", began: now}
	a.heard(beatMessage{Node: "d", Instance: "1"}, now)
	says := beatMessage{Node: "b", Instance: "b1", Lost: b.missing(now)}
	a.heard(says, now)
	if got := a.missed(now); !slices.Equal(got, []string{"c"}) {
		t.Errorf("missed are %v, want c", got)
	}
	a.heard(beatMessage{Node: "c", Instance: "1"}, now)
	a.heard(beatMessage{Node: "c", Instance: "1", Leaving: true}, now)
	a.heard(says, now) // which b has not heard
	if got := a.missed(now); len(got) > 0 {
		t.Errorf("missed are %v", got)
	}
	there := &roster{name: "e", instance: "e1", began: now.Add(-lostFor)}
	if there.heard(says, now); len(there.lost) > 0 {
		t.Errorf("a node that was there misses %v", there.lost)
	}
	late := &roster{name: "e", instance: "e1", began: now}
	late.heard(says, now)
	if got := late.missed(now.Add(lostFor / 2)); len(got) > 0 {
		t.Errorf("missed are %v after more than a minute", got)
	}
}

func TestRosterRoutes(t *testing.T) {
	r := &roster{name: "a", instance: "a1"}
	r.heard(beatMessage{Node: "b", Instance: "b1"}, time.Now())
	r.heard(beatMessage{Node: "c", Instance: "c1"}, time.Now())
	if gone := r.routeless(map[string]bool{"c": true, "d": true}, time.Now()); !slices.Equal(gone, []string{"b"}) {
		t.Errorf("%v are gone, want b", gone)
	}
	r.heard(beatMessage{Node: "e", Instance: "e1", History: "1"}, time.Now())
	r.heard(beatMessage{Node: "d", Instance: "d1", History: "1"}, time.Now())
	r.heard(beatMessage{Node: "d", Instance: "d2", History: "2"}, time.Now().Add(takeover))
	if got := r.unlike("1"); !slices.Equal(got, []string{"c", "d"}) {
		t.Errorf("%v have other rules", got)
	}
	if got := r.unlike("2"); !slices.Equal(got, []string{"c", "e"}) {
		t.Errorf("%v have other rules", got)
	}
	r.routeless(map[string]bool{"c": true}, time.Now())
	if got := r.instances(); len(got) != 2 || !got["a1"] || !got["c1"] {
		t.Errorf("alive are %v", got)
	}
}

// Names that several nodes have are known for as long as both are heard.
func TestRosterTwins(t *testing.T) {
	t.Parallel()
	r, now := roster{name: "a", instance: "a1"}, time.Now()
	hear := func(name, instance string) {
		r.heard(beatMessage{Node: name, Instance: instance}, now)
		now = now.Add(beat / 2)
	}
	for range 3 {
		hear("b", "b1")
		hear("b", "b2")
		hear("c", "c1")
	}
	if got := r.twinsAt(now); !slices.Equal(got, []string{"b"}) {
		t.Errorf("several nodes have the names %q", got)
	}
	hear("a", "a2")
	if got := r.twinsAt(now); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("several nodes have the names %q", got)
	}
	if got := r.twinsAt(now.Add(lifespan)); len(got) > 0 {
		t.Errorf("much later, several nodes have the names %q", got)
	}
}
