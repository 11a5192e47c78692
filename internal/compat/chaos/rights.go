package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/compat/chaos/judge"
	"github.com/socketcluster-go/socketcluster/internal/sctest"
)

// Episodes of rights: a guest with a socket on each node follows a private channel, on
// which hosts publish all the time, loses the right to it, and tries to come back.
const (
	episodeEvery = 4 * time.Second
	episodeStays = 1500 * time.Millisecond // before the right ends
	episodeTail  = 9 * time.Second         // after it
	hostEvery    = 50 * time.Millisecond
	guestEvery   = 500 * time.Millisecond // how often it tries to log in again
	revokeWait   = 16 * time.Second       // a revocation gives up after 15 seconds
)

// rights runs one episode after the other, and several at the same time.
func (r *round) rights(ctx context.Context, rng *rand.Rand) {
	var over sync.WaitGroup
	defer over.Wait()
	for i := 0; pause(ctx, episodeEvery) == nil; i++ {
		e := &episode{r: r, guest: fmt.Sprint("guest-", i), channel: fmt.Sprint("private.", i), rng: rand.New(rand.NewPCG(rng.Uint64(), 0))}
		e.how = []judge.Kind{judge.Revoked, judge.Kicked, judge.Expires}[rng.IntN(3)]
		over.Go(func() { e.run(ctx) })
	}
}

// episode is the end of a right.
type episode struct {
	r              *round
	guest, channel string
	how            judge.Kind
	rng            *rand.Rand
	token          string
}

func (e *episode) run(ctx context.Context) {
	now := time.Now()
	expires := now.Add(time.Hour)
	if e.how == judge.Expires {
		expires = now.Add(episodeStays + 2*time.Second).Truncate(time.Second)
	}
	// Clocks of those who issue tokens may be wrong: behind, or far ahead. One that is
	// less than a minute ahead is that of a later login, which a revocation spares.
	issued := now.Add(-time.Duration(e.rng.Int64N(int64(time.Minute))))
	if e.rng.IntN(3) == 0 {
		issued = now.Add(2*time.Minute + time.Duration(e.rng.Int64N(int64(time.Minute))))
	}
	var err error
	if e.token, err = token(e.guest, issued, expires); err != nil {
		e.r.fail(err)
		return
	}
	host, err := token("host of "+e.guest, now, now.Add(time.Hour))
	if err != nil {
		e.r.fail(err)
		return
	}
	if e.how == judge.Expires {
		e.r.diary.addAt(judge.Event{At: expires.Sub(e.r.diary.begun), Kind: judge.Expires, User: e.guest})
	}
	ctx, cancel := context.WithCancel(ctx)
	var over sync.WaitGroup
	defer over.Wait()
	defer cancel()
	for _, n := range e.r.site.nodes {
		over.Go(func() { e.follow(ctx, n) })
		over.Go(func() { e.publish(ctx, n, host) })
	}
	if pause(ctx, episodeStays) != nil {
		return
	}
	if e.how != judge.Expires && !e.end(ctx) {
		return // the right may have ended, and may not
	}
	for _, n := range e.r.site.nodes {
		over.Go(func() { e.comeBack(ctx, n) })
	}
	_ = pause(ctx, episodeTail)
}

// follow is the guest on a node.
func (e *episode) follow(ctx context.Context, n *node) {
	who := e.guest + "@" + n.name
	c, err := dial(ctx, n, e.token, func(c *conn, p sctest.Packet) {
		if p.Event != "#publish" {
			return
		}
		if x, ok := parseChannelEvent(p); ok {
			e.r.diary.add(judge.Event{Kind: judge.Got, Who: who, User: e.guest, Node: c.node, Channel: x.Channel, Publisher: x.Data.P, N: x.Data.N})
		}
	})
	if err != nil {
		return
	}
	defer c.close()
	if _, err := c.call(ctx, "#subscribe", map[string]any{"channel": e.channel}, callTimeout); err != nil {
		return
	}
	select {
	case <-ctx.Done():
	case <-c.done:
	}
}

// publish is the host on a node.
func (e *episode) publish(ctx context.Context, n *node, token string) {
	c, err := dial(ctx, n, token, func(*conn, sctest.Packet) {})
	if err != nil {
		return
	}
	defer c.close()
	name := "host of " + e.guest + "@" + n.name
	for i := 1; pause(ctx, hostEvery) == nil; i++ {
		if _, ok := e.r.publish(c, name, "", e.channel, i, usual); !ok {
			return
		}
	}
}

// end ends the right of the guest, by a call to some node.
func (e *episode) end(ctx context.Context) bool {
	procedure := "revoke"
	if e.how == judge.Kicked {
		procedure = "kick"
	}
	c := e.r.dialAny(ctx, e.rng, func(*conn, sctest.Packet) {})
	if c == nil {
		return false
	}
	defer c.close()
	begun := e.r.diary.now()
	if _, err := c.call(ctx, procedure, map[string]string{"username": e.guest, "channel": e.channel}, revokeWait); err != nil {
		return false
	}
	e.r.diary.add(judge.Event{Kind: e.how, User: e.guest, Node: c.node, Channel: e.channel, Took: e.r.diary.now() - begun})
	return true
}

// comeBack logs in again and again on a node.
func (e *episode) comeBack(ctx context.Context, n *node) {
	for pause(ctx, guestEvery) == nil {
		begun := e.r.diary.now()
		c, err := dial(ctx, n, e.token, func(*conn, sctest.Packet) {})
		if err != nil {
			continue
		}
		what := judge.Refused
		if c.authenticated {
			what = judge.Accepted
		}
		e.r.diary.add(judge.Event{Kind: what, User: e.guest, Node: n.name, Took: e.r.diary.now() - begun})
		c.close()
	}
}
