package main

import (
	"context"
	"slices"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/broker"
	"github.com/socketcluster-go/socketcluster/broker/mem"
)

// hookedBroker calls the bridge if the suite has overridden a method of the
// broker. The library calls a broker only for the first and the last subscriber
// of a channel, so the bridge is notified only of those.
type hookedBroker struct {
	mem.Broker
	server *server
	hooks  []string
}

var _ broker.Broker = (*hookedBroker)(nil)

// Subscribe implements [broker.Broker].
func (b *hookedBroker) Subscribe(ctx context.Context, channel string) error {
	return b.ask(ctx, "subscribeSocket", channel)
}

// Unsubscribe implements [broker.Broker].
func (b *hookedBroker) Unsubscribe(ctx context.Context, channel string) error {
	return b.ask(ctx, "unsubscribeSocket", channel)
}

// brokerLine asks the bridge to run an override.
type brokerLine struct {
	T       string `json:"t"`
	ID      int    `json:"id"`
	Ask     string `json:"ask"`
	Server  int    `json:"server"`
	Method  string `json:"method"`
	Socket  string `json:"socket"`
	Channel string `json:"channel"`
	snapshots
}

// ask runs an override, unless there is none, or the exchange subscribes and
// not a socket.
func (b *hookedBroker) ask(ctx context.Context, method, channel string) error {
	s := known(socketcluster.FromContext(ctx))
	if s == nil || !slices.Contains(b.hooks, method) {
		return nil
	}
	b.server.host.parked.raise()
	_, err := b.server.host.ask(ctx, func(id int) any {
		return brokerLine{
			T: "ask", ID: id, Ask: "broker", Server: b.server.number, Method: method,
			Socket: s.ID(), Channel: channel, snapshots: with(nil, s),
		}
	})
	return err
}
