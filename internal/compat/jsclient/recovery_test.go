package jsclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/broker"
	"github.com/socketcluster-go/socketcluster/broker/mem"
	"github.com/socketcluster-go/socketcluster/cluster"
	"github.com/socketcluster-go/socketcluster/internal/sctest"
)

// startHistory starts a server whose channel chat keeps some publications. publish publishes
// numbers on it.
func startHistory(t *testing.T, size int) (srv *server, publish func(from, to int)) {
	t.Helper()
	node, err := cluster.Start(t.Context(), cluster.Options{
		Name: "a", StoreDir: t.TempDir(), Logger: slog.New(slog.DiscardHandler),
		History: []cluster.HistoryRule{{Channel: "chat", Size: size, Age: time.Hour}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(node.Close)
	srv = startServer(t, socketcluster.Config{Auth: auth.Options{Key: key}, Broker: node.Broker()}, nil)
	return srv, func(from, to int) {
		t.Helper()
		for i := from; i < to; i++ {
			if err := srv.Exchange().Publish(t.Context(), "chat", i); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// reporting is a broker that reports losses.
type reporting struct {
	broker.Broker
	sink broker.PositionSink
}

func (b *reporting) Start(ctx context.Context, sink broker.Sink) error {
	b.sink = sink.(broker.PositionSink)
	return b.Broker.Start(ctx, sink)
}

// The report of a loss does no harm to a stock client of any version, and the module passes
// it on.
func TestLossWhileLive(t *testing.T) {
	b := &reporting{Broker: new(mem.Broker)}
	srv := startBoth(t, socketcluster.Config{Broker: b}, nil)
	n := startNode(t)
	stock := n.connected(t, srv, nil, options{"path": path20})
	with := n.connected(t, srv, nil, options{"path": path20, "recover": map[string]any{}})
	old := startNode14(t).connected(t, srv, nil)
	oldest := startNode(t, "CLIENT=socketcluster-client-2").connected(t, srv, nil)
	clients := []*client{stock, with, old, oldest}
	for _, c := range clients {
		c.do(t, "collect", "chat")
		c.do(t, "subscribe", "chat", nil)
		c.diary(t)
	}
	publish := func(data int) {
		if err := srv.Exchange().Publish(t.Context(), "chat", data); err != nil {
			t.Fatal(err)
		}
	}
	publish(1)
	b.sink.Lose("chat", "e.5.1", broker.Lost{From: 3, To: 5})
	b.sink.Lose("chat", "", broker.Lost{})
	publish(2)
	for _, c := range clients {
		var got []int
		for len(got) < 2 {
			got = decode[[]int](t, c.do(t, "collected"))
		}
		if !slices.Equal(got, []int{1, 2}) {
			t.Errorf("got %v", got)
		}
		if events := c.diary(t); strings.Contains(events, "error") || strings.Contains(events, "close") {
			t.Errorf("events %s", events)
		}
	}
	got := decode[struct{ Lost [][]any }](t, with.do(t, "recovered", 2)).Lost
	if fmt.Sprint(got) != "[[chat 3 5] [chat <nil> <nil>]]" {
		t.Errorf("the module reports %v", got)
	}
}

// A subscription that waits for a login goes on where it was, with the stock client and the
// module.
func TestRecoveryAfterLogin(t *testing.T) {
	srv, publish := startHistory(t, 100)
	socketcluster.Use(srv.Server, func(_ context.Context, a *socketcluster.Subscribe) error {
		if a.Socket.AuthState() != socketcluster.Authenticated {
			return errors.New("log in")
		}
		return nil
	})
	srv.Handle("login", socketcluster.Proc(login))
	c := startNode(t).connected(t, srv, nil, options{"recover": map[string]any{"last": 2}})
	c.do(t, "collect", "chat")
	publish(0, 3)
	waits := c.start(t, "subscribe", "chat", map[string]any{"waitForAuth": true})
	c.login(t, alice)
	if _, err := waits(); err != nil {
		t.Fatal(err)
	}
	want := func(count int) {
		t.Helper()
		got := decode[struct {
			All  []int
			Lost []any
		}](t, c.do(t, "recovered", count))
		for i, number := range got.All {
			if number != i+1 {
				t.Fatalf("got %v", got.All)
			}
		}
		if len(got.Lost) > 0 {
			t.Errorf("%v is lost", got.Lost)
		}
	}
	want(2)
	for i := range 3 {
		publish(3+2*i, 4+2*i)
		want(3 + 2*i)
		c.do(t, "deauthenticate")
		for suspended := false; !suspended; time.Sleep(time.Millisecond) {
			suspended = srv.Exchange().NumSubscribers("chat") == 0
		}
		publish(4+2*i, 5+2*i)
		c.login(t, alice)
		want(4 + 2*i)
	}
}

// A stock client with the module for recovery gets what it has missed, once and in order,
// and is told what it will not get. One without the module works as ever.
func TestRecovery(t *testing.T) {
	srv, publish := startHistory(t, 10)
	n := startNode(t)
	want := func(c *client, lost int, numbers ...int) {
		t.Helper()
		var got struct {
			All  []int
			Lost []any
		}
		if err := json.Unmarshal(c.do(t, "recovered", len(numbers)), &got); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got.All, numbers) || len(got.Lost) != lost {
			t.Errorf("the client got %v, and %v is lost; want %v, and %d", got.All, got.Lost, numbers, lost)
		}
	}
	publish(0, 5)
	stock := n.connected(t, srv, nil)
	with := n.connected(t, srv, nil, options{"recover": map[string]any{"last": 2}})
	clients := []*client{stock, with}
	for _, c := range clients {
		c.do(t, "collect", "chat")
		c.do(t, "subscribe", "chat", nil)
		c.do(t, "forget", "subscribe")
	}
	publish(5, 8)
	want(stock, 0, 5, 6, 7)
	want(with, 0, 3, 4, 5, 6, 7)
	for _, c := range clients {
		c.do(t, "disconnect", 1000)
	}
	publish(8, 12)
	for _, c := range clients {
		c.connect(t)
		c.wait(t, "subscribe")
	}
	publish(12, 13)
	want(stock, 0, 5, 6, 7, 12)
	want(with, 0, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)
	for _, c := range clients {
		c.do(t, "disconnect", 1000)
	}
	publish(13, 33)
	with.connect(t)
	with.wait(t, "subscribe") // what is lost is in the answer, behind the publications
	want(with, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32)
}

// awayShelf is a shelf that cannot read what it keeps for a while.
type awayShelf struct {
	*sctest.Shelf
	away atomic.Int32 // so many more times
}

func (k *awayShelf) Join(ctx context.Context, channel string, from broker.From, enter func(broker.Past)) error {
	if k.away.Add(-1) >= 0 {
		time.Sleep(400 * time.Millisecond) // longer than others wait
		return fmt.Errorf("wait for storage: %w", context.DeadlineExceeded)
	}
	return k.Shelf.Join(ctx, channel, from, enter)
}

// A stock client that comes back while the server cannot read what it has missed does not give
// up its channel, with the module and without it. It is served meanwhile.
func TestRecoveryWaitsForTheStorage(t *testing.T) {
	k := &awayShelf{Shelf: sctest.NewShelf(100, "e.%x.0")}
	srv := startServer(t, socketcluster.Config{Broker: k}, nil)
	publish := func(n int) {
		t.Helper()
		if err := srv.Exchange().Publish(t.Context(), "chat", n); err != nil {
			t.Fatal(err)
		}
	}
	n := startNode(t)
	for name, test := range map[string]struct {
		options []options
		want    []int
	}{
		"stock":  {nil, []int{1, 3}},
		"module": {[]options{{"recover": map[string]any{}}}, []int{1, 2, 3}},
	} {
		c := n.connected(t, srv, nil, test.options...)
		c.do(t, "collect", "chat")
		c.do(t, "subscribe", "chat", nil)
		c.do(t, "forget", "subscribe")
		publish(1)
		c.do(t, "collected", 1)
		c.do(t, "disconnect", 1000)
		publish(2)
		k.away.Store(3)
		c.connect(t)
		c.barrier(t)
		if left := k.away.Load(); left < 0 {
			t.Errorf("%s: the call was answered behind the subscription", name)
		}
		c.wait(t, "subscribe")
		publish(3)
		if got := decode[[]int](t, c.do(t, "collected", len(test.want))); !slices.Equal(got, test.want) {
			t.Errorf("%s: got %v, want %v", name, got, test.want)
		}
		c.do(t, "disconnect", 1000)
	}
}

// In Node.js, the stock client decodes what arrives after it has disconnected, and drops it.
// The module does not take that for seen.
func TestRecoveryAfterDisconnect(t *testing.T) {
	srv, publish := startHistory(t, 1000)
	c := startNode(t).connected(t, srv, nil, options{"recover": map[string]any{}})
	c.do(t, "collect", "chat")
	c.do(t, "subscribe", "chat", nil)
	c.do(t, "forget", "subscribe")
	left := c.start(t, "leaveAt", "chat", 100)
	publish(0, 600)
	if _, err := left(); err != nil {
		t.Fatal(err)
	}
	c.connect(t)
	c.wait(t, "subscribe")
	publish(600, 601)
	got := decode[struct{ All []int }](t, c.do(t, "recovered", 601)).All
	for i, n := range got {
		if i != n {
			t.Fatalf("number %d is %d, of %d", i, n, len(got))
		}
	}
}
