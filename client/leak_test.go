package client_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/client"
)

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
