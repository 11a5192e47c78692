package cluster_test

import (
	"context"
	"testing"

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
