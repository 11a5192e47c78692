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

func anonymous(_ int, c *conn) error { return c.handshake("") }

func runEcho(ctx context.Context, s server, l load) (sample, error) {
	return runCalls(ctx, s, l, []string{"echo"})
}

// runCalls calls procedures that echo, in turn.
func runCalls(ctx context.Context, s server, l load, procedures []string) (sample, error) {
	var answered atomic.Uint64
	f, err := openFleet(ctx, s.endpoint, l.callers, anonymous, func(_ int, c *conn) error {
		return pipeline(c, l.callWindow, &answered, func(dst []byte, id uint64) []byte {
			return c.proto.appendCall(dst, id, procedures[id%uint64(len(procedures))], payload)
		})
	})
	if err != nil {
		return sample{}, err
	}
	defer f.abandon()
	return sampleWindow(f.ctx, s, l, answered.Load)
}

// runAcknowledged counts publications that have been both acknowledged and
// delivered.
func runAcknowledged(ctx context.Context, s server, l load) (sample, error) {
	var answered, delivered atomic.Uint64
	subscriber, err := openFleet(ctx, s.endpoint, 1, subscribed("bench"), func(_ int, c *conn) error {
		return receive(c, func() error { delivered.Add(1); return nil })
	})
	if err != nil {
		return sample{}, err
	}
	defer subscriber.abandon()
	publisher, err := openFleet(subscriber.ctx, s.endpoint, 1, anonymous, func(_ int, c *conn) error {
		return pipeline(c, l.publishWindow, &answered, func(dst []byte, id uint64) []byte {
			return c.proto.appendPublish(dst, id, "bench", payload)
		})
	})
	if err != nil {
		return sample{}, err
	}
	defer publisher.abandon()
	return sampleWindow(publisher.ctx, s, l, func() uint64 { return min(answered.Load(), delivered.Load()) })
}

// subscribed subscribes, and makes a call: the centrifuge server answers a
// subscription before it delivers to it, and handles one message of a client
// after the other.
func subscribed(channels ...string) func(int, *conn) error {
	return func(_ int, c *conn) error {
		if err := c.handshake(""); err != nil {
			return err
		}
		if err := c.subscribe(channels...); err != nil {
			return err
		}
		c.id++
		_, err := c.roundTrip(appendFrame(nil, opText, c.proto.appendCall(nil, c.id, "echo", payload)), 1)
		return err
	}
}

// pipeline keeps window calls under way until the connection closes: one write
// has as many new calls as one read had answers.
func pipeline(c *conn, window int, answered *atomic.Uint64, appendCall func(dst []byte, id uint64) []byte) error {
	var frames, message []byte
	for send := window; ; {
		frames = frames[:0]
		for range send {
			c.id++
			message = appendCall(message[:0], c.id)
			frames = appendFrame(frames, opText, message)
		}
		if _, err := c.net.Write(frames); err != nil {
			return err
		}
		send = 0
		for message, err := c.next(); ; {
			if err != nil {
				return err
			}
			if c.proto.kind(message) != answer {
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

// receive calls each for each publication, until the connection closes.
func receive(c *conn, each func() error) error {
	for {
		message, err := c.next()
		if err != nil {
			return err
		}
		if c.proto.kind(message) != publication {
			return fmt.Errorf("unexpected message %q", message)
		}
		if err := each(); err != nil {
			return err
		}
	}
}

// deliveries is a load of publications of one client to others.
type deliveries struct {
	clients  int
	channels func(client int) []string // to which it subscribes
	targets  []string                  // the channels that are published to, in turn
	each     int                       // subscribers of each target
	inFlight int
	data     string // JSON
	before   func() // is called before each publication, if it is not nil
}

// oneChannel puts all clients in one channel.
func oneChannel(clients, inFlight int) deliveries {
	return deliveries{
		clients: clients, each: clients, inFlight: inFlight, data: payload,
		channels: func(int) []string { return []string{"bench"} },
		targets:  []string{"bench"},
	}
}

// channelsEach is the number of channels of a client in manyChannels, and the
// number of clients of a channel.
const channelsEach = 10

// manyChannels has as many channels as clients. Consecutive channels have no
// client in common, so that each delivery is sent alone.
func manyChannels(clients, inFlight int) deliveries {
	each := min(channelsEach, clients)
	d := deliveries{clients: clients, each: each, inFlight: inFlight, data: payload}
	for i := range clients {
		d.targets = append(d.targets, fmt.Sprint("room/", i))
	}
	d.channels = func(client int) (own []string) {
		for i := range each {
			own = append(own, d.targets[(client+i*clients/each)%clients])
		}
		return own
	}
	return d
}

// runDeliveries lets one connection publish as fast as the others receive: a
// publication is sent when all deliveries of an earlier one have arrived.
func runDeliveries(ctx context.Context, s server, l load, d deliveries) (sample, error) {
	var publishing sync.WaitGroup
	defer publishing.Wait() // after all connections are closed
	credits := make(chan struct{}, d.inFlight)
	for range d.inFlight {
		credits <- struct{}{}
	}
	var delivered atomic.Uint64
	arrived := func() error {
		if delivered.Add(1)%uint64(d.each) != 0 {
			return nil
		}
		select {
		case credits <- struct{}{}:
			return nil
		default:
			return errors.New("more deliveries than publications")
		}
	}
	f, err := openFleet(ctx, s.endpoint, d.clients,
		func(i int, c *conn) error { return subscribed(d.channels(i)...)(i, c) },
		func(_ int, c *conn) error { return receive(c, arrived) })
	if err != nil {
		return sample{}, err
	}
	defer f.abandon()
	publisher, err := openFleet(f.ctx, s.endpoint, 1, anonymous, discard)
	if err != nil {
		return sample{}, err
	}
	defer publisher.abandon()
	stop, cancel := context.WithCancel(f.ctx)
	defer cancel()
	publishing.Go(func() {
		if err := publish(stop, publisher.conns[0], d, credits); err != nil {
			f.cancel(err)
		}
	})
	return sampleWindow(publisher.ctx, s, l, delivered.Load)
}

// publish sends one publication for each credit until ctx ends. It requests
// answers, and leaves them to the reader.
func publish(ctx context.Context, c *conn, d deliveries, credits <-chan struct{}) error {
	stalled := time.NewTimer(stallTimeout)
	defer stalled.Stop()
	var frame, message []byte
	for next := 0; ; next++ {
		select {
		case <-ctx.Done():
			return nil
		case <-stalled.C:
			return errors.New("a publication did not reach all subscribers")
		case <-credits:
		}
		stalled.Reset(stallTimeout)
		c.id++
		message = c.proto.appendPublish(message[:0], c.id, d.targets[next%len(d.targets)], d.data)
		frame = appendFrame(frame[:0], opText, message)
		if d.before != nil {
			d.before()
		}
		if _, err := c.net.Write(frame); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
	}
}
