package socketcluster_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster"
)

// PS-20, DOC-13: the server's own subscriptions pass no middleware, neither
// when they are made nor when a publication comes.
func TestExchangePassesNoMiddleware(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		useAll(w.srv, func(_ context.Context, a socketcluster.Action) error {
			t.Errorf("asked about %s", a.Type())
			return socketcluster.ErrBlocked
		})
		x := w.srv.Exchange()
		messages, err := x.Subscribe(ctx, "a")
		if err != nil {
			t.Fatal(err)
		}
		if err := x.Publish(ctx, "a", 1); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		var got []string
		for raw := range messages {
			got = append(got, string(raw))
			break
		}
		if d := time.Since(began); !slices.Equal(got, []string{"1"}) || d != 0 {
			t.Errorf("got %q after %v", got, d)
		}
	})
}

// countingJSON counts how often it is encoded.
type countingJSON struct{ n *int }

func (c countingJSON) MarshalJSON() ([]byte, error) {
	*c.n++
	return []byte("1"), nil
}

// PS-23: a publication is encoded once, however many subscribers there are.
func TestPublicationEncodedOnce(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		peers := []*peer{w.client(), w.client(), w.client()}
		for _, p := range peers {
			p.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`)
			p.want(`{"rid":2}`)
		}
		var n int
		if err := w.srv.Exchange().Publish(context.Background(), "a", countingJSON{&n}); err != nil {
			t.Fatal(err)
		}
		for _, p := range peers {
			p.want(`{"event":"#publish","data":{"channel":"a","data":1}}`)
		}
		if n != 1 {
			t.Errorf("encoded %d times", n)
		}
	})
}

// PS-27: nothing is kept for those who are not there. A client that comes back
// has missed what was published meanwhile.
func TestNoReplay(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		const subscribe = `{"event":"#subscribe","data":{"channel":"a"},"cid":2}`
		publish := func(data any) {
			if err := w.srv.Exchange().Publish(context.Background(), "a", data); err != nil {
				t.Error(err)
			}
		}
		publish("before")
		p := w.client()
		p.send(subscribe)
		p.want(`{"rid":2}`)
		p.conn.Close()
		synctest.Wait()
		publish("meanwhile")
		p = w.client()
		p.send(subscribe)
		p.want(`{"rid":2}`)
		p.quiet(time.Minute)
		publish("after")
		p.want(`{"event":"#publish","data":{"channel":"a","data":"after"}}`)
	})
}

// PS-18: what the server publishes passes no middleware but that of each
// subscriber on the outbound line.
func TestServerPublicationsPassOutboundMiddleware(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		for range 2 {
			p := w.client()
			p.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`)
			p.want(`{"rid":2}`)
			defer p.want(`{"event":"#publish","data":{"channel":"a","data":1}}`)
		}
		asked := make(chan *socketcluster.Socket, 10)
		useAll(w.srv, func(_ context.Context, a socketcluster.Action) error {
			out, ok := a.(*socketcluster.PublishOut)
			if !ok || out.Channel != "a" || string(out.Data) != "1" {
				t.Errorf("asked about %s %+v", a.Type(), a)
				return nil
			}
			asked <- out.Socket
			return nil
		})
		var x *socketcluster.Exchange
		for s := range w.srv.Clients() {
			x = s.Exchange()
		}
		if x != w.srv.Exchange() {
			t.Error("a socket has another exchange than its server")
		}
		if err := x.Publish(context.Background(), "a", 1); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if len(asked) != 2 {
			t.Fatalf("asked %d times, want 2", len(asked))
		}
		if first, second := <-asked, <-asked; first == second {
			t.Error("asked twice for one subscriber")
		}
	})
}
