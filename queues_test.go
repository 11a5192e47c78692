package socketcluster_test

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/broker/mem"
	"github.com/socketcluster-go/socketcluster/wire"
)

// MW-11, ST-11, CF-12: messages pass the raw middleware as they arrive, not
// when their turn comes.
func TestRawMiddlewareAheadOfInbox(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		var mu sync.Mutex
		var backpressure []int
		w.srv.UseInboundRaw(socketcluster.Guard(func(_ context.Context, a *socketcluster.Message) error {
			mu.Lock()
			defer mu.Unlock()
			backpressure = append(backpressure, a.Socket.InboundBackpressure())
			a.Data = bytes.ReplaceAll(a.Data, []byte("old"), []byte("new"))
			if bytes.Contains(a.Data, []byte("drop")) {
				return socketcluster.ErrBlocked
			}
			return nil
		}))
		w.srv.UseInbound(socketcluster.Guard(func(_ context.Context, a *socketcluster.Transmit) error {
			if string(a.Data) == `"slow"` {
				time.Sleep(time.Second)
			}
			return nil
		}))
		got := w.received()
		p := w.client()
		s := w.only()
		for _, data := range []string{`"slow"`, `"old"`, `"drop"`, `1`} {
			p.send(`{"event":"a","data":` + data + `}`)
			synctest.Wait()
		}
		mu.Lock()
		// The handshake; slow, which is being processed at once; then those
		// that wait. The dropped one counts as processed.
		if want := []int{1, 1, 1, 2, 2}; !slices.Equal(backpressure, want) {
			t.Errorf("backpressure %v, want %v", backpressure, want)
		}
		mu.Unlock()
		time.Sleep(2 * time.Second)
		if want := []string{`"slow"`, `"new"`, `1`}; !slices.Equal(got(), want) {
			t.Errorf("received %q, want %q", got(), want)
		}
		if n := s.InboundBackpressure(); n != 0 {
			t.Errorf("%d messages are left", n)
		}
	})
}

// received collects the data of all transmissions from now on.
func (w *world) received() func() []string {
	var mu sync.Mutex
	var got []string
	w.srv.ReceiveRest(socketcluster.ReceiverFunc(func(_ context.Context, tr *socketcluster.Transmission) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, string(tr.Data))
	}))
	return func() []string {
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(got)
	}
}

// Raw middleware that is removed lets no message overtake those that it holds
// up (TR-23, PS-25).
func TestRawMiddlewareRemoved(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		got := w.received()
		p := w.client()
		remove := w.srv.UseInboundRaw(func(context.Context, socketcluster.Action) error {
			time.Sleep(time.Second)
			return nil
		})
		p.send(`{"event":"a","data":1}`)
		p.send(`{"event":"a","data":2}`)
		synctest.Wait()
		remove()
		p.send(`{"event":"a","data":3}`)
		time.Sleep(time.Minute)
		if want := []string{`1`, `2`, `3`}; !slices.Equal(got(), want) {
			t.Errorf("received %q, want %q", got(), want)
		}
	})
}

// A socket that closes while raw middleware is at work drops what waits for
// it, and its reading goroutine is not held up.
func TestRawMiddlewareCloses(t *testing.T) {
	inBubble(t, socketcluster.Config{Limits: socketcluster.Limits{Inbox: 1}}, func(w *world) {
		p := w.client()
		s := w.only()
		release := make(chan struct{})
		calls := 0
		w.srv.UseInboundRaw(func(context.Context, socketcluster.Action) error {
			calls++
			<-release
			return nil
		})
		for range 5 {
			p.send(`{"event":"a"}`)
		}
		synctest.Wait()
		s.Terminate()
		w.srv.Close() // waits for the reading goroutine
		close(release)
		synctest.Wait()
		if calls != 1 {
			t.Errorf("the middleware ran %d times, want 1", calls)
		}
	})
}

// A response that somebody listens to as a message counts once (ST-11).
func TestInboundBackpressureOfResponse(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		p := w.client()
		s := w.only()
		socketcluster.On(s, func(socketcluster.MessageEvent) {})
		go s.Invoke(context.Background(), "ask", nil)
		p.want(`{"event":"ask","cid":1}`)
		p.send(`{"rid":1,"data":1}`)
		synctest.Wait()
		if n := s.InboundBackpressure(); n != 0 {
			t.Errorf("backpressure %d, want 0", n)
		}
	})
}

// Names with escapes stay what they are while the message waits for its turn.
func TestEscapedNamesInInbox(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		w.srv.UseInbound(func(context.Context, socketcluster.Action) error {
			time.Sleep(time.Second)
			return nil
		})
		var mu sync.Mutex
		var got []string
		w.srv.ReceiveRest(socketcluster.ReceiverFunc(func(_ context.Context, tr *socketcluster.Transmission) {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, tr.Receiver)
		}))
		p := w.client()
		want := []string{"aaaa", "bbbb", "cccc", "dddd"}
		for _, name := range want {
			p.send(`{"event":"\u00` + string("0123456789abcdef"[name[0]>>4]) + string("0123456789abcdef"[name[0]&15]) + name[1:] + `"}`)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if !slices.Equal(got, want) {
			t.Errorf("received %q, want %q", got, want)
		}
	})
}

