package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/client"
	"github.com/socketcluster-go/socketcluster/wire"
)

// subscribe wants a channel, and does not wait for it.
func subscribe(t *testing.T, c *client.Client, name string, o ...client.SubscribeOption) *client.Subscription {
	t.Helper()
	sub, err := c.Subscribe(t.Context(), name, append(o, client.PendingOK())...)
	if err != nil {
		t.Fatal(err)
	}
	return sub
}

// all reads what waits for a subscription that has ended.
func all(sub *client.Subscription) (texts []string) {
	for data := range sub.All() {
		texts = append(texts, string(data))
	}
	return texts
}

// A subscription is pending until the server confirms it, which has events (CL-20, CL-21,
// CL-22, CL-29). The request has its keys in an order (PS-1).
func TestSubscribe(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c, p := s.connect(client.Options{})
		r := record(t, c)
		subscribed := make(chan error, 1)
		go func() {
			sub, err := c.Subscribe(context.Background(), "a", client.Data(map[string]int{"q": 1}), client.Priority(3))
			if err == nil && sub.Channel() != "a" {
				err = errors.New(sub.Channel())
			}
			subscribed <- err
		}()
		p.want(`{"event":"#subscribe","data":{"channel":"a","data":{"q":1}},"cid":2}`)
		r.want("subscribeRequest a")
		if c.ChannelState("a") != client.Pending || c.IsSubscribed("a") || subscriptions(c)["a"] != client.Pending { // CL-31
			t.Error(c.ChannelState("a"))
		}
		select {
		case err := <-subscribed:
			t.Errorf("subscribed before the answer: %v", err)
		default:
		}
		time.Sleep(time.Minute) // there is no timeout
		p.send(`{"rid":2}`)
		if err := <-subscribed; err != nil {
			t.Error(err)
		}
		r.want("subscribeStateChange a pending subscribed", "subscribe a")
		if !c.IsSubscribed("a") {
			t.Error("not subscribed")
		}
		// The client has the channel: nobody asks again.
		second := subscribe(t, c, "a", client.Data(2))
		if err := second.Wait(t.Context()); err != nil {
			t.Error(err)
		}
		p.quiet()
		// But with the next connection, the newest options count.
		p.Close()
		r.take()
		connecting(c)
		p = s.greet(3, noToken)
		p.want(`{"event":"#subscribe","data":{"channel":"a","data":2},"cid":4}`)
		if states := fmt.Sprint(client.Unsubscribed, client.Pending, client.Subscribed); states != "unsubscribed pending subscribed" {
			t.Error(states)
		}
	})
}

// A refused subscription ends, and is not tried again (CL-21).
func TestSubscribeFails(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c, p := s.connect(client.Options{})
		sub := subscribe(t, c, "a")
		r := record(t, c)
		p.next()
		p.send(`{"rid":2,"error":{"name":"AppError","message":"no"}}`)
		wantError(t, sub.Wait(t.Context()), "AppError: no")
		wantError(t, sub.Err(), "AppError: no")
		if got := all(sub); got != nil {
			t.Error(got)
		}
		r.want("subscribeFail a AppError: no")
		if len(subscriptions(c)) != 0 {
			t.Error(subscriptions(c))
		}
		p.Close()
		connecting(c)
		s.greet(3, noToken).quiet()
	})
}

// A request that the connection loses is made again, and does not fail (CL-21, CF-25).
func TestSubscribeSurvives(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c, p := s.connect(client.Options{})
		r := record(t, c)
		sub := subscribe(t, c, "a")
		p.next()
		p.write(closing(4444, ""))
		end := "4444 "
		const failed = "error SocketProtocolError: Socket connection closed with status code 4444"
		r.want("subscribeRequest a", "disconnect "+end, "close "+end, failed)
		connecting(c)
		p = s.greet(3, noToken)
		p.want(`{"event":"#subscribe","data":{"channel":"a"},"cid":4}`)
		p.send(`{"rid":2,"error":"late"}`, `{"rid":4}`)
		if err := sub.Wait(t.Context()); err != nil {
			t.Error(err)
		}
		r.want("connecting", "subscribeRequest a", "connect id3", "subscribeStateChange a pending subscribed", "subscribe a")
	})
}

