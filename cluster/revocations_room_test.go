package cluster_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/auth/revoke"
	"github.com/socketcluster-go/socketcluster/cluster"
)

// limited starts nodes with storage and a limit of revocations.
func limited(t *testing.T, n, limit int) []*cluster.Node {
	t.Helper()
	nodes, _ := startStored(t, n, nil)
	for _, node := range nodes {
		node.LimitRevocations(limit)
	}
	return nodes
}

// When the cluster has as many revocations as it may, another one has no effect. Those that
// are there stay in force and can be extended, no node is cut off, and one that starts loads them.
func TestRevocationsAtTheLimit(t *testing.T) {
	t.Parallel()
	const limit = 20
	nodes := limited(t, 3, limit)
	stores := all(t, nodes[:2], cluster.RevocationOptions{CutOff: cutOffOfTests})
	await(t, "three copies", func() bool {
		_, copies := nodes[0].RevocationsStream(t.Context())
		return copies == 3
	})
	until := time.Now().Add(time.Hour)
	added := 0
	var err error
	for ; err == nil && added < 3*limit; added++ {
		err = stores[added%2].Add(soon(t), revoke.Revocation{JTI: fmt.Sprint(added), Until: until})
	}
	if !errors.Is(err, revoke.ErrFull) || added != limit+1 || !strings.Contains(err.Error(), "the limit is 20 (revoke.DefaultLimit)") {
		t.Fatalf("addition %d: %v", added, err)
	}
	full := time.Now()
	if err := stores[1].Add(soon(t), revoke.Revocation{JTI: "0", Until: until.Add(time.Hour)}); err != nil {
		t.Errorf("one that is there already: %v", err)
	}
	for i, store := range stores {
		await(t, "marks after that", func() bool { return store.Confirmed().After(full.Add(cutOffOfTests)) })
		if err := store.Current(); err != nil {
			t.Errorf("node %d: %v", i, err)
		}
	}
	late := revocations(t, nodes[2], cluster.RevocationOptions{CutOff: cutOffOfTests})
	for i, store := range append(stores, late) {
		for jti := range limit {
			wantRevoked(t, store, fmt.Sprint(jti), true)
		}
		wantRevoked(t, store, fmt.Sprint(limit), false)
		if err := store.Add(soon(t), revoke.Revocation{JTI: "more", Until: until}); !errors.Is(err, revoke.ErrFull) {
			t.Errorf("node %d adds more: %v", i, err)
		}
	}
	s := nodes[2].Stats(t.Context())
	if s.Revocations != limit || s.RevocationLimit != limit || s.Streams[0].Messages != limit+3 || s.Streams[0].MaxMessages != 2*limit {
		t.Errorf("the figures are %+v", s)
	}
}

// cutOffOfTests is a bound that is near the shortest one.
const cutOffOfTests = 3 * time.Second

// Revocations that are over make room.
func TestRoomOfExpiredRevocations(t *testing.T) {
	t.Parallel()
	node := startNode(t, cluster.Options{Name: "a", StoreDir: t.TempDir()})
	node.LimitRevocations(10)
	store := revocations(t, node, cluster.RevocationOptions{})
	until := time.Now().Add(time.Second)
	for i := range 10 {
		r := revoke.Revocation{JTI: fmt.Sprint(i)}
		if i == 0 {
			r.Until = until
		}
		if err := store.Add(soon(t), r); err != nil {
			t.Fatal(err)
		}
	}
	await(t, "room", func() bool {
		err := store.Add(soon(t), revoke.Revocation{JTI: "c"})
		if err != nil && !errors.Is(err, revoke.ErrFull) {
			t.Fatal(err)
		}
		return err == nil
	})
	wantRevoked(t, store, "c", true)
	wantRevoked(t, store, "1", true)
}

// A stream that is full nevertheless refuses what is new, and what is in force stays so. A node
// that cannot load because of that says so, and leaves nothing behind.
func TestRevocationsOfAFullStream(t *testing.T) {
	t.Parallel()
	urls := outside(t, 1)
	node := startNode(t, cluster.Options{Name: "a", URL: urls[0]})
	store := revocations(t, node, cluster.RevocationOptions{CutOff: -1})
	js := jetStream(t, urls[0])
	stream, err := js.Stream(t.Context(), "sc-revocations")
	if err != nil {
		t.Fatal(err)
	}
	config := stream.CachedInfo().Config
	config.MaxMsgs = 3 // one of them is the mark
	if _, err := js.UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	for i, want := range []error{nil, nil, revoke.ErrFull, revoke.ErrFull} {
		if err := store.Add(soon(t), revoke.Revocation{JTI: fmt.Sprint(i)}); !errors.Is(err, want) {
			t.Errorf("revocation %d: %v, want %v", i, err, want)
		}
		wantRevoked(t, store, fmt.Sprint(i), want == nil)
	}
	if err := store.Add(soon(t), revoke.Revocation{JTI: "0", Disconnect: true}); err != nil {
		t.Errorf("one that is there already: %v", err)
	}
	late := startNode(t, cluster.Options{Name: "b", URL: urls[0]})
	subscriptions := 0
	for i := range 3 {
		if _, err := late.Revocations(soon(t), cluster.RevocationOptions{}); !errors.Is(err, revoke.ErrFull) {
			t.Errorf("a node without a mark: %v", err)
		}
		if i == 0 { // later loads need what the first one has made
			subscriptions = late.Subscriptions()
		}
	}
	if n := late.Subscriptions(); n != subscriptions {
		t.Errorf("the node has %d subscriptions after loads that failed, and had %d", n, subscriptions)
	}
}
