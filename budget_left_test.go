package socketcluster_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster"
)

// counts fails the test unless about so many bytes count more than before.
func (w *world) counts(before, want int64, when string) {
	w.t.Helper()
	synctest.Wait()
	if n := w.srv.Stats().BudgetUsed - before; n < want || n > want+want/10 {
		w.t.Errorf("%d bytes count %s, want about %d", n, when, want)
	}
}

func (w *world) used() int64 {
	synctest.Wait()
	return w.srv.Stats().BudgetUsed
}

// What a task takes beside its data, and the goroutine that handles some.
const (
	taskCost   = 512
	workerCost = 9 << 9
)

// What a loop has been given counts until the last loop is through with it, and
// takes a slot.
func TestBudgetOfLoops(t *testing.T) {
	const size = 10_000
	send := func(p *peer, event string, n int) {
		for range n {
			p.send(fmt.Sprintf(`{"event":%q,"data":%q}`, event, strings.Repeat("x", size)))
		}
	}
	loop := func(items func(func(*socketcluster.Transmission) bool), turn chan bool) {
		for range items {
			if !<-turn {
				return
			}
		}
	}
	within(t, 10_000_000, func(w *world) {
		p, s := w.named("a")
		before := w.used()
		first, second := make(chan bool), make(chan bool)
		go loop(s.Receiver("x"), first)
		go loop(s.Receiver("x"), second)
		send(p, "x", 5)
		w.counts(before, 5*(size+taskCost), "with two loops")
		first <- true
		first <- true
		w.counts(before, 5*(size+taskCost), "with the slower loop")
		second <- true
		w.counts(before, 4*(size+taskCost), "after one")
		first <- false
		w.counts(before, 4*(size+taskCost), "after the first loop")
		second <- false
		w.counts(before, 0, "after the loops")
		// What a loop that has been killed is handling is with it until it is
		// through.
		go loop(s.Receiver("x"), first)
		send(p, "x", 5)
		w.counts(before, 5*(size+taskCost), "with another loop")
		s.KillReceiver("x")
		w.counts(before, size+taskCost, "after the loop has been killed")
		first <- true
		w.counts(before, 0, "after the loop has ended")
		// A loop may never begin, and ends with the socket all the same.
		items := s.Receiver("x")
		send(p, "x", 30)
		w.counts(before, 30*(size+taskCost), "before the loop")
		s.CloseReceiver("x")
		w.counts(before, 0, "after a loop that has not begun")
		n := 0
		for range items {
			n++
		}
		if n != 16 {
			t.Errorf("the loop took %d items, want those of its queue", n)
		}
		s.Receiver("x")
		send(p, "x", 3)
		w.counts(before, 3*(size+taskCost), "before another loop")
		p.conn.Close()
		if n := w.used(); n != 0 {
			t.Errorf("%d bytes count after the end", n)
		}
	})
}

// A loop that is slow has no more calls than Limits.Calls.
func TestLoopsHoldCalls(t *testing.T) {
	cfg := socketcluster.Config{PingTimeoutDisabled: true, Limits: socketcluster.Limits{Calls: 3}}
	inBubble(t, cfg, func(w *world) {
		p := w.client()
		calls := w.only().Procedure("x")
		for i := range 6 {
			p.send(fmt.Sprintf(`{"event":"x","cid":%d}`, i+2))
		}
		synctest.Wait()
		if n := w.only().ProcedureBackpressure("x"); n != 3 {
			t.Errorf("%d calls wait for the loop, want 3", n)
		}
		go func() {
			for c := range calls {
				c.End(nil)
			}
		}()
		for i := range 6 {
			p.want(fmt.Sprintf(`{"rid":%d}`, i+2))
		}
	})
}

