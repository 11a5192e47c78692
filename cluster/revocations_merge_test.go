package cluster_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/revoke"
	"github.com/socketcluster-go/socketcluster/cluster"
)

// A user who logs out everywhere again and again, on all nodes at once, takes one message.
func TestRevocationsOfOneTarget(t *testing.T) {
	t.Parallel()
	nodes, _ := startStored(t, 3, nil)
	stores := all(t, nodes, cluster.RevocationOptions{})
	begun := time.Now()
	var adders sync.WaitGroup
	for i := range 60 {
		adders.Go(func() {
			at := begun.Add(time.Duration(i) * time.Millisecond)
			r := revoke.Revocation{Subject: "alice", Claim: "username", Before: at, Until: at.Add(time.Hour)}
			if err := stores[i%3].Add(soon(t), r); err != nil {
				t.Error(err)
			}
		})
	}
	adders.Wait()
	if n, err := nodes[0].Targets(t.Context()); n != 1 || err != nil {
		t.Errorf("the stream has %d messages, %v", n, err)
	}
	for i, store := range stores {
		if n := store.Len(); n != 1 {
			t.Errorf("node %d has %d revocations", i, n)
		}
	}
}

// Nodes that revoke the same at the same time never weaken each other: a node that starts
// afterwards has the union of what they have added, and so have they.
func TestRevocationsAtOnce(t *testing.T) {
	t.Parallel()
	nodes, _ := startStored(t, 3, nil)
	stores := all(t, nodes[:2], cluster.RevocationOptions{})
	const users = 20
	early := time.Now().Truncate(time.Second)
	late := early.Add(time.Minute)
	var adders sync.WaitGroup
	for i := range users {
		for _, by := range []struct {
			store *cluster.Revocations
			r     revoke.Revocation
		}{
			{stores[0], revoke.Revocation{Before: late, Until: late.Add(time.Hour)}},
			{stores[1], revoke.Revocation{Before: early, Until: late.Add(2 * time.Hour), Disconnect: true}},
			{stores[1], revoke.Revocation{Before: early.Add(time.Second), Until: late}},
		} {
			adders.Go(func() {
				by.r.Subject = fmt.Sprint("user", i)
				if err := by.store.Add(soon(t), by.r); err != nil {
					t.Error(err)
				}
			})
		}
	}
	adders.Wait()
	for n, store := range append(stores, revocations(t, nodes[2], cluster.RevocationOptions{})) {
		for i := range users {
			user := fmt.Sprint("user", i)
			token, err := auth.NewToken("signed", fmt.Appendf(nil, `{"sub":%q,"auth_time":%d}`, user, late.Unix()))
			if err != nil {
				t.Fatal(err)
			}
			want := revoke.Revocation{Subject: user, Before: late.UTC(), Until: late.Add(2 * time.Hour).UTC(), Disconnect: true}
			if got, _ := store.Check(token); got != want {
				t.Errorf("node %d has %+v, want %+v", n, got, want)
			}
		}
	}
}

// Watchers of all nodes are told of each revocation as it was added, not of all before.
func TestWatchersOfOneTarget(t *testing.T) {
	t.Parallel()
	nodes, _ := startStored(t, 3, nil)
	stores := all(t, nodes, cluster.RevocationOptions{})
	var mu sync.Mutex
	told := make([][]revoke.Revocation, len(stores))
	for i, store := range stores {
		defer store.Watch(func(r revoke.Revocation) {
			mu.Lock()
			defer mu.Unlock()
			told[i] = append(told[i], r)
		})()
	}
	at := time.Now().Truncate(time.Second).UTC()
	want := []revoke.Revocation{
		{Session: "s", Before: at, Until: at.Add(time.Hour), Disconnect: true, Reason: "stolen"},
		{Session: "s", Before: at.Add(time.Second), Until: at.Add(time.Minute)},
		{Session: "s", Before: at.Add(2 * time.Second), Until: at.Add(2 * time.Hour), Reason: "again"},
	}
	for i, r := range want {
		if err := stores[i].Add(soon(t), r); err != nil {
			t.Fatal(err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	for i := range stores {
		if !slices.Equal(told[i], want) {
			t.Errorf("the watchers of node %d were told of %+v, want %+v", i, told[i], want)
		}
	}
}

// A revocation that the stream covers is in force everywhere without another message.
func TestCoveredRevocation(t *testing.T) {
	t.Parallel()
	nodes, _ := startStored(t, 3, nil)
	stores := all(t, nodes, cluster.RevocationOptions{})
	r := revoke.Revocation{JTI: "x", Until: time.Now().Add(time.Hour)}
	if err := stores[0].Add(soon(t), r); err != nil {
		t.Fatal(err)
	}
	before, err := nodes[0].LastRevocation(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r.Until = r.Until.Add(-time.Minute)
	if err := stores[1].Add(soon(t), r); err != nil {
		t.Fatal(err)
	}
	if after, err := nodes[0].LastRevocation(t.Context()); after != before || err != nil {
		t.Errorf("the stream has another message, %d after %d, %v", after, before, err)
	}
	for _, store := range stores {
		wantRevoked(t, store, "x", true)
	}
}
