package cluster_test

import (
	"strings"
	"testing"

	"github.com/socketcluster-go/socketcluster/auth/revoke"
	"github.com/socketcluster-go/socketcluster/cluster"
)

// A reason that is no text, such as a name that a client gives itself, keeps nothing from being
// revoked, neither now nor later.
func TestReasonThatIsNoText(t *testing.T) {
	t.Parallel()
	nodes, _ := startStored(t, 2, nil)
	stores := all(t, nodes, cluster.RevocationOptions{})
	for i, reason := range []string{strings.Repeat("\xffx", 512), ""} {
		if err := stores[i].Add(soon(t), revoke.Revocation{JTI: "x", Reason: reason}); err != nil {
			t.Error(err)
		}
		for _, store := range stores {
			wantRevoked(t, store, "x", true)
		}
	}
}
