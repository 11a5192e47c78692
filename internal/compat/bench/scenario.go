//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/compat/proc"
)

// scenario is one kind of load. run gets a fresh server.
type scenario struct {
	name  string
	title func(load) string
	env   func(load) []string // further environment of the server
	run   func(context.Context, *proc.Process, load) (sample, error)
}

var scenarios = []scenario{
	{
		name: "idle",
		title: func(l load) string {
			return fmt.Sprintf("idle connection, authenticated, 1 subscription (%d connections)", l.connections)
		},
		run: runIdle,
	},
	{
		name:  "echo",
		title: func(l load) string { return fmt.Sprintf("RPC echo (%d connections, pipelined)", l.callers) },
		run:   runEcho,
	},
	{
		name:  "publish",
		title: func(l load) string { return fmt.Sprintf("publish: delivered message (%d subscribers)", l.subscribers) },
		run:   runPublish,
	},
	{
		name:  "handshake-token",
		title: func(load) string { return "connect, handshake with HS256 token, close" },
		run: func(ctx context.Context, p *proc.Process, l load) (sample, error) {
			return runHandshakes(ctx, p, l, signToken("alice"))
		},
	},
	{
		name:  "handshake-anonymous",
		title: func(load) string { return "connect, anonymous handshake, close" },
		run: func(ctx context.Context, p *proc.Process, l load) (sample, error) {
			return runHandshakes(ctx, p, l, "")
		},
	},
	{
		name: "ping",
		title: func(l load) string {
			return fmt.Sprintf("ping and pong (%d connections, every %v)", l.connections, l.pingEvery)
		},
		env: func(l load) []string { return []string{fmt.Sprintf("PING_INTERVAL=%d", l.pingEvery.Milliseconds())} },
		run: runPing,
	},
}

// openIdle opens n connections that are authenticated and subscribed to a
// channel of their own each.
func openIdle(ctx context.Context, p *proc.Process, n int) (*fleet, error) {
	return openFleet(ctx, p.Addr(), n, func(i int, c *conn) error {
		username := "user" + strconv.Itoa(i)
		if err := c.handshake(signToken(username)); err != nil {
			return err
		}
		return c.subscribe("user/" + username)
	})
}

// runIdle measures the growth of the server's memory. A few connections come
// and go first, so that what a server loads once is not counted.
func runIdle(ctx context.Context, p *proc.Process, l load) (sample, error) {
	warm, err := openIdle(ctx, p, dialers)
	if err != nil {
		return sample{}, err
	}
	for _, c := range warm.conns {
		if err := c.close(); err != nil {
			return sample{}, err
		}
	}
	warm.abandon()
	before, err := settledResident(ctx, p.Pid(), l.settleEvery)
	if err != nil {
		return sample{}, err
	}
	f, err := openIdle(ctx, p, l.connections)
	if err != nil {
		return sample{}, err
	}
	defer f.abandon()
	f.read(discard)
	after, err := settledResident(f.ctx, p.Pid(), l.settleEvery)
	if err != nil {
		return sample{}, err
	}
	return sample{BytesPerConnection: float64(after-before) / float64(l.connections)}, nil
}

func runPing(ctx context.Context, p *proc.Process, l load) (sample, error) {
	f, err := openIdle(ctx, p, l.connections)
	if err != nil {
		return sample{}, err
	}
	defer f.abandon()
	f.read(discard)
	return sampleWindow(f.ctx, p, l, f.pings)
}

func runEcho(ctx context.Context, p *proc.Process, l load) (sample, error) {
	f, err := openFleet(ctx, p.Addr(), l.callers, func(_ int, c *conn) error { return c.handshake("") })
	if err != nil {
		return sample{}, err
	}
	defer f.abandon()
	var answered atomic.Uint64
	f.read(func(_ int, c *conn) error { return pipelineEcho(c, l.window, &answered) })
	return sampleWindow(f.ctx, p, l, answered.Load)
}

var (
	answerStart  = []byte(`{"rid":`)
	answerError  = []byte(`"error":`)
	publishStart = []byte(`{"event":"#publish",`)
)

