//go:build socketcluster_elections

package cluster_test

import (
	"strings"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/cluster"
	"github.com/socketcluster-go/socketcluster/internal/logtest"
)

// electionTime is the longest time without an acknowledgement after a leader has been
// killed. A publication may wait for as long, and ackExtra.
const (
	electionTime = time.Second
	ackExtra     = time.Second / 2
)

// A leader that is gone is replaced before NATS would do it by itself.
func TestEarlyElection(t *testing.T) {
	channels := []string{"chat/a", "chat/i"}
	nodes, _, c := startCut(t, 3, withLongHistory)
	_, sinks := three(t, nodes, channels)
	l := startLoad(t, nodes, channels)
	l.more(20, nil)
	led := leader(t, nodes, channels[0])
	begun := time.Now()
	c.cut(led)
	l.more(20, nodes[led])
	// NATS begins an election after 4 seconds at the earliest.
	if took := time.Since(begun); took > 4*time.Second {
		t.Errorf("there is another leader after %v", took)
	}
	c.heal(led)
	l.more(20, nil)
	l.end(nodes[led], sinks, channels)
}

// A node that has lost the route to the leader asks for no votes while another one
// reaches it.
func TestElectionNeedsAgreement(t *testing.T) {
	channels := []string{"chat/a"}
	var logs [3]logtest.Buffer
	nodes, _, c := startCut(t, 3, func(o *cluster.Options) {
		withLongHistory(o)
		o.Logger = logs[o.Name[0]-'a'].Logger()
	})
	three(t, nodes, channels)
	led := leader(t, nodes, channels[0])
	other, third := (led+1)%3, (led+2)%3
	l := startLoad(t, nodes[third:third+1], channels)
	l.more(20, nil)
	logs[other].Take()
	begun := time.Now()
	c.part(led, other)
	await(t, "a lost route", func() bool { return len(nodes[other].Nodes()) < 3 })
	// After four seconds, NATS itself may depose the leader. A second is more than the
	// node would take.
	for time.Since(begun) < time.Second {
		l.more(1, nil)
	}
	if took := time.Since(begun); took > 3*time.Second {
		t.Fatalf("the machine is too busy to tell: %v", took)
	}
	if text := logs[other].Take(); strings.Contains(text, "leader="+nodes[led].Name()) {
		t.Errorf("the node has asked for votes:\n%s", text)
	}
}

// part cuts two nodes off from each other. Others still reach both.
func (c *cutter) part(a, b int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.apart = [2]int{a, b}
	for conn, ends := range c.conns {
		if c.isApart(ends[0], ends[1]) {
			_ = conn.Close()
			delete(c.conns, conn)
		}
	}
}
