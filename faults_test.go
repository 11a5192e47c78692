package socketcluster_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
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
	return c.SendFrame(f)
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

func sending(text string) step { return func(c caller) error { return c.Send(text) } }

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
	s.Handle("hang", socketcluster.HandlerFunc(func(ctx context.Context, c *socketcluster.Call) (any, error) {
		c.Socket.Send(ctx, "begun")
		<-ctx.Done()
		canceled.Add(1)
		return nil, nil
	}))
	s.Handle("ask", socketcluster.HandlerFunc(func(ctx context.Context, c *socketcluster.Call) (any, error) {
		if _, err := c.Socket.Invoke(ctx, "q", nil); err != nil {
			canceled.Add(1)
		}
		return nil, nil
	}))
	s.Handle("flood", socketcluster.HandlerFunc(func(ctx context.Context, c *socketcluster.Call) (any, error) {
		for range flood >> 17 {
			if err := c.Socket.Send(ctx, strings.Repeat("x", 1<<17)); err != nil {
				return nil, err
			}
		}
		return nil, nil
	}))
	s.Handle("leave", socketcluster.HandlerFunc(func(_ context.Context, c *socketcluster.Call) (any, error) {
		c.Socket.Disconnect(4500, "")
		return nil, nil
	}))
	return canceled
}

