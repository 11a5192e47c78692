package cluster

import (
	"fmt"
	"log/slog"
	"slices"

	"github.com/nats-io/nats.go"
)

// Requests to the copy of a stream on the node that asks have its name after directGet, see onNode;
// of an outside NATS, any copy may get them. Each node passes on what others ask of its own copies
// after copySubject, its name and a dot.
const (
	directGet   = apiPrefix + "DIRECT.GET."
	copySubject = "n.copy."
)

// noCopy is the status of the answer if there is no copy on a node, or it is not open to requests
// yet. NATS answers so to who asks there, and to nobody else: others get no answer from a copy that is not
// open.
const noCopy = "503"

// passOn lets other nodes ask for the copies of this one.
func (n *Node) passOn() error {
	own := n.subject(copySubject + n.o.Name + ".")
	_, err := n.nc.Subscribe(own+"*", func(msg *nats.Msg) {
		stream := msg.Subject[len(own):]
		var err error
		if n.engine.hasCopy(stream) {
			err = n.nc.PublishRequest(directGet+stream, msg.Reply, msg.Data)
		} else {
			err = msg.RespondMsg(&nats.Msg{Header: nats.Header{"Status": {noCopy}}})
		}
		if err != nil {
			n.o.Logger.Debug("cluster: an answer is lost", slog.Any("error", err))
		}
	})
	if err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	return nil
}

// copyOf returns the subject of requests to the copy of a stream on a node.
func (n *Node) copyOf(node, stream string) string {
	if node == n.o.Name {
		return directGet + stream
	}
	return n.subject(copySubject + node + "." + stream)
}

// sources returns the subjects at which messages of a stream are asked for, in this order: that of
// the own copy, which may be behind, if there is one, and that of the leader.
func (n *Node) sources(stream string) []string {
	leader, exact := n.leaderOf(stream)
	if exact && n.engine.hasCopy(stream) {
		return []string{directGet + stream, leader}
	}
	return []string{leader}
}

// leaderOf returns the subject at which the leader of a stream is asked for messages. It is not exact
// for an outside NATS: any copy answers.
func (n *Node) leaderOf(stream string) (subject string, exact bool) {
	if n.engine.srv == nil {
		return directGet + stream, false
	}
	return n.subject(ledPrefix + askMessage + stream), true
}

// source returns a node whose copies may be asked: this one for 0, and the others for what
// follows.
func (n *Node) source(k int) string {
	nodes := n.Nodes()
	return nodes[(slices.Index(nodes, n.o.Name)+k)%len(nodes)]
}
