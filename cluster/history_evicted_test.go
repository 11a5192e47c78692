package cluster_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/broker"
	"github.com/socketcluster-go/socketcluster/cluster"
)

// smallStreams gives channels a history in streams that a few large publications fill.
func smallStreams(o *cluster.Options) {
	o.HistoryBytes = 8 * (4 << 20)
	o.History = []cluster.HistoryRule{{Channel: "chat/*", Size: 100, Age: time.Hour}}
}

// flood pushes everything out of the stream of a channel by publications on another one, which
// it returns.
func flood(t *testing.T, node *cluster.Node, channel string) (other string) {
	t.Helper()
	for i := 0; other == ""; i++ {
		if name := fmt.Sprint("chat/", i); name != channel && cluster.StreamOf(name) == cluster.StreamOf(channel) {
			other = name
		}
	}
	for range 20 {
		publish(t, node, other, "", strings.Repeat("1", 256<<10))
	}
	return other
}

// follow starts the server of a node, which subscribes to channels and keeps what is lost.
func follow(t *testing.T, node *cluster.Node, channels ...string) (*losing, broker.Historian) {
	t.Helper()
	s := &losing{held: make(chan struct{})}
	close(s.held)
	b := node.Broker()
	if err := b.Start(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	for _, channel := range channels {
		if err := b.Subscribe(t.Context(), channel); err != nil {
			t.Fatal(err)
		}
	}
	return s, b.(broker.Historian)
}

// lossOf returns whether a client that comes back at a position is told that something is lost.
func lossOf(t *testing.T, h broker.Historian, channel string, since cluster.Position) (lost bool) {
	t.Helper()
	err := h.Join(t.Context(), channel, broker.From{Since: since.String()}, func(p broker.Past) { lost = p.Lost != nil })
	if err != nil {
		t.Fatal(err)
	}
	return lost
}

// What a full stream has dropped while a node was away is told there, also if nothing is
// published afterwards: to those who were subscribed, and to those who come back to where they were.
func TestEvictedWhileAway(t *testing.T) {
	t.Parallel()
	nodes, _, net := startCut(t, 3, smallStreams)
	const had, empty = "chat/x", "chat/5"
	if cluster.StreamOf(had) == cluster.StreamOf(empty) {
		t.Fatal("the channels share a stream")
	}
	s, c := follow(t, nodes[2], had, empty)
	await(t, "three copies", func() bool {
		return nodes[0].Complete(t.Context(), had) == 3 && nodes[0].Complete(t.Context(), empty) == 3
	})
	before := map[string]cluster.Position{had: publish(t, nodes[0], had, "", "first"), empty: history(t, nodes[0], empty, 1).Position}
	s.await(t, had+" first")

	net.cut(2)
	await(t, "the node to be alone", func() bool { return len(nodes[2].Nodes()) == 1 })
	for channel := range before {
		publish(t, nodes[0], channel, "", "missed")
		flood(t, nodes[0], channel)
	}
	net.heal(2)
	for channel, since := range before {
		await(t, "the loss on "+channel, func() bool { return strings.Contains(strings.Join(s.got(), "\n"), channel+" lost ") })
		if !lossOf(t, c, channel, since) {
			t.Errorf("who comes back to %s is told nothing", channel)
		}
	}
	for channel := range before {
		publish(t, nodes[0], channel, "", "next")
		await(t, "the next on "+channel, func() bool { return strings.Contains(strings.Join(s.got(), "\n"), channel+" next") })
		if !lossOf(t, c, channel, before[channel]) {
			t.Errorf("who comes back to %s after the next publication is told nothing", channel)
		}
	}
	// A loss may be told again with the next publication, when clocks do not show that it is the same.
	got := s.got()
	delivered := slices.DeleteFunc(slices.Clone(got), func(text string) bool { return strings.Contains(text, " lost ") })
	if len(delivered) != 3 || len(got) > 7 {
		t.Errorf("the node has delivered %q", got)
	}
}

// A full stream that drops what a node has, or what came while it was there, is no loss to it: a
// disturbance makes it tell nobody.
func TestEvictedWhileThere(t *testing.T) {
	t.Parallel()
	nodes, _, net := startCut(t, 3, smallStreams)
	const had, empty = "chat/x", "chat/8"
	if cluster.StreamOf(had) != cluster.StreamOf(empty) {
		t.Fatal("the channels share no stream")
	}
	s, c := follow(t, nodes[2], had, empty)
	await(t, "three copies", func() bool { return nodes[0].Complete(t.Context(), had) == 3 })
	awaitShare(t, nodes[0]) // another leader is a disturbance, too
	sure := func(after time.Time) func() bool {
		return func() bool { return nodes[2].Sure(had).After(after) && nodes[2].Sure(empty).After(after) }
	}
	await(t, "comparisons", sure(time.Now()))
	since := publish(t, nodes[0], had, "", "first")
	other := flood(t, nodes[0], had)
	await(t, "the first to be gone", func() bool { return len(history(t, nodes[0], had, 1).Publications) == 0 })
	await(t, "comparisons after that", sure(time.Now()))
	present := history(t, nodes[2], empty, 1).Position

	net.cut(2)
	await(t, "the node to be alone", func() bool { return len(nodes[2].Nodes()) == 1 })
	publish(t, nodes[0], other, "", "small")
	net.heal(2)
	await(t, "the node to be back", func() bool { return len(nodes[2].Nodes()) == 3 })
	await(t, "more comparisons", sure(time.Now()))
	if lossOf(t, c, had, since) || lossOf(t, c, empty, present) {
		t.Error("who comes back is told of a loss")
	}
	publish(t, nodes[0], had, "", "next")
	s.await(t, had+" first", had+" next")
	publish(t, nodes[0], empty, "", "next")
	s.await(t, had+" first", had+" next", empty+" next")
	if losses := nodes[2].Stats(t.Context()).Losses; losses != 0 {
		t.Errorf("%d losses", losses)
	}
}
