// Package mem is the broker of a single server: every publication goes straight
// to the server's own subscribers, on the publisher's goroutine.
package mem

import (
	"context"
	"errors"

	"github.com/socketcluster-go/socketcluster/broker"
)

// Broker delivers to the sink of its own process. The zero value is ready for
// use. A Broker belongs to one server. To serve both versions of the protocol,
// use one server at two paths: then all clients share its channels.
type Broker struct {
	sink broker.Sink
}

var _ broker.Broker = (*Broker)(nil)

var errStarted = errors.New("mem: the broker already belongs to a server; each server needs a Config.Broker of its own")

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
