package socketcluster_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/wire"
)

// GT-6, PS-1, PS-5, PS-6, PS-8: the texts of subscribing and publishing. The
// publisher's own copy comes before the answer.
func TestPublishAndSubscribe(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		log := w.record()
		p := w.client()
		p.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":4}`)
		p.want(`{"rid":4}`)
		p.send(`{"event":"#publish","data":{"channel":"a","data":1},"cid":5}`)
		p.want(`{"event":"#publish","data":{"channel":"a","data":1}}`, `{"rid":5}`)
		p.send(`{"event":"#publish","data":{"channel":"a","extra":true}}`)
		p.want(`{"event":"#publish","data":{"channel":"a"}}`)
		p.send(`{"event":"#publish","data":{"data":null,"channel":"a"}}`)
		p.want(`{"event":"#publish","data":{"channel":"a","data":null}}`)
		// The data is the publisher's text, with its numbers and key order.
		p.send(`{"event":"#publish","data":{"channel":"a","data":{"z":12345678901234567890,"a":[1.0]}}}`)
		p.want(`{"event":"#publish","data":{"channel":"a","data":{"z":12345678901234567890,"a":[1.0]}}}`)
		p.send(`{"event":"#publish","data":{"channel":"b","data":1},"cid":6}`)
		p.want(`{"rid":6}`)
		p.send(`{"event":"#unsubscribe","data":"a"}`)
		p.send(`{"event":"#publish","data":{"channel":"a","data":1},"cid":7}`)
		p.want(`{"rid":7}`)
		log.want("connect subscribe unsubscribe")
	})
}

// PS-2, PS-4, PS-5, CF-16, ERR-3, ERR-7: what is malformed is answered, emitted
// once, and ends nothing (CF-15).
func TestMalformedPubSub(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		p := w.client()
		id := w.only().ID()
		errs := make(chan string, 10)
		socketcluster.On(w.only(), func(e socketcluster.ErrorEvent) { errs <- e.Err.Error() })
		long := strings.Repeat("x", 1025)
		for i, test := range []struct{ event, data, name, message string }{
			{"#subscribe", `null`, "InvalidActionError", "Subscribe channel name was malformatted"},
			{"#subscribe", `[]`, "InvalidActionError", "Subscribe channel name was malformatted"},
			{"#subscribe", `{"channel":1}`, "InvalidActionError", "Subscribe channel name was malformatted"},
			{"#subscribe", `{"channel":""}`, "InvalidActionError", "Subscribe channel name was malformatted"},
			{"#subscribe", `{"channel":"` + long + `"}`, "InvalidActionError", "Subscribe channel name was malformatted"},
			{"#subscribe", `{"channel":"\ud800"}`, "InvalidActionError", "Subscribe channel name was malformatted"},
			{"#unsubscribe", `null`, "InvalidActionError", "Unsubscribe channel name was malformatted"},
			{"#unsubscribe", `{"channel":"a"}`, "InvalidActionError", "Unsubscribe channel name was malformatted"},
			{"#unsubscribe", `"a"`, "BrokerError", "Failed to unsubscribe socket from the a channel - InvalidActionError: Socket " + id + " tried to unsubscribe from a channel which it is not subscribed to"},
			{"#publish", `null`, "InvalidActionError", "Publish channel name was malformatted"},
			{"#publish", `"a"`, "InvalidActionError", "Publish channel name was malformatted"},
			{"#publish", `{"data":1}`, "InvalidActionError", "Publish channel name was malformatted"},
			{"#publish", `{"channel":"","data":1}`, "InvalidActionError", "Publish channel name was malformatted"},
		} {
			p.send(fmt.Sprintf(`{"event":%q,"data":%s,"cid":%d}`, test.event, test.data, i+2))
			p.want(fmt.Sprintf(`{"rid":%d,"error":{"message":%q,"name":%q}}`, i+2, test.message, test.name))
			if text := <-errs; text != test.name+": "+test.message || len(errs) > 0 {
				t.Errorf("%s %s: emitted %q, and %d more", test.event, test.data, text, len(errs))
			}
		}
		// Without an id the failures are silent.
		p.send(`[{"event":"#publish","data":null},{"event":"#unsubscribe","data":1},{"event":"#subscribe","data":{"channel":"a"}}]`)
		p.quiet(time.Second)
		if n := w.only().Stats().Subscriptions; n != 0 {
			t.Errorf("PS-3: %d subscriptions", n)
		}
	})
}

