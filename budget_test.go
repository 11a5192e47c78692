package socketcluster_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"github.com/socketcluster-go/socketcluster"
)

// within runs a test with a budget, and clients that take no more than a KB
// from the network unless they read.
func within(t *testing.T, bytes int, fn func(w *world)) {
	t.Helper()
	cfg := socketcluster.Config{Timeouts: socketcluster.Timeouts{PingDisabled: true}, Limits: socketcluster.Limits{Budget: bytes, OutboxStall: time.Hour}}
	inBubble(t, cfg, func(w *world) {
		w.listen.BufferSize = 1000
		fn(w)
	})
}

// nameKey has the names that tests give to sockets.
var nameKey socketcluster.Key[string]

// ends notes how sockets end, by their name.
func (w *world) ends() func() string {
	var mu sync.Mutex
	var all []string
	socketcluster.On(w.srv, func(e socketcluster.DisconnectEvent) {
		name, _ := nameKey.Get(e.Socket)
		mu.Lock()
		defer mu.Unlock()
		all = append(all, fmt.Sprintf("%s: %d %s", name, e.Code, e.Reason))
	})
	return func() string {
		time.Sleep(time.Second)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		return strings.Join(all, "; ")
	}
}

// named opens a connection to a socket with that name.
func (w *world) named(name string) (*peer, *socketcluster.Socket) {
	w.t.Helper()
	p := w.dial()
	p.send(handshake)
	var status struct {
		Data struct{ ID string }
	}
	if err := json.Unmarshal([]byte(p.next()), &status); err != nil {
		w.t.Fatal(err)
	}
	s := w.srv.Client(status.Data.ID)
	nameKey.Set(s, name)
	return p, s
}

func (w *world) subscribed(name, channel string) (*peer, *socketcluster.Socket) {
	w.t.Helper()
	p, s := w.named(name)
	p.send(fmt.Sprintf(`{"event":"#subscribe","data":{"channel":%q},"cid":2}`, channel))
	p.want(`{"rid":2}`)
	return p, s
}

// The largest outbox goes first, and no other one once there is room.
func TestBudgetShedsTheLargestOutbox(t *testing.T) {
	within(t, 400_000, func(w *world) {
		ends := w.ends()
		small, smallSocket := w.named("small")
		middle, middleSocket := w.named("middle")
		_, largeSocket := w.named("large")
		send := func(s *socketcluster.Socket, n int) {
			t.Helper()
			if err := s.Transmit(context.Background(), "x", strings.Repeat("x", n)); err != nil {
				t.Fatal(err)
			}
		}
		send(smallSocket, 20_000)
		send(middleSocket, 150_000)
		send(largeSocket, 200_000)
		if got := ends(); got != "" {
			t.Fatalf("below the budget: %s", got)
		}
		send(smallSocket, 40_000)
		if got := ends(); got != "large: 1008 The client does not read fast enough" {
			t.Errorf("ended: %s", got)
		}
		st := w.srv.Stats()
		if st.LimitHits["Limits.Budget"] != 1 || st.LimitHits["Limits.Outbox"] != 0 || st.BudgetUsed > 350_000 || st.Budget != 400_000 {
			t.Errorf("%+v", st)
		}
		if !strings.Contains(w.logs.String(), "limit=Limits.Budget") {
			t.Error("nothing in the log")
		}
		// The others get what they were sent.
		small.next()
		small.next()
		middle.next()
	})
}

