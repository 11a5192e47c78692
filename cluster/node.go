package cluster

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/socketcluster-go/socketcluster/auth/revoke"
	"github.com/socketcluster-go/socketcluster/broker"
)

// Node is one process of a cluster. Its methods are safe for concurrent use.
type Node struct {
	o        Options
	engine   *engine
	nc       *nats.Conn // gets nothing of what it sends
	js       jetstream.JetStream
	members  *members
	channels *channels
	led      *ledStreams // nil for an outside NATS
	history  *history    // nil if no channel has one
	leads    *leadership // nil if no storage is shared
	users    *users
	spread   rounds

	revocations     atomic.Pointer[Revocations] // nil until somebody wants them
	revocationLimit int                         // the most of them
	presence        atomic.Pointer[Presence]    // nil: none

	close sync.Once
	shut  atomic.Bool // Close was called
}

// Start starts a node. It waits until the node's NATS accepts connections, or ctx
// ends. Other nodes may come later.
func Start(ctx context.Context, o Options) (*Node, error) {
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	history, err := newHistoryRules(o.History)
	if err != nil {
		return nil, err
	}
	e, err := startEngine(&o)
	if err != nil {
		return nil, err
	}
	n := &Node{o: o, engine: e, revocationLimit: revoke.DefaultLimit}
	n.spread.ask = n.askInForce
	n.channels = newChannels(n) // to which NATS reports
	e.failed = n.channels.failed
	if n.nc, err = e.connect("node", nats.NoEcho(), nats.ReconnectHandler(func(*nats.Conn) { n.channels.reconnected() })); err != nil {
		e.stop()
		return nil, err
	}
	if n.js, err = jetstream.New(n.nc); err == nil {
		err = n.passOn() // before others know the node, and ask it
	}
	if err == nil {
		n.led, err = newLedStreams(n) // the same
	}
	if err == nil {
		n.users, err = newUsers(n) // the same
	}
	if err == nil {
		if n.members, err = join(n, digestOf(history)); err != nil {
			n.users.end()
		}
	}
	if err != nil {
		n.led.end()
		n.nc.Close()
		e.stop()
		return nil, err
	}
	if n.history, err = newHistory(n, history); err == nil {
		n.leads, err = newLeadership(n)
	}
	if err != nil {
		n.Close()
		return nil, err
	}
	return n, nil
}

// Name returns the name of the node.
func (n *Node) Name() string { return n.o.Name }

// Broker returns the broker of the node's server, for socketcluster.Config. It
// belongs to one server.
func (n *Node) Broker() broker.Broker { return n.channels }

// Nodes returns the names of the nodes that are alive, this one included, sorted.
func (n *Node) Nodes() []string { return n.members.names() }

// Closed reports whether the node has no connection to its NATS any more and gets none: Close
// was called, or NATS has refused it for good. Only another node helps.
func (n *Node) Closed() bool { return n.nc.IsClosed() }

// Close leaves the cluster and ends the node. Close the server that uses it before.
// What the node leads is handed over first, so that others go on publishing. That
// takes some hundredths of a second, and a second at most.
// Close waits for the hooks of leaves that run (PresenceOptions.OnLeave), whose
// contexts end.
func (n *Node) Close() {
	n.close.Do(func() {
		n.shut.Store(true) // before presence is loaded
		if p := n.presence.Load(); p != nil {
			p.end()
		}
		n.members.leave()
		n.users.end()
		if rv := n.revocations.Load(); rv != nil {
			rv.end()
		}
		n.channels.shutDown()
		n.nc.Close()
		n.led.end()
		n.leads.handOver()
		n.engine.stop()
		n.leads.end()
	})
}

// subject returns a subject of this cluster.
func (n *Node) subject(kind string) string { return n.o.Prefix + "." + kind }