// pipelineEcho keeps window calls on their way until the connection closes:
// as many new calls leave in one write as answers came in one read. Both
// servers write the keys of an answer in the same order, so a look at its
// start is enough.
func pipelineEcho(c *conn, window int, answered *atomic.Uint64) error {
	var frames, scratch []byte
	for send := window; ; {
		frames = frames[:0]
		for range send {
			c.cid++
			frames, scratch = appendCall(frames, scratch, "echo", `"0123456789abcdef0123456789abcdef"`, c.cid)
		}
		if _, err := c.net.Write(frames); err != nil {
			return err
		}
		send = 0
		for message, err := c.next(); ; {
			if err != nil {
				return err
			}
			if !bytes.HasPrefix(message, answerStart) || bytes.Contains(message, answerError) {
				return fmt.Errorf("unexpected answer %q", message)
			}
			send++
			var more bool
			if message, more, err = c.buffered(); err == nil && !more {
				break
			}
		}
		answered.Add(uint64(send))
	}
}

// runPublish has one connection publish to all others, as fast as the slowest
// of them receive: a publication leaves when an earlier one has been delivered
// everywhere.
func runPublish(ctx context.Context, p *proc.Process, l load) (sample, error) {
	var publishing sync.WaitGroup
	defer publishing.Wait() // after all connections are closed
	f, err := openFleet(ctx, p.Addr(), l.subscribers, func(_ int, c *conn) error {
		if err := c.handshake(""); err != nil {
			return err
		}
		return c.subscribe("bench")
	})
	if err != nil {
		return sample{}, err
	}
	defer f.abandon()
	publisher, err := openFleet(f.ctx, p.Addr(), 1, func(_ int, c *conn) error { return c.handshake("") })
	if err != nil {
		return sample{}, err
	}
	defer publisher.abandon()

	// Few enough that no server takes a subscriber for a slow one.
	const inFlight = 4
	credits := make(chan struct{}, inFlight)
	for range inFlight {
		credits <- struct{}{}
	}
	var delivered atomic.Uint64
	f.read(func(_ int, c *conn) error {
		for {
			message, err := c.next()
			if err != nil {
				return err
			}
			if !bytes.HasPrefix(message, publishStart) {
				return fmt.Errorf("unexpected message %q", message)
			}
			if delivered.Add(1)%uint64(l.subscribers) == 0 {
				select {
				case credits <- struct{}{}:
				default:
					return errors.New("more deliveries than publications")
				}
			}
		}
	})
	publisher.read(discard)
	stop, cancel := context.WithCancel(f.ctx)
	defer cancel()
	publishing.Go(func() {
		if err := publish(stop, publisher.conns[0], credits); err != nil {
			f.cancel(err)
		}
	})
	return sampleWindow(publisher.ctx, p, l, delivered.Load)
}

// publish sends one publication for each credit until ctx ends.
func publish(ctx context.Context, c *conn, credits <-chan struct{}) error {
	frame, _ := appendCall(nil, nil, "#publish",
		`{"channel":"bench","data":"0123456789abcdef0123456789abcdef"}`, 0)
	stalled := time.NewTimer(stallTimeout)
	defer stalled.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-stalled.C:
			return errors.New("a publication did not reach all subscribers")
		case <-credits:
		}
		stalled.Reset(stallTimeout)
		if _, err := c.net.Write(frame); err != nil {
			return err
		}
	}
}

// runHandshakes opens and closes connections one after the other in several
// goroutines. The close belongs to it: a server that is always running closes
// as many connections as it opens.
func runHandshakes(ctx context.Context, p *proc.Process, l load, token string) (sample, error) {
	ctx, fail := context.WithCancelCause(ctx)
	var (
		done    atomic.Uint64
		stop    atomic.Bool
		workers sync.WaitGroup
	)
	for range l.handshakers {
		workers.Go(func() {
			for !stop.Load() {
				if err := handshakeOnce(ctx, p.Addr(), token); err != nil {
					fail(err)
					return
				}
				done.Add(1)
			}
		})
	}
	s, err := sampleWindow(ctx, p, l, done.Load)
	stop.Store(true)
	workers.Wait()
	fail(nil)
	return s, err
}

func handshakeOnce(ctx context.Context, addr, token string) error {
	c, err := dial(ctx, addr, "")
	if err != nil {
		return err
	}
	if err := c.handshake(token); err != nil {
		c.net.Close()
		return err
	}
	return c.close()
}