// A publication counts once, however many it waits for.
func TestBudgetCountsPublicationsOnce(t *testing.T) {
	within(t, 300_000, func(w *world) {
		ends := w.ends()
		var peers []*peer
		for i := range 20 {
			p, _ := w.subscribed(fmt.Sprint(i), "a")
			peers = append(peers, p)
		}
		synctest.Wait()
		before := w.srv.Stats().BudgetUsed
		data := strings.Repeat("x", 10_000)
		for range 20 {
			w.srv.Exchange().Publish(context.Background(), "a", data)
		}
		synctest.Wait()
		if n := w.srv.Stats().BudgetUsed - before; n < 240_000 || n > 250_000 {
			t.Errorf("%d bytes count", n)
		}
		if st := w.srv.Stats(); st.Publications != 20 || st.Deliveries != 400 {
			t.Errorf("%+v", st)
		}
		// One who reads does not change it, the last one does.
		for i, p := range peers {
			for range 20 {
				p.next()
			}
			synctest.Wait()
			if n := w.srv.Stats().BudgetUsed - before; i < 19 && n < 200_000 || i == 19 && n != 0 {
				t.Errorf("%d bytes count after client %d has read", n, i)
			}
		}
		if got := ends(); got != "" {
			t.Errorf("ended: %s", got)
		}
	})
}

// When all hold the same publications, they go until there is room.
func TestBudgetShedsSlowSubscribers(t *testing.T) {
	within(t, 300_000, func(w *world) {
		reader, _ := w.subscribed("reader", "a")
		for i := range 20 {
			w.subscribed(fmt.Sprint(i), "a")
		}
		data := strings.Repeat("x", 10_000)
		for range 100 {
			w.srv.Exchange().Publish(context.Background(), "a", data)
			if text := reader.next(); len(text) < 10_000 {
				t.Fatalf("got %s", text)
			}
			time.Sleep(100 * time.Millisecond) // the server rests before it looks again
			synctest.Wait()
			if n := w.srv.Stats().BudgetUsed; n > 320_000 {
				t.Fatalf("%d bytes count", n)
			}
		}
		time.Sleep(time.Second)
		if n := w.srv.Exchange().NumSubscribers("a"); n != 1 {
			t.Errorf("%d subscribers are left", n)
		}
	})
}

// Messages of which a part is still to come are counted. The sockets that hold
// the most are closed with 1013.
func TestBudgetOfUnfinishedMessages(t *testing.T) {
	within(t, 1_000_000, func(w *world) {
		ends := w.ends()
		w.srv.Handle("echo", socketcluster.Func(echo))
		honest, _ := w.named("honest")
		var attackers []*peer
		for i := range 10 {
			p, _ := w.named(fmt.Sprint(i))
			attackers = append(attackers, p)
			part := ws.NewFrame(ws.OpText, false, []byte(strings.Repeat("x", 110_000+1000*i)))
			ws.WriteFrame(p.Conn, ws.MaskFrame(part)) // fails for those that are closed meanwhile
			// Messages in between do not hide it.
			ws.WriteFrame(p.Conn, ws.MaskFrame(ws.NewPongFrame([]byte("x"))))
			p.Conn.Write(ws.MustCompileFrame(ws.MaskFrame(ws.NewPingFrame([]byte("unfinished"))))[:8])
		}
		var closed int
		if _, err := fmt.Sscanf(ends(), "%d: 1013 The server holds too many messages", &closed); err != nil {
			t.Fatalf("ended: %s", ends())
		}
		attackers[closed].wantClose(1013, "The server holds too many messages")
		if n := w.srv.Stats().BudgetUsed; n > 1_000_000 {
			t.Errorf("%d bytes count", n)
		}
		honest.send(`{"event":"echo","cid":2}`)
		honest.want(`{"rid":2}`)
		if st := w.srv.Stats(); st.LimitHits["Limits.Budget"] == 0 || st.Clients < 5 {
			t.Errorf("%+v", st)
		}
	})
}

