package cluster

import (
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/auth/revoke"
)

// loaded starts a node with storage, and loads its revocations.
func loaded(t *testing.T) *Revocations {
	t.Helper()
	n, _, _ := storedChannel(t, 1)
	rv, err := n.Revocations(t.Context(), RevocationOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return rv
}

// What this node adds is in force on it once it has come back, though the answer is lost:
// another node that adds the same relies on it. Watchers are told once.
func TestOwnRevocationComesBack(t *testing.T) {
	t.Parallel()
	rv := loaded(t)
	told := 0
	defer rv.Watch(func(revoke.Revocation) { told++ })()
	m := revoked{ID: "1", Revocation: revoke.Revocation{JTI: "x"}}
	data, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	a := rv.begin(m)
	rv.apply(data, 7)
	if rv.Len() != 1 {
		t.Error("it has come back and is not in force")
	}
	if seq, err := rv.settle(m.ID, 0, errors.New("no answer")); seq != 7 || err != nil {
		t.Errorf("it is stored at %d, %v", seq, err)
	}
	if err := a.hold(); err != nil || told != 1 || len(rv.adding) != 0 {
		t.Errorf("watchers were told %d times; %d additions go on; %v", told, len(rv.adding), err)
	}
}

// An addition of this node that never comes back, as another node replaced it while live messages
// were lost, is not kept.
func TestOwnRevocationIsReplaced(t *testing.T) {
	t.Parallel()
	rv := loaded(t)
	m := revoked{ID: "1", Revocation: revoke.Revocation{JTI: "x"}}
	a := rv.begin(m)
	const seq = 1000
	if _, err := rv.settle(m.ID, seq, nil); err != nil {
		t.Fatal(err)
	}
	if err := a.hold(); err != nil {
		t.Fatal(err)
	}
	waits := func() int {
		rv.mu.Lock()
		defer rv.mu.Unlock()
		return len(rv.adding)
	}
	if rv.confirm(kept{}); waits() != 1 {
		t.Error("it is not waited for")
	}
	rv.mu.Lock()
	rv.chain.upTo(seq)
	rv.mu.Unlock()
	if rv.confirm(kept{}); waits() != 0 {
		t.Error("it is kept")
	}
}

// Additions of a target that wait for each other are stored by one message: a user with many
// sockets does not keep all nodes busy.
func TestRevocationsThatWait(t *testing.T) {
	t.Parallel()
	rv := loaded(t)
	at := time.Now().Truncate(time.Second).UTC()
	r := revoke.Revocation{Subject: "alice", Before: at, Until: at.Add(time.Hour)}
	subject := rv.subjectOf(r)
	done, err := rv.targets.take(t.Context(), subject)
	if err != nil {
		t.Fatal(err)
	}
	const count = 100
	var adders sync.WaitGroup
	for i := range count {
		adders.Go(func() {
			r := r
			r.Before = at.Add(time.Duration(i) * time.Second)
			if err := rv.Add(t.Context(), r); err != nil {
				t.Error(err)
			}
		})
	}
	waiting := func() int {
		rv.mu.Lock()
		defer rv.mu.Unlock()
		if w := rv.wishes[subject]; w != nil {
			return w.count
		}
		return 0
	}
	for waiting() < count {
		time.Sleep(time.Millisecond)
	}
	bad := r
	bad.Until = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
	if err := rv.Add(t.Context(), bad); err == nil || waiting() != count {
		t.Errorf("what no message can say waits for the others: %v", err)
	}
	done()
	adders.Wait()
	got, err := rv.get(t.Context(), subject)
	if err != nil {
		t.Fatal(err)
	}
	r.Before = at.Add((count - 1) * time.Second)
	if got.Revocation != r || got.Earlier != nil {
		t.Errorf("the stream has %+v after %+v, want one message with %+v", got.Revocation, got.Earlier, r)
	}
	if held, _ := rv.memory.Held(r); held != r || waiting() != 0 {
		t.Errorf("in force is %+v; %d additions wait", held, waiting())
	}
}

// A message replaces only the one that it was merged with.
func TestPutInPlace(t *testing.T) {
	t.Parallel()
	rv := loaded(t)
	r := revoke.Revocation{JTI: "x"}
	subject := rv.subjectOf(r)
	put := func(id string, replaces uint64) (seq uint64, other record, err error) {
		return rv.put(t.Context(), subject, revoked{ID: id, Revocation: r}, replaces)
	}
	first, _, err := put("1", 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, other, err := put("2", 0); !errors.Is(err, errOther) || other.seq != first || other.ID != "1" {
		t.Errorf("the stream has %+v, %v", other, err)
	}
	if again, _, err := put("1", 0); again != first || err != nil { // of which the answer was lost
		t.Errorf("the same is at %d and at %d, %v", first, again, err)
	}
	second, _, err := put("2", first)
	if err != nil || second <= first {
		t.Errorf("stored at %d after %d, %v", second, first, err)
	}
	if _, other, err := put("3", first); !errors.Is(err, errOther) || other.seq != second {
		t.Errorf("the stream has %+v, %v", other, err)
	}
}

// A node that has missed what was before gets it from the next message of its target. What is
// no revocation is replaced.
func TestEarlierRevocations(t *testing.T) {
	t.Parallel()
	rv := loaded(t)
	at := time.Now().Truncate(time.Second).UTC()
	r := revoke.Revocation{Session: "s", Before: at, Until: at.Add(time.Hour)}
	nonsense := record{seq: 1}
	subject := rv.subjectOf(r)
	if _, err := rv.n.js.Publish(t.Context(), subject, []byte("nonsense")); err != nil {
		t.Fatal(err)
	}
	if got, err := rv.get(t.Context(), subject); err != nil || got.revoked != nonsense.revoked || got.seq == 0 {
		t.Errorf("nonsense is %+v, %v", got, err)
	}
	if err := rv.Add(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	wider := revoke.Revocation{Session: "s", Before: at.Add(-time.Hour), Until: at.Add(2 * time.Hour)}
	if err := rv.Add(t.Context(), wider); err != nil {
		t.Fatal(err)
	}
	got, err := rv.get(t.Context(), subject)
	if err != nil || got.Revocation != wider || got.Earlier == nil || *got.Earlier != r {
		t.Fatalf("the stream has %+v after %+v, %v", got, got.Earlier, err)
	}
	var told []revoke.Revocation
	missed := &Revocations{ctx: t.Context(), memory: revoke.Memory{}}
	defer missed.Watch(func(r revoke.Revocation) { told = append(told, r) })()
	for range 2 {
		if err := missed.hold(&got.revoked); err != nil {
			t.Fatal(err)
		}
	}
	if len(told) != 3 || told[0] != r || told[1] != wider || told[2] != wider {
		t.Errorf("watchers were told %+v", told)
	}
}

// Messages of the stream that are no longer needed take room, too, as far as the node has seen.
func TestRoomOfTheStream(t *testing.T) {
	t.Parallel()
	rv := loaded(t)
	for _, jti := range []string{"a", "b"} {
		if err := rv.Add(t.Context(), revoke.Revocation{JTI: jti, Until: time.Now().Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
	}
	rv.look()
	if n := rv.stored.Load(); n != 3 {
		t.Errorf("the node has seen %d messages of the stream, want 3 with its mark", n)
	}
	still := &Revocations{limit: 10} // it does not look by itself
	b := revoke.Revocation{JTI: "b"}
	if err := still.memory.Add(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	for stored, want := range map[uint64]error{14: nil, 15: revoke.ErrFull} {
		still.stored.Store(stored)
		if err := still.room(revoke.Revocation{JTI: "c"}); !errors.Is(err, want) {
			t.Errorf("with %d messages: %v, want %v", stored, err, want)
		}
		if err := still.room(b); err != nil {
			t.Errorf("one that is there already: %v", err)
		}
	}
}
