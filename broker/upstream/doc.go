// Package upstream is the broker of a node behind another SocketCluster server:
// the node is one of its clients. It lets a server of this module work beside
// the workers of an existing installation, such as one of socketcluster-server.
//
//	nodes, err := upstream.New(upstream.Options{
//		URL:   "ws://worker.internal:8000",
//		Login: func(ctx context.Context, c *client.Client) error { return c.Authenticate(ctx, serviceToken) },
//	})
//	if err != nil {
//		return err
//	}
//	srv, err := socketcluster.New(socketcluster.Config{Broker: nodes})
//
// A publication of the node's clients goes to the upstream server alone. What
// that server delivers goes to the node's own clients. So each publication comes
// once, and all clients of all nodes see one order, that of the upstream server.
// Names and data pass unchanged, as far as the upstream server leaves them so:
// one in JavaScript writes numbers in another form.
//
// For the upstream server the node is one client, with one login: its
// middleware decides what the node may do, and the node's own middleware what a
// client may do. The node needs the right to everything that its clients may
// use. A server of this module limits the channels and rates of a client: raise
// Limits.Channels, Limits.PublishRate and the like there. Two nodes need no
// connection to each other.
//
// # Start
//
// Start, and with it [github.com/socketcluster-go/socketcluster.New], makes one
// attempt to connect and to log in, and fails with it. It takes at most
// Timeouts.Connect and Timeouts.Ack of [Options].Client, and Timeouts.Connect for
// the login and its token.
//
// # When the connection is lost
//
// The node serves its clients on, and connects again. Subscriptions of its clients stay,
// and are renewed with the upstream server after the login. What is published
// there meanwhile is lost for the node's clients: that is a [Gap], which is
// logged, and reported to [Options].OnGap. The subscribers of each channel are told
// when it is renewed, by [broker.PositionSink].Lose: clients get #lost.
//
// If the upstream server keeps what is published on a channel, the node gets what it has
// missed, and passes it on; it tells the subscribers only of what the upstream server says
// is lost. OnGap reports the outage nevertheless. The positions of the upstream server
// serve the node alone: its clients have none.
//
// Publish and Subscribe wait while the outage is shorter than Timeouts.Ack (10
// seconds by default), and fail at once while it is longer. So clients do not
// notice that the upstream server restarts, and do not pile up when it stays
// away. The error is a [wire.ErrBadConnection], and clients get it. A publication
// that was on its way when the connection was lost fails too, although it may
// have been published: nothing is sent twice.
//
// # When the upstream server refuses
//
// The error of a publication goes to its publisher, as it is. A first
// subscription that is refused fails. If the upstream server ends a subscription
// later, by kicking the node out, or refuses to renew it, then the local
// subscribers stay subscribed and receive nothing. That is a Gap of the channel, and they
// are told when it ends.
// The node asks again after one second, and then ever more seldom, up to one
// minute, and whenever it has logged in.
//
// # Blocking
//
// Publish waits for the answer of the upstream server, and Subscribe for its
// confirmation: until ctx ends or, if it has no deadline, for Timeouts.Ack.
// Unsubscribe does not wait. Close waits for the close frame, and for Login.
//
// # Limits
//
// The node passes publications on as it reads them, on one goroutine, and keeps
// none. If it cannot keep up, the upstream server has to keep them, which closes
// the connection when it holds too much or gets no pong. The node then misses
// what was left, which is a Gap.
package upstream
