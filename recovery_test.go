package socketcluster_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/broker"
	"github.com/socketcluster-go/socketcluster/internal/sctest"
)

// publication returns the publications of numbers from 1 on, each at its own position.
func publicationsAt(from, to int) (all []string) {
	for i := from; i <= to; i++ {
		all = append(all, fmt.Sprintf(`{"event":"#publish","data":{"channel":"room","position":"%d","data":%d}}`, i, i))
	}
	return all
}

// publishAt publishes such publications.
func (w *world) publishAt(from, to int) {
	w.t.Helper()
	for i := from; i <= to; i++ {
		if err := w.srv.Exchange().Publish(context.Background(), "room", i); err != nil {
			w.t.Fatal(err)
		}
	}
}

// A report of a loss goes the way of publications, but no outbound middleware sees it.
func TestLoss(t *testing.T) {
	k := sctest.NewShelf(100, "%d")
	inBubble(t, socketcluster.Config{Broker: k}, func(w *world) {
		claimsRule(w)
		p := w.login(map[string]any{"channels": []string{"room"}})
		p.send(`{"event":"#subscribe","data":{"channel":"room"},"cid":2}`)
		p.want(`{"rid":2,"data":{"position":"0"}}`)
		typed, err := w.srv.Exchange().Subscribe(context.Background(), "room")
		if err != nil {
			t.Fatal(err)
		}
		raw, err := w.srv.Exchange().Subscribe(context.Background(), "room")
		if err != nil {
			t.Fatal(err)
		}
		defer raw.Close()
		const told = `{"event":"#lost","data":{"channel":"room","position":"7","lost":{"from":2,"to":3}}}`
		const unknown = `{"event":"#lost","data":{"channel":"room","lost":{}}}`
		w.publishAt(1, 1)
		k.Sink.Lose("room", "7", broker.Lost{From: 2, To: 3})
		k.Sink.Lose("room", "", broker.Lost{})
		k.Sink.Lose("nobody", "", broker.Lost{})
		w.publishAt(2, 2)
		p.want(publicationsAt(1, 1)[0], told, unknown, publicationsAt(2, 2)[0])

		asked := 0
		off := socketcluster.Use(w.srv, func(_ context.Context, a *socketcluster.PublishOut) error {
			asked++
			time.Sleep(time.Second)
			return nil
		})
		w.publishAt(3, 3)
		k.Sink.Lose("room", "7", broker.Lost{From: 2, To: 3})
		w.publishAt(4, 4)
		p.want(publicationsAt(3, 3)[0], told, publicationsAt(4, 4)[0])
		if off(); asked != 2 {
			t.Errorf("outbound middleware was asked %d times", asked)
		}

		var got []string
		for n, err := range socketcluster.Messages[int](typed) {
			if lost, ok := errors.AsType[*socketcluster.LostError](err); ok {
				got = append(got, fmt.Sprintf("%s %d-%d %q %v", lost.Channel, lost.From, lost.To, lost.Position, err))
			} else if got = append(got, fmt.Sprint(n)); n == 4 {
				break
			}
		}
		const text = "socketcluster: publications on the channel room are lost"
		if want := []string{"1", `room 2-3 "7" ` + text + ", from 2 to 3", `room 0-0 "" ` + text, "2", "3", `room 2-3 "7" ` + text + ", from 2 to 3", "4"}; !slices.Equal(got, want) {
			t.Errorf("the loop got %q, want %q", got, want)
		}
		count := 0
		for data := range raw.All() {
			if count++; string(data) != fmt.Sprint(count) {
				t.Errorf("%d is %s", count, data)
			}
			if count == 4 {
				break
			}
		}

		// Who may not receive is told nothing, and who may later is told later.
		decide := make(chan bool, 1)
		socketcluster.Use(w.srv, func(_ context.Context, a *socketcluster.Subscribe) error {
			if a.Again && !<-decide {
				return errors.New("no")
			}
			return nil
		})
		for _, allowed := range []bool{true, false} {
			p.send(`{"event":"login","data":["room"],"cid":3}`)
			p.nextToken()
			p.want(`{"rid":3}`)
			w.publishAt(5, 5)
			k.Sink.Lose("room", "7", broker.Lost{From: 2, To: 3})
			p.quiet(time.Second)
			decide <- allowed
			if allowed {
				p.want(`{"event":"#publish","data":{"channel":"room","position":"5","data":5}}`, told)
				continue
			}
			if text := p.next(); !strings.HasPrefix(text, `{"event":"#kickOut"`) {
				t.Errorf("got %s", text)
			}
		}
		p.quiet(time.Second)
	})
}