// Unsubscribing has its events first, and tells the server; while the answer is
// outstanding, it counts for nothing (CL-23, PS-4).
func TestUnsubscribe(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c, p := s.connect(client.Options{})
		r := record(t, c)
		sub := subscribe(t, c, "a")
		c.Unsubscribe("a")
		c.Unsubscribe("a")
		c.Unsubscribe("other")
		if err := sub.Wait(t.Context()); !errors.Is(err, client.ErrUnsubscribed) {
			t.Error(err)
		}
		again := subscribe(t, c, "a")
		p.want(
			`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`,
			`{"event":"#unsubscribe","data":"a"}`,
			`{"event":"#subscribe","data":{"channel":"a"},"cid":3}`,
		)
		p.send(`{"rid":2,"error":"no"}`)
		r.want("subscribeRequest a", "subscribeRequest a")
		p.send(`{"rid":3}`)
		if err := again.Wait(t.Context()); err != nil {
			t.Error(err)
		}
		c.Unsubscribe("a")
		p.want(`{"event":"#unsubscribe","data":"a"}`)
		r.want("subscribeStateChange a pending subscribed", "subscribe a", "subscribeStateChange a subscribed unsubscribed", "unsubscribe a")
		if got := all(again); got != nil || !errors.Is(again.Err(), client.ErrUnsubscribed) {
			t.Error(got, again.Err())
		}
		// Without a connection, the server learns nothing, now and later.
		p.Close()
		synctest.Wait()
		subscribe(t, c, "b")
		c.Unsubscribe("b")
		connecting(c)
		s.greet(4, noToken).quiet()
	})
}

// The subscriptions to a channel are independent of each other. The server knows one, until
// the last has ended, by whatever ends it.
func TestSubscriptionsShareChannel(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c, p := s.connect(client.Options{})
		ctx, cancel := context.WithCancelCause(t.Context())
		byContext, err := c.Subscribe(ctx, "a", client.PendingOK())
		if err != nil {
			t.Fatal(err)
		}
		byClose, byLoop := subscribe(t, c, "a"), subscribe(t, c, "a")
		p.next()
		p.send(`{"rid":2}`, `{"event":"#publish","data":{"channel":"a","data":1}}`)
		synctest.Wait()
		byClose.Close()
		byClose.Close()
		if err := byClose.Err(); err != nil {
			t.Error(err)
		}
		if got := all(byClose); got != nil {
			t.Errorf("after Close: %q", got)
		}
		cause := errors.New("cause")
		cancel(cause)
		synctest.Wait()
		if err := byContext.Err(); err != cause {
			t.Error(err)
		}
		p.quiet()
		for data := range byLoop.All() {
			if string(data) != "1" {
				t.Errorf("%s", data)
			}
			break
		}
		p.want(`{"event":"#unsubscribe","data":"a"}`)
		if err := byLoop.Err(); err != nil {
			t.Error(err)
		}
		if got := all(byLoop); got != nil {
			t.Errorf("a second loop: %q", got)
		}
		pending := subscribe(t, c, "b")
		pending.Close()
		if err := pending.Wait(t.Context()); !errors.Is(err, client.ErrUnsubscribed) {
			t.Errorf("Wait after Close: %v", err)
		}
	})
}

