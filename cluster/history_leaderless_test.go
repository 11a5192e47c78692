package cluster_test

import (
	"slices"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/cluster"
)

// While a leader of the cluster is elected, NATS answers no question about streams. Nodes read
// from the leaders of these, and see what they have missed.
func TestNoLeaderOfTheCluster(t *testing.T) {
	const channel = "chat/a"
	nodes, _, _ := startCut(t, 3, withLongHistory)
	_, sinks := three(t, nodes, []string{channel})
	led := leader(t, nodes, channel)
	for i, node := range nodes {
		if node.Confirmed(channel) != (i == led) {
			t.Errorf("that %s leads is confirmed: %v", node.Name(), i != led)
		}
		heal, err := node.Leaderless(channel)
		if err != nil {
			t.Fatal(err)
		}
		defer heal()
	}
	deaf := (led + 1) % 3
	if err := nodes[deaf].Deafen(channel); err != nil {
		t.Fatal(err)
	}
	first := publish(t, nodes[led], channel, "", 1)
	publish(t, nodes[deaf], channel, "", 2)
	publish(t, nodes[led], channel, "", 3)
	for _, s := range sinks {
		s.await(t, "chat/a 1", "chat/a 2", "chat/a 3")
	}
	for _, node := range nodes {
		for count, want := range [][]string{1: {"3"}, 2: {"2", "3"}, 4: {"1", "2", "3"}} {
			if count == 0 || want == nil {
				continue
			}
			if got := texts(history(t, node, channel, count).Publications); !slices.Equal(got, want) {
				t.Errorf("of %d, %s reads %v", count, node.Name(), got)
			}
		}
		if past := recovered(t, node, channel, first); past.Lost != nil || !slices.Equal(texts(past.Publications), []string{"2", "3"}) {
			t.Errorf("%s recovers %+v", node.Name(), past)
		}
		if past := history(t, node, "chat/i", 1); len(past.Publications) != 0 { // of the same stream
			t.Errorf("of an empty channel, %s reads %+v", node.Name(), past)
		}
	}
}

// Copies are asked on their nodes, and nowhere else: others may be behind.
func TestCopyOfANode(t *testing.T) {
	t.Parallel()
	const channel = "chat/a"
	nodes, options := startStored(t, 3, func(o *cluster.Options) {
		o.History = []cluster.HistoryRule{{Channel: "chat/*", Size: 10, Age: time.Hour, Copies: 1}}
	})
	publish(t, nodes[0], channel, "", "1")
	led := nodes[leader(t, nodes, channel)].Name()
	plain := startNode(t, cluster.Options{Name: "d", Listen: "127.0.0.1:0", Routes: options[0].Routes, Secret: secret})
	await(t, "a node without a store", func() bool { return len(nodes[0].Nodes()) == 4 })
	for _, from := range nodes {
		for _, to := range append(nodes, plain) {
			got, err := from.HasCopy(t.Context(), to.Name(), channel)
			if err != nil || got != (to.Name() == led) {
				t.Errorf("%s asks %s: %v, %v; %s has the copy", from.Name(), to.Name(), got, err, led)
			}
		}
	}
}
