package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/sctest"
)

// Channels that nobody has used before: several subscribers on each node come and ask for
// the last publications while the first ones are made. The first of all is often a large one.
const (
	freshEvery        = 1500 * time.Millisecond
	freshSpread       = 60 * time.Millisecond // within which all begin
	freshPublications = 4
	freshPause        = 20 * time.Millisecond // between two of them
	freshLast         = 10                    // for so many subscribers ask
)

// joiners returns the subscribers of fresh channels.
func (r *round) joiners() (list []*subscriber) {
	for _, n := range r.site.nodes {
		for i := range freshJoiners {
			name := fmt.Sprintf("joiner-%d at %s", i, n.name)
			list = append(list, &subscriber{r: r, name: name, node: n, last: freshLast, rng: r.source(name)})
		}
	}
	return list
}

// fresh begins one channel after the other until ctx ends, and returns all.
func (r *round) fresh(ctx context.Context, joiners []*subscriber, rng *rand.Rand) (channels []string) {
	var over sync.WaitGroup
	defer over.Wait()
	soon := func(do func()) {
		wait := time.Duration(rng.Int64N(int64(freshSpread)))
		over.Go(func() {
			if pause(ctx, wait) == nil {
				do()
			}
		})
	}
	for i := 0; pause(ctx, freshEvery) == nil; i++ {
		channel, name, fill := fmt.Sprint("history.fresh-", i), fmt.Sprint("fresh-", i), usual
		channels = append(channels, channel)
		for _, s := range joiners {
			soon(func() { s.join(channel) })
		}
		if rng.IntN(3) > 0 {
			fill = large
		}
		source := rand.New(rand.NewPCG(rng.Uint64(), 0))
		soon(func() { r.beginChannel(ctx, channel, name, fill, source) })
	}
	return channels
}

// beginChannel makes the first publications of a channel. It gives up if one fails.
func (r *round) beginChannel(ctx context.Context, channel, name, fill string, rng *rand.Rand) {
	c := r.dialAny(ctx, rng, func(*conn, sctest.Packet) {})
	if c == nil {
		return
	}
	defer c.close()
	for n := 1; n <= freshPublications; n++ {
		if acked, _ := r.publish(c, name, "", channel, n, fill); !acked || pause(ctx, freshPause) != nil {
			return
		}
		fill = usual
	}
}
