package socketcluster_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/broker"
)

// publishPatience is for how long a publication holds up what the same client sends after it.
const publishPatience = 250 * time.Millisecond

// PublishOnce waits until the storage is back.
func (k *awayShelf) PublishOnce(ctx context.Context, channel, id string, data []byte) (string, error) {
	if err := k.wait(ctx, channel); err != nil {
		return "", err
	}
	select {
	case <-time.After(k.slow):
	case <-ctx.Done():
		return "", ctx.Err()
	}
	return k.Shelf.PublishOnce(ctx, channel, id, data)
}

func (k *awayShelf) Keeps(channel string) bool { return !strings.HasSuffix(channel, "plain") }

func (k *awayShelf) wait(ctx context.Context, channel string) error {
	k.mu.Lock()
	back := k.back
	k.mu.Unlock()
	if !strings.HasPrefix(channel, "stuck") {
		return nil
	}
	select {
	case <-back:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func publishCall(channel string, data, cid int) string {
	return fmt.Sprintf(`{"event":"#publish","data":{"channel":%q,"data":%d},"cid":%d}`, channel, data, cid)
}

// A publication that waits for the storage holds up what is published on its channel, in order, and
// nothing else.
func TestPublicationWaitsForTheStorage(t *testing.T) {
	k := newAwayShelf()
	inBubble(t, socketcluster.Config{Broker: k}, func(w *world) {
		back := k.leave()
		ponged(w)
		p := w.client()
		begun := time.Now()
		for i := range 3 {
			p.send(publishCall("stuck", i, 10+i))
		}
		p.send(publishCall("plain", 1, 2))
		p.send(`{"event":"ping","cid":3}`)
		p.send(publishCall("other", 1, 4))
		got := map[string]bool{}
		for range 3 {
			got[p.next()] = true
		}
		p.send(subscribe("other", 5))
		got[p.next()] = true
		for _, want := range []string{`{"rid":2}`, `{"rid":3,"data":"pong"}`, `{"rid":4}`, `{"rid":5,"data":{"position":"1"}}`} {
			if !got[want] {
				t.Errorf("%s is missing: %v", want, got)
			}
		}
		if took := time.Since(begun); took > time.Second {
			t.Errorf("others waited for %v", took)
		}
		p.quiet(time.Minute)
		close(back)
		p.want(`{"rid":10}`, `{"rid":11}`, `{"rid":12}`)
		p.send(`{"event":"#subscribe","data":{"channel":"stuck","last":9},"cid":6}`)
		for i := range 3 {
			p.want(fmt.Sprintf(`{"event":"#publish","data":{"channel":"stuck","position":"%d","data":%d}}`, i+1, i))
		}
		p.want(`{"rid":6,"data":{"position":"0"}}`)
		if err := w.srv.Exchange().Publish(context.Background(), "stuck", 7); err != nil {
			t.Fatal(err)
		}
		p.want(`{"event":"#publish","data":{"channel":"stuck","position":"4","data":7}}`)
		// Nothing is late any more: the next one is waited for again.
		back = k.leave()
		p.send(publishCall("stuck", 1, 20))
		p.send(`{"event":"ping","cid":21}`)
		time.Sleep(200 * time.Millisecond)
		close(back)
		p.want(`{"event":"#publish","data":{"channel":"stuck","position":"5","data":1}}`, `{"rid":20}`, `{"rid":21,"data":"pong"}`)
	})
}

// A logout passes a publication that waits. What waits behind that one is decided on again.
func TestLogoutWhileAPublicationWaits(t *testing.T) {
	k := newAwayShelf()
	inBubble(t, socketcluster.Config{Broker: k}, func(w *world) {
		back := k.leave()
		asked := make(chan bool, 10)
		socketcluster.Use(w.srv, func(_ context.Context, a *socketcluster.PublishIn) error {
			in := a.Socket.AuthState() == socketcluster.Authenticated
			if asked <- in; !in {
				return socketcluster.Errorf("PublishError", "log in")
			}
			return nil
		})
		p := w.login(map[string]any{"sub": "anna"})
		p.send(publishCall("stuck", 1, 2))
		p.send(publishCall("stuck", 2, 3))
		p.send(`{"event":"#removeAuthToken"}`)
		time.Sleep(time.Second)
		if w.only().AuthState() != socketcluster.Unauthenticated {
			t.Error("the logout waits")
		}
		close(back)
		p.want(`{"rid":2}`, `{"rid":3,"error":{"message":"log in","name":"PublishError"}}`)
		for _, want := range []bool{true, true, false} {
			if in := <-asked; in != want {
				t.Errorf("a decision saw a login: %v, want %v", in, want)
			}
		}
	})
}

// With as many publications that wait as there may be calls, the client waits for the next one. When it
// is gone, they end.
func TestPublicationsThatWaitHaveALimit(t *testing.T) {
	k := newAwayShelf()
	inBubble(t, socketcluster.Config{Broker: k, Limits: socketcluster.Limits{Calls: 3}}, func(w *world) {
		k.leave()
		ponged(w)
		p := w.client()
		before := w.srv.Stats().BudgetUsed
		for i := range 4 {
			p.send(publishCall(fmt.Sprint("stuck", i), 1, 10+i))
		}
		p.send(publishCall("other", 1, 2))
		p.quiet(time.Minute)
		if held := w.srv.Stats().BudgetUsed - before; held < 3<<10 {
			t.Errorf("%d bytes count against the budget", held)
		}
		p.Close()
		synctest.Wait()
		time.Sleep(time.Second)
		if used := w.srv.Stats().BudgetUsed; used != 0 {
			t.Errorf("%d bytes count against the budget of a client that is gone", used)
		}
	})
}

// ST-12: who publishes and then closes in good order loses nothing, however long the storage takes for each.
func TestPublicationsBeforeTheClose(t *testing.T) {
	k := newAwayShelf()
	k.slow = 2 * publishPatience
	inBubble(t, socketcluster.Config{Broker: k}, func(w *world) {
		p := w.client()
		for i := range 5 {
			p.send(fmt.Sprintf(`{"event":"#publish","data":{"channel":"kept %d","data":%d}}`, i%2, i))
		}
		p.sendFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusNormalClosure, "")))
		time.Sleep(5 * time.Second)
		for channel, want := range map[string]string{"kept 0": "0 2 4", "kept 1": "1 3"} {
			var got []string
			err := k.Join(context.Background(), channel, broker.From{Last: 9}, func(past broker.Past) {
				for _, m := range past.Publications {
					got = append(got, string(m.Data))
				}
			})
			if err != nil || strings.Join(got, " ") != want {
				t.Errorf("%s has %v, want %s (%v)", channel, got, want, err)
			}
		}
	})
}

// PS-25: publications stay in order behind a subscription that has waited, also on a channel that keeps
// nothing.
func TestPublicationsBehindASubscription(t *testing.T) {
	k := newAwayShelf()
	k.slow = 20 * time.Millisecond
	inBubble(t, socketcluster.Config{Broker: k}, func(w *world) {
		back := k.leave()
		p := w.client()
		p.send(subscribe("away plain", 2))
		for i := range 20 {
			p.send(publishCall("away plain", i, 100+i))
		}
		time.Sleep(time.Second)
		close(back)
		time.Sleep(2*k.slow + k.slow/2)
		for i := 20; i < 23; i++ {
			p.send(publishCall("away plain", i, 100+i))
		}
		p.want(`{"rid":2,"data":{"position":"0"}}`)
		for i := range 23 {
			p.want(fmt.Sprintf(`{"event":"#publish","data":{"channel":"away plain","position":"%d","data":%d}}`, i+1, i), fmt.Sprintf(`{"rid":%d}`, 100+i))
		}
	})
}
