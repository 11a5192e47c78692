package socketcluster

import (
	"cmp"
	"time"

	"github.com/socketcluster-go/socketcluster/wire"
)

// Limits bounds what clients can make the server hold or do, each of them and
// all together. A zero means the default that is named with the field; there
// is no value for "unlimited". How often each was reached is counted, see
// [Server.Stats].
type Limits struct {
	// Connections is how many connections the server takes in all, those
	// included that are being closed. More are refused with 503.
	// Default: as many as have 8 KiB of Budget each, 65,536 without a memory limit
	// of the process, and at most 250,000. Connections take memory beside Budget:
	// 4 to 20 KiB each, the most while they are made.
	Connections int

	// ConnectionsPerAddress is how many of them may come from one client
	// address, as [Server.ClientAddr] returns it; of IPv6, a /64 counts as one.
	// More are refused with 503. Loopback, link-local and private addresses
	// are not counted, as they are mostly those of proxies: name your proxies
	// in Config.TrustedProxies. Default: a quarter of Connections, and at most
	// 10,000.
	ConnectionsPerAddress int

	// PendingHandshakes is how many connections may be on their way from the
	// upgrade request to the end of the handshake. More are refused with 503.
	// Default 10,000.
	PendingHandshakes int

	// Budget is how many bytes all sockets together may make the server hold:
	// what waits for clients, a publication once however many it waits for;
	// what clients have sent, in queues, with handlers, and as messages of which
	// a part is still to come, about 500 bytes for each call among them and 4.5 KiB
	// for each goroutine that handles some; names and data of subscriptions, about
	// 400 bytes for each, and URLs and upgrade requests. Beyond it what waits for handlers on sockets that have closed is
	// dropped, as with Config.Compat.DropWaiting; then the sockets that hold the most are disconnected, with 1013 for what
	// they have sent, or without a close frame for what they have not read;
	// stock clients connect again. A socket's share of half of it is safe, and 8 KiB,
	// or an equal share of all of it for Connections if that is less.
	//
	// The process takes more: a few KiB for each connection, and as much again
	// for the collector. At least 8 KiB. Default: a quarter of the memory limit of the process
	// (GOMEMLIMIT, [debug.SetMemoryLimit]), or 512 MiB if there is none.
	Budget int

	// MessageSize is the largest message that a client may send, in bytes,
	// over all its fragments. A larger one closes the connection with 1009.
	// At least 288. Default 1 MiB.
	MessageSize int

	// HandshakeMessageSize is the same for messages before the handshake is
	// complete. At least 288. Default 64 KiB, or MessageSize if that is less.
	HandshakeMessageSize int

	// Fragments is the largest number of fragments in a message.
	// Default 4096.
	Fragments int

	// BatchSize is the largest number of packets in one message. Default 5000.
	BatchSize int

	// Depth is how deep the JSON of a message may be nested, at least 3. Default 1000.
	Depth int

	// Channels is how many channels a socket may be subscribed to. Default 1000.
	Channels int

	// ChannelName is the longest name of a channel, in bytes. Default 1024,
	// or MessageSize if that is less.
	ChannelName int

	// SubscriptionData is the largest data option of a subscription, in
	// bytes. It is kept to authorize the subscription again. Default 16 KiB, or
	// MessageSize if that is less.
	SubscriptionData int

	// TokenSize is the largest token that is verified, in bytes; it is
	// checked before anything else. It must be smaller than HandshakeMessageSize
	// by 128 bytes at least, as a handshake is a token and what is around it,
	// unless there are Config.TokenSources, by which larger ones come.
	// At least 160, unless there is a Config.AuthEngine with shorter ones.
	// Default 16 KiB, or as many as a handshake has room for if that is less.
	TokenSize int

	// Inbox is how many messages of a socket may wait for their turn. Beyond
	// it the server stops reading from that socket, unless calls to its client
	// wait for answers, which come behind those messages: then only InboxBytes
	// counts. Default 256.
	Inbox int

	// InboxBytes is how many bytes of what a socket has sent may be in its
	// inbox and with handlers; a message in the inbox counts as 128 more than
	// it has. Beyond it the server stops reading from that socket; one message
	// is always let in. Default 4 MiB.
	InboxBytes int

	// Calls is how many calls and transmissions of one socket may be with
	// handlers or wait for them. Beyond it the socket's inbox waits.
	// Default 256.
	Calls int

	// Outbox is how many bytes may wait for a client before those who send to it
	// wait: publishers beyond it, see [Exchange.Publish]; answers, and
	// [Socket.Transmit], at half of it. Who does not wait, or no longer, may send
	// more. OutboxDrain and OutboxStall say for how long, and Budget how much.
	// Default 2 MiB, or twice MessageSize if that is more.
	Outbox int

	// OutboxDrain is how long a client may take, while more than Outbox bytes wait
	// for it, to bring them down to Outbox, or by as many from the most that it
	// was. The socket is disconnected if the client reads less, or if it is sent
	// more than it reads all that time. With the defaults, a client that reads 70
	// KB in a second gets everything of a burst. Default 30 s.
	OutboxDrain time.Duration

	// OutboxStall is how long a client may take no byte while some wait, and half
	// of it while more than Outbox bytes do. Where the connection is neither TCP
	// nor TLS over it, it may take twice as long to be noticed. Default 10 s.
	OutboxStall time.Duration

	// CallRate is how many calls, transmissions and other messages of one
	// socket are handled in a second; SubscribeRate, PublishRate and
	// AuthenticateRate have their own count. What two seconds allow may come at
	// once. Beyond it the socket's inbox waits; nothing is lost and nothing
	// fails. Pongs and answers to calls of the server do not wait.
	// Default 10,000.
	CallRate int

	// PublishRate is the same for publications. Default 10,000.
	PublishRate int

	// SubscribeRate is the same for subscribing and unsubscribing; at least
	// Channels of them may come at once. Default 1000.
	SubscribeRate int

	// AuthenticateRate is the same for presenting tokens and logging out.
	// Logins are calls. Default 10.
	AuthenticateRate int

	// ErrorText is how much of an error's message is sent to a client, in
	// bytes. Default 256.
	ErrorText int
}

