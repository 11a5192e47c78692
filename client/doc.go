// Package client is a client of SocketCluster servers, of this module and of
// socketcluster-server: the twin of the npm package socketcluster-client 20.
//
//	c, err := client.Dial(ctx, "ws://localhost:8000", client.Options{})
//	if err != nil {
//		return err
//	}
//	defer c.Close()
//	sum, err := client.InvokeAs[int](ctx, c, "add", []int{1, 2})
//
// A login is a call whose procedure sets a token: [Client.Login] waits for both, and
// [Client.Authenticate] presents a token that the program has.
//
// [New] makes a client without connecting it, so that handlers of events,
// procedures and receivers can be registered first. A client connects again by
// itself when its connection is lost, see [Reconnect], subscribes to its
// channels again, and presents its token again.
//
// # Ordering
//
// What the server sends takes effect in the order of the wire, however many
// frames come together: tokens, subscriptions, kick-outs, answers and
// publications. An answer that comes after a token finds the client
// authenticated, whoever waits for it.
//
// Handlers of events run one at a time, in the order of the changes that the
// events report. Calls of one procedure, and transmissions of one name, are
// handled in order; different names are handled side by side. Each loop over a
// channel gets the publications in order.
//
// What the client sends leaves in the order of the calls of one goroutine.
// While there is no connection, it waits in one queue, in order.
//
// # Blocking
//
// Everything that waits has a context, whose end ends the wait at once. Publications
// wait for a loop in a queue that loses the oldest ones. Handlers that are too slow
// delay reading, and with it the server, which ends the connection if its pings are not
// answered for too long. While the client waits for an answer, reading goes on, up to
// eight times [Limits.Held].
//
// Handlers may call every method of the client, and may wait for answers.
//
// # What is lost
//
// Nothing is sent twice. When the connection is lost, calls fail with a
// BadConnectionError, and the server may have handled them. Transmissions that
// wait for a connection are lost if the attempt fails, or after
// [Timeouts].Ack. Publications on a channel are lost while the client is not
// subscribed, unless the channel keeps them: then the client gets them when it is
// subscribed again, before others and each once, or a [LostEvent]. A function of
// [OnLost] learns of both in its place. [Client.Unsubscribe]
// and a kick-out end that: who subscribes afterwards begins with what comes next.
//
// # Limits
//
// A server that misbehaves cannot make the client use memory without a bound:
// [Limits] has a limit for each queue, and for the size of messages. It can make the
// client connect again at once, as that of JavaScript does: if it completes each
// handshake and then closes with 1005 or 4001, the client comes back without a delay, as
// often as there is time for a handshake.
package client
