//go:build slow

package cluster_test

import (
	"testing"
	"time"
)

// The faults for which NATS elects leaders, within 4 to 16 seconds each.

// A leader that was cut off does not take in publications when it is back, which NATS would
// have to take out of its copy one by one. So the copy counts again soon, and the next
// leader may be cut off.
func TestLeaderComesBack(t *testing.T) {
	channels := []string{"chat/a", "chat/i"}
	nodes, _, c := startCut(t, 3, withLongHistory)
	_, sinks := three(t, nodes, channels)
	l := startLoad(t, nodes, channels)
	for range 2 {
		l.more(20, nil)
		led := leader(t, nodes, channels[0])
		c.cut(led)
		l.more(20, nodes[led])
		c.heal(led)
		l.more(20, nil)
		begun := time.Now()
		await(t, "three complete copies", func() bool { return nodes[led].Complete(t.Context(), channels[0]) == 3 })
		if took := time.Since(begun); took > 10*time.Second {
			t.Errorf("the copy of the former leader counts again after %v", took)
		} else {
			t.Logf("the copy of the former leader counts again after %v", took)
		}
	}
	l.end(nodes[0], sinks, channels)
}

// Nothing that was acknowledged is lost with the routes of a leader, or comes twice.
func TestHistoryOutlivesElections(t *testing.T) {
	channels := []string{"chat/a", "chat/i"} // of one shard
	nodes, _, c := startCut(t, 3, withLongHistory)
	_, sinks := three(t, nodes, channels)
	l := startLoad(t, nodes, channels)
	l.more(20, nil)
	c.flap(leader(t, nodes, channels[0]))
	l.more(20, nil)
	led := leader(t, nodes, channels[0])
	c.cut(led)
	l.more(20, nodes[led])
	c.heal(led)
	l.more(20, nil)
	l.end(nodes[0], sinks, channels)
}