// Connections that are reset, at any moment, leave nothing behind, and disturb
// nobody.
func TestResets(t *testing.T) {
	tracked := trackLeaks(t)
	s := startSite(t, socketcluster.Config{Timeouts: socketcluster.Timeouts{Close: 50 * time.Millisecond}})
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

// The responsible timeout ends connections to peers that have silently
// disappeared, or behave like that. Here the peer's kernel is alive, but not
// the peer.
func TestHalfOpenPeers(t *testing.T) {
	tracked := trackLeaks(t)
	const short = 200 * time.Millisecond
	var (
		handshake = socketcluster.Config{Timeouts: socketcluster.Timeouts{Handshake: short}}
		pings     = socketcluster.Config{Timeouts: socketcluster.Timeouts{PingInterval: short / 4, Ping: short}}
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
		{"half-closed", socketcluster.Config{}, steps(caller.handshake, func(c caller) error { return c.tcp.CloseWrite() }), wire.CloseAbnormal},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.cfg.Timeouts.Close = short / 4
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

// 8,000 clients that come and go over TCP, in every way, leave no goroutine, no
// descriptor, no memory and no subscription.
func TestChurn(t *testing.T) {
	tracked := trackLeaks(t)
	srv, err := socketcluster.New(socketcluster.Config{Auth: auth.Options{Key: testKey}, Timeouts: socketcluster.Timeouts{Close: 50 * time.Millisecond}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	srv.Handle("echo", socketcluster.Func(echo))
	web := httptest.NewServer(srv)
	const workers = 8
	come := func(rounds int) {
		t.Helper()
		var all sync.WaitGroup
		for worker := range workers {
			all.Go(func() {
				for round := range rounds / workers {
					if err := churn(web.Listener.Addr().String(), (worker+round)%waysToLeave); err != nil {
						t.Errorf("round %d: %v", round, err)
						return
					}
				}
			})
		}
		all.Wait()
		eventually(t, "the connections have ended", func() bool { return srv.Stats().Connections == 0 })
	}
	come(1000) // what is made once and kept
	running, before := trackLeaks(t), heapInUse()
	const rounds = 8000
	come(rounds)
	running.check(t)
	// Some maps and pools are larger than before.
	if grown := heapInUse() - before; grown > 16*rounds {
		t.Errorf("%d bytes of the heap are left of %d clients", grown, rounds)
	}
	for name := range srv.Exchange().Subscriptions() {
		t.Errorf("channel %q is left", name)
	}
	web.Close()
	if err := srv.Close(); err != nil {
		t.Error(err)
	}
	tracked.check(t)
}

// waysToLeave is how many there are for churn.
const waysToLeave = 6

// churn connects once and leaves in one of several ways.
func churn(addr string, how int) error {
	c, err := dialTCP(addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.upgrade(); err != nil {
		return err
	}
	if how == 0 {
		return nil // before the handshake
	}
	if err := c.Send(`[{"event":"#handshake","cid":1},{"event":"#subscribe","data":{"channel":"a"},"cid":2},{"event":"echo","cid":3}]`); err != nil {
		return err
	}
	for range 3 {
		if err := c.skip(ws.OpText); err != nil {
			return err
		}
	}
	switch how {
	case 1:
		return nil // drops the connection
	case 2:
		err = c.leave()
	case 3:
		err = c.Send("\xff") // breaks the protocol
	case 4:
		err = c.Send(`{"event":"#handshake","cid":4}`) // breaks ours
	case 5:
		return c.reset()
	}
	if err == nil {
		err = c.skip(ws.OpClose)
	}
	if err != nil || how == 4 {
		return err // without an answer to the close frame
	}
	if _, err := c.In.ReadByte(); err != io.EOF {
		return fmt.Errorf("after close: %v", err)
	}
	return nil
}

// Clients over TCP that are silent and busy by turns, so that their sockets have
// a goroutine and have none, get each answer and each publication once, in
// order, whatever ends the others.
func TestSilentAndBusyClients(t *testing.T) {
	before := trackLeaks(t)
	s := startSite(t, socketcluster.Config{Timeouts: socketcluster.Timeouts{PingInterval: 200 * time.Millisecond, Ping: hangLimit}})
	s.Handle("echo", socketcluster.Func(echo))
	var all sync.WaitGroup
	for range 40 {
		all.Go(func() {
			for range 3 {
				if err := s.liveSilentAndBusy(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	s.settled(t)
	s.close(t)
	before.check(t)
}

// liveSilentAndBusy is a client from its handshake to its end.
func (s *site) liveSilentAndBusy() error {
	c, err := dialTCP(s.addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.upgrade(); err != nil {
		return err
	}
	if err := c.Send(`{"event":"#handshake","data":{},"cid":1}`); err != nil {
		return err
	}
	text, err := c.nextText()
	if err != nil {
		return err
	}
	var status struct {
		Data struct{ ID string }
	}
	if err := json.Unmarshal([]byte(text), &status); err != nil {
		return err
	}
	cid := 2
	channel := fmt.Sprintf("channel/%s", status.Data.ID)
	if err := c.Send(fmt.Sprintf(`{"event":"#subscribe","data":{"channel":%q},"cid":%d}`, channel, cid)); err != nil {
		return err
	}
	if answer, err := c.nextText(); err != nil || answer != fmt.Sprintf(`{"rid":%d}`, cid) {
		return fmt.Errorf("subscribing: %s, %v", answer, err)
	}
	for range 8 {
		if rand.N(2) == 0 {
			time.Sleep(rand.N(150 * time.Millisecond))
		}
		var burst []byte
		const calls, publications = 0, 1
		var want [2][]string
		for range 1 + rand.N(24) {
			cid++
			var message string
			if rand.N(4) == 0 {
				message = fmt.Sprintf(`{"event":"#publish","data":{"channel":%q,"data":%d},"cid":%d}`, channel, cid, cid)
				want[publications] = append(want[publications], fmt.Sprintf(`{"event":"#publish","data":{"channel":%q,"data":%d}}`, channel, cid), fmt.Sprintf(`{"rid":%d}`, cid))
			} else {
				message = fmt.Sprintf(`{"event":"echo","data":%d,"cid":%d}`, cid, cid)
				want[calls] = append(want[calls], fmt.Sprintf(`{"rid":%d,"data":%d}`, cid, cid))
			}
			burst = append(burst, ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame([]byte(message))))...)
		}
		cut := rand.N(len(burst))
		for _, part := range [][]byte{burst[:cut], burst[cut:]} {
			if _, err := c.Write(part); err != nil {
				return err
			}
			if rand.N(4) == 0 {
				time.Sleep(rand.N(5 * time.Millisecond))
			}
		}
		for len(want[calls])+len(want[publications]) > 0 {
			got, err := c.nextText()
			if err != nil {
				return err
			}
			// Answers of handlers come in order, and so do publications with theirs.
			switch {
			case len(want[calls]) > 0 && want[calls][0] == got:
				want[calls] = want[calls][1:]
			case len(want[publications]) > 0 && want[publications][0] == got:
				want[publications] = want[publications][1:]
			default:
				return fmt.Errorf("got %s, want one of the first of %q", got, want)
			}
		}
	}
	if rand.N(2) == 0 {
		time.Sleep(rand.N(150 * time.Millisecond))
	}
	switch socket := s.Client(status.Data.ID); rand.N(5) {
	case 0:
		return c.reset()
	case 1:
		socket.Terminate()
	case 2:
		if err := socket.Disconnect(4321, ""); err != nil {
			return err
		}
		if _, err := c.nextText(); err == nil {
			return fmt.Errorf("a message after the end")
		}
	case 3:
		return c.leave()
	}
	return nil
}

// nextText reads a message, and answers pings.
func (c caller) nextText() (string, error) {
	for {
		f, err := c.ReadFrame()
		if err != nil {
			return "", err
		}
		switch {
		case f.Header.OpCode != ws.OpText:
			return "", fmt.Errorf("opcode %d with %q", f.Header.OpCode, f.Payload)
		case len(f.Payload) > 0:
			return string(f.Payload), nil
		}
		if err := c.Send(""); err != nil {
			return "", err
		}
	}
}