// QK-50, PS-3, RPC-4: what is carried out in part only is reported: a
// subscription without an id, which is none, and a logout with one, which is
// not answered.
func TestHalfCompletePackets(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		var warnings []string
		socketcluster.On(w.srv, func(e socketcluster.WarningEvent) { warnings = append(warnings, e.Err.Error()) })
		asked := 0
		socketcluster.Use(w.srv, func(context.Context, *socketcluster.Subscribe) error { asked++; return nil })
		p := w.login(map[string]any{})
		s := w.only()
		p.send(`{"event":"#subscribe","data":{"channel":"a"}}`)
		p.quiet(time.Second)
		if s.IsSubscribed("a") || asked != 1 || len(warnings) != 1 || !strings.HasPrefix(warnings[0], "InvalidActionError: ") {
			t.Errorf("subscribed %v, middleware asked %d times, warnings %q", s.IsSubscribed("a"), asked, warnings)
		}
		p.send(`{"event":"#removeAuthToken","cid":2}`)
		p.quiet(time.Second)
		if s.AuthToken() != nil || len(warnings) != 2 || !strings.HasPrefix(warnings[1], "InvalidActionError: ") {
			t.Errorf("token %v, warnings %q", s.AuthToken(), warnings)
		}
	})
}

// PS-14, PS-4: what a socket is subscribed to, while and after it is.
func TestSubscriptions(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		p := w.client()
		s := w.only()
		check := func(names ...string) {
			t.Helper()
			if got := slices.Sorted(s.Subscriptions()); !slices.Equal(got, names) || s.Stats().Subscriptions != len(names) {
				t.Errorf("%d subscriptions: %q, want %q", s.Stats().Subscriptions, got, names)
			}
			for _, name := range []string{"a", "b", "c"} {
				if s.IsSubscribed(name) != slices.Contains(names, name) {
					t.Errorf("subscribed to %s: %v", name, s.IsSubscribed(name))
				}
			}
		}
		check()
		p.send(`[{"event":"#subscribe","data":{"channel":"b"},"cid":2},{"event":"#subscribe","data":{"channel":"a"},"cid":3}]`)
		p.want(`{"rid":2}`, `{"rid":3}`)
		check("a", "b")
		p.send(`{"event":"#unsubscribe","data":"b","cid":4}`)
		p.want(`{"rid":4}`)
		check("a")
		p.Conn.Close()
		synctest.Wait()
		check()
	})
}

// PS-10, DOC-7: a socket may be subscribed to 1000 channels by default.
func TestDefaultChannelLimit(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		p := w.client()
		for i := 1; i <= 1001; i++ {
			p.send(fmt.Sprintf(`{"event":"#subscribe","data":{"channel":"%d"},"cid":%d}`, i, i))
			if got := p.next(); (got == fmt.Sprintf(`{"rid":%d}`, i)) != (i <= 1000) {
				t.Fatalf("channel %d: %s", i, got)
			}
		}
	})
}

// PS-10, PS-11, ERR-3, QK-33: the limit of channels; a channel that is held does not
// count again.
func TestChannelLimit(t *testing.T) {
	inBubble(t, socketcluster.Config{Limits: socketcluster.Limits{Channels: 1}}, func(w *world) {
		log := w.record()
		p := w.client()
		p.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`)
		p.want(`{"rid":2}`)
		p.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":3}`)
		p.want(`{"rid":3}`)
		p.send(`{"event":"#subscribe","data":{"channel":"b"},"cid":4}`)
		p.want(`{"rid":4,"error":{"message":"Failed to subscribe socket to the b channel - InvalidActionError: Socket ` +
			w.only().ID() + ` tried to exceed the channel subscription limit of 1","name":"BrokerError"}}`)
		log.want("connect subscribe subscribe error")
		if n := w.only().Stats().Subscriptions; n != 1 {
			t.Errorf("%d subscriptions", n)
		}
	})
}

// QK-2: names that mean something to an object, a broker or a file system are
// ordinary names.
func TestOpaqueNames(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		p := w.client()
		other := w.client()
		for i, name := range []string{`__proto__`, `toString`, `constructor`, `*`, `>`, `a.b`, `a b`, ` `, `a\u0000b`, `$SYS`, `../x`, `é`} {
			for _, c := range []*peer{p, other} {
				c.send(fmt.Sprintf(`{"event":"#subscribe","data":{"channel":"%s"},"cid":%d}`, name, i+2))
				c.want(fmt.Sprintf(`{"rid":%d}`, i+2))
			}
			p.send(fmt.Sprintf(`{"event":"#publish","data":{"channel":"%s","data":%d}}`, name, i))
			want := fmt.Sprintf(`{"event":"#publish","data":{"channel":"%s","data":%d}}`, name, i)
			p.want(want)
			other.want(want)
		}
		for s := range w.srv.Clients() {
			if n := s.Stats().Subscriptions; n != 12 {
				t.Errorf("%d subscriptions", n)
			}
		}
	})
}

