package cluster

import (
	"encoding/json"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// Nothing is said after the farewell, which would make others think that the node
// lives.
func TestFarewell(t *testing.T) {
	n, err := Start(t.Context(), Options{Name: "a", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	other := connected(t, n)
	sub, err := other.SubscribeSync(n.subject("n.beat"))
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Flush(); err != nil {
		t.Fatal(err)
	}
	hello, err := json.Marshal(beatMessage{Node: "b", Instance: "b1"})
	if err != nil {
		t.Fatal(err)
	}
	var over sync.WaitGroup
	over.Go(func() { // nodes that join meanwhile are answered
		for range 1000 {
			n.members.heard(&nats.Msg{Data: hello})
			n.members.mu.Lock()
			clear(n.members.roster.others)
			n.members.mu.Unlock()
		}
	})
	n.members.say(true)
	over.Wait()
	if err := n.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := other.Flush(); err != nil {
		t.Fatal(err)
	}
	var last beatMessage
	for {
		if pending, _, err := sub.Pending(); err != nil || pending == 0 {
			break
		}
		msg, err := sub.NextMsg(time.Second)
		if err != nil {
			t.Fatal(err)
		}
		last = beatMessage{}
		if err := json.Unmarshal(msg.Data, &last); err != nil {
			t.Fatal(err)
		}
	}
	if !last.Leaving {
		t.Errorf("the last beat is %+v", last)
	}
}
