package socketcluster_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/broker"
	"github.com/socketcluster-go/socketcluster/internal/sctest"
)

// awayShelf is a shelf that cannot read some channels for a while, as the storage is away.
type awayShelf struct {
	*sctest.Shelf
	patience time.Duration // for which Join waits
	slow     time.Duration // for which PublishOnce takes

	mu    sync.Mutex
	back  chan struct{} // closed when it can be read again
	tries int
}

func newAwayShelf() *awayShelf {
	return &awayShelf{Shelf: sctest.NewShelf(10, "%d"), patience: 10 * time.Second}
}

func (k *awayShelf) Join(ctx context.Context, channel string, from broker.From, enter func(broker.Past)) error {
	if strings.HasPrefix(channel, "away") {
		k.mu.Lock()
		k.tries++
		back := k.back
		k.mu.Unlock()
		select {
		case <-back:
		case <-time.After(k.patience):
			return fmt.Errorf("wait for storage: %w", context.DeadlineExceeded)
		}
	}
	return k.Shelf.Join(ctx, channel, from, enter)
}

// leave makes the storage go away until the channel is closed that it returns.
func (k *awayShelf) leave() (back chan struct{}) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.back = make(chan struct{})
	return k.back
}

func subscribe(channel string, cid int) string {
	return fmt.Sprintf(`{"event":"#subscribe","data":{"channel":%q},"cid":%d}`, channel, cid)
}

// ponged makes a server answer to the call ping.
func ponged(w *world) {
	w.srv.Handle("ping", socketcluster.Func(func(context.Context, struct{}) (string, error) { return "pong", nil }))
}

// membersOnly lets only sockets with a token subscribe.
func membersOnly(w *world) {
	socketcluster.Use(w.srv, func(_ context.Context, a *socketcluster.Subscribe) error {
		if a.Socket.AuthState() != socketcluster.Authenticated {
			return fmt.Errorf("log in")
		}
		return nil
	})
}

// A subscription that waits for the storage holds nothing else up, and succeeds when it is back,
// however long that takes.
func TestSubscriptionWaitsForTheStorage(t *testing.T) {
	k := newAwayShelf()
	inBubble(t, socketcluster.Config{Broker: k}, func(w *world) {
		back := k.leave()
		ponged(w)
		p := w.client()
		begun := time.Now()
		for i := range 20 {
			p.send(subscribe(fmt.Sprint("away", i), 10+i))
		}
		p.send(subscribe("plain", 2))
		p.send(`{"event":"ping","cid":3}`)
		got := map[string]bool{p.next(): true, p.next(): true}
		if !got[`{"rid":2,"data":{"position":"0"}}`] || !got[`{"rid":3,"data":"pong"}`] {
			t.Errorf("got %v", got)
		}
		if took := time.Since(begun); took > time.Second {
			t.Errorf("others waited for %v", took)
		}
		p.quiet(time.Minute)
		if err := w.srv.Exchange().Publish(context.Background(), "away0", 1); err != nil {
			t.Fatal(err)
		}
		close(back)
		answers := map[string]bool{}
		for range 20 {
			answers[p.next()] = true
		}
		for i := range 20 {
			position := 0
			if i == 0 {
				position = 1
			}
			if want := fmt.Sprintf(`{"rid":%d,"data":{"position":"%d"}}`, 10+i, position); !answers[want] {
				t.Errorf("%s is missing: %v", want, answers)
			}
		}
		if n := w.srv.Exchange().NumSubscribers("away19"); n != 1 {
			t.Errorf("%d subscribers", n)
		}
		if k.tries < 100 {
			t.Errorf("%d tries", k.tries)
		}
	})
}

// What a client publishes behind its subscription comes back to it.
func TestPublicationWaitsForTheSubscription(t *testing.T) {
	k := newAwayShelf()
	inBubble(t, socketcluster.Config{Broker: k}, func(w *world) {
		back := k.leave()
		p := w.client()
		p.send(subscribe("away", 2))
		p.send(`{"event":"#publish","data":{"channel":"away","data":7},"cid":3}`)
		time.Sleep(5 * time.Second)
		close(back)
		p.want(`{"rid":2,"data":{"position":"0"}}`, `{"event":"#publish","data":{"channel":"away","position":"1","data":7}}`, `{"rid":3}`)
	})
}

// A client can leave a channel for which its subscription waits, and want it again.
func TestUnsubscribeWhileASubscriptionWaits(t *testing.T) {
	k := newAwayShelf()
	inBubble(t, socketcluster.Config{Broker: k}, func(w *world) {
		back := k.leave()
		p := w.client()
		p.send(subscribe("away", 2))
		p.send(`{"event":"#unsubscribe","data":"away","cid":3}`)
		p.want(`{"rid":3}`)
		p.send(subscribe("away", 4))
		time.Sleep(time.Second)
		close(back)
		got := []string{p.next(), p.next()}
		if !strings.HasPrefix(got[0], `{"rid":2,"error"`) {
			got[0], got[1] = got[1], got[0]
		}
		if !strings.Contains(got[0], "It was unsubscribed meanwhile") || got[1] != `{"rid":4,"data":{"position":"0"}}` {
			t.Errorf("got %s", got)
		}
		p.send(`{"event":"#unsubscribe","data":"away","cid":5}`)
		p.want(`{"rid":5}`)
	})
}