// A subscription with waitForAuth that was suspended goes on after the next login where it was,
// with nothing missing and nothing twice, wherever what was published had got to.
func TestSuspendedContinues(t *testing.T) {
	for name, outbound := range map[string]bool{"": false, "with outbound middleware": true} {
		k := sctest.NewShelf(6, "%d")
		inBubble(t, socketcluster.Config{Broker: k}, func(w *world) {
			again := make(chan struct{})
			socketcluster.Use(w.srv, func(ctx context.Context, a *socketcluster.Subscribe) error {
				if a.Again {
					<-again
				}
				return nil
			})
			claimsRule(w)
			if outbound {
				socketcluster.Use(w.srv, func(context.Context, *socketcluster.PublishOut) error { return nil })
			}
			w.publishAt(1, 2)
			p := w.login(map[string]any{"channels": []string{"room"}})
			p.send(`{"event":"#subscribe","data":{"channel":"room","waitForAuth":true,"since":"1"},"cid":2}`)
			p.want(publicationsAt(2, 2)[0], `{"rid":2,"data":{"position":"1"}}`)
			published := 2
			for i, steps := range []struct{ before, withheld, away int }{{0, 0, 2}, {1, 0, 0}, {0, 2, 1}, {2, 1, 0}, {1, 2, 3}, {1, 1, 7}, {0, 0, 0}, {1, 0, 1}} {
				first := published + 1
				publish := func(n int) {
					w.publishAt(published+1, published+n)
					published += n
				}
				publish(steps.before)
				p.want(publicationsAt(first, published)...)
				first = published + 1
				w.only().Deauthenticate(context.Background())
				p.want(removeAuthToken)
				publish(steps.withheld)
				synctest.Wait()
				again <- struct{}{} // it is suspended now
				synctest.Wait()
				publish(steps.away)
				p.quiet(time.Second)
				p.send(fmt.Sprintf(`{"event":"login","data":["room"],"cid":%d}`, i+3))
				p.nextToken()
				p.want(fmt.Sprintf(`{"rid":%d}`, i+3))
				again <- struct{}{}
				if missed := published - first + 1; missed > k.Limit {
					p.want(fmt.Sprintf(`{"event":"#lost","data":{"channel":"room","position":"%d","lost":{"from":%d,"to":%d}}}`, published-k.Limit, first, published-k.Limit))
					first = published - k.Limit + 1
				}
				p.want(publicationsAt(first, published)...)
				p.quiet(time.Second)
			}
			if t.Failed() {
				t.Log(name)
			}
		})
	}
}

// What the answer to a subscription says is true even if the client has got nothing yet: it
// is suspended, or its publications wait.
func TestAnswerBeforeThePast(t *testing.T) {
	k := sctest.NewShelf(100, "%d")
	inBubble(t, socketcluster.Config{Broker: k}, func(w *world) {
		again := make(chan struct{})
		socketcluster.Use(w.srv, func(ctx context.Context, a *socketcluster.Subscribe) error {
			if a.Again {
				<-again
			}
			return nil
		})
		claimsRule(w)
		w.publishAt(1, 4)
		p := w.login(map[string]any{"channels": []string{"room"}})
		// Outbound middleware has not seen the past yet when the client has logged out.
		off := socketcluster.Use(w.srv, func(context.Context, *socketcluster.PublishOut) error {
			time.Sleep(time.Second)
			return nil
		})
		end := socketcluster.On(w.srv, func(e socketcluster.SubscribeEvent) { e.Socket.Deauthenticate(context.Background()) })
		p.send(`{"event":"#subscribe","data":{"channel":"room","waitForAuth":true,"last":3},"cid":2}`)
		p.want(removeAuthToken, `{"rid":2,"data":{"position":"1"}}`)
		again <- struct{}{}
		synctest.Wait()
		end()
		off()
		p.quiet(time.Second)
		w.publishAt(5, 5)
		p.send(`{"event":"login","data":["room"],"cid":3}`)
		p.nextToken()
		p.want(`{"rid":3}`)
		again <- struct{}{}
		p.want(publicationsAt(2, 5)...)
		p.quiet(time.Second)
	})
}
