package socketcluster_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/socketcluster-go/socketcluster"
)

// 20,000 clients that come and go over TCP, in every way, leave no goroutine, no
// descriptor, no memory and no subscription.
func TestChurn(t *testing.T) {
	tracked := trackLeaks(t)
	srv, err := socketcluster.New(socketcluster.Config{AuthKey: testKey, CloseTimeout: 50 * time.Millisecond, Logger: slog.New(slog.DiscardHandler)})
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
	const rounds = 20_000
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
	if err := c.send(`[{"event":"#handshake","cid":1},{"event":"#subscribe","data":{"channel":"a"},"cid":2},{"event":"echo","cid":3}]`); err != nil {
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
		err = c.send("\xff") // breaks the protocol
	case 4:
		err = c.send(`{"event":"#handshake","cid":4}`) // breaks ours
	case 5:
		return c.reset()
	}
	if err == nil {
		err = c.skip(ws.OpClose)
	}
	if err != nil || how == 4 {
		return err // without an answer to the close frame
	}
	if _, err := c.in.ReadByte(); err != io.EOF {
		return fmt.Errorf("after close: %v", err)
	}
	return nil
}
