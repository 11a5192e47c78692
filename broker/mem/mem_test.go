package mem_test

import (
	"context"
	"slices"
	"testing"

	"github.com/socketcluster-go/socketcluster/broker"
	"github.com/socketcluster-go/socketcluster/broker/brokertest"
	"github.com/socketcluster-go/socketcluster/broker/mem"
)

// sink notes what is delivered to a node.
type sink []string

func (s *sink) Deliver(channel string, data []byte) { *s = append(*s, channel+" "+string(data)) }

// A second server would take the first one's publications away.
func TestOneServer(t *testing.T) {
	ctx := context.Background()
	var b mem.Broker
	var first, second sink
	if err := b.Start(ctx, &first); err != nil {
		t.Fatal(err)
	}
	if err := b.Start(ctx, &second); err == nil {
		t.Error("a second server has got the broker")
	}
	if err := b.Publish(ctx, "a", []byte("1")); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(first, sink{"a 1"}) || len(second) != 0 {
		t.Errorf("delivered %q and %q", first, second)
	}
}

func TestContract(t *testing.T) {
	brokertest.TestBroker(t, func(*testing.T) []broker.Broker { return []broker.Broker{new(mem.Broker)} })
}
