package cluster_test

import (
	"encoding/json"
	"testing"

	"github.com/socketcluster-go/socketcluster/cluster"
	"github.com/socketcluster-go/socketcluster/internal/sctest"
)

// A client that has no answer publishes again with the same id, on another node. It is
// stored once, and both answers say where.
func TestClientPublishesOnce(t *testing.T) {
	nodes, _ := startStored(t, 2, withHistory)
	var clients []*sctest.Client
	for _, node := range nodes {
		_, dial := serve(t, node, nil)
		clients = append(clients, sctest.Connect(t, dial, ""))
	}
	publish := func(c *sctest.Client, data string) cluster.Position {
		t.Helper()
		raw, err := c.Call("#publish", json.RawMessage(data))
		if err != nil {
			t.Fatal(err)
		}
		var a struct{ Position string }
		if err := json.Unmarshal(raw, &a); err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		at, err := cluster.ParsePosition(a.Position)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	first := publish(clients[0], `{"channel":"chat/a","data":1,"id":"x"}`)
	again := publish(clients[1], `{"channel":"chat/a","data":1,"id":"x"}`)
	other := publish(clients[1], `{"channel":"chat/a","data":2,"id":"y"}`)
	if first.Seq != again.Seq || first.Epoch != again.Epoch || other.Seq <= first.Seq {
		t.Errorf("positions %v, %v and %v", first, again, other)
	}
	publish(clients[0], `{"channel":"chat/b","data":3,"id":"x"}`)
	past := history(t, nodes[1], "chat/a", 10)
	if got := texts(past.Publications); len(got) != 2 || got[0] != "1" || got[1] != "2" {
		t.Errorf("the history is %v", got)
	}
	// A position is never later than what it is that of, so that nothing after it is
	// taken for something that has come meanwhile.
	for i, at := range []cluster.Position{again, other} {
		if stored := past.Publications[i].Position; at.Time.After(stored.Time) || at.Seq != stored.Seq {
			t.Errorf("%v is later than %v", at, stored)
		}
	}
	if got := recovered(t, nodes[0], "chat/a", again); len(got.Publications) != 1 || got.Lost != nil {
		t.Errorf("after the first came %v, lost %v", texts(got.Publications), got.Lost)
	}
	raw, err := clients[0].Call("#publish", json.RawMessage(`{"channel":"plain","id":"x"}`))
	if err != nil || raw != nil {
		t.Errorf("a plain channel answers %s, %v", raw, err)
	}
}
