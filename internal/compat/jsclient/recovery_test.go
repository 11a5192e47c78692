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

// A stock client with the module for recovery gets what it has missed, once and in order,
// and is told what it will not get. One without the module works as ever.
func TestRecovery(t *testing.T) {
	node, err := cluster.Start(t.Context(), cluster.Options{
		Name: "a", StoreDir: t.TempDir(), Logger: slog.New(slog.DiscardHandler),
		History: []cluster.HistoryRule{{Channel: "chat", Size: 10, Age: time.Hour}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(node.Close)
	srv := startServer(t, socketcluster.Config{Auth: auth.Options{Key: key}, Broker: node.Broker()}, nil)
	publish := func(from, to int) (all []int) {
		for i := from; i < to; i++ {
			if err := srv.Exchange().Publish(t.Context(), "chat", i); err != nil {
				t.Fatal(err)
			}
			all = append(all, i)
		}
		return all
	}
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
	// In Node.js, the stock client decodes what arrives after it has disconnected, and drops
	// it: the module takes it for seen. So nothing is published before the server knows.
	gone := func() {
		t.Helper()
		for begun := time.Now(); srv.NumClients() > 0; time.Sleep(time.Millisecond) {
			if time.Since(begun) > 20*time.Second {
				t.Fatal("the clients do not disconnect")
			}
		}
	}
	publish(0, 5)
	stock := n.connected(t, srv, nil)
	with := n.connected(t, srv, nil, options{"recover": map[string]any{"last": 2}})
	clients := []*client{stock, with}
	for _, c := range clients {
		c.do(t, "collect", "chat")
		c.do(t, "subscribe", "chat", nil)
	}
	publish(5, 8)
	want(stock, 0, 5, 6, 7)
	want(with, 0, 3, 4, 5, 6, 7)
	for _, c := range clients {
		c.do(t, "disconnect", 1000)
	}
	gone()
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
	gone()
	publish(13, 33)
	with.connect(t)
	want(with, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32)
}
