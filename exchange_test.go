package socketcluster_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/broker"
	"github.com/socketcluster-go/socketcluster/broker/mem"
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

// Publications that wait for slow loops over a channel are bounded in bytes and
// count in the budget, once for all loops; the oldest are dropped first.
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

// PS-21: a broker is notified of the first subscriber of a channel, socket or
// loop of the server's, and when the last one has left.
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
		p.Conn.Close()
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

// faultyBroker fails where a test wants it to.
type faultyBroker struct {
	mem.Broker
	start, publish, subscribe error
	panics                    bool
	closed                    chan struct{}
}

func (b *faultyBroker) Start(ctx context.Context, sink broker.Sink) error {
	if b.start != nil {
		return b.start
	}
	return b.Broker.Start(ctx, sink)
}

func (b *faultyBroker) Publish(ctx context.Context, channel string, data []byte) error {
	if b.panics {
		panic("broker")
	}
	if b.publish != nil {
		return b.publish
	}
	return b.Broker.Publish(ctx, channel, data)
}

func (b *faultyBroker) Subscribe(context.Context, string) error { return b.subscribe }

func (b *faultyBroker) Close() error {
	if b.closed != nil {
		close(b.closed)
	}
	return nil
}

// If the broker does not start, there is no server.
func TestBrokerDoesNotStart(t *testing.T) {
	down := errors.New("down")
	if _, err := socketcluster.New(socketcluster.Config{Auth: auth.Options{Key: testKey}, Broker: &faultyBroker{start: down}}); !errors.Is(err, down) {
		t.Errorf("got %v", err)
	}
}

// QK-29, PS-10: errors of a broker stay on the server.
func TestBrokerFailures(t *testing.T) {
	b := &faultyBroker{publish: errors.New("secret"), subscribe: errors.New("secret")}
	inBubble(t, socketcluster.Config{Broker: b}, func(w *world) {
		log := w.record()
		p := w.client()
		p.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`)
		p.want(`{"rid":2,"error":{"message":"Failed to subscribe socket to the a channel","name":"BrokerError"}}`)
		p.send(`{"event":"#publish","data":{"channel":"a"},"cid":3}`)
		p.want(`{"rid":3,"error":{"message":"An internal error occurred","name":"InternalError"}}`)
		log.want("connect error error")
		if n := w.only().Stats().Subscriptions; n != 0 {
			t.Errorf("%d subscriptions", n)
		}
		if _, err := w.srv.Exchange().Subscribe(context.Background(), "a"); err == nil {
			t.Error("subscribed")
		}
		b.subscribe = nil
		p.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":4}`)
		p.want(`{"rid":4}`)
	})
}

// QK-16: a panic of the broker is its failure. It ends no connection.
func TestBrokerPanics(t *testing.T) {
	inBubble(t, socketcluster.Config{Broker: &faultyBroker{panics: true}}, func(w *world) {
		p := w.client()
		p.send(`{"event":"#publish","data":{"channel":"a"},"cid":3}`)
		p.want(`{"rid":3,"error":{"message":"An internal error occurred","name":"InternalError"}}`)
		p.send(`{"event":"x","cid":4}`)
		p.next()
		if !strings.Contains(w.logs.String(), "faultyBroker") {
			t.Error("no stack was logged")
		}
	})
}

// slowBroker takes its time to end a route.
type slowBroker struct {
	mem.Broker
	gate  chan struct{}
	mu    sync.Mutex
	notes []string
}

func (b *slowBroker) note(what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.notes = append(b.notes, what)
}

func (b *slowBroker) calls() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Join(b.notes, " ")
}

func (b *slowBroker) Subscribe(_ context.Context, channel string) error {
	b.note("+" + channel)
	return nil
}

func (b *slowBroker) Unsubscribe(_ context.Context, channel string) error {
	b.note("-" + channel)
	<-b.gate
	return nil
}

