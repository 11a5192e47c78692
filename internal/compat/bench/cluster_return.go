//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// runReturnAtOnce kills a node whose clients connect to others at once.
func runReturnAtOnce(ctx context.Context, n *nodes, l clusterLoad) ([]figure, error) {
	took, all, err := runReturning(ctx, n, l, [2]float64{})
	what := fmt.Sprintf("%d clients with history whose node is killed, who try at once", l.clients)
	return []figure{
		{title: what + ": until half are back, subscribed and caught up", unit: secondUnit, value: took.percentile(50).Seconds()},
		{title: what + ": until all are", unit: secondUnit, value: all.Seconds()},
	}, err
}

// runReturnDelayed is the same with clients that wait first.
func runReturnDelayed(ctx context.Context, n *nodes, l clusterLoad) ([]figure, error) {
	took, _, err := runReturning(ctx, n, l, l.ownDelay)
	what := fmt.Sprintf("the same, who first wait %v to %v s, as stock clients do", l.ownDelay[0], l.ownDelay[1])
	return []figure{
		{title: what + ": from then until one has caught up, p50", unit: millisecondUnit, value: milliseconds(took.percentile(50))},
		{title: what + ": the slowest one", unit: millisecondUnit, value: milliseconds(took.percentile(100))},
	}, err
}

// runReturning kills the first node, whose clients connect to the others after a delay
// in seconds, while somebody publishes. It returns what each client took after its
// delay, and the time from the end of the node until all clients had caught up. It
// fails if a client misses a publication, or gets one twice.
func runReturning(ctx context.Context, n *nodes, l clusterLoad, delay [2]float64) (*latencies, time.Duration, error) {
	h := &homes{
		others: []endpoint{n.servers[1].endpoint, n.servers[2].endpoint},
		stored: make([]atomic.Int64, l.histories), delay: delay,
		took: new(latencies), back: make(chan struct{}, l.clients),
	}
	clients := make([]*returning, l.clients)
	living, end := context.WithCancel(ctx)
	f, err := openFleet(ctx, n.servers[0].endpoint, l.clients, func(i int, c *conn) error {
		clients[i] = &returning{h: h, i: i, channel: i % l.histories, token: signToken(fmt.Sprint("client-", i))}
		return clients[i].enter(c)
	}, func(i int, c *conn) error { return clients[i].live(living, c) })
	if err != nil {
		end()
		return h.took, 0, err
	}
	defer f.abandon()
	defer end() // of connections that are not in the fleet
	publishers, err := openFleet(f.ctx, n.servers[1].endpoint, min(numPublishers, l.histories), anonymous, func(i int, c *conn) error {
		return h.publish(f.ctx, c, i, l)
	})
	if err != nil {
		return h.took, 0, err
	}
	defer publishers.abandon()
	if err := sleep(publishers.ctx, l.warmup+l.duration); err != nil {
		return h.took, 0, err
	}
	killed := time.Now()
	h.killed.Store(true)
	if err := n.kill(0); err != nil {
		return h.took, 0, err
	}
	patience := time.After(returnTimeout)
	for range l.clients {
		select {
		case <-h.back:
		case <-publishers.ctx.Done():
			return h.took, 0, context.Cause(publishers.ctx)
		case <-patience:
			return h.took, 0, fmt.Errorf("%d of %d clients are back after %v", h.took.count(), l.clients, returnTimeout)
		}
	}
	return h.took, time.Since(killed), nil
}

const (
	numPublishers = 16
	returnTimeout = time.Minute // after the end of the node
	returnPause   = 100 * time.Millisecond
)

// homes is what clients who return share.
type homes struct {
	others []endpoint
	stored []atomic.Int64 // the number of the last publication that was acknowledged, by channel
	delay  [2]float64
	killed atomic.Bool
	took   *latencies
	back   chan struct{} // gets something for each client that has caught up
}

func historyChannel(i int) string { return fmt.Sprint(historyPrefix, i) }

// publish publishes numbers on each numPublishers-th channel in turn, at a steady pace.
func (h *homes) publish(ctx context.Context, c *conn, first int, l clusterLoad) error {
	step := min(numPublishers, l.histories)
	pace := time.NewTicker(time.Duration(float64(step) / l.publications * float64(time.Second)))
	defer pace.Stop()
	for channel := first; ; channel += step {
		if channel >= l.histories {
			channel = first
		}
		select {
		case <-pace.C:
		case <-ctx.Done():
			return nil
		}
		number := h.stored[channel].Load() + 1
		c.id++
		message := c.proto.appendPublish(nil, c.id, historyChannel(channel), fmt.Sprint(number))
		if _, err := c.net.Write(appendFrame(nil, opText, message)); err != nil {
			return err
		}
		got, err := c.next()
		if err != nil {
			return err
		}
		if c.proto.kind(got) != answer {
			return fmt.Errorf("a publication failed: %s", got)
		}
		h.stored[channel].Store(number)
	}
}

