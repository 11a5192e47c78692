package cluster_test

import (
	"context"
	"slices"
	"strconv"
	"testing"
	"time"
)

// A node that has started again gets its share of the streams to lead. Publications go on
// meanwhile, in order.
func TestLeadersMoveBack(t *testing.T) {
	t.Parallel()
	const channel = "chat/a"
	nodes, options := startStored(t, 3, withLongHistory)
	spread := func() (least, most int) {
		counts := map[string]int{"a": 0, "b": 0, "c": 0}
		for _, s := range nodes[0].Stats(t.Context()).Streams {
			counts[s.Leader]++
		}
		if _, leaderless := counts[""]; leaderless {
			return 0, 9
		}
		return min(counts["a"], counts["b"], counts["c"]), max(counts["a"], counts["b"], counts["c"])
	}
	three(t, nodes, []string{channel})
	await(t, "an equal share", func() bool { least, most := spread(); return least > 0 && most-least <= 1 })

	nodes[2].Close()
	await(t, "leaders on two nodes", func() bool { least, most := spread(); return least == 0 && most < 9 })
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
	await(t, "an equal share again", func() bool { least, most := spread(); return least > 0 && most-least <= 1 })
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