// PS-16: a socket that has left a channel gets nothing more of it, although the
// broker still carries the channel to this node.
func TestNothingDeliveredWhileBrokerUnsubscribes(t *testing.T) {
	ctx := context.Background()
	for name, kickOut := range map[string]bool{"unsubscribe": false, "kick out": true} {
		t.Run(name, func(t *testing.T) {
			b := new(slowBroker)
			inBubble(t, socketcluster.Config{Broker: b}, func(w *world) {
				b.gate = make(chan struct{})
				release := sync.OnceFunc(func() { close(b.gate) })
				defer release() // the server waits for it at its end
				p := w.client()
				s := w.only()
				p.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`)
				p.want(`{"rid":2}`)
				if kickOut {
					go s.KickOut(ctx, "a", nil)
					p.want(`{"event":"#kickOut","data":{"channel":"a"}}`)
				} else {
					p.send(`{"event":"#unsubscribe","data":"a","cid":3}`)
				}
				synctest.Wait()
				if err := w.srv.Exchange().Publish(ctx, "a", 1); err != nil {
					t.Fatal(err)
				}
				p.quiet(time.Second)
				release()
				if !kickOut {
					p.want(`{"rid":3}`)
				}
				p.quiet(time.Second)
			})
		})
	}
}

// PS-16, PS-21: KickOut does not wait for a broker that hangs any longer than its
// context. The socket is out nevertheless, and the broker's calls stay in order.
func TestKickOutWhileBrokerHangs(t *testing.T) {
	b := new(slowBroker)
	inBubble(t, socketcluster.Config{Broker: b}, func(w *world) {
		b.gate = make(chan struct{})
		release := sync.OnceFunc(func() { close(b.gate) })
		defer release()
		log := w.record()
		p := w.client()
		s := w.only()
		for _, channel := range []string{"a", "b", "c"} {
			p.send(fmt.Sprintf(`{"event":"#subscribe","data":{"channel":%q},"cid":2}`, channel))
			p.want(`{"rid":2}`)
		}
		log.want("connect subscribe subscribe subscribe")
		kick := func(kickOut func(context.Context) error) {
			t.Helper()
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			began := time.Now()
			if err := kickOut(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
				t.Errorf("%v after %v", err, time.Since(began))
			}
		}
		kick(func(ctx context.Context) error { return s.KickOut(ctx, "a", nil) })
		p.want(`{"event":"#kickOut","data":{"channel":"a"}}`)
		log.want("unsubscribe")
		kick(func(ctx context.Context) error { return s.KickOutAll(ctx, nil) })
		for range 2 {
			if text := p.next(); !strings.HasPrefix(text, `{"event":"#kickOut"`) {
				t.Errorf("got %s", text)
			}
		}
		log.want("unsubscribe unsubscribe")
		for _, channel := range []string{"a", "b", "c"} {
			if s.IsSubscribed(channel) {
				t.Errorf("still subscribed to %s", channel)
			}
			if err := w.srv.Exchange().Publish(context.Background(), channel, 1); err != nil {
				t.Fatal(err)
			}
		}
		p.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":3}`)
		p.quiet(time.Second)
		if got := b.calls(); got != "+a +b +c -a -b -c" && got != "+a +b +c -a -c -b" {
			t.Errorf("calls of the broker: %s", got)
		}
		release()
		p.want(`{"rid":3}`)
		if got := b.calls(); !strings.HasSuffix(got, "+a") {
			t.Errorf("calls of the broker: %s", got)
		}
	})
}

// PS-16, PS-7: a socket joins and leaves a channel while publications on it are
// being delivered: neither waits for the other for good, and nothing of the
// channel arrives after the client has been notified that it has left.
func TestDeliveryWhileJoiningAndLeaving(t *testing.T) {
	const rounds = 200
	for name, kickOut := range map[string]bool{"unsubscribe": false, "kick out": true} {
		for _, outbound := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, outbound middleware %t", name, outbound), func(t *testing.T) {
				inBubble(t, socketcluster.Config{Timeouts: socketcluster.Timeouts{PingDisabled: true}}, func(w *world) {
					if outbound {
						w.srv.UseOutbound(func(context.Context, socketcluster.Action) error { return nil })
					}
					ctx, cancel := context.WithCancel(context.Background())
					defer cancel()
					stopped := make(chan struct{})
					p := w.client()
					s := w.only()
					go func() {
						defer close(stopped)
						for ctx.Err() == nil {
							for range 500 {
								w.srv.Exchange().Publish(ctx, "a", 1)
							}
							time.Sleep(time.Nanosecond) // until the client has read them
						}
					}()
					// until reads up to the frame that begins like this; admits
					// tells whether publications may come before it.
					until := func(prefix string, admits bool) {
						for {
							switch text := p.next(); {
							case strings.HasPrefix(text, prefix):
								return
							case text != `{"event":"#publish","data":{"channel":"a","data":1}}` || !admits:
								t.Fatalf("got %s, want %s", text, prefix)
							}
						}
					}
					for range rounds {
						p.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`)
						until(`{"rid":2}`, true)
						until(`{"event":"#publish"`, true)
						if kickOut {
							go s.KickOut(ctx, "a", nil)
							until(`{"event":"#kickOut"`, true)
						} else {
							p.send(`{"event":"#unsubscribe","data":"a","cid":3}`)
							until(`{"rid":3}`, true)
						}
						p.send(`{"event":"x","cid":4}`)
						until(`{"rid":4,`, false)
					}
					cancel()
					<-stopped
				})
			})
		}
	}
}

// startBroker is a broker that takes its time to start.
type startBroker struct {
	*mem.Broker
	started bool
	err     error
}

func (b *startBroker) Start(ctx context.Context, sink broker.Sink) error {
	if b.err != nil {
		return b.err
	}
	time.Sleep(time.Second)
	b.started = true
	return b.Broker.Start(ctx, sink)
}

// PS-22: there is no server before its broker is ready.
func TestReadiness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &startBroker{Broker: new(mem.Broker)}
		srv, err := socketcluster.New(socketcluster.Config{Auth: auth.Options{Key: testKey}, Broker: b})
		if err != nil {
			t.Fatal(err)
		}
		defer srv.Close()
		if !b.started {
			t.Error("the server is there before its broker")
		}
		if err := srv.Exchange().Publish(context.Background(), "a", json.RawMessage("1")); err != nil {
			t.Error(err)
		}
		broken := errors.New("no network")
		if _, err := socketcluster.New(socketcluster.Config{Auth: auth.Options{Key: testKey}, Broker: &startBroker{err: broken}}); !errors.Is(err, broken) {
			t.Errorf("got %v, want %v", err, broken)
		}
	})
}

// lateBroker subscribes late, too.
type lateBroker struct{ slowBroker }

func (b *lateBroker) Subscribe(_ context.Context, channel string) error {
	b.note("+" + channel)
	<-b.gate
	return nil
}

// Subscribe does not wait for a broker beyond the end of its context, and leaves no
// route behind.
func TestSubscribeWhileBrokerHangs(t *testing.T) {
	b := new(lateBroker)
	inBubble(t, socketcluster.Config{Broker: b}, func(w *world) {
		b.gate = make(chan struct{})
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		began := time.Now()
		if _, err := w.srv.Exchange().Subscribe(ctx, "a"); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		close(b.gate)
		synctest.Wait()
		if got := b.calls(); got != "+a -a" || w.srv.Exchange().IsSubscribed("a") {
			t.Errorf("calls of the broker: %s", got)
		}
	})
}

// A loop ends with its context, although the broker hangs.
func TestLoopEndsWhileBrokerHangs(t *testing.T) {
	b := new(slowBroker)
	inBubble(t, socketcluster.Config{Broker: b}, func(w *world) {
		b.gate = make(chan struct{})
		defer close(b.gate)
		ctx, cancel := context.WithCancel(context.Background())
		sub, err := w.srv.Exchange().Subscribe(ctx, "a")
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for range sub.All() {
			}
		}()
		synctest.Wait()
		cancel()
		<-ended
	})
}
