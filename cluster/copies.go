package cluster

import (
	"fmt"
	"log/slog"
	"slices"

	"github.com/nats-io/nats.go"
)

// Requests to any copy of a stream have its name after directGet. NATS prefers the copy on
// the node that asks, which may be behind. So each node passes on what others ask of its
// own copies after copySubject, its name and a dot.
const (
	directGet   = "$JS.API.DIRECT.GET."
	copySubject = "n.copy."
)

// passOn lets other nodes ask for the copies of this one.
func (n *Node) passOn() error {
	own := n.subject(copySubject + n.o.Name + ".")
	_, err := n.nc.Subscribe(own+"*", func(msg *nats.Msg) {
		if err := n.nc.PublishRequest(directGet+msg.Subject[len(own):], msg.Reply, msg.Data); err != nil {
			n.o.Logger.Debug("cluster: an answer is lost", slog.Any("error", err))
		}
	})
	if err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	return nil
}

// copyOf returns the subject of requests to the copy of a stream on a node, or to any if it
// has none.
func (n *Node) copyOf(node, stream string) string {
	if node == n.o.Name {
		return directGet + stream
	}
	return n.subject(copySubject + node + "." + stream)
}

// source returns a node whose copies may be asked: this one for 0, and the others for what
// follows.
func (n *Node) source(k int) string {
	nodes := n.Nodes()
	return nodes[(slices.Index(nodes, n.o.Name)+k)%len(nodes)]
}