// PS-12: the contents of the subscribe event; middleware may replace the data.
func TestSubscriptionOptions(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		socketcluster.Use(w.srv, func(_ context.Context, a *socketcluster.Subscribe) error {
			if a.Channel == "changed" {
				a.Data = json.RawMessage(`"new"`)
			}
			return nil
		})
		got := make(chan string, 3)
		socketcluster.On(w.srv, func(e socketcluster.SubscribeEvent) { got <- string(e.Options) })
		p := w.client()
		for i, test := range [][2]string{
			{`{"channel":"a"}`, `{}`},
			{`{"channel":"b","waitForAuth":true,"data":{"q":1},"x":2}`, `{"waitForAuth":true,"data":{"q":1},"x":2}`},
			{`{"channel":"changed","waitForAuth":true,"data":1}`, `{"data":"new","waitForAuth":true}`},
		} {
			p.send(fmt.Sprintf(`{"event":"#subscribe","data":%s,"cid":%d}`, test[0], i+2))
			p.want(fmt.Sprintf(`{"rid":%d}`, i+2))
			if o := <-got; o != test[1] {
				t.Errorf("options %s, want %s", o, test[1])
			}
		}
	})
}

// PS-12: who is told that a socket is in a channel, or has left it, is told
// before the client has its answer.
func TestSubscriptionEventsComeBeforeAnswers(t *testing.T) {
	ctx := context.Background()
	inBubble(t, socketcluster.Config{}, func(w *world) {
		socketcluster.On(w.srv, func(e socketcluster.SubscribeEvent) { e.Socket.Transmit(ctx, "joined", e.Channel) })
		socketcluster.On(w.srv, func(e socketcluster.UnsubscribeEvent) { e.Socket.Transmit(ctx, "left", e.Channel) })
		p := w.client()
		p.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`)
		p.want(`{"event":"joined","data":"a"}`, `{"rid":2}`)
		p.send(`{"event":"#unsubscribe","data":"a","cid":3}`)
		p.want(`{"event":"left","data":"a"}`, `{"rid":3}`)
	})
}

// PS-5: the switch against publications by clients.
func TestDisableClientPublish(t *testing.T) {
	inBubble(t, socketcluster.Config{DisableClientPublish: true}, func(w *world) {
		p := w.client()
		p.send(`{"event":"#publish","data":{"channel":"a"},"cid":2}`)
		p.want(`{"rid":2,"error":{"message":"Client publish feature is disabled","name":"InvalidActionError"}}`)
	})
}

// PS-7, PS-13, CF-17: kicking out.
func TestKickOut(t *testing.T) {
	ctx := context.Background()
	inBubble(t, socketcluster.Config{}, func(w *world) {
		p := w.client()
		for i, name := range []string{"a", "b", "c"} {
			p.send(fmt.Sprintf(`{"event":"#subscribe","data":{"channel":%q},"cid":%d}`, name, i+2))
			p.next()
		}
		s := w.only()
		if err := s.KickOut(ctx, "a", "bye"); err != nil {
			t.Error(err)
		}
		p.want(`{"event":"#kickOut","data":{"channel":"a","message":"bye"}}`)
		if err := s.KickOut(ctx, "b", nil); err != nil {
			t.Error(err)
		}
		p.want(`{"event":"#kickOut","data":{"channel":"b"}}`)
		if err := s.KickOutAll(ctx, nil); err != nil {
			t.Error(err)
		}
		p.want(`{"event":"#kickOut","data":{"channel":"c"}}`)
		if err := s.KickOut(ctx, "a", nil); err == nil {
			t.Error("QK-17: kicked out of a channel that is not held")
		}
		p.quiet(time.Second)
		if n := s.Stats().Subscriptions; n != 0 {
			t.Errorf("%d subscriptions", n)
		}
		if err := w.srv.Exchange().Publish(ctx, "a", 1); err != nil {
			t.Error(err)
		}
		p.quiet(time.Second)
	})
}

// PS-18, PS-19: the server publishes and subscribes itself.
func TestExchange(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		ctx, cancel := context.WithCancel(context.Background())
		x := w.srv.Exchange()
		var got []int
		messages, err := x.Subscribe(ctx, "a")
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for n, err := range socketcluster.Messages[int](messages) {
				if err != nil {
					n = -1
				}
				got = append(got, n)
			}
		}()
		p := w.client()
		p.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`)
		p.next()
		synctest.Wait()
		if !x.IsSubscribed("a") || x.NumSubscribers("a") != 2 {
			t.Errorf("subscribed %v, %d subscribers", x.IsSubscribed("a"), x.NumSubscribers("a"))
		}
		x.Publish(ctx, "a", 1)
		x.Publish(ctx, "a", nil)
		x.Publish(ctx, "a", "text")
		p.send(`{"event":"#publish","data":{"channel":"a","data":4}}`)
		p.want(`{"event":"#publish","data":{"channel":"a","data":1}}`, `{"event":"#publish","data":{"channel":"a"}}`,
			`{"event":"#publish","data":{"channel":"a","data":"text"}}`, `{"event":"#publish","data":{"channel":"a","data":4}}`)
		synctest.Wait()
		cancel()
		<-ended
		if fmt.Sprint(got) != "[1 0 -1 4]" {
			t.Errorf("got %v", got)
		}
		p.send(`{"event":"#unsubscribe","data":"a"}`)
		synctest.Wait()
		if x.IsSubscribed("a") {
			t.Error("still subscribed")
		}
	})
}

