package cluster_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/auth/revoke"
	"github.com/socketcluster-go/socketcluster/cluster"
)

// A context without a deadline is good for everything about revocations.
func TestRevocationsWithoutDeadline(t *testing.T) {
	t.Parallel()
	node := startNode(t, cluster.Options{Name: "a", StoreDir: t.TempDir()})
	rv, err := node.Revocations(context.Background(), cluster.RevocationOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := rv.Add(context.Background(), revoke.Revocation{JTI: "x"}); err != nil || rv.Len() != 1 {
		t.Errorf("%d, %v", rv.Len(), err)
	}
}

// A context that ends before another node has confirmed a revocation is an error: nobody knows
// whether it is in force there. It is stored, and in force here.
func TestRevocationUnconfirmed(t *testing.T) {
	t.Parallel()
	nodes, _ := startStored(t, 2, nil)
	stores := all(t, nodes, cluster.RevocationOptions{})
	heal, err := nodes[1].CutRevocations()
	if err != nil {
		t.Fatal(err)
	}
	defer heal()
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if err := stores[0].Add(ctx, revoke.Revocation{JTI: "x"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("added: %v", err)
	}
	wantRevoked(t, stores[0], "x", true)
	if n, err := nodes[0].Targets(t.Context()); n != 1 || err != nil {
		t.Errorf("%d are stored, %v", n, err)
	}
}