// The end of the context ends the wait for the server, and the subscription.
func TestSubscribeContext(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c, p := s.connect(client.Options{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		if _, err := c.Subscribe(ctx, "a"); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		p.want(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`, `{"event":"#unsubscribe","data":"a"}`)
		if _, err := c.Subscribe(ctx, "a"); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		sub := subscribe(t, c, "b")
		if err := sub.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) || c.ChannelState("b") != client.Pending {
			t.Error(err)
		}
		p.next()
		p.quiet()
	})
}

// Publications reach the loops in order: of channels that are wanted, those that wait for
// the server too (CL-24), and no others.
func TestPublications(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c, p := s.connect(client.Options{})
		sub := subscribe(t, c, "a")
		r := record(t, c)
		p.send(
			`{"event":"#publish","data":{"channel":"a","data":"early"}}`,
			`{"rid":2}`,
			`{"event":"#publish","data":{"channel":"b","data":0}}`,
			`[{"event":"#publish","data":{"channel":"a","data":1}},{"event":"#publish","data":{"channel":"a","data":null}}]`,
			`{"event":"#publish","data":{"channel":"a"}}`,
			`{"event":"#publish","data":{"data":1}}`, `{"event":"#publish","data":{"channel":1}}`, `{"event":"#publish","data":"a"}`, `{"event":"#publish"}`,
			`{"event":"#publish","data":{"channel":"a","data":{"n":2}}}`,
			`{"event":"#kickOut","data":{"channel":"a"}}`,
			`{"event":"#publish","data":{"channel":"a","data":"late"}}`,
		)
		synctest.Wait()
		if got := all(sub); !slices.Equal(got, []string{`"early"`, "1", "null", "", `{"n":2}`}) {
			t.Errorf("%q", got)
		}
		r.want("subscribeStateChange a pending subscribed", "subscribe a", "kickOut a ", "subscribeStateChange a subscribed unsubscribed", "unsubscribe a")
	})
}

// The loop owns the data of a publication, even if there are several.
func TestPublicationsAreOwned(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c, p := s.connect(client.Options{})
		first, second := subscribe(t, c, "a"), subscribe(t, c, "a")
		p.send(`{"event":"#publish","data":{"channel":"a","data":"xx"}}`, `{"event":"#kickOut","data":{"channel":"a"}}`)
		for _, sub := range []*client.Subscription{first, second} {
			for data := range sub.All() {
				if string(data) != `"xx"` {
					t.Errorf("%s", data)
				}
				data[1] = 'y'
			}
		}
	})
}

// Messages decodes, and reports what does not fit.
func TestMessages(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c, p := s.connect(client.Options{})
		sub := subscribe(t, c, "a")
		for _, data := range []string{"1", `"x"`, "2"} {
			p.send(`{"event":"#publish","data":{"channel":"a","data":` + data + `}}`)
		}
		p.send(`{"event":"#kickOut","data":{"channel":"a","message":"bye"}}`)
		var got []string
		for n, err := range client.Messages[int](sub) {
			var misfit *json.UnmarshalTypeError
			got = append(got, fmt.Sprint(n, errors.As(err, &misfit)))
		}
		if !slices.Equal(got, []string{"1 false", "0 true", "2 false"}) {
			t.Errorf("%q", got)
		}
		var kick *client.KickOutError
		if !errors.As(sub.Err(), &kick) || kick.Channel != "a" || string(kick.Message) != `"bye"` || kick.Error() != "client: kicked out of the channel a: bye" {
			t.Error(sub.Err())
		}
	})
}

// A kick-out ends a subscription for good, with its events in order. Those of channels that
// nobody wants, and nonsense, count for nothing (CL-25, PS-7).
func TestKickOut(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c, p := s.connect(client.Options{})
		sub := subscribe(t, c, "k1")
		pending := subscribe(t, c, "k2")
		p.next()
		p.next()
		p.send(`{"rid":2}`)
		synctest.Wait()
		r := record(t, c)
		p.send(
			`{"event":"#kickOut","data":{"channel":"k1","message":"bye"}}`, `{"event":"#kickOut","data":{"channel":"k2","message":{"a":1}}}`,
			`{"event":"#kickOut","data":{"channel":"k1"}}`, `{"event":"#kickOut","data":{"channel":7}}`, `{"event":"#kickOut","data":"k1"}`, `{"event":"#kickOut"}`,
			`{"rid":3}`,
		)
		r.want(`kickOut k1 "bye"`, "subscribeStateChange k1 subscribed unsubscribed", "unsubscribe k1", `kickOut k2 {"a":1}`)
		var kick *client.KickOutError
		if all(sub); !errors.As(sub.Err(), &kick) {
			t.Error(sub.Err())
		}
		if err := pending.Wait(t.Context()); !errors.As(err, &kick) || kick.Error() != "client: kicked out of the channel k2" {
			t.Error(err)
		}
		p.Close()
		connecting(c)
		s.greet(4, noToken).quiet()
	})
}

// Channels that need a login are requested with it, now and after each connection, and wait
// when it has been lost (CL-20, CL-26, CF-22).
func TestWaitForAuth(t *testing.T) {
	withServer(t, socketcluster.Config{}, func(t *testing.T, s *real) {
		socketcluster.Use(s.Server, func(_ context.Context, a *socketcluster.Subscribe) error {
			if a.Socket.AuthState() != socketcluster.Authenticated {
				return wire.ErrAuth
			}
			return nil
		})
		c := s.connect(client.Options{})
		sub := subscribe(t, c, "mine", client.WaitForAuth())
		r := record(t, c)
		time.Sleep(time.Minute)
		if state := c.ChannelState("mine"); state != client.Pending {
			t.Error(state)
		}
		if _, err := c.Invoke(t.Context(), "login", "alice"); err != nil {
			t.Fatal(err)
		}
		if err := sub.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		token := c.SignedAuthToken()
		r.want("subscribeRequest mine", "authStateChange unauthenticated authenticated "+token, "authenticate "+token,
			"subscribeStateChange mine pending subscribed", "subscribe mine")
		if err := c.Disconnect(0, ""); err != nil {
			t.Fatal(err)
		}
		if state := c.ChannelState("mine"); state != client.Pending {
			t.Error(state)
		}
		if err := c.Connect(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if !c.IsSubscribed("mine") {
			t.Error("not subscribed after the next connect")
		}
		// The client leaves nothing when it logs out (CL-28), but cannot come back.
		if err := c.Deauthenticate(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if !c.IsSubscribed("mine") {
			t.Error("the logout has ended the subscription")
		}
		if err := c.Reconnect(t.Context(), 0, ""); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if state := c.ChannelState("mine"); state != client.Pending {
			t.Error(state)
		}
		if err := c.Authenticate(t.Context(), token); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if !c.IsSubscribed("mine") {
			t.Error("not subscribed after the login")
		}
	})
}

// A refusal that comes because the client has logged out meanwhile leaves the channel
// pending (CL-21).
func TestWaitForAuthOvertakenByLogout(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c, p := s.connect(client.Options{})
		p.send(`{"event":"#setAuthToken","data":{"token":"a.b.c"}}`)
		synctest.Wait()
		sub := subscribe(t, c, "mine", client.WaitForAuth())
		p.next()
		if err := c.Deauthenticate(t.Context()); err != nil {
			t.Fatal(err)
		}
		r := record(t, c)
		p.want(`{"event":"#removeAuthToken"}`)
		p.send(`{"rid":2,"error":"no"}`)
		r.want()
		if state := c.ChannelState("mine"); state != client.Pending || sub.Err() != nil {
			t.Error(state, sub.Err())
		}
		p.send(`{"event":"#setAuthToken","data":{"token":"a.b.d"}}`)
		p.want(`{"event":"#subscribe","data":{"channel":"mine","waitForAuth":true},"cid":3}`)
	})
}

// With DelaySubscriptions nothing is requested until it is allowed to, on each connection
// (CL-27).
func TestDelaySubscriptions(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c := s.new(client.Options{DelaySubscriptions: true})
		c.ProcessPendingSubscriptions() // does nothing yet
		p := s.connectTo(c)
		subscribe(t, c, "a")
		p.send(`{"event":"#setAuthToken","data":{"token":"a.b.c"}}`)
		p.quiet()
		c.ProcessPendingSubscriptions()
		p.want(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`)
		subscribe(t, c, "b")
		p.want(`{"event":"#subscribe","data":{"channel":"b"},"cid":3}`)
		c.ProcessPendingSubscriptions()
		p.quiet()
		off := client.On(c, func(e client.ConnectEvent) { e.Client.ProcessPendingSubscriptions() })
		p.Close()
		synctest.Wait()
		connecting(c)
		p = s.greet(4, `{"authToken":"a.b.c"}`)
		p.want(`{"event":"#subscribe","data":{"channel":"a"},"cid":5}`, `{"event":"#subscribe","data":{"channel":"b"},"cid":6}`)
		off()
		p.Close()
		synctest.Wait()
		connecting(c)
		s.greet(7, `{"authToken":"a.b.c"}`).quiet()
	})
}