// Names of events count like their data, and each call for what it takes
// itself.
func TestBudgetOfNames(t *testing.T) {
	within(t, 10_000_000, func(w *world) {
		release := make(chan struct{})
		w.srv.HandleRest(socketcluster.Func(func(context.Context, *socketcluster.Call, json.RawMessage) (socketcluster.None, error) {
			<-release
			return socketcluster.None{}, nil
		}))
		p, _ := w.named("a")
		before := w.used()
		go func() {
			for range 110 {
				p.next()
			}
		}()
		for i := range 10 {
			p.send(fmt.Sprintf(`{"event":"%d%s","cid":2}`, i, strings.Repeat("n", 9_999)))
		}
		w.counts(before, 10*(10_000+taskCost+workerCost), "with long names")
		for i := range 100 {
			p.send(fmt.Sprintf(`{"event":"%d","cid":2}`, i))
		}
		w.counts(before, 10*10_000+110*(taskCost+workerCost), "with many names")
		close(release)
		w.counts(before, 0, "after the calls")
	})
}

// What clients have left behind belongs to nobody: it is dropped when it does
// not fit any more, and nobody who is there has to make room for it.
func TestBudgetDropsWhatGoneSocketsLeft(t *testing.T) {
	within(t, 1_000_000, func(w *world) {
		var handled atomic.Int32
		release := make(chan struct{})
		w.srv.Receive("slow", socketcluster.ReceiverFunc(func(context.Context, *socketcluster.Transmission) {
			handled.Add(1)
			<-release
		}))
		w.srv.Handle("echo", socketcluster.Func(echo))
		ends := w.ends()
		honest, _ := w.named("honest")
		before := w.used()
		item := fmt.Sprintf(`{"event":"slow","data":%q}`, strings.Repeat("x", 20_000))
		leave := func() {
			p, s := w.named("gone")
			loop := s.Receiver("loop")
			go func() {
				for range loop {
					<-release
				}
			}()
			synctest.Wait()
			for range 15 {
				p.send(item)
			}
			for range 3 {
				p.send(fmt.Sprintf(`{"event":"loop","data":%q}`, strings.Repeat("x", 20_000)))
			}
			synctest.Wait()
			p.conn.Close()
			synctest.Wait()
		}
		for range 2 {
			leave()
		}
		w.counts(before, 2*18*(20_000+taskCost), "below the budget")
		for range 3 {
			leave()
			time.Sleep(time.Second)
		}
		// One item each is with a handler, and one with a loop.
		if n := w.used() - before; n > 1_000_000 {
			t.Errorf("%d bytes count", n)
		}
		if n := w.srv.Stats().LimitHits["Limits.Budget"]; n == 0 {
			t.Error("nothing was dropped")
		}
		honest.send(`{"event":"echo","cid":2}`)
		honest.want(`{"rid":2}`)
		if got := ends(); strings.Contains(got, "honest") {
			t.Errorf("ended: %s", got)
		}
		close(release)
		w.counts(before, 0, "after the handlers")
		if n := handled.Load(); n >= 5*15 {
			t.Errorf("%d were handled: nothing was dropped", n)
		}
	})
}

// The URL counts for as long as the socket lives, and the upgrade request until
// it is let go of.
func TestBudgetOfUpgrades(t *testing.T) {
	for _, keep := range []bool{false, true} {
		inBubble(t, socketcluster.Config{KeepRequest: keep}, func(w *world) {
			p, _ := w.upgrade(func(r *http.Request) { r.URL.RawQuery = strings.Repeat("q", 5000) })
			if n := w.used(); n < 10_000 {
				t.Errorf("%d bytes count before the handshake, want those of URL and request", n)
			}
			p.send(handshake)
			p.next()
			if n := w.used(); n < 5000 || (n > 10_000) != keep {
				t.Errorf("%d bytes count with KeepRequest = %v", n, keep)
			}
			p.conn.Close()
			if n := w.used(); n != 0 {
				t.Errorf("%d bytes count after the end", n)
			}
		})
	}
}

// A socket that is being closed does not keep a long URL for as long as its
// peer takes to answer, if there is no room for it.
func TestBudgetOfURLsOfClosedSockets(t *testing.T) {
	within(t, 150_000, func(w *world) {
		honest, _ := w.named("honest")
		for range 4 {
			p, _ := w.upgrade(func(r *http.Request) { r.URL.RawQuery = strings.Repeat("q", 40_000) })
			p.send(handshake) // and never read
			synctest.Wait()
		}
		time.Sleep(time.Second) // less than the close timeout
		if n := w.used(); n > 150_000 {
			t.Errorf("%d bytes count", n)
		}
		honest.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`)
		honest.want(`{"rid":2}`)
	})
}
