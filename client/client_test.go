package client_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/client"
)

// The tasks of most clients, with a server of this module.
func TestClient(t *testing.T) {
	withServer(t, socketcluster.Config{}, func(t *testing.T, s *real) {
		s.Handle("add", socketcluster.Func(func(_ context.Context, in []int) (int, error) { return in[0] + in[1], nil }))
		c := s.connect(client.Options{})
		if sum, err := client.InvokeAs[int](t.Context(), c, "add", []int{1, 2}); err != nil || sum != 3 {
			t.Fatal(sum, err)
		}
		if _, err := c.Invoke(t.Context(), "login", "alice"); err != nil {
			t.Fatal(err)
		}
		// The token is there when the call returns.
		if name, _ := c.AuthToken().Claim("username"); name != "alice" || c.AuthState() != socketcluster.Authenticated {
			t.Fatal(name, c.AuthState())
		}
		sub, err := c.Subscribe(t.Context(), "news")
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Publish(t.Context(), "news", "hi"); err != nil {
			t.Fatal(err)
		}
		for text, err := range client.Messages[string](sub) {
			if err != nil || text != "hi" {
				t.Fatal(text, err)
			}
			break
		}
		if states := subscriptions(c); len(states) != 0 {
			t.Errorf("after the end of the loop: %v", states)
		}
	})
}

// Stats counts the channels to which the server has subscribed the client, and what belongs
// to the current connection.
func TestStats(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c, p := s.connect(client.Options{})
		subscribe(t, c, "a")
		subscribe(t, c, "b")
		p.next()
		p.next()
		before := c.Stats()
		const answer = `{"rid":2}`
		p.send(answer)
		synctest.Wait()
		if got := c.Stats(); got.Subscriptions != 1 || before.Subscriptions != 0 || got.BytesReceived != before.BytesReceived+2+int64(len(answer)) || got.OutboxBytes != 0 {
			t.Errorf("%+v, before %+v", got, before)
		}
		if err := c.Transmit(t.Context(), "big", strings.Repeat("x", 100<<10)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := c.Stats(); got.OutboxBytes < 10<<10 {
			t.Errorf("%+v while the server does not read", got)
		}
		p.Close()
		synctest.Wait()
		if got := c.Stats(); got != (client.Stats{}) {
			t.Errorf("%+v after the end of the connection", got)
		}
	})
}

// subscriptions returns the subscriptions of a client.
func subscriptions(c *client.Client) map[string]client.ChannelState {
	all := make(map[string]client.ChannelState)
	for name := range c.Subscriptions() {
		all[name] = client.Subscribed
	}
	for name := range c.PendingSubscriptions() {
		all[name] = client.Pending
	}
	return all
}
