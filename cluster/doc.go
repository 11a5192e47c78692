// Package cluster makes the servers of several processes one server. The engine
// is NATS: a NATS server in each process, or an outside one by its address.
//
//	node, err := cluster.Start(ctx, cluster.Options{
//		Name:   "a",
//		Listen: "0.0.0.0:6222",
//		Routes: []string{"b.internal:6222", "c.internal:6222"},
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
// arrive everywhere in order. A channel keeps nothing: a node that is cut off
// misses what is published meanwhile.
//
// # Blocking
//
// Start waits until the node accepts connections, and not for other nodes, which may
// come later. Subscribing waits until the nodes that are known to be alive deliver.
//
// # Security
//
// Nodes trust each other: whoever knows the Secret can publish on every channel.
// Routes are encrypted only with [Options].TLS.
package cluster
