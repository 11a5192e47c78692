package cluster

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
	genRow  = rapid.Custom(func(t *rapid.T) row {
		return row{rowKey{genName.Draw(t, "channel"), genName.Draw(t, "socket")}, genName.Draw(t, "user"), genInfo.Draw(t, "info")}
	})
)

// A set is a map with a digest that depends on nothing but the rows.
func TestRowSet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s rowSet
		model := make(map[rowKey]row)
		for range rapid.IntRange(0, 30).Draw(t, "steps") {
			r := genRow.Draw(t, "row")
			was, there := model[r.rowKey]
			if rapid.Bool().Draw(t, "put") {
				old, replaced, changed := s.put(r)
				same := there && was.user == r.user && string(was.info) == string(r.info)
				if replaced != there || changed == same || there && old.user != was.user {
					t.Fatalf("put %v: %v, %v, %v; there was %v", r, old, replaced, changed, was)
				}
				model[r.rowKey] = r
			} else {
				old, removed := s.remove(r.rowKey)
				if removed != there || old.user != was.user {
					t.Fatalf("remove %v: %v, %v; there was %v", r.rowKey, old, removed, was)
				}
				delete(model, r.rowKey)
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
	seen := make(map[uint64]row)
	names := []string{"", "a", "b", "ab", "aa"}
	for _, channel := range names {
		for _, socket := range names {
			for _, user := range names {
				for _, info := range names {
					r := row{rowKey{channel, socket}, user, []byte(info)}
					if other, taken := seen[r.digest()]; taken {
						t.Errorf("%v and %v have one digest", r, other)
					}
					seen[r.digest()] = r
				}
			}
		}
	}
	if got := (&row{rowKey{"news", "s1"}, "alice", nil}).digest(); got != 0x41e8d771136af474 {
		t.Errorf("the digest is 0x%x; nodes of another version have another one", got)
	}
}

var genMessage = rapid.Custom(func(t *rapid.T) *presenceMessage {
	m := &presenceMessage{
		kind: rapid.Byte().Draw(t, "kind"), node: genName.Draw(t, "node"), instance: "i" + genName.Draw(t, "instance"),
		seq: rapid.Uint64().Draw(t, "seq"), count: rapid.Uint64().Draw(t, "count"), digest: rapid.Uint64().Draw(t, "digest"), last: rapid.Bool().Draw(t, "last"),
	}
	for _, r := range rapid.SliceOfN(genRow, 0, 5).Draw(t, "rows") {
		c := change{row: r, gone: rapid.Bool().Draw(t, "gone")}
		if c.gone {
			c.row = row{rowKey: r.rowKey}
		}
		m.changes = append(m.changes, c)
	}
	for range rapid.IntRange(0, 3).Draw(t, "leaves") {
		m.leaves = append(m.leaves, leaveKey{genName.Draw(t, "channel"), genName.Draw(t, "user")})
	}
	return m
})

// A message arrives as it was, and no part of it is a message.
func TestPresenceMessage(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := genMessage.Draw(t, "message")
		data := m.encode()
		got, err := decodePresence(data)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(m, got, cmp.AllowUnexported(presenceMessage{}, change{}, row{}, rowKey{}, leaveKey{})); diff != "" {
			t.Fatal(diff)
		}
		if cut := rapid.IntRange(0, len(data)-1).Draw(t, "cut"); cut < len(data) {
			if m, err := decodePresence(data[:cut]); err == nil {
				t.Fatalf("the first %d bytes are a message: %v", cut, m)
			}
		}
		if _, err := decodePresence(append(data, 0)); err == nil {
			t.Fatal("a message with more behind it is one")
		}
	})
}

func FuzzDecodePresence(f *testing.F) {
	f.Add((&presenceMessage{kind: deltaMessage, node: "a", instance: "i", changes: []change{{row: row{rowKey{"c", "s"}, "u", []byte("1")}}, {row: row{rowKey: rowKey{"c", "t"}}, gone: true}}}).encode())
	f.Add((&presenceMessage{kind: claimMessage, instance: "i", leaves: []leaveKey{{"c", "u"}}}).encode())
	f.Add([]byte("b\x01a\x01i\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := decodePresence(data)
		if err != nil {
			return
		}
		again, err := decodePresence(m.encode())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(m, again, cmp.AllowUnexported(presenceMessage{}, change{}, row{}, rowKey{}, leaveKey{})); diff != "" {
			t.Fatal(diff)
		}
	})
}

// A delta and a snapshot are cut into messages that NATS carries.
func TestPresenceParts(t *testing.T) {
	now := time.Now()
	a, b := newPresenceCore("a", "a1", time.Second, false), newPresenceCore("b", "b1", time.Second, false)
	b.keep(map[string]bool{"a1": true}, now)
	want := make(map[rowKey]row)
	for i := range 500 {
		r := row{rowKey{"news", string(rune('A' + i))}, "alice", make([]byte, maxRow-20)}
		a.enter(r, now)
		want[r.rowKey] = r
	}
	a.flush()
	deltas := a.out
	a.out = nil
	a.snapshot("b1")
	for what, out := range map[string][]outgoing{"delta": deltas, "snapshot": a.out} {
		if len(out) < 20 {
			t.Errorf("the %s has %d messages", what, len(out))
		}
		for _, o := range out {
			if len(o.data) > maxPart+maxRow {
				t.Errorf("a message of the %s has %d bytes", what, len(o.data))
			}
		}
	}
	for _, o := range append([]outgoing{{data: (&presenceMessage{kind: beatMessageKind, instance: "a1"}).encode()}}, deltas...) {
		m, err := decodePresence(o.data)
		if err != nil {
			t.Fatal(err)
		}
		b.receive(m, now)
	}
	if got := b.remotes["a1"]; !got.synced || len(b.out) > 0 {
		t.Errorf("the deltas have left %v, and %d messages", got.synced, len(b.out))
	}
	c := newPresenceCore("c", "c1", time.Second, false)
	c.keep(map[string]bool{"a1": true}, now)
	for _, o := range a.out {
		m, err := decodePresence(o.data)
		if err != nil {
			t.Fatal(err)
		}
		c.receive(m, now)
	}
	for _, core := range []*presenceCore{b, c} {
		if !maps.EqualFunc(core.remotes["a1"].rows.rows, want, func(a, b row) bool { return a.user == b.user }) {
			t.Errorf("node %s has %d rows, want %d", core.node, len(core.remotes["a1"].rows.rows), len(want))
		}
	}
}