// Subscriptions that wait count as subscriptions, and end with their client.
func TestSubscriptionsThatWaitHaveALimit(t *testing.T) {
	k := newAwayShelf()
	inBubble(t, socketcluster.Config{Broker: k, Limits: socketcluster.Limits{Channels: 2}}, func(w *world) {
		k.leave()
		p := w.client()
		p.send(subscribe("away1", 2))
		p.send(subscribe("away2", 3))
		p.send(subscribe("away3", 4))
		if text := p.next(); !strings.Contains(text, `"rid":4`) || !strings.Contains(text, "channel subscription limit of 2") {
			t.Errorf("got %s", text)
		}
		if st := w.srv.Stats(); st.BudgetUsed == 0 {
			t.Error("they are not in the budget")
		}
		p.Conn.Close()
		synctest.Wait()
		time.Sleep(time.Minute)
		before := k.tries
		time.Sleep(time.Minute)
		if k.tries != before {
			t.Error("the server still tries for a client that has gone")
		}
	})
}

// Too many subscriptions that wait hold the client up.
func TestSubscriptionsThatWaitHoldUp(t *testing.T) {
	k := newAwayShelf()
	inBubble(t, socketcluster.Config{Broker: k, Limits: socketcluster.Limits{Calls: 2}}, func(w *world) {
		back := k.leave()
		ponged(w)
		p := w.client()
		for i := range 3 {
			p.send(subscribe(fmt.Sprint("away", i), 10+i))
		}
		p.send(`{"event":"ping","cid":3}`)
		p.quiet(time.Minute)
		close(back)
		for range 4 {
			p.next()
		}
	})
}

// A logout ends the right to a channel for which a subscription waits.
func TestLogoutWhileASubscriptionWaits(t *testing.T) {
	k := newAwayShelf()
	inBubble(t, socketcluster.Config{Broker: k}, func(w *world) {
		back := k.leave()
		membersOnly(w)
		p := w.login(map[string]any{"sub": "anna"})
		p.send(subscribe("away", 2))
		time.Sleep(time.Second)
		w.only().Deauthenticate(context.Background())
		p.want(removeAuthToken)
		close(back)
		if text := p.next(); !strings.HasPrefix(text, `{"rid":2,"error"`) {
			t.Errorf("got %s", text)
		}
		if n := w.srv.Exchange().NumSubscribers("away"); n != 0 {
			t.Errorf("%d subscribers", n)
		}
	})
}

// A subscription with waitForAuth that was suspended by a logout waits for the storage after the
// next login, as the client takes it for its own, and gets what it has missed.
func TestSuspendedSubscriptionWaitsForTheStorage(t *testing.T) {
	logIn := func(w *world, p *peer) {
		p.send(`{"event":"#authenticate","data":"` + w.sign(map[string]any{"sub": "anna"}) + `","cid":9}`)
		if text := p.next(); !strings.HasPrefix(text, `{"rid":9,"data":{"isAuthenticated":true`) {
			w.t.Errorf("got %s", text)
		}
	}
	for name, tc := range map[string]struct {
		meanwhile func(w *world, p *peer)
		want      []string // once the storage is back
		in        int      // how many subscribers there are then
	}{
		"nothing": {func(*world, *peer) {}, []string{`{"event":"#publish","data":{"channel":"away","position":"1","data":7}}`}, 1},
		"the client leaves the channel": {func(_ *world, p *peer) {
			p.send(`{"event":"#unsubscribe","data":"away","cid":3}`)
			p.want(`{"rid":3}`)
		}, nil, 0},
		"another logout and login": {func(w *world, p *peer) {
			w.only().Deauthenticate(context.Background())
			p.want(removeAuthToken)
			synctest.Wait()
			logIn(w, p)
		}, []string{`{"event":"#publish","data":{"channel":"away","position":"1","data":7}}`}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			k := newAwayShelf()
			inBubble(t, socketcluster.Config{Broker: k}, func(w *world) {
				close(k.leave()) // of the bubble
				membersOnly(w)
				p := w.login(map[string]any{"sub": "anna"})
				p.send(`{"event":"#subscribe","data":{"channel":"away","waitForAuth":true},"cid":2}`)
				p.want(`{"rid":2,"data":{"position":"0"}}`)
				w.only().Deauthenticate(context.Background())
				p.want(removeAuthToken)
				synctest.Wait() // it is suspended now
				back := k.leave()
				logIn(w, p)
				if err := w.srv.Exchange().Publish(context.Background(), "away", 7); err != nil {
					t.Fatal(err)
				}
				p.quiet(time.Minute)
				tc.meanwhile(w, p)
				close(back)
				p.want(tc.want...)
				p.quiet(time.Second)
				if n := w.srv.Exchange().NumSubscribers("away"); n != tc.in {
					t.Errorf("%d subscribers", n)
				}
			})
		})
	}
}
