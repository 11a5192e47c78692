// Package cluster makes the servers of several processes one server. The engine
// is NATS: a NATS server in each process, or an outside one by its address.
//
//	node, err := cluster.Start(ctx, cluster.Options{
//		Name:   "a",
//		Listen: "0.0.0.0:6222",
//		Routes: []string{"a.internal:6222", "b.internal:6222", "c.internal:6222"},
//		Secret: secret, // of all nodes
//	})
//	if err != nil {
//		return err
//	}
//	defer node.Close()
//	srv, err := socketcluster.New(socketcluster.Config{Broker: node.Broker()})
//
// # Channels
//
// A publication goes to the subscribers on its own node at once, and to the other
// nodes that have subscribers. The publications of one publisher on one channel
// arrive everywhere in order. A channel without history keeps nothing: a node that
// is cut off misses what is published meanwhile.
//
// # History
//
// Channels that match a rule of Options.History keep what is published. A publication
// there is acknowledged when a majority of the copies is stored, on up to three nodes.
// It is delivered from there, on all nodes in the same order and once. A node that was cut
// off delivers what it has missed when it is back. docs/CLUSTER.md says what is promised
// for each fault. Positions order the publications of a channel; a subscriber with
// the position of the last one that it has got continues behind it.
//
// # Presence
//
// [NewPresence] makes all nodes know who is in which channel. Joins and leaves of
// a channel are published on another one, whose name
// [socketcluster.PresenceChannel] returns; [Presence.Handler] answers clients who
// ask who is there, and [Presence.Here] the program. [PresenceOptions].OnLeave
// runs once a user has left, also if the user's node has died.
//
// Each node has its own sockets to tell of, and nothing is stored. What a node
// sees of its own sockets is exact, and of those of others as late as messages
// are. It sees the end of a node at once if its connections close, and otherwise,
// as it pings others each 500 ms and each says each second that it lives, within
// 3 seconds. What is lost on the way is noticed by the next beat, within a
// second.
//
// # Blocking
//
// Start waits until the node accepts connections, and not for other nodes, which
// may come later. Subscribing waits until the nodes that are known to be alive
// deliver. Publishing on a channel with history waits for the acknowledgement, at
// most 30 seconds, and for the delivery on the own node. Reading and subscribing
// wait for the streams, at most 10 seconds. [Node.Ready] waits for storage.
//
// # Security
//
// Nodes trust each other: whoever knows the Secret can publish on every channel.
// Routes are encrypted only with [Options].TLS.
package cluster