// The prefix is on the wire, and nowhere else; it is taken off once, at the beginning only
// (CL-30).
func TestChannelPrefix(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c, p := s.connect(client.Options{ChannelPrefix: "p#"})
		r := record(t, c)
		sub := subscribe(t, c, "a")
		double := subscribe(t, c, "p#a")
		p.want(`{"event":"#subscribe","data":{"channel":"p#a"},"cid":2}`, `{"event":"#subscribe","data":{"channel":"p#p#a"},"cid":3}`)
		p.send(`{"rid":2}`, `{"rid":3}`,
			`{"event":"#publish","data":{"channel":"p#a","data":1}}`, `{"event":"#publish","data":{"channel":"p#p#a","data":2}}`,
			`{"event":"#publish","data":{"channel":"xp#a","data":3}}`,
			`{"event":"#kickOut","data":{"channel":"p#a"}}`)
		synctest.Wait()
		if got := all(sub); !slices.Equal(got, []string{"1"}) {
			t.Errorf("%q", got)
		}
		if err := c.TransmitPublish(t.Context(), "a", 1); err != nil {
			t.Fatal(err)
		}
		c.Unsubscribe("p#a")
		if got := all(double); !slices.Equal(got, []string{"2"}) {
			t.Errorf("%q", got)
		}
		p.want(`{"event":"#publish","data":{"channel":"p#a","data":1}}`, `{"event":"#unsubscribe","data":"p#p#a"}`)
		r.want("subscribeRequest a", "subscribeRequest p#a", "subscribeStateChange a pending subscribed", "subscribe a",
			"subscribeStateChange p#a pending subscribed", "subscribe p#a", "kickOut a ", "subscribeStateChange a subscribed unsubscribed", "unsubscribe a",
			"subscribeStateChange p#a subscribed unsubscribed", "unsubscribe p#a")
	})
}

