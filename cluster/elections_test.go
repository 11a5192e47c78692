package cluster_test

import (
	"testing"

	"github.com/nats-io/nats-server/v2/server"
)

// electionsVersion is the version of NATS with which early elections were tested.
const electionsVersion = "2.15.3"

// Early elections (tag socketcluster_elections) use what NATS does not export.
func TestElectionsVersion(t *testing.T) {
	if server.VERSION != electionsVersion {
		t.Errorf("NATS is %s, and early elections were tested with %s. Read what cluster/elections_raft.go uses in its server/raft.go, run make cluster-faults and make cluster-stalls, and change electionsVersion",
			server.VERSION, electionsVersion)
	}
}
