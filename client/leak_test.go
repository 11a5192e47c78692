package client_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/client"
)

// After Close, only the handlers that run are left, and nothing that waits for its turn.
func TestCloseLeavesHandlersOnly(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		before := runtime.NumGoroutine()
		c, p := s.connect(client.Options{Limits: client.Limits{Calls: 2}})
		release := make(chan struct{})
		hang := procedure(func(context.Context, *call) (any, error) { <-release; return nil, nil })
		c.HandleDefault(func(ctx context.Context, call *call) (any, error) { return hang.ServeCall(ctx, call) })
		c.Handle("p", hang, socketcluster.Concurrent(2))
		for range 10 {
			p.send(`{"event":"p","cid":1}`)
		}
		synctest.Wait()
		for i := range 10 {
			p.send(fmt.Sprintf(`{"event":"q%d","cid":1}`, i))
		}
		synctest.Wait()
		c.Close()
		synctest.Wait()
		if n := runtime.NumGoroutine() - before; n > 6 { // other tests may end late
			t.Errorf("%d goroutines", n)
		}
		close(release)
	})
}

// Nothing accumulates in a client that lives long: neither of waits that ended early, nor of
// subscriptions, handlers, names and connections of the past.
func TestNothingAccumulates(t *testing.T) {
	withServer(t, socketcluster.Config{}, func(t *testing.T, s *real) {
		s.Handle("silent", socketcluster.HandlerFunc(func(_ context.Context, c *socketcluster.Call) (any, error) {
			c.Detach()
			return nil, nil
		}))
		c := s.connect(client.Options{TokenStore: new(client.MemoryStore), Reconnect: client.Reconnect{InitialDelay: time.Millisecond, Randomness: -1}})
		c.HandleDefault(func(context.Context, *call) (any, error) { return nil, nil })
		round := func(i int) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			if _, err := c.Invoke(ctx, "silent", i); err == nil {
				t.Error("no error")
			}
			if sub, err := c.Subscribe(t.Context(), fmt.Sprint("a", i)); err != nil {
				t.Error(err)
			} else {
				sub.Close()
			}
			if _, err := c.Subscribe(ctx, "never", client.WaitForAuth()); err == nil {
				t.Error("no error")
			}
			client.On(c, func(client.ConnectEvent) {})()
			client.Events[client.ConnectEvent](ctx, c)
			for socket := range s.Clients() {
				if _, err := socket.Invoke(t.Context(), fmt.Sprint("p", i), nil); err != nil {
					t.Error(err)
				}
			}
			if i%10 > 0 {
				return
			}
			if err := c.Disconnect(4321, ""); err != nil {
				t.Error(err)
			}
			c.Connect(ctx)
			if err := c.Connect(t.Context()); err != nil {
				t.Error(err)
			}
			synctest.Wait()
		}
		rounds := func(from, to int) int {
			for i := range to - from {
				round(from + i)
			}
			time.Sleep(time.Minute)
			return heapInUse()
		}
		before := rounds(0, 200)
		if more := rounds(200, 2200) - before; more > 500_000 {
			t.Errorf("%d bytes more after 2000 rounds", more)
		}
	})
}
