package cluster_test

import (
	"slices"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/cluster"
)

// A node that has no copy of a stream reads from the leader, and is compared with it.
func TestReadWithoutACopy(t *testing.T) {
	t.Parallel()
	const channel = "chat/a"
	nodes, _ := startStored(t, 3, func(o *cluster.Options) {
		o.History = []cluster.HistoryRule{{Channel: "chat/*", Size: 10, Age: time.Hour, Copies: 1}}
	})
	brokers, sinks := begin(t, nodes)
	first := publish(t, nodes[0], channel, "", 1)
	led := leader(t, nodes, channel)
	away := (led + 1) % 3
	if err := brokers[away].Subscribe(t.Context(), channel); err != nil {
		t.Fatal(err)
	}
	if err := nodes[away].Deafen(channel); err != nil {
		t.Fatal(err)
	}
	publish(t, nodes[led], channel, "", 2)
	publish(t, nodes[led], channel, "", 3)
	sinks[away].await(t, "chat/a 2", "chat/a 3")
	if past := recovered(t, nodes[away], channel, first); past.Lost != nil || !slices.Equal(texts(past.Publications), []string{"2", "3"}) {
		t.Errorf("it recovers %+v", past)
	}
}
