package socketcluster_test

import (
	"context"
	"slices"
	"strings"
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
		for raw := range messages.All() {
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
		p.Conn.Close()
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

// What waits for slow loops over a channel is bounded in bytes and counts in
// the budget, once for all of them; the oldest go first.
func TestChannelQueueBytes(t *testing.T) {
	const size, sent, loops = 100 << 10, 50, 20
	inBubble(t, socketcluster.Config{}, func(w *world) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		x := w.srv.Exchange()
		var all []*socketcluster.Subscription
		for range loops {
			messages, err := x.Subscribe(ctx, "a")
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, messages)
		}
		for i := range sent {
			if err := x.Publish(ctx, "a", string(rune('A'+i))+strings.Repeat("x", size)); err != nil {
				t.Fatal(err)
			}
		}
		if n := w.srv.Stats().BudgetUsed; n < 900<<10 || n > 1100<<10 {
			t.Errorf("%d bytes are counted, want about 1 MiB", n)
		}
		var got []byte
		for raw := range all[0].All() {
			got = append(got, raw[1])
			copy(raw, "the loop may write here")
			if len(got) == 10 {
				break
			}
		}
		if want := "ijklmnopqr"; string(got) != want {
			t.Errorf("got %q, want %q", got, want)
		}
		for raw := range all[1].All() {
			if raw[1] != 'i' {
				t.Errorf("another loop got %q", raw[:30])
			}
			break
		}
		// One that is larger than the queue is let in alone.
		if err := x.Publish(ctx, "a", strings.Repeat("y", 2<<20)); err != nil {
			t.Fatal(err)
		}
		for raw := range all[2].All() {
			if raw[1] != 'y' {
				t.Errorf("got %q", raw[:10])
			}
			break
		}
		// Loops that never begin give back what they hold when ctx ends.
		cancel()
		synctest.Wait()
		if n := w.srv.Stats().BudgetUsed; n != 0 {
			t.Errorf("%d bytes stay counted", n)
		}
	})
}

// A loop that is further behind than 1024 publications misses the oldest.
func TestChannelQueueCount(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		ctx := context.Background()
		messages, err := w.srv.Exchange().Subscribe(ctx, "a")
		if err != nil {
			t.Fatal(err)
		}
		for i := range 2000 {
			if err := w.srv.Exchange().Publish(ctx, "a", i); err != nil {
				t.Fatal(err)
			}
		}
		var got []int
		for n, err := range socketcluster.Messages[int](messages) {
			if err != nil {
				t.Fatal(err)
			}
			if got = append(got, n); n == 1999 {
				break
			}
		}
		if len(got) != 1024 || got[0] != 2000-1024 || !slices.IsSorted(got) {
			t.Errorf("got %d from %d on", len(got), got[0])
		}
		if n := messages.Dropped(); n != 2000-1024 {
			t.Errorf("%d dropped", n)
		}
	})
}

// Forward transmits publications as an event of the socket, until that closes or ctx
// ends.
func TestForward(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		p, x := w.client(), w.srv.Exchange()
		ctx, cancel := context.WithCancel(context.Background())
		if err := x.Forward(ctx, "news", w.only(), "told"); err != nil {
			t.Fatal(err)
		}
		x.Publish(context.Background(), "news", "a")
		x.Publish(context.Background(), "news", nil)
		x.Publish(context.Background(), "other", "b")
		p.want(`{"event":"told","data":"a"}`, `{"event":"told"}`)
		cancel()
		synctest.Wait()
		if x.IsSubscribed("news") {
			t.Error("the end of the context does not end it")
		}
		if err := x.Forward(context.Background(), "news", w.only(), "told"); err != nil {
			t.Fatal(err)
		}
		w.only().Terminate()
		synctest.Wait()
		if x.IsSubscribed("news") {
			t.Error("the end of the socket does not end it")
		}
	})
}

// A publication from the handler of a DisconnectEvent has the context of the server,
// as that of the socket has ended.
func TestServerContext(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		off := socketcluster.On(w.srv, func(e socketcluster.DisconnectEvent) {
			if e.Socket.Context().Err() == nil || w.srv.Context().Err() != nil {
				t.Errorf("the socket's context: %v, the server's: %v", e.Socket.Context().Err(), w.srv.Context().Err())
			}
			if err := w.srv.Exchange().Publish(w.srv.Context(), "left", e.Socket.ID()); err != nil {
				t.Error(err)
			}
		})
		w.client()
		first := w.only()
		p := w.client()
		p.send(`{"event":"#subscribe","data":{"channel":"left"},"cid":2}`)
		p.want(`{"rid":2}`)
		first.Terminate()
		p.want(`{"event":"#publish","data":{"channel":"left","data":` + quote(first.ID()) + `}}`)
		off()
		w.srv.Close()
		if w.srv.Context().Err() == nil {
			t.Error("it has not ended with the server")
		}
	})
}
