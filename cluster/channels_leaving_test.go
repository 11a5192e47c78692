package cluster_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/cluster"
)

// A channel whose last subscriber has left keeps its subscription for a time. Nothing is
// delivered meanwhile, and who comes back takes it over.
func TestSubscriptionsLinger(t *testing.T) {
	nodes := start(t, 2)
	brokers, sinks := begin(t, nodes)
	subscribe := func(channel string) {
		t.Helper()
		if err := brokers[0].Subscribe(t.Context(), channel); err != nil {
			t.Fatal(err)
		}
	}
	leave := func(channel string) {
		t.Helper()
		if err := brokers[0].Unsubscribe(t.Context(), channel); err != nil {
			t.Fatal(err)
		}
	}
	send := func(channel, data string) {
		t.Helper()
		if err := brokers[1].Publish(t.Context(), channel, []byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	const ends = 64 // in all queues
	for i := range ends {
		subscribe(fmt.Sprint("end/", i))
	}
	subscribe("a")
	before := nodes[0].Subscription("a")
	leave("a")
	if n := nodes[0].Stats(t.Context()).Channels; n != ends {
		t.Errorf("the node is subscribed to %d channels", n)
	}
	if nodes[0].Subscription("a") != before {
		t.Fatal("the subscription has ended")
	}
	send("a", "1")
	for i := range ends {
		send(fmt.Sprint("end/", i), "1")
	}
	await(t, "what came after it", func() bool { return len(sinks[0].got()) >= ends })
	subscribe("a")
	if nodes[0].Subscription("a") != before {
		t.Error("the subscription is another one")
	}
	nodes[0].LeaveSooner(cluster.LingerTime)
	send("a", "2")
	await(t, "a 2", func() bool { return slices.Contains(sinks[0].got(), "a 2") })
	if slices.Contains(sinks[0].got(), "a 1") {
		t.Error("the node has got what came while nobody was subscribed")
	}
	leave("a")
	nodes[0].LeaveSooner(cluster.LingerTime)
	await(t, "the end of the subscription", func() bool { return !before.IsValid() && nodes[0].Subscription("a") == nil })
	subscribe("a")
	send("a", "3")
	await(t, "a 3", func() bool { return slices.Contains(sinks[0].got(), "a 3") })
}

// Whoever runs through names takes a bounded part of the memory.
func TestFewSubscriptionsLinger(t *testing.T) {
	node := start(t, 1)[0]
	brokers, _ := begin(t, []*cluster.Node{node})
	for i := range cluster.MaxLeaving + 1 {
		channel := fmt.Sprint("channel/", i)
		if err := brokers[0].Subscribe(t.Context(), channel); err != nil {
			t.Fatal(err)
		}
		if err := brokers[0].Unsubscribe(t.Context(), channel); err != nil {
			t.Fatal(err)
		}
		if i%100 == 0 {
			node.LeaveSooner(-time.Hour) // however long this takes
		}
	}
	if node.Subscription("channel/0") == nil || node.Subscription(fmt.Sprint("channel/", cluster.MaxLeaving)) != nil {
		t.Error("the last subscription lingers, or the first one does not")
	}
}