// routeBroker notes for whom routes begin and end.
type routeBroker struct {
	mem.Broker
	mu    sync.Mutex
	notes []string
}

func (b *routeBroker) note(ctx context.Context, what, channel string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	who := "nobody"
	if s := socketcluster.FromContext(ctx); s != nil {
		who = s.ID()
	}
	if ctx.Err() != nil {
		who += " whose time is over"
	}
	b.notes = append(b.notes, what+" "+channel+" for "+who)
	return nil
}

func (b *routeBroker) Subscribe(ctx context.Context, channel string) error {
	return b.note(ctx, "subscribe", channel)
}

func (b *routeBroker) Unsubscribe(ctx context.Context, channel string) error {
	return b.note(ctx, "unsubscribe", channel)
}

// PS-21: a broker is told of the first subscriber of a channel, socket or loop of
// the server's, and when the last one has left.
func TestBrokerRoutes(t *testing.T) {
	b := new(routeBroker)
	inBubble(t, socketcluster.Config{Broker: b}, func(w *world) {
		check := func(want ...string) {
			t.Helper()
			synctest.Wait()
			var got []string
			for _, n := range b.notes {
				got = append(got, n[:strings.Index(n, " for")])
			}
			b.notes = nil
			if !slices.Equal(got, want) {
				t.Errorf("got  %q\nwant %q", got, want)
			}
		}
		subscribe := func(p *peer) {
			p.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`)
			p.want(`{"rid":2}`)
		}
		ctx, cancel := context.WithCancel(context.Background())
		p, q := w.client(), w.client()
		subscribe(p)
		check("subscribe a")
		subscribe(q)
		subscribe(q)
		if _, err := w.srv.Exchange().Subscribe(ctx, "a"); err != nil {
			t.Fatal(err)
		}
		p.conn.Close()
		q.send(`{"event":"#unsubscribe","data":"a"}`)
		check()
		cancel()
		check("unsubscribe a")
		ctx, cancel = context.WithCancel(context.Background())
		if _, err := w.srv.Exchange().Subscribe(ctx, "a"); err != nil {
			t.Fatal(err)
		}
		check("subscribe a")
		subscribe(q)
		cancel()
		check()
		q.send(`{"event":"#unsubscribe","data":"a"}`)
		check("unsubscribe a")
	})
}

// PS-15, PS-21: a broker can tell which socket subscribes or has left, and its
// context does not end with that socket.
func TestBrokerContext(t *testing.T) {
	b := new(routeBroker)
	inBubble(t, socketcluster.Config{Broker: b}, func(w *world) {
		p := w.client()
		s := w.only()
		p.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`)
		p.want(`{"rid":2}`)
		s.Terminate()
		synctest.Wait()
		want := []string{"subscribe a for " + s.ID(), "unsubscribe a for " + s.ID()}
		if !slices.Equal(b.notes, want) {
			t.Errorf("got  %q\nwant %q", b.notes, want)
		}
	})
}

// Outbound middleware that is removed lets nothing overtake the publications
// that it holds up (PS-26).
func TestOutboundMiddlewareRemoved(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		p := w.client()
		s := w.only()
		p.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`)
		p.want(`{"rid":2}`)
		remove := w.srv.UseOutbound(func(context.Context, socketcluster.Action) error {
			time.Sleep(time.Second)
			return nil
		})
		ctx := context.Background()
		w.srv.Exchange().Publish(ctx, "a", 1)
		synctest.Wait()
		remove()
		s.Transmit(ctx, "b", 2)
		w.srv.Exchange().Publish(ctx, "a", 3)
		p.want(`{"event":"#publish","data":{"channel":"a","data":1}}`, `{"event":"b","data":2}`,
			`{"event":"#publish","data":{"channel":"a","data":3}}`)
	})
}

// saboteur is a field of an error that ends its socket while it is encoded.
type saboteur struct{ end func() }

func (s saboteur) MarshalJSON() ([]byte, error) {
	s.end()
	return []byte("true"), nil
}

// HS-19, QK-4: a socket that closes in its handshake never connects, however
// late that is.
func TestCloseLateInHandshake(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		events := w.record()
		w.srv.UseInbound(socketcluster.Guard(func(_ context.Context, a *socketcluster.Authenticate) error {
			return (&wire.Error{Name: "E", Message: "m"}).With("field", saboteur{a.Socket.Terminate})
		}))
		token, err := w.srv.Auth().Sign(context.Background(), map[string]any{})
		if err != nil {
			t.Fatal(err)
		}
		p := w.dial()
		p.send(`{"event":"#handshake","data":{"authToken":` + quote(token.Signed()) + `},"cid":1}`)
		events.want("error connectAbort close error end")
	})
}

// PS-17: the end event is the last one, also when the connection ends while
// the connect event is being handled.
func TestCloseInConnectHandler(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		events := w.record()
		socketcluster.On(w.srv, func(e socketcluster.ConnectEvent) { e.Socket.Disconnect(4321, "") })
		w.login(map[string]any{})
		events.want("connect disconnect close error end")
	})
}
