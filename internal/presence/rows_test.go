package presence

import (
	"encoding/json"
	"maps"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var (
	genName = rapid.SampledFrom([]string{"", "a", "b", "ab", "é", "\xff", "\x00"})
	genInfo = rapid.SampledFrom([]json.RawMessage{nil, json.RawMessage("1"), json.RawMessage(`"x"`)})
	genRow  = rapid.Custom(func(t *rapid.T) Row {
		return Row{Key{genName.Draw(t, "channel"), genName.Draw(t, "socket")}, genName.Draw(t, "user"), genInfo.Draw(t, "info")}
	})
)

// A set is a map with a digest that depends on nothing but the rows.
func TestRowSet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s rowSet
		model := make(map[Key]Row)
		for range rapid.IntRange(0, 30).Draw(t, "steps") {
			r := genRow.Draw(t, "row")
			was, there := model[r.Key]
			if rapid.Bool().Draw(t, "put") {
				old, replaced, changed := s.put(r)
				same := there && was.User == r.User && string(was.Info) == string(r.Info)
				if replaced != there || changed == same || there && old.User != was.User {
					t.Fatalf("put %v: %v, %v, %v; there was %v", r, old, replaced, changed, was)
				}
				model[r.Key] = r
			} else {
				old, removed := s.remove(r.Key)
				if removed != there || old.User != was.User {
					t.Fatalf("remove %v: %v, %v; there was %v", r.Key, old, removed, was)
				}
				delete(model, r.Key)
			}
		}
		var again rowSet
		for _, r := range model { // in another order
			again.put(r)
		}
		if len(s.rows) != len(model) || s.digest != again.digest {
			t.Fatalf("%d rows with the digest %x, want %d with %x", len(s.rows), s.digest, len(model), again.digest)
		}
	})
}

// Rows that differ in any field have different digests, also if the fields
// together are the same text.
func TestRowDigest(t *testing.T) {
	seen := make(map[uint64]Row)
	names := []string{"", "a", "b", "ab", "aa"}
	for _, channel := range names {
		for _, socket := range names {
			for _, user := range names {
				for _, info := range names {
					r := Row{Key{channel, socket}, user, []byte(info)}
					if other, taken := seen[r.digest()]; taken {
						t.Errorf("%v and %v have one digest", r, other)
					}
					seen[r.digest()] = r
				}
			}
		}
	}
	if got := (&Row{Key{"news", "s1"}, "alice", nil}).digest(); got != 0x41e8d771136af474 {
		t.Errorf("the digest is 0x%x; nodes of another version have another one", got)
	}
}

var genMessage = rapid.Custom(func(t *rapid.T) *message {
	m := &message{
		kind: rapid.Byte().Draw(t, "kind"), node: genName.Draw(t, "node"), instance: "i" + genName.Draw(t, "instance"),
		seq: rapid.Uint64().Draw(t, "seq"), count: rapid.Uint64().Draw(t, "count"), digest: rapid.Uint64().Draw(t, "digest"), last: rapid.Bool().Draw(t, "last"),
	}
	for _, r := range rapid.SliceOfN(genRow, 0, 5).Draw(t, "rows") {
		c := change{Row: r, gone: rapid.Bool().Draw(t, "gone")}
		if c.gone {
			c.Row = Row{Key: r.Key}
		}
		m.changes = append(m.changes, c)
	}
	for range rapid.IntRange(0, 3).Draw(t, "leaves") {
		m.leaves = append(m.leaves, Who{genName.Draw(t, "channel"), genName.Draw(t, "user")})
	}
	return m
})

// A message arrives as it was, and no part of it is a message.
func TestMessage(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := genMessage.Draw(t, "message")
		data := m.encode()
		got, err := decode(data)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(m, got, cmp.AllowUnexported(message{}, change{}, Row{}, Key{}, Who{})); diff != "" {
			t.Fatal(diff)
		}
		if cut := rapid.IntRange(0, len(data)-1).Draw(t, "cut"); cut < len(data) {
			if m, err := decode(data[:cut]); err == nil {
				t.Fatalf("the first %d bytes are a message: %v", cut, m)
			}
		}
		if _, err := decode(append(data, 0)); err == nil {
			t.Fatal("a message with more behind it is one")
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add((&message{kind: kindDelta, node: "a", instance: "i", changes: []change{{Row: Row{Key{"c", "s"}, "u", []byte("1")}}, {Row: Row{Key: Key{"c", "t"}}, gone: true}}}).encode())
	f.Add((&message{kind: kindClaim, instance: "i", leaves: []Who{{"c", "u"}}}).encode())
	f.Add([]byte("b\x01a\x01i\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := decode(data)
		if err != nil {
			return
		}
		again, err := decode(m.encode())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(m, again, cmp.AllowUnexported(message{}, change{}, Row{}, Key{}, Who{})); diff != "" {
			t.Fatal(diff)
		}
	})
}

// A delta and a snapshot are cut into messages that the network carries.
func TestParts(t *testing.T) {
	now := time.Now()
	a, b := newState("a", "a1", time.Second, false), newState("b", "b1", time.Second, false)
	b.Follow(map[string]bool{"a1": true}, now)
	want := make(map[Key]Row)
	for i := range 500 {
		r := Row{Key{"news", string(rune('A' + i))}, "alice", make([]byte, MaxRow-20)}
		a.Enter(r, now)
		want[r.Key] = r
	}
	a.flush()
	deltas := a.work.Messages
	a.work.Messages = nil
	a.snapshot("b1")
	for what, out := range map[string][]Message{"delta": deltas, "snapshot": a.work.Messages} {
		if len(out) < 20 {
			t.Errorf("the %s has %d messages", what, len(out))
		}
		for _, o := range out {
			if len(o.Data) > maxPart+MaxRow {
				t.Errorf("a message of the %s has %d bytes", what, len(o.Data))
			}
		}
	}
	for _, o := range append([]Message{{Data: (&message{kind: kindBeat, instance: "a1"}).encode()}}, deltas...) {
		m, err := decode(o.Data)
		if err != nil {
			t.Fatal(err)
		}
		b.receive(m, now)
	}
	if got := b.remotes["a1"]; !got.synced || len(b.work.Messages) > 0 {
		t.Errorf("the deltas have left %v, and %d messages", got.synced, len(b.work.Messages))
	}
	c := newState("c", "c1", time.Second, false)
	c.Follow(map[string]bool{"a1": true}, now)
	for _, o := range a.work.Messages {
		m, err := decode(o.Data)
		if err != nil {
			t.Fatal(err)
		}
		c.receive(m, now)
	}
	for _, core := range []*State{b, c} {
		if !maps.EqualFunc(core.remotes["a1"].rows.rows, want, func(a, b Row) bool { return a.User == b.User }) {
			t.Errorf("node %s has %d rows, want %d", core.o.Node, len(core.remotes["a1"].rows.rows), len(want))
		}
	}
}
