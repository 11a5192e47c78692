package upstream_test

import (
	"testing"

	"github.com/socketcluster-go/socketcluster/broker"
	"github.com/socketcluster-go/socketcluster/broker/brokertest"
	"github.com/socketcluster-go/socketcluster/broker/upstream"
)

// Two nodes behind a server of this module keep the promises of a broker.
func TestContract(t *testing.T) {
	brokertest.TestBroker(t, func(t *testing.T) []broker.Broker {
		up := serve(t, "127.0.0.1:0", nil)
		return []broker.Broker{newNode(t, upstream.Options{URL: up.url}), newNode(t, upstream.Options{URL: up.url})}
	})
}
