package socketcluster_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/wire"
)

// part sends the beginning of a masked frame: its header, which announces 1000
// bytes, and some of them.
func (c caller) part() error { return c.partOf(ws.OpText) }

// partOfNext is part for a frame that goes on with the message.
func (c caller) partOfNext() error { return c.partOf(ws.OpContinuation) }

func (c caller) partOf(op ws.OpCode) error {
	if err := ws.WriteHeader(c, ws.Header{Fin: true, OpCode: op, Masked: true, Length: 1000}); err != nil {
		return err
	}
	_, err := c.Write([]byte(`{"event":"x"`))
	return err
}

// fragment sends a whole frame that is not the last one of its message.
func (c caller) fragment() error {
	f := ws.NewTextFrame([]byte(`{"event":"x","data":"`))
	f.Header.Fin = false
	return c.sendFrame(f)
}

// step is what a client over TCP does.
type step = func(caller) error

// steps are done one after the other.
func steps(all ...step) step {
	return func(c caller) error {
		for _, do := range all {
			if err := do(c); err != nil {
				return err
			}
		}
		return nil
	}
}

func sending(text string) step { return func(c caller) error { return c.send(text) } }

func skipping(op ws.OpCode) step { return func(c caller) error { return c.skip(op) } }

func writing(b []byte) step {
	return func(c caller) error {
		_, err := c.Write(b)
		return err
	}
}

// handleFaults registers what the tests of faults call.
func (s *site) handleFaults(flood int) (canceled *atomic.Int64) {
	canceled = new(atomic.Int64)
	s.Handle("hang", socketcluster.HandlerFunc(func(ctx context.Context, c *socketcluster.Call) {
		c.Socket.Send(ctx, "begun")
		<-ctx.Done()
		canceled.Add(1)
	}))
	s.Handle("ask", socketcluster.HandlerFunc(func(ctx context.Context, c *socketcluster.Call) {
		if _, err := c.Socket.Invoke(ctx, "q", nil); err != nil {
			canceled.Add(1)
		}
	}))
	s.Handle("flood", socketcluster.HandlerFunc(func(ctx context.Context, c *socketcluster.Call) {
		for range flood >> 17 {
			c.Socket.Send(ctx, strings.Repeat("x", 1<<17))
		}
	}))
	s.Handle("leave", socketcluster.HandlerFunc(func(_ context.Context, c *socketcluster.Call) { c.Socket.Disconnect(4500, "") }))
	return canceled
}

// Connections that are reset, at any moment, leave nothing behind, and disturb
// nobody.
func TestResets(t *testing.T) {
	tracked := trackLeaks(t)
	s := startSite(t, socketcluster.Config{CloseTimeout: 50 * time.Millisecond})
	canceled := s.handleFaults(1 << 20) // less than Limits.Outbox
	const times = 10
	for _, test := range []struct {
		name  string
		until step
		calls int64 // that end early, with handlers
	}{
		{"before the request", steps(), 0},
		{"within the request", writing(upgradeRequest[:100]), 0},
		{"during the upgrade", writing(upgradeRequest), 0},
		{"before the handshake", caller.upgrade, 0},
		{"within the handshake", steps(caller.upgrade, caller.part), 0},
		{"during the handshake", steps(caller.upgrade, sending(`{"event":"#handshake","cid":1}`)), 0},
		{"while idle", steps(caller.handshake, sending(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`), skipping(ws.OpText)), 0},
		{"within a frame", steps(caller.handshake, caller.part), 0},
		{"between two fragments", steps(caller.handshake, caller.fragment), 0},
		{"within the second fragment", steps(caller.handshake, caller.fragment, caller.partOfNext), 0},
		{"during a call", steps(caller.handshake, sending(`{"event":"hang","cid":2}`), skipping(ws.OpText)), 1},
		{"during a call of the server's", steps(caller.handshake, sending(`{"event":"ask","cid":2}`), skipping(ws.OpText)), 1},
		{"with much to be read", steps(caller.handshake, sending(`{"event":"flood","cid":2}`), skipping(ws.OpText)), 0},
		{"after the server's close frame", steps(caller.handshake, sending(`{"event":"leave","cid":2}`), skipping(ws.OpClose)), 0},
		{"after its own close frame", steps(caller.handshake, caller.leave), 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			canceled.Store(0)
			var all sync.WaitGroup
			for range times {
				all.Go(func() {
					c, err := dialTCP(s.addr)
					if err == nil {
						err = steps(test.until, caller.reset)(c)
					}
					if err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			eventually(t, "the handlers have noticed", func() bool { return canceled.Load() == times*test.calls })
			s.settled(t)
		})
	}
	s.close(t)
	tracked.check(t)
}

// Peers that are there no more, or behave so, without a word, are given up by
// the timeout that is in charge. Here the peer's kernel is alive, and nobody
// behind it.
func TestHalfOpenPeers(t *testing.T) {
	tracked := trackLeaks(t)
	const short = 200 * time.Millisecond
	var (
		handshake = socketcluster.Config{HandshakeTimeout: short}
		pings     = socketcluster.Config{PingInterval: short / 4, PingTimeout: short}
		stall     = socketcluster.Config{Limits: socketcluster.Limits{Outbox: 64 << 20, OutboxStall: short}}
	)
	for _, test := range []struct {
		name  string
		cfg   socketcluster.Config
		until step
		code  wire.CloseCode
	}{
		{"silent before the handshake", handshake, caller.upgrade, wire.CloseHandshakeTimeout},
		{"silent within the handshake", handshake, steps(caller.upgrade, caller.part), wire.CloseHandshakeTimeout},
		{"silent", pings, caller.handshake, wire.ClosePongTimeout},
		{"silent within a frame", pings, steps(caller.handshake, caller.part), wire.ClosePongTimeout},
		{"silent between two fragments", pings, steps(caller.handshake, caller.fragment), wire.ClosePongTimeout},
		{"not reading", stall, steps(caller.handshake, sending(`{"event":"flood","cid":2}`)), wire.CloseAbnormal},
		{"not reading, with the outbox full", socketcluster.Config{}, steps(caller.handshake, sending(`{"event":"flood","cid":2}`)), wire.ClosePolicy},
		{"not answering the close frame", socketcluster.Config{}, steps(caller.handshake, sending(`{"event":"leave","cid":2}`)), 4500},
		{"half-closed", socketcluster.Config{}, steps(caller.handshake, func(c caller) error { return c.CloseWrite() }), wire.CloseAbnormal},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.cfg.CloseTimeout = short / 4
			s := startSite(t, test.cfg)
			defer s.close(t)
			s.handleFaults(32 << 20) // more than the buffers of the kernel hold
			c, err := dialTCP(s.addr)
			if err == nil {
				err = test.until(c)
			}
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close() // only when the server has given it up
			select {
			case code := <-s.codes:
				if code != test.code {
					t.Errorf("closed with %d, want %d", code, test.code)
				}
			case <-time.After(hangLimit):
				t.Fatal("the server holds on to the peer")
			}
			eventually(t, "the connection has ended", func() bool { return s.Stats().Connections == 0 })
		})
	}
	tracked.check(t)
}
