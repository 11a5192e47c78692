//go:build socketcluster_elections

package cluster

import (
	"errors"
	_ "unsafe" // go:linkname

	"github.com/nats-io/nats-server/v2/server"
)

// lookupRaftNode returns the node of a Raft group, nil if there is none. NATS does not
// export it, and promises nothing of it: see TestElectionsVersion.
//
//go:linkname lookupRaftNode github.com/nats-io/nats-server/v2/server.(*Server).lookupRaftNode
func lookupRaftNode(srv *server.Server, group string) server.RaftNode

// campaign makes this node ask for the votes of a group.
func campaign(srv *server.Server, group string) error {
	node := lookupRaftNode(srv, group)
	if node == nil {
		return errors.New("cluster: there is no such group")
	}
	return node.CampaignImmediately()
}
