//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// handshakes opens and closes connections one after the other in several
// goroutines. The close is included, because a server that runs all the time
// closes as many connections as it opens.
func handshakes(handshake func(c *conn, token string) error, token func() string) func(context.Context, server, load) (sample, error) {
	return func(ctx context.Context, s server, l load) (sample, error) {
		ctx, fail := context.WithCancelCause(ctx)
		var (
			done    atomic.Uint64
			stop    atomic.Bool
			workers sync.WaitGroup
			token   = token()
		)
		for range l.handshakers {
			workers.Go(func() {
				for !stop.Load() {
					if err := connectOnce(ctx, s.endpoint, handshake, token); err != nil {
						fail(err)
						return
					}
					done.Add(1)
				}
			})
		}
		result, err := sampleWindow(ctx, s, l, done.Load)
		stop.Store(true)
		workers.Wait()
		fail(nil)
		return result, err
	}
}

func connectOnce(ctx context.Context, e endpoint, handshake func(c *conn, token string) error, token string) error {
	c, err := dial(ctx, e)
	if err != nil {
		return err
	}
	if err := handshake(c, token); err != nil {
		c.net.Close()
		return err
	}
	return c.close()
}

func acceptedHandshake(c *conn, token string) error { return c.handshake(token) }

// refusedHandshake expects that the server refuses the token, in its own way:
// it may open an anonymous session, leave the connection as it is, or close it.
func refusedHandshake(c *conn, token string) error {
	err := c.handshake(token)
	var refused *refusedError
	switch {
	case errors.As(err, &refused):
		return nil
	case err == nil:
		return fmt.Errorf("the server accepted %q", token)
	}
	return err
}

// returningChannels is the number of channels of each client that returns.
const returningChannels = 5

// runReturn measures the cost until all clients of a server that have lost
// their connections are back, with their subscriptions.
func runReturn(ctx context.Context, s server, l load) (sample, error) {
	n := l.returning()
	tokens := make([]string, n)
	channels := make([][]string, n)
	for i := range n {
		username := fmt.Sprint("user", i)
		tokens[i] = signToken(username)
		for j := range returningChannels {
			// The first is the client's own, the others have several subscribers.
			channels[i] = append(channels[i], fmt.Sprint("room/", j, "/", i>>(2*j)))
		}
	}
	enter := func(i int, c *conn) error {
		if err := c.handshake(tokens[i]); err != nil {
			return err
		}
		return c.subscribe(channels[i]...)
	}
	first, err := openFleet(ctx, s.endpoint, n, enter, discard)
	if err != nil {
		return sample{}, err
	}
	first.abandon()
	if err := settledCPU(ctx, s.Pid(), l.settleEvery); err != nil {
		return sample{}, err
	}
	start := time.Now()
	before, err := cpuTime(s.Pid())
	if err != nil {
		return sample{}, err
	}
	again, err := openFleetWith(ctx, l.crowd, s.endpoint, n, enter, discard)
	if err != nil {
		return sample{}, err
	}
	after, err := cpuTime(s.Pid())
	elapsed := time.Since(start)
	again.abandon()
	return sample{
		Cost:       float64((after - before).Microseconds()) / float64(n),
		PerSecond:  float64(n) / elapsed.Seconds(),
		Operations: uint64(n),
	}, err
}