// The bytes that handlers hold count until they return, whether the client is
// there or not. Clients that hold little can send all the time.
func TestBudgetWithHandlers(t *testing.T) {
	within(t, 1_000_000, func(w *world) {
		release := make(chan struct{})
		w.srv.Handle("slow", socketcluster.Proc(func(context.Context, json.RawMessage) error {
			<-release // whatever happens
			return nil
		}), socketcluster.Concurrent(100))
		w.srv.Handle("echo", socketcluster.Func(echo))
		honest, _ := w.named("honest")
		call := fmt.Sprintf(`{"event":"slow","cid":2,"data":%q}`, strings.Repeat("x", 200_000))
		for i := range 20 {
			p, _ := w.named(fmt.Sprint(i))
			go ws.WriteFrame(p.Conn, ws.MaskFrame(ws.NewTextFrame([]byte(call))))
			time.Sleep(time.Second)
			if i%2 == 0 {
				p.Conn.Close()
			}
			if n := w.srv.Stats().BudgetUsed; n > 1_500_000 {
				t.Fatalf("%d bytes count after %d", n, i)
			}
		}
		honest.send(`{"event":"echo","cid":2}`)
		honest.want(`{"rid":2}`)
		st := w.srv.Stats()
		if st.BudgetUsed < 800_000 || st.LimitHits["Limits.Budget"] == 0 {
			t.Errorf("%+v", st)
		}
		close(release)
		synctest.Wait()
	})
}

// A handler that waits for an answer of its client gets it, although there is
// no room.
func TestBudgetLetsAnswersIn(t *testing.T) {
	within(t, 100_000, func(w *world) {
		w.srv.Handle("ask", socketcluster.Func(func(ctx context.Context, _ json.RawMessage) (json.RawMessage, error) {
			return socketcluster.FromContext(ctx).Invoke(ctx, "question", nil)
		}))
		release := make(chan struct{})
		w.srv.Handle("slow", socketcluster.Proc(func(context.Context, json.RawMessage) error {
			<-release
			return nil
		}), socketcluster.Concurrent(100))
		asker, _ := w.named("asker")
		for range 20 { // what they leave with handlers is beyond the budget
			hog, _ := w.named("hog")
			hog.send(fmt.Sprintf(`{"event":"slow","cid":2,"data":%q}`, strings.Repeat("x", 1000)))
			synctest.Wait()
			hog.Conn.Close()
			synctest.Wait()
		}
		asker.send(`{"event":"ask","cid":2}`)
		asker.want(`{"event":"question","cid":1}`)
		defer close(release)
		if n := w.srv.Stats().BudgetUsed; n <= 100_000 {
			t.Fatalf("%d bytes count: there is room", n)
		}
		answer := strings.Repeat("x", 500)
		asker.send(`{"rid":1,"data":"` + answer + `"}`)
		asker.want(`{"rid":2,"data":"` + answer + `"}`)
	})
}

