package upstream_test

import (
	"log/slog"
	"net/http/httptest"
	"testing"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/broker"
	"github.com/socketcluster-go/socketcluster/broker/brokertest"
	"github.com/socketcluster-go/socketcluster/broker/upstream"
	"github.com/socketcluster-go/socketcluster/client"
)

// Two nodes behind a server of this module keep the promises of a broker.
func TestContract(t *testing.T) {
	silent := slog.New(slog.DiscardHandler)
	brokertest.TestBroker(t, func(t *testing.T) []broker.Broker {
		srv, err := socketcluster.New(socketcluster.Config{
			Logger: silent,
			Limits: socketcluster.Limits{Channels: 200_000, PublishRate: 1 << 30, SubscribeRate: 1 << 30},
		})
		if err != nil {
			t.Fatal(err)
		}
		web := httptest.NewServer(srv)
		t.Cleanup(func() {
			srv.Close()
			web.Close()
		})
		var nodes []broker.Broker
		for range 2 {
			node, err := upstream.New(upstream.Options{URL: web.URL, Client: client.Options{Logger: silent}})
			if err != nil {
				t.Fatal(err)
			}
			nodes = append(nodes, node)
		}
		return nodes
	})
}
