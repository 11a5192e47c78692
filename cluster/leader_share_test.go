package cluster_test

import (
	"context"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/cluster"
)

// leads returns how many streams each node leads.
func leads(t *testing.T, node *cluster.Node) map[string]int {
	t.Helper()
	counts := make(map[string]int)
	for _, s := range node.Stats(t.Context()).Streams {
		counts[s.Leader]++
	}
	return counts
}

// awaitShare waits until three nodes lead as many streams each, or one more. None moves then. Each move
// takes some seconds in which nothing else happens, which are rare on a busy machine.
func awaitShare(t *testing.T, node *cluster.Node) {
	t.Helper()
	awaitWithin(t, 3*hangLimit, "an equal share", func() bool {
		counts := leads(t, node)
		least := min(counts["a"], counts["b"], counts["c"])
		return least > 0 && max(counts["a"], counts["b"], counts["c"]) <= least+1 && counts[""] == 0
	})
}

// A node that has started again gets its share of the streams to lead. Publications go on
// meanwhile, in order.
func TestLeadersMoveBack(t *testing.T) {
	t.Parallel()
	const channel = "chat/a"
	nodes, options := startStored(t, 3, withLongHistory)
	three(t, nodes, []string{channel})
	awaitShare(t, nodes[0])
	nodes[2].Close()
	await(t, "leaders on two nodes", func() bool {
		counts := leads(t, nodes[0])
		return counts["c"] == 0 && counts[""] == 0 && counts["a"]+counts["b"] == 8
	})
	nodes[2] = startNode(t, options[2])
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	published := make(chan int)
	go func() {
		i := 0
		for ; ctx.Err() == nil; i++ {
			time.Sleep(5 * time.Millisecond)
			if _, err := nodes[i%3].Publish(t.Context(), channel, "", []byte(strconv.Itoa(i))); err != nil {
				t.Errorf("publication %d: %v", i, err)
			}
		}
		published <- i
	}()
	awaitShare(t, nodes[0])
	cancel()
	var want []string
	for i := range <-published {
		want = append(want, strconv.Itoa(i))
	}
	want = want[max(0, len(want)-1000):]
	if got := texts(history(t, nodes[2], channel, 1000).Publications); !slices.Equal(got, want) {
		t.Errorf("the history ends with %v after %d publications", got[max(0, len(got)-5):], len(want))
	}
}
