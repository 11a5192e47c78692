package cluster_test

import (
	"strings"
	"testing"

	"github.com/socketcluster-go/socketcluster/broker"
	"github.com/socketcluster-go/socketcluster/broker/brokertest"
)

// The broker of a node keeps the contract of brokers, alone and between nodes.
func TestBroker(t *testing.T) {
	for name, n := range map[string]int{"alone": 1, "three nodes": 3} {
		t.Run(name, func(t *testing.T) {
			brokertest.TestBroker(t, func(t *testing.T) (all []broker.Broker) {
				for _, node := range start(t, n) {
					all = append(all, node.Broker())
				}
				return all
			})
		})
	}
}

// Names that NATS does not carry are refused, and do not end the connection of the node. The
// longest that it carries come through, stored or not.
func TestLongNames(t *testing.T) {
	nodes, _ := startStored(t, 2, withHistory)
	brokers, sinks := begin(t, nodes)
	for _, begin := range []string{"", "chat/"} {
		name := begin + strings.Repeat("é", (1024-len(begin))/2)
		for _, long := range []string{name + "ééé", begin + strings.Repeat("a", 5000)} {
			if err := brokers[0].Subscribe(t.Context(), long); err == nil || !strings.Contains(err.Error(), "it may take 3072") {
				t.Errorf("subscribe to %d bytes: %v", len(long), err)
			}
			if err := brokers[0].Publish(t.Context(), long, []byte("1")); err == nil || !strings.Contains(err.Error(), "it may take 3072") {
				t.Errorf("publish to %d bytes: %v", len(long), err)
			}
			if err := brokers[0].Unsubscribe(t.Context(), long); err != nil {
				t.Error(err)
			}
		}
		if _, err := nodes[0].Publish(t.Context(), begin+strings.Repeat("a", 5000), "", nil); err == nil {
			t.Error("a node publishes to 5000 bytes")
		}
		got := len(sinks[1].got())
		if err := brokers[1].Subscribe(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		if err := brokers[0].Publish(t.Context(), name, []byte("1")); err != nil {
			t.Fatal(err)
		}
		await(t, "the longest name", func() bool { return len(sinks[1].got()) > got })
	}
	for _, node := range nodes {
		if node.Closed() {
			t.Errorf("the connection of %s has ended", node.Name())
		}
	}
}