// Names and data of subscriptions count.
func TestBudgetOfSubscriptions(t *testing.T) {
	within(t, 1_000_000, func(w *world) {
		p, _ := w.named("a")
		other, _ := w.named("b")
		synctest.Wait() // until nothing of the handshakes counts any more
		before := w.srv.Stats().BudgetUsed
		name := strings.Repeat("n", 1000)
		for i := range 10 {
			p.send(fmt.Sprintf(`{"event":"#subscribe","data":{"channel":"%s%d","data":%q,"waitForAuth":true},"cid":2}`, name, i, strings.Repeat("d", 2000)))
			p.want(`{"rid":2}`)
		}
		synctest.Wait()
		if n := w.srv.Stats().BudgetUsed - before; n < 35_000 || n > 36_000 {
			t.Errorf("%d bytes count for 10 subscriptions of 3000", n)
		}
		for i := range 5 {
			p.send(fmt.Sprintf(`{"event":"#unsubscribe","data":"%s%d","cid":2}`, name, i))
			p.want(`{"rid":2}`)
		}
		synctest.Wait()
		if n := w.srv.Stats().BudgetUsed - before; n < 17_500 || n > 18_000 {
			t.Errorf("%d bytes count for 5", n)
		}
		for i := 0; w.srv.NumClients() == 2; i++ {
			if i == 1000 {
				t.Fatal("still there")
			}
			ws.WriteFrame(p.Conn, ws.MaskFrame(ws.NewTextFrame([]byte(fmt.Sprintf(`{"event":"#subscribe","data":{"channel":"%s%d","data":%q},"cid":2}`, name, i, strings.Repeat("d", 15000))))))
			synctest.Wait()
			p.In.Discard(p.In.Buffered())
			if f, err := p.nextFrame(); err != nil || f.Header.OpCode == ws.OpClose {
				break
			}
		}
		time.Sleep(time.Second)
		if st := w.srv.Stats(); st.Clients != 1 || st.LimitHits["Limits.Budget"] != 1 {
			t.Errorf("%+v", st)
		}
		other.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`)
		other.want(`{"rid":2}`)
	})
}

// The options of a suspended subscription are released with the socket.
func TestBudgetOfSuspendedSubscriptions(t *testing.T) {
	within(t, 1_000_000, func(w *world) {
		socketcluster.Use(w.srv, func(_ context.Context, a *socketcluster.Subscribe) error {
			if a.Socket.AuthState() != socketcluster.Authenticated {
				return socketcluster.ErrBlocked
			}
			return nil
		})
		p := w.login(map[string]any{"a": 1})
		p.send(fmt.Sprintf(`{"event":"#subscribe","data":{"channel":"a","waitForAuth":true,"data":%q},"cid":2}`, strings.Repeat("d", 1000)))
		p.want(`{"rid":2}`)
		p.send(`{"event":"#removeAuthToken"}`)
		synctest.Wait()
		if n := w.srv.Stats().BudgetUsed; w.only().IsSubscribed("a") || n < 1100 || n > 1300 {
			t.Errorf("%d bytes count", n)
		}
		p.Conn.Close()
		synctest.Wait()
		if n := w.srv.Stats().BudgetUsed; n != 0 {
			t.Errorf("%d bytes count after the end", n)
		}
	})
}

// Packets that wait for outbound middleware and in batches count, and are
// released with their socket.
func TestBudgetOfQueuesAndBatches(t *testing.T) {
	within(t, 1_000_000, func(w *world) {
		_, batching := w.named("batching")
		synctest.Wait()
		before := w.srv.Stats().BudgetUsed
		batching.StartBatch()
		batching.Transmit(context.Background(), "x", strings.Repeat("x", 100_000))
		if n := w.srv.Stats().BudgetUsed; n < 100_000 || n > 101_000 {
			t.Errorf("%d bytes count in a batch of 100000", n)
		}
		batching.StartBatch().Cancel()
		if n := w.srv.Stats().BudgetUsed - before; n != 0 {
			t.Errorf("%d bytes count in a cancelled batch", n)
		}
		batching.StartBatch()
		batching.Transmit(context.Background(), "x", strings.Repeat("x", 100_000))
		gate := make(chan struct{})
		w.srv.UseOutbound(func(context.Context, socketcluster.Action) error { <-gate; return nil })
		_, queueing := w.subscribed("queueing", "a")
		for range 5 {
			w.srv.Exchange().Publish(context.Background(), "a", strings.Repeat("x", 100_000))
		}
		synctest.Wait()
		if n := w.srv.Stats().BudgetUsed; n < 600_000 || n > 603_000 {
			t.Errorf("%d bytes count, want 600000", n)
		}
		queueing.Terminate()
		close(gate)
		synctest.Wait()
		if n := w.srv.Stats().BudgetUsed; n < 100_000 || n > 101_000 {
			t.Errorf("%d bytes count after the queue has gone", n)
		}
	})
}

// The budget is a part of the memory limit of the process.
func TestDefaultBudget(t *testing.T) {
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(-1))
	for limit, want := range map[int64]int64{math.MaxInt64: 512 << 20, 1 << 30: 256 << 20} {
		debug.SetMemoryLimit(limit)
		inBubble(t, socketcluster.Config{}, func(w *world) {
			if got := w.srv.Stats().Budget; got != want {
				t.Errorf("limit %d: budget %d, want %d", limit, got, want)
			}
		})
	}
}

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

// The memory of a task besides its data, and of the goroutine that handles
// tasks.
const (
	taskCost   = 512
	workerCost = 9 << 9
)

// A packet that loops have counts until the last loop has finished with it, and
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
		go loop(s.Receiver("x").All(), first)
		go loop(s.Receiver("x").All(), second)
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
		// A packet that a killed loop is handling counts until the loop has
		// finished with it.
		go loop(s.Receiver("x").All(), first)
		send(p, "x", 5)
		w.counts(before, 5*(size+taskCost), "with another loop")
		s.Receiver("x").Kill()
		w.counts(before, size+taskCost, "after the loop has been killed")
		first <- true
		w.counts(before, 0, "after the loop has ended")
		// A loop may never begin, and ends with the socket nevertheless.
		items := s.Receiver("x").All()
		send(p, "x", 30)
		w.counts(before, 30*(size+taskCost), "before the loop")
		s.Receiver("x").Close()
		w.counts(before, 0, "after a loop that has not begun")
		n := 0
		for range items {
			n++
		}
		if n != 16 {
			t.Errorf("the loop took %d items, want those of its queue", n)
		}
		s.Receiver("x").All()
		send(p, "x", 3)
		w.counts(before, 3*(size+taskCost), "before another loop")
		p.Conn.Close()
		if n := w.used(); n != 0 {
			t.Errorf("%d bytes count after the end", n)
		}
	})
}

// A loop that is slow has no more calls than Limits.Calls.
func TestLoopsHoldCalls(t *testing.T) {
	cfg := socketcluster.Config{Timeouts: socketcluster.Timeouts{PingDisabled: true}, Limits: socketcluster.Limits{Calls: 3}}
	inBubble(t, cfg, func(w *world) {
		p := w.client()
		calls := w.only().Procedure("x").All()
		for i := range 6 {
			p.send(fmt.Sprintf(`{"event":"x","cid":%d}`, i+2))
		}
		synctest.Wait()
		if n := w.only().Procedure("x").Backpressure(); n != 3 {
			t.Errorf("%d calls wait for the loop, want 3", n)
		}
		go func() {
			for c := range calls {
				c.Reply(nil)
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
		w.srv.HandleDefault(func(context.Context, *socketcluster.Call) (any, error) {
			<-release
			return nil, nil
		})
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

// Messages of clients that have gone are dropped when there is no room, and no
// connected client has to make room for them.
func TestBudgetDropsWhatGoneSocketsLeft(t *testing.T) {
	within(t, 1_000_000, func(w *world) {
		var handled atomic.Int32
		release := make(chan struct{})
		w.srv.Receive("slow", socketcluster.ReceiverFunc(func(context.Context, *socketcluster.Transmission) error {
			handled.Add(1)
			<-release
			return nil
		}))
		w.srv.Handle("echo", socketcluster.Func(echo))
		ends := w.ends()
		honest, _ := w.named("honest")
		before := w.used()
		item := fmt.Sprintf(`{"event":"slow","data":%q}`, strings.Repeat("x", 20_000))
		leave := func() {
			p, s := w.named("gone")
			loop := s.Receiver("loop").All()
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
			p.Conn.Close()
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
		inBubble(t, socketcluster.Config{Compat: socketcluster.Compat{KeepRequest: keep}}, func(w *world) {
			p, _ := w.upgrade(func(r *http.Request) { r.URL.RawQuery = strings.Repeat("q", 5000) })
			if n := w.used(); n < 10_000 {
				t.Errorf("%d bytes count before the handshake, want those of URL and request", n)
			}
			p.send(handshake)
			p.next()
			if n := w.used(); n < 5000 || (n > 10_000) != keep {
				t.Errorf("%d bytes count with KeepRequest = %v", n, keep)
			}
			p.Conn.Close()
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
