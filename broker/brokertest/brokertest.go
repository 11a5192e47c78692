// Package brokertest checks implementations of [broker.Broker], as
// testing/slogtest does for handlers of log/slog:
//
//	func TestMyBroker(t *testing.T) {
//		brokertest.TestBroker(t, func(t *testing.T) []broker.Broker {
//			network := newMyNetwork(t)
//			return []broker.Broker{newMyBroker(t, network), newMyBroker(t, network)}
//		})
//	}
//
// It tests what the interface promises, and no more: what happens when the
// network between the nodes fails is for a broker's own tests. It waits for
// nothing but publications that must come; 30 seconds without one, or for one
// call, are a failure. One check subscribes to 100,000 channels at the same
// time, or 10,000 under the race detector.
package brokertest

import (
	"context"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/broker"
)

// TestBroker checks that brokers keep the promises of [broker.Broker] on which a
// server relies. It calls newNodes for each check. It returns the brokers of one
// or more nodes between which publications travel, and which nobody else uses.
// They have not been started: TestBroker starts and closes them. Release what
// else they need by t.Cleanup, which runs after that.
//
// Brokers that only one node can have, such as that of a single process, are
// checked by one. With several nodes, each check looks at all of them.
//
// Run it under the race detector.
func TestBroker(t *testing.T, newNodes func(t *testing.T) []broker.Broker) {
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) { c.run(start(t, newNodes(t))) })
	}
}

// checks are what TestBroker runs.
var checks = []struct {
	name string
	run  func(*kit)
}{
	{"delivery", (*kit).delivery},
	{"data", (*kit).data},
	{"ownership", (*kit).ownership},
	{"names", (*kit).names},
	{"order", (*kit).order},
	{"order of each caller", (*kit).callers},
	{"unsubscribe", (*kit).unsubscribe},
	{"unsubscribe races", (*kit).races},
	{"many channels", (*kit).manyChannels},
	{"sink that panics", (*kit).panics},
	{"context", (*kit).context},
	{"close", (*kit).close},
}

// limit is the time within which everything must happen that must happen at all.
const limit = 30 * time.Second

type kit struct {
	*testing.T
	nodes []*node
}

// node is a broker with its sink.
type node struct {
	broker.Broker
	sink
	closed bool
}

// start starts the brokers, and closes them when the check ends.
func start(t *testing.T, brokers []broker.Broker) *kit {
	t.Helper()
	if len(brokers) == 0 {
		t.Fatal("newNodes returns no broker")
	}
	k := &kit{T: t}
	for _, b := range brokers {
		n := &node{Broker: b}
		k.nodes = append(k.nodes, n)
		k.must("Start", func(ctx context.Context) error { return b.Start(ctx, &n.sink) })
		t.Cleanup(func() { k.end(n) })
	}
	return k
}

func (k *kit) first() *node { return k.nodes[0] }
func (k *kit) last() *node  { return k.nodes[len(k.nodes)-1] }

// call runs a call of a broker, which must return.
func (k *kit) call(what string, fn func(ctx context.Context) error) error {
	k.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(k.Context()), limit)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- fn(ctx) }()
	late := time.NewTimer(limit + limit/10)
	defer late.Stop()
	select {
	case err := <-done:
		return err
	case <-late.C:
		k.Errorf("%s does not return", what)
		return context.DeadlineExceeded
	}
}

// must is call for one that must not fail.
func (k *kit) must(what string, fn func(ctx context.Context) error) {
	k.Helper()
	if err := k.call(what, fn); err != nil {
		k.Fatalf("%s: %v", what, err)
	}
}

// end closes a node.
func (k *kit) end(n *node) {
	k.Helper()
	if n.closed {
		return
	}
	n.closed = true
	if err := k.call("Close", func(context.Context) error { return n.Close() }); err != nil {
		k.Errorf("Close: %v", err)
	}
}

// subscribe subscribes nodes to a channel.
func (k *kit) subscribe(channel string, nodes ...*node) {
	k.Helper()
	for _, n := range nodes {
		k.must("Subscribe", func(ctx context.Context) error { return n.Subscribe(ctx, channel) })
	}
}

func (k *kit) leave(channel string, nodes ...*node) {
	k.Helper()
	for _, n := range nodes {
		k.must("Unsubscribe", func(ctx context.Context) error { return n.Unsubscribe(ctx, channel) })
	}
}

// publish publishes a value that must be accepted.
func (k *kit) publish(from *node, channel string, data []byte) {
	k.Helper()
	k.must("Publish", func(ctx context.Context) error { return from.Publish(ctx, channel, data) })
}

// receives checks that nodes have received exactly these publications on a channel, in
// this order, by the time at which a marker arrives that is published after them.
func (k *kit) receives(from *node, channel string, want []string, nodes ...*node) {
	k.Helper()
	k.publish(from, channel, []byte(`"the end"`))
	for i, n := range nodes {
		got := n.await(channel, func(got []string) bool { return len(got) > 0 && got[len(got)-1] == `"the end"` })
		if len(got) == 0 || got[len(got)-1] != `"the end"` {
			k.Fatalf("node %d waits in vain for a publication on %.40q; it has %d", i, channel, len(got))
		}
		if diff := different(got[:len(got)-1], want); diff != "" {
			k.Errorf("node %d has received on %.40q %s", i, channel, diff)
		}
	}
}
