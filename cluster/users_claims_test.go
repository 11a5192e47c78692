package cluster_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/cluster"
)

// The sessions of a user are revoked side by side: claims are held for so long only, and a
// node that does not confirm a revocation takes a second.
func TestUpdateClaimsOfManySessions(t *testing.T) {
	t.Parallel()
	nodes, _ := startStored(t, 2, nil)
	stations := guarded(t, nodes, cluster.RevocationOptions{CutOff: -1})
	const sessions = 10
	var old []string
	for i := range sessions {
		old = append(old, stations[0].token(t, user{Username: "alice", SID: fmt.Sprint("s", i), Role: "admin"}))
		stations[0].connectWith(t, old[i])
	}
	heal, err := nodes[1].CutRevocations()
	if err != nil {
		t.Fatal(err)
	}
	defer heal()
	begun := time.Now()
	n, err := nodes[0].To(cluster.User("alice")).UpdateClaims(t.Context(), map[string]any{"role": "reader"})
	if n != sessions || err != nil {
		t.Errorf("updated %d, %v", n, err)
	}
	if took := time.Since(begun); took > sessions*time.Second/2 {
		t.Errorf("the change took %v", took)
	}
	for _, token := range old {
		stations[0].refused(t, token)
	}
}
