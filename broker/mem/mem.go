// Package mem is the broker of a server that runs alone: every publication
// goes straight to the server's own subscribers, on the publisher's goroutine.
package mem

import (
	"context"
	"errors"

	"github.com/socketcluster-go/socketcluster/broker"
)

// Broker delivers to the sink of its own process. The zero value is ready. It
// belongs to one server: to speak both versions of the protocol, one server
// serves two paths, and so all its clients share its channels.
type Broker struct {
	sink broker.Sink
}

var _ broker.Broker = (*Broker)(nil)

var errStarted = errors.New("mem: the broker belongs to a server already; give each server's Config.Broker one of its own")

// Start implements [broker.Broker]. It fails for a second server.
func (b *Broker) Start(_ context.Context, sink broker.Sink) error {
	if b.sink != nil {
		return errStarted
	}
	b.sink = sink
	return nil
}

// Publish implements [broker.Broker]. It never fails.
func (b *Broker) Publish(_ context.Context, channel string, data []byte) error {
	b.sink.Deliver(channel, data)
	return nil
}

// Subscribe implements [broker.Broker]. There is nothing to route.
func (b *Broker) Subscribe(context.Context, string) error { return nil }

// Unsubscribe implements [broker.Broker].
func (b *Broker) Unsubscribe(context.Context, string) error { return nil }

// Close implements [broker.Broker].
func (b *Broker) Close() error { return nil }