// A loop that is too slow loses the oldest publications, by their number and by their bytes.
func TestSlowLoop(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c, p := s.connect(client.Options{Limits: client.Limits{Queue: 3, QueueBytes: 1000}})
		sub := subscribe(t, c, "a")
		for i := range 5 {
			p.send(fmt.Sprintf(`{"event":"#publish","data":{"channel":"a","data":%d}}`, i))
		}
		synctest.Wait()
		if n := sub.Dropped(); n != 2 {
			t.Errorf("%d dropped", n)
		}
		p.send(fmt.Sprintf(`{"event":"#publish","data":{"channel":"a","data":"%0999d"}}`, 0), `{"event":"#kickOut","data":{"channel":"a"}}`)
		synctest.Wait()
		if got := all(sub); len(got) != 1 || len(got[0]) != 1001 || sub.Dropped() != 5 {
			t.Errorf("%.100q, %d dropped", got, sub.Dropped())
		}
	})
}

// A publisher that is subscribed gets its publication before its answer (PS-8), and the
// server keeps the order (PS-25).
func TestPublishToItself(t *testing.T) {
	withServer(t, socketcluster.Config{}, func(t *testing.T, s *real) {
		c := s.new(client.Options{})
		sub := subscribe(t, c, "a")
		for i := range 5 {
			if err := c.TransmitPublish(t.Context(), "a", i); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Publish(t.Context(), "a", 5); err != nil {
			t.Fatal(err)
		}
		c.Unsubscribe("a") // what has arrived stays
		if got := all(sub); !slices.Equal(got, []string{"0", "1", "2", "3", "4", "5"}) {
			t.Errorf("%q", got)
		}
	})
}
