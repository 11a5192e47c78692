package cluster_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/revoke"
	"github.com/socketcluster-go/socketcluster/cluster"
)

// What was revoked before a node loads is in force when it has loaded, also if its message is
// replaced meanwhile.
func TestReplacedWhileLoading(t *testing.T) {
	t.Parallel()
	nodes, _ := startStored(t, 2, nil)
	store := revocations(t, nodes[0], cluster.RevocationOptions{})
	add := func(r revoke.Revocation) {
		if err := store.Add(soon(t), r); err != nil {
			t.Error(err)
		}
	}
	at := time.Now()
	add(revoke.Revocation{JTI: "first"})
	if err := nodes[0].FillRevocations(6_000); err != nil { // so that a read does not have all of it at once
		t.Fatal(err)
	}
	add(revoke.Revocation{Subject: "alice", Before: at})
	loads := nodes[1].WatchLoad(func(r revoke.Revocation) {
		switch r.JTI {
		case "first":
			add(revoke.Revocation{JTI: "slow"})
			add(revoke.Revocation{Subject: "alice", Before: at.Add(time.Second)})
		case "slow":
			time.Sleep(time.Second)
		}
	})
	loaded := revocations(t, nodes[1], cluster.RevocationOptions{})
	if !loads() {
		t.Fatal("nobody has watched the load")
	}
	token, err := auth.NewToken("signed", fmt.Appendf(nil, `{"sub":"alice","auth_time":%d}`, at.Unix()-1))
	if err != nil {
		t.Fatal(err)
	}
	if _, revoked := loaded.Check(token); !revoked {
		t.Error("a revocation from before is not in force")
	}
}
