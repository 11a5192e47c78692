// Package broker defines how publications travel between the nodes of a
// server. Each node keeps its own subscribers; a Broker only has to carry a
// publication from the node where it was made to every node that has
// subscribers for its channel.
//
// # Ordering
//
// The publications that one caller makes on one channel, one after the other,
// reach every [Sink] in that order. Nothing is promised across callers.
//
// # Blocking
//
// Publish may block until the broker has taken the publication. Deliver never
// blocks, so a Broker may call it from its own reading goroutine.
//
// # Names
//
// A channel name is any text in valid UTF-8 that is not empty. Names that differ
// in one byte are different channels, whatever the form is in which a Broker
// carries them.
//
// # Ownership
//
// The data of a publication is one JSON value, or nil if the publisher gave
// none. It belongs to the caller: neither a Broker nor a Sink may keep or
// change the slice after it has returned.
package broker

import "context"

// A Sink is the node to which a broker delivers.
type Sink interface {
	// Deliver hands a publication to the local subscribers of its channel.
	// It never blocks and is safe for concurrent use. If it panics, the broker
	// goes on with the next publication; only the caller of Publish may get the
	// panic.
	Deliver(channel string, data []byte)
}

// A Broker carries publications between nodes. Its methods are safe for
// concurrent use.
type Broker interface {
	// Start connects the broker to its sink. It is called once, before all
	// other methods, and returns when publications can flow.
	Start(ctx context.Context, sink Sink) error

	// Publish carries a publication to the sinks of all nodes that have
	// subscribed to the channel, the caller's own included. When it returns
	// nil, the broker has accepted it. A broker within the process has delivered
	// it by then; others deliver it soon after.
	Publish(ctx context.Context, channel string, data []byte) error

	// Subscribe is called when the node gets its first subscriber for a
	// channel, and returns when publications on it are being delivered.
	// Calls for one channel never overlap.
	Subscribe(ctx context.Context, channel string) error

	// Unsubscribe is called when the node's last subscriber of a channel has
	// left.
	Unsubscribe(ctx context.Context, channel string) error

	// Close releases the broker's resources. No method is called after it.
	Close() error
}
