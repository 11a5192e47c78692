package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/compat/chaos/judge"
	"github.com/socketcluster-go/socketcluster/internal/sctest"
)

// What makes publications as large as usual ones, and larger than what nodes keep at hand of
// a channel, which is 64 KiB.
var (
	usual = strings.Repeat("x", 90)
	large = strings.Repeat("x", 66<<10)
)

// publisher publishes one after the other, each when the one before has been
// acknowledged or given up, on whichever node it can reach.
type publisher struct {
	r       *round
	name    string
	every   time.Duration
	channel func(n int) string
	fill    string
	rng     *rand.Rand

	// retries is whether it publishes again, under an id, what was not acknowledged.
	// Otherwise it gives that up.
	retries bool

	n    int
	open bool // publication n has not been acknowledged
}

// run publishes until ctx ends.
func (p *publisher) run(ctx context.Context) {
	_ = pause(ctx, rand.N(p.every)) // not all at the same time
	for ctx.Err() == nil {
		c := p.r.dialAny(ctx, p.rng, func(*conn, sctest.Packet) {})
		if c == nil {
			return
		}
		p.publish(ctx, c)
		c.close()
	}
}

// publish publishes on a connection, until it ends or does not answer.
func (p *publisher) publish(ctx context.Context, c *conn) {
	pace := time.NewTicker(p.every)
	defer pace.Stop()
	for {
		if !p.open {
			select {
			case <-ctx.Done():
				return
			case <-c.done:
				return
			case <-pace.C:
			}
			if c.ended() {
				return // nothing would be sent
			}
			p.n++
		}
		id := ""
		if p.retries {
			id = fmt.Sprint(p.name, " ", p.n)
		}
		acked, ok := p.r.publish(c, p.name, id, p.channel(p.n), p.n, p.fill)
		p.open = p.retries && !acked
		if !ok || p.open && pause(ctx, retryPause) != nil {
			return
		}
	}
}

// retryPause is the time before a publication that a node has refused is published again.
const retryPause = 100 * time.Millisecond

// publish publishes, and notes what became of it. ok is whether the connection is still
// good.
func (r *round) publish(c *conn, name, id, channel string, n int, fill string) (acked, ok bool) {
	data := map[string]any{"channel": channel, "data": publication{name, n, fill}}
	if id != "" {
		data["id"] = id
	}
	begun := r.diary.now()
	raw, err := c.call(context.Background(), "#publish", data, callTimeout)
	var answer struct {
		Position string `json:"position"`
	}
	if err == nil && len(raw) > 0 {
		err = json.Unmarshal(raw, &answer)
	}
	e := judge.Event{Kind: judge.Acked, Who: name, Node: c.node, Channel: channel, N: n, Position: answer.Position, Took: r.diary.now() - begun}
	if err != nil {
		e.Kind, e.What = judge.Unsure, err.Error()
	}
	r.diary.add(e)
	return err == nil, err != errEnded && err != errLate
}

// dialAny connects to some node without a token. It returns nil when ctx ends.
func (r *round) dialAny(ctx context.Context, rng *rand.Rand, event func(*conn, sctest.Packet)) *conn {
	for ctx.Err() == nil {
		n := r.site.nodes[rng.IntN(len(r.site.nodes))]
		if c, err := dial(ctx, n, "", event); err == nil {
			return c
		}
		_ = pause(ctx, 50*time.Millisecond)
	}
	return nil
}