// returning is a client that subscribes to one channel, and connects to another node
// when its own has died.
type returning struct {
	h        *homes
	i        int
	channel  int
	token    string
	position string // of what came last
	number   int64  // of the same
}

// errWrong is the error of a client that missed something or got it twice.
var errWrong = errors.New("a publication is missing, or came twice")

// live reads publications until ctx ends, on another node when this one has died.
func (r *returning) live(ctx context.Context, c *conn) error {
	err := r.follow(c)
	if !r.h.killed.Load() || errors.Is(err, errWrong) {
		return err
	}
	lowest, highest := r.h.delay[0], r.h.delay[1]
	wait := time.Duration((lowest + rand.Float64()*(highest-lowest)) * float64(time.Second))
	if sleep(ctx, wait) != nil {
		return nil
	}
	begun, target := time.Now(), r.h.stored[r.channel].Load()
	for try := r.i; ; try++ {
		c, err := r.comeBack(ctx, r.h.others[try%len(r.h.others)], target)
		if err == nil {
			r.h.took.add(time.Since(begun))
			r.h.back <- struct{}{}
			defer context.AfterFunc(ctx, func() { c.net.Close() })()
			return r.follow(c)
		}
		if errors.Is(err, errWrong) {
			return err
		}
		if sleep(ctx, returnPause) != nil {
			return nil
		}
	}
}

// comeBack connects to a node, and reads until it has caught up with a number.
func (r *returning) comeBack(ctx context.Context, e endpoint, target int64) (*conn, error) {
	c, err := dial(ctx, e)
	if err != nil {
		return nil, err
	}
	if err = r.enter(c); err == nil {
		c.net.SetDeadline(time.Now().Add(ioTimeout))
		for err == nil && r.number < target {
			err = r.read(c)
		}
		c.net.SetDeadline(time.Time{})
	}
	if err != nil {
		c.net.Close()
		return nil, err
	}
	return c, nil
}

// enter logs in and subscribes, from the position on.
func (r *returning) enter(c *conn) error {
	if err := c.handshake(r.token); err != nil {
		return err
	}
	data := fmt.Sprintf(`{"channel":"%s"}`, historyChannel(r.channel))
	if r.position != "" {
		data = fmt.Sprintf(`{"channel":"%s","since":"%s"}`, historyChannel(r.channel), r.position)
	}
	c.id++
	c.net.SetDeadline(time.Now().Add(ioTimeout))
	defer c.net.SetDeadline(time.Time{})
	if _, err := c.net.Write(appendFrame(nil, opText, c.proto.appendCall(nil, c.id, "#subscribe", data))); err != nil {
		return err
	}
	got, err := c.next()
	for ; err == nil && c.proto.kind(got) == publication; got, err = c.next() { // what was missed comes before the answer
		if err := r.take(got); err != nil {
			return err
		}
	}
	if err != nil {
		return err
	}
	if c.proto.kind(got) != answer {
		return fmt.Errorf("subscribe: %s", got)
	}
	var place struct {
		Data struct {
			Position string          `json:"position"`
			Lost     json.RawMessage `json:"lost"`
		} `json:"data"`
	}
	if err := json.Unmarshal(got, &place); err != nil {
		return err
	}
	if place.Data.Lost != nil {
		return fmt.Errorf("%w: the server says that %s is lost", errWrong, place.Data.Lost)
	}
	if r.position == "" {
		r.position = place.Data.Position
	}
	return nil
}

// follow reads until the connection ends.
func (r *returning) follow(c *conn) error {
	for {
		if err := r.read(c); err != nil {
			return err
		}
	}
}

// read reads one publication.
func (r *returning) read(c *conn) error {
	message, err := c.next()
	if err != nil {
		return err
	}
	if c.proto.kind(message) != publication {
		return fmt.Errorf("unexpected message %q", message)
	}
	return r.take(message)
}

// take takes a publication, which must be the next one.
func (r *returning) take(message []byte) error {
	var p struct {
		Data struct {
			Position string `json:"position"`
			Data     int64  `json:"data"`
		} `json:"data"`
	}
	if err := json.Unmarshal(message, &p); err != nil {
		return err
	}
	if p.Data.Data != r.number+1 {
		return fmt.Errorf("%w: client %d got %s after %d", errWrong, r.i, message, r.number)
	}
	r.number, r.position = p.Data.Data, p.Data.Position
	return nil
}
