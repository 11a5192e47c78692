package cluster_test

import (
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
