package presence

import (
	"testing"
	"time"
)

// A node asks for a snapshot when it has missed something, and only then, and not
// more often than it makes sense.
func TestRemote(t *testing.T) {
	now := time.Now()
	c := newState("b", "b1", time.Second, false)
	c.receive(&message{kind: kindBeat, instance: "a1", count: 1}, now)
	if len(c.remotes)+len(c.work.Messages) > 0 {
		t.Error("a node is listened to that is not alive")
	}
	c.Follow(map[string]bool{"a1": true, "b1": true}, now)
	enter := func(seq uint64, socket string) message {
		return message{kind: kindDelta, seq: seq, changes: []change{{Row: Row{Key{"x", socket}, "alice", nil}}}}
	}
	all := func(sockets ...string) (s rowSet) {
		for _, socket := range sockets {
			s.put(Row{Key{"x", socket}, "alice", nil})
		}
		return s
	}
	beatOf := func(seq uint64, sockets ...string) message {
		s := all(sockets...)
		return message{kind: kindBeat, seq: seq, count: uint64(len(s.rows)), digest: s.digest}
	}
	part := func(seq, number uint64, last bool, socket string) message {
		m := enter(seq, socket)
		m.kind, m.count, m.last = kindSnapshot, number, last
		return m
	}
	for i, step := range []struct {
		m     message
		asks  bool
		rows  []string
		pause time.Duration
	}{
		{beatOf(0), false, nil, 0},
		{enter(1, "1"), false, []string{"1"}, 0},
		{enter(1, "1"), false, []string{"1"}, 0}, // repeated
		{enter(2, "2"), false, []string{"1", "2"}, 0},
		{enter(1, "1"), false, []string{"1", "2"}, 0},                        // repeated and late
		{beatOf(1, "1"), false, []string{"1", "2"}, 0},                       // late
		{part(0, 0, true, "9"), false, []string{"1", "2"}, 0},                // nobody has asked
		{enter(4, "4"), true, []string{"1", "2"}, 0},                         // 3 is missing
		{enter(5, "5"), false, []string{"1", "2"}, 0},                        // it has asked
		{enter(6, "6"), true, []string{"1", "2"}, askEvery},                  // no answer
		{part(6, 0, false, "1"), false, []string{"1", "2"}, askEvery},        // the answer
		{beatOf(6, "1", "3", "6"), false, []string{"1", "2"}, askEvery / 2},  // it goes on
		{part(6, 2, true, "6"), false, []string{"1", "2"}, 0},                // the middle is missing
		{beatOf(6, "1", "3", "6"), true, []string{"1", "2"}, askEvery},       // so it asks again
		{part(6, 0, false, "1"), false, []string{"1", "2"}, 0},               //
		{part(7, 1, true, "7"), false, []string{"1", "2"}, 0},                // of another snapshot
		{part(6, 1, true, "6"), false, []string{"1", "6"}, 0},                // complete
		{enter(6, "5"), false, []string{"1", "6"}, 0},                        // the snapshot has it
		{enter(7, "7"), false, []string{"1", "6", "7"}, 0},                   //
		{beatOf(7, "1", "6", "7"), false, []string{"1", "6", "7"}, 0},        //
		{beatOf(7, "1", "6", "8"), true, []string{"1", "6", "7"}, askEvery},  // another row
		{beatOf(8, "1", "6", "7"), false, []string{"1", "6", "7"}, askEvery}, // what was missed is undone
		{enter(9, "9"), false, []string{"1", "6", "7", "9"}, 0},              //
	} {
		now = now.Add(step.pause)
		step.m.node, step.m.instance = "a", "a1"
		c.receive(&step.m, now)
		asked := len(c.work.Messages) > 0
		for _, o := range c.work.Messages {
			if m, err := decode(o.Data); err != nil || m.kind != kindAsk || o.To != "a1" {
				t.Errorf("step %d: sent %v, %v to %q", i, m, err, o.To)
			}
		}
		c.work.Messages = nil
		want := all(step.rows...)
		if got := &c.remotes["a1"].rows; asked != step.asks || got.digest != want.digest {
			t.Errorf("step %d: asked is %v, the rows are %v, want %v, %v", i, asked, got.rows, step.asks, step.rows)
		}
	}
}

// never is a table that has heard of nobody.
func never(Who) time.Time { return time.Time{} }

// Nodes that see a leave at different times run its hook once.
func TestHookBook(t *testing.T) {
	now := time.Now()
	alive := map[string]bool{"a1": true, "b1": true}
	leave := Leave{Channel: "x", User: "alice"}
	keys := []Who{leave.Who()}
	first, second := &hookBook{on: true, self: "a1", earlyFor: hookEarly}, &hookBook{on: true, self: "b1", earlyFor: hookEarly}
	if first.rank(keys[0], alive) != 0 {
		first, second = second, first
	}
	if first.rank(keys[0], alive) != 0 || second.rank(keys[0], alive) != 1 {
		t.Fatalf("the ranks are %d and %d", first.rank(keys[0], alive), second.rank(keys[0], alive))
	}
	want := func(what string, got, want bool) {
		t.Helper()
		if got != want {
			t.Errorf("%s: it runs the hook: %v", what, got)
		}
	}
	overdue := func(h *hookBook, after time.Duration) bool {
		now = now.Add(after)
		return len(h.overdue(now, alive)) > 0
	}
	want("the first", first.left(leave, now, alive), true)
	second.claimed(keys, first.self, now, never)
	want("the second, which sees the leave later", second.left(leave, now.Add(time.Second), alive), false)
	want("the second, while the first runs it", overdue(second, 30*time.Second), false)
	second.done(keys, "c1") // of an older leave
	want("the second, while the first still runs it", overdue(second, 2*hookGrace), false)
	second.done(keys, first.self)
	want("the second, for another leave", second.left(leave, now, alive), false)
	want("the second, when the first does not", overdue(second, hookGrace), true)

	first.claimed(keys, second.self, now, never)
	want("the first, which sees the leave of the second later", first.left(leave, now, alive), false)
	first.done(keys, second.self)
	want("the first, for the next leave", first.left(leave, now, alive), true)

	second.claimed(keys, first.self, now, never)
	second.done(keys, first.self)
	want("the second, which sees the leave after the hook", second.left(leave, now, alive), false)
	alive[first.self] = false
	want("the second, when the first is gone later", overdue(second, 2*hookLate), false)
	alive[first.self] = true

	second.left(leave, now, alive)
	second.claimed(keys, first.self, now, never)
	delete(alive, first.self)
	want("the second, when the first dies", overdue(second, 0), true)

	want("without a hook", (&hookBook{self: "a1"}).left(leave, now, alive), false)
	first.claimed(keys, second.self, now, never)
	want("the first, long after a claim", first.left(leave, now.Add(hookEarly), alive), true)
	if len(second.waiting)+len(second.early) > 0 {
		t.Errorf("left are %v and %v", second.waiting, second.early)
	}
}
