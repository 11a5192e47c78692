package jsclient

import (
	"encoding/json"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/cluster"
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
	want(with, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32)
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
