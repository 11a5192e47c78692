package socketcluster

import (
	"cmp"
	"fmt"
	"time"

	"github.com/socketcluster-go/socketcluster/wire"
)

// Limits bounds what one client can make the server hold or do. A zero means
// the default that is named with the field; there is no value for "unlimited".
type Limits struct {
	// MessageSize is the largest message that a client may send, in bytes,
	// over all its fragments. A larger one closes the connection with 1009.
	// Default 1 MiB.
	MessageSize int

	// HandshakeMessageSize is the same for messages before the handshake is
	// complete. Default 64 KiB.
	HandshakeMessageSize int

	// Fragments is the largest number of fragments in a message.
	// Default 4096.
	Fragments int

	// BatchSize is the largest number of packets in one message. Default 5000.
	BatchSize int

	// Depth is how deep the JSON of a message may be nested. Default 1000.
	Depth int

	// Channels is how many channels a socket may be subscribed to. Default 1000.
	Channels int

	// ChannelName is the longest name of a channel, in bytes. Default 1024.
	ChannelName int

	// SubscriptionData is the largest data option of a subscription, in
	// bytes. It is kept to authorize the subscription again. Default 16 KiB.
	SubscriptionData int

	// TokenSize is the largest token that is verified, in bytes; it is
	// checked before anything else. Default 16 KiB.
	TokenSize int

	// Inbox is how many messages of a socket may wait for their turn. Beyond
	// it the server stops reading from that socket. Default 256.
	Inbox int

	// InboxBytes is how many bytes of what a socket has sent may be in its
	// inbox and with handlers. Beyond it the server stops reading from that
	// socket; one message is always let in. Default 4 MiB.
	InboxBytes int

	// Calls is how many calls and transmissions of one socket may be with
	// handlers or wait for them. Beyond it the socket's inbox waits.
	// Default 256.
	Calls int

	// Outbox is how many bytes may wait for a client that does not read fast
	// enough. Beyond it the socket is disconnected. Default 2 MiB, or twice
	// MessageSize if that is more.
	Outbox int

	// OutboxStall is how long a client may take no byte while some wait.
	// Default 10 s.
	OutboxStall time.Duration

	// ErrorText is how much of an error's message is sent to a client, in
	// bytes. Default 256.
	ErrorText int
}

func (l *Limits) setDefaults() error {
	for _, f := range []struct {
		field    string
		value    *int
		fallback int
	}{
		{"MessageSize", &l.MessageSize, 1 << 20},
		{"HandshakeMessageSize", &l.HandshakeMessageSize, min(64<<10, cmp.Or(l.MessageSize, 1<<20))},
		{"Fragments", &l.Fragments, 4096},
		{"BatchSize", &l.BatchSize, 5000},
		{"Depth", &l.Depth, 1000},
		{"Channels", &l.Channels, 1000},
		{"ChannelName", &l.ChannelName, 1024},
		{"SubscriptionData", &l.SubscriptionData, 16 << 10},
		{"TokenSize", &l.TokenSize, 16 << 10},
		{"Inbox", &l.Inbox, 256},
		{"InboxBytes", &l.InboxBytes, 4 << 20},
		{"Calls", &l.Calls, 256},
		{"Outbox", &l.Outbox, 0},
		{"ErrorText", &l.ErrorText, 256},
	} {
		if *f.value < 0 {
			return &ConfigError{"Limits." + f.field, fmt.Sprintf("is %d; it must not be negative", *f.value)}
		}
		if *f.value == 0 {
			*f.value = f.fallback
		}
	}
	if l.Outbox == 0 {
		l.Outbox = max(2<<20, 2*l.MessageSize)
	}
	if l.HandshakeMessageSize > l.MessageSize {
		return &ConfigError{"Limits.HandshakeMessageSize", fmt.Sprintf("is %d; it must not be larger than Limits.MessageSize, which is %d", l.HandshakeMessageSize, l.MessageSize)}
	}
	if l.Depth > wire.MaxDepth {
		return &ConfigError{"Limits.Depth", fmt.Sprintf("is %d; the parser goes no deeper than %d", l.Depth, wire.MaxDepth)}
	}
	if l.OutboxStall < 0 {
		return &ConfigError{"Limits.OutboxStall", fmt.Sprintf("is %v; it must not be negative", l.OutboxStall)}
	}
	if l.OutboxStall == 0 {
		l.OutboxStall = 10 * time.Second
	}
	return nil
}
