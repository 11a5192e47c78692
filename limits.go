package socketcluster

import (
	"cmp"
	"time"

	"github.com/socketcluster-go/socketcluster/wire"
)

// Limits bounds the memory and the work that clients can cause, each of them
// and all together. Zero means the default, which is named with the field;
// there is no value for "unlimited". The server counts how often each limit is
// reached, see [Server.Stats].
type Limits struct {
	// Connections is the maximum number of connections, including those that
	// are being closed. More are refused with 503. Default: one for each 8 KiB
	// of Budget, which is 65,536 without a memory limit of the process, and at
	// most 250,000. Connections take memory besides Budget: 4 to 20 KiB each,
	// the most while they are being made.
	Connections int

	// ConnectionsPerAddress is the maximum number of connections from one
	// client address, as [Server.ClientAddr] returns it; an IPv6 /64 counts as
	// one address. More are refused with 503. Loopback, link-local and private
	// addresses are not counted, because they usually belong to proxies: name
	// your proxies in Config.TrustedProxies. Default: a quarter of Connections,
	// and at most 10,000.
	ConnectionsPerAddress int

	// PendingHandshakes is the maximum number of connections between the
	// upgrade request and the end of the handshake. More are refused with 503.
	// Default 10,000.
	PendingHandshakes int

	// Budget is the number of bytes that the server may hold for all sockets
	// together. It counts what waits for clients, where a publication counts
	// once, however many clients it waits for. It counts what clients have
	// sent, in queues, in handlers, and as messages of which a part has not
	// arrived yet, plus about 500 bytes for each call and 4.5 KiB for each
	// goroutine that handles calls. It counts names and data of subscriptions,
	// plus about 400 bytes for each, and URLs and upgrade requests. Beyond it,
	// messages that wait for handlers on closed sockets are dropped, as with
	// Config.Compat.DropWaiting. Then the sockets that hold the most are
	// disconnected, with 1013 for what they have sent, or without a close frame
	// for what they have not read; stock clients connect again. A socket is
	// safe if it holds no more than its share of half of the budget, or no more
	// than 8 KiB (or the budget divided by Connections, if that is less).
	//
	// The process needs more: a few KiB for each connection, and as much again
	// for the collector. At least 8 KiB. Default: a quarter of the memory limit
	// of the process (GOMEMLIMIT, [debug.SetMemoryLimit]), or 512 MiB if there
	// is none.
	Budget int

	// MessageSize is the maximum size of a message from a client, in bytes,
	// including all its fragments. A larger one closes the connection with
	// 1009. At least 288. Default 1 MiB.
	MessageSize int

	// HandshakeMessageSize is the same for messages before the end of the
	// handshake. At least 288. Default 64 KiB, or MessageSize if that is less.
	HandshakeMessageSize int

	// Fragments is the maximum number of fragments in a message. Default 4096.
	Fragments int

	// BatchSize is the maximum number of packets in one message. Default 5000.
	BatchSize int

	// Depth is the maximum nesting of the JSON of a message, at least 3.
	// Default 1000.
	Depth int

	// Channels is the maximum number of channels to which a socket may be
	// subscribed. Default 1000.
	Channels int

	// ChannelName is the maximum length of a channel's name, in bytes. Default
	// 1024, or MessageSize if that is less.
	ChannelName int

	// SubscriptionData is the maximum size of the data option of a
	// subscription, in bytes. The server keeps the data to authorize the
	// subscription again. Default 16 KiB, or MessageSize if that is less.
	SubscriptionData int

	// TokenSize is the maximum size of a token, in bytes; it is checked before
	// anything else. It must be at least 128 less than HandshakeMessageSize,
	// because a handshake contains the token and up to 128 other bytes, unless
	// there are Config.TokenSources, which can supply larger tokens. At least
	// 160, unless a Config.AuthEngine has shorter tokens. Default 16 KiB, or as
	// much as a handshake has room for if that is less.
	TokenSize int

	// Inbox is the maximum number of messages of a socket that wait for their
	// turn. Beyond it the server stops reading from that socket, unless calls
	// to its client wait for answers, which come after those messages: then
	// only InboxBytes counts. Default 256.
	Inbox int

	// InboxBytes is the maximum number of bytes from a socket in its inbox and
	// in handlers; a message in the inbox counts 128 bytes more than its size.
	// Beyond it the server stops reading from that socket; one message is
	// always accepted. Default 4 MiB.
	InboxBytes int

	// Calls is the maximum number of calls and transmissions of one socket that
	// are in handlers or wait for them, and of its subscriptions and of its publications that
	// wait for the storage of a broker that keeps them. Beyond each, the socket's inbox waits.
	// Default 256.
	Calls int

	// Outbox is the number of bytes that may wait for a client before senders
	// wait: publishers wait beyond it, see [Exchange.Publish]; answers and
	// [Socket.Transmit] wait at half of it. Senders that do not wait, or have
	// waited long enough, may send more. OutboxDrain and OutboxStall limit for
	// how long, and Budget limits how much. Default 2 MiB, or twice MessageSize
	// if that is more.
	Outbox int

	// OutboxDrain is the time within which a client for which more than Outbox
	// bytes wait must reduce them to Outbox, or by Outbox from their maximum.
	// The socket is disconnected if the client reads less, or if it is sent
	// more than it reads all that time. With the defaults, a client that reads
	// 70 KB a second receives all of a burst. Default 30 s.
	OutboxDrain time.Duration

	// OutboxStall is the time for which a client may accept no byte while some
	// wait, or half of that while more than Outbox bytes wait. If the
	// connection is neither TCP nor TLS over TCP, it may take twice as long
	// until this is noticed. Default 10 s.
	OutboxStall time.Duration

	// CallRate is the number of calls, transmissions and other messages of one
	// socket that are handled in a second; SubscribeRate, PublishRate and
	// AuthenticateRate count separately. The number for two seconds may come at
	// once. Beyond it the socket's inbox waits; nothing is lost and nothing
	// fails. Pongs and answers to calls of the server do not wait. Default
	// 10,000.
	CallRate int

	// PublishRate is the same for publications. Default 10,000.
	PublishRate int

	// SubscribeRate is the same for subscribing and unsubscribing; at least
	// Channels of them may come at once. Default 1000.
	SubscribeRate int

	// AuthenticateRate is the same for presenting tokens and logging out.
	// Logins are calls. Default 10.
	AuthenticateRate int

	// ErrorText is the maximum length of an error's message for a client, in
	// bytes. Default 256.
	ErrorText int
}

// aroundToken is the maximum number of bytes in a handshake besides its token:
// about 60 in both versions of the protocol, plus some room for clients with
// longer numbers or with blanks.
const aroundToken = 128

// Lower values are refused, because nobody could connect or log in.
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
		// The default of Connections depends on the memory of the machine, and
		// a setting that is correct on a large one is not a mistake on a small
		// one.
		{limitConnectionsPerAddress, given.ConnectionsPerAddress, limitConnections, cmp.Or(given.Connections, given.ConnectionsPerAddress)},
	} {
		if f.value > f.most {
			return configError(f.limit.String(), "is %d; it must not be larger than %v, which is %d", f.value, f.above, f.most)
		}
	}
	if l.Depth > wire.MaxDepth {
		return configError(limitDepth.String(), "is %d; it must be at most %d, the limit of the parser", l.Depth, wire.MaxDepth)
	}
	return nil
}