// aroundToken is how many bytes of a handshake are not its token, at most: some 60
// in either version of the protocol, and a little for a client with longer numbers,
// or with blanks.
const aroundToken = 128

// Less than this is refused, as nobody could connect, or log in.
const (
	leastToken   = 160 // one of HS256 with the two dates alone has 129 bytes
	leastMessage = aroundToken + leastToken
	leastDepth   = 3 // a batch, a packet, and its data
)

func (l *Limits) setDefaults() error {
	given := *l
	for _, row := range l.table() {
		if row.check == nil {
			continue
		}
		if reason := row.check(); reason != "" {
			return &ConfigError{Field: row.name, Reason: reason}
		}
	}
	for _, f := range []struct {
		limit limit
		value int // that is given, or that there is by default
		above limit
		most  int
	}{
		{limitMessageSize, given.MessageSize, limitBudget, l.Budget},
		{limitHandshakeMessageSize, l.HandshakeMessageSize, limitMessageSize, l.MessageSize},
		{limitChannelName, l.ChannelName, limitMessageSize, l.MessageSize},
		{limitSubscriptionData, l.SubscriptionData, limitMessageSize, l.MessageSize},
		// By default Connections goes by the memory of the machine, and a setting
		// that is good on a large one is no mistake on a small one.
		{limitConnectionsPerAddress, given.ConnectionsPerAddress, limitConnections, cmp.Or(given.Connections, given.ConnectionsPerAddress)},
	} {
		if f.value > f.most {
			return configError(f.limit.String(), "is %d; it must not be larger than %v, which is %d", f.value, f.above, f.most)
		}
	}
	if l.Depth > wire.MaxDepth {
		return configError(limitDepth.String(), "is %d; the parser goes no deeper than %d", l.Depth, wire.MaxDepth)
	}
	return nil
}