// MW-4, MW-5, MW-6, MW-8, CF-21: what middleware does to publications on their
// way in and out. What it changes for one subscriber is what that one gets
// (QK-6), and others do not see it (QK-5).
func TestPublicationMiddleware(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		socketcluster.Use(w.srv, func(_ context.Context, a *socketcluster.PublishIn) error {
			switch string(a.Data) {
			case `"change"`:
				a.Data = json.RawMessage(`"changed"`)
			case `"block"`:
				return &wire.Error{Name: "PublishError", Message: "no"}
			case `"silent"`:
				return fmt.Errorf("for the log: %w", socketcluster.ErrBlocked)
			}
			return nil
		})
		p := w.client()
		other, _ := w.upgrade(func(r *http.Request) { r.URL.RawQuery = "other" })
		other.send(`{"event":"#handshake","cid":1}`)
		other.next()
		for _, c := range []*peer{p, other} {
			c.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`)
			c.want(`{"rid":2}`)
		}
		p.send(`{"event":"#publish","data":{"channel":"a","data":"change"},"cid":3}`)
		p.want(`{"event":"#publish","data":{"channel":"a","data":"changed"}}`, `{"rid":3}`)
		other.want(`{"event":"#publish","data":{"channel":"a","data":"changed"}}`)
		p.send(`{"event":"#publish","data":{"channel":"a","data":"block"},"cid":4}`)
		p.want(`{"rid":4,"error":{"message":"no","name":"PublishError"}}`)
		p.send(`{"event":"#publish","data":{"channel":"a","data":"silent"},"cid":5}`)
		p.want(`{"rid":5,"error":{"message":"The publishIn AGAction was blocked by inbound middleware","name":"SilentMiddlewareBlockedError","type":"inbound"}}`)

		remove := socketcluster.Use(w.srv, func(_ context.Context, a *socketcluster.PublishOut) error {
			if strings.HasSuffix(a.Socket.URL(), "other") {
				return nil
			}
			switch string(a.Data) {
			case "1":
				a.Data = json.RawMessage(`"for you"`)
			case "2":
				return socketcluster.ErrBlocked
			}
			return nil
		})
		for i := 1; i <= 3; i++ {
			if i == 3 {
				synctest.Wait() // what is on its way must have met the middleware
				remove()
			}
			p.send(fmt.Sprintf(`{"event":"#publish","data":{"channel":"a","data":%d},"cid":%d}`, i, i+5))
			other.want(fmt.Sprintf(`{"event":"#publish","data":{"channel":"a","data":%d}}`, i))
		}
		p.want(`{"event":"#publish","data":{"channel":"a","data":"for you"}}`, `{"rid":6}`, `{"rid":7}`,
			`{"event":"#publish","data":{"channel":"a","data":3}}`, `{"rid":8}`)
	})
}

// PS-25, CF-13: subscribe and publish in order, also behind slow middleware,
// which delays no other socket (MW-2).
func TestInboundOrder(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		socketcluster.Use(w.srv, func(_ context.Context, a *socketcluster.Subscribe) error {
			if a.Channel == "slow" {
				time.Sleep(3 * time.Second)
			}
			return nil
		})
		p, other := w.client(), w.client()
		p.send(`{"event":"#subscribe","data":{"channel":"slow"},"cid":2}`)
		p.send(`{"event":"#publish","data":{"channel":"slow","data":1},"cid":3}`)
		began := time.Now()
		other.send(`{"event":"#publish","data":{"channel":"x","data":1},"cid":2}`)
		other.want(`{"rid":2}`)
		if d := time.Since(began); d > time.Second {
			t.Errorf("another socket waited %v", d)
		}
		p.want(`{"rid":2}`, `{"event":"#publish","data":{"channel":"slow","data":1}}`, `{"rid":3}`)
	})
}
