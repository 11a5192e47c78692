package client_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/client"
)

// Packets that are sent during a batch leave as one message, an array even if it
// is one; a batch that is cancelled does not leave (TR-29).
func TestBatch(t *testing.T) {
	srv, err := socketcluster.New(socketcluster.Config{Auth: auth.Options{Key: testKey}})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var got []string
	socketcluster.On(srv, func(e socketcluster.ConnectEvent) {
		socketcluster.On(e.Socket, func(e socketcluster.MessageEvent) {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, string(e.Data))
		})
	})
	c, err := client.Dial(t.Context(), serve(t, srv), client.Options{Timeouts: client.Timeouts{PingDisabled: true}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	send := func(b client.Batch, end func(client.Batch), n int) {
		for i := range n {
			if err := c.Transmit(context.Background(), "note", i); err != nil {
				t.Error(err)
			}
		}
		end(b)
	}
	send(c.StartBatch(), client.Batch.End, 2)
	send(c.StartBatch(), client.Batch.Cancel, 2)
	send(c.StartBatch(), client.Batch.End, 1)
	send(c.StartBatching(), client.Batch.End, 3)
	if _, err := c.Invoke(t.Context(), "none", nil); err == nil {
		t.Error("the call has been answered")
	}
	c.Close()
	mu.Lock()
	defer mu.Unlock()
	want := []string{
		`[{"event":"note","data":0},{"event":"note","data":1}]`,
		`[{"event":"note","data":0}]`,
		`[{"event":"note","data":0},{"event":"note","data":1},{"event":"note","data":2}]`,
		`{"event":"none","cid":2}`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("the server got\n%s\nwant\n%s", fmt.Sprint(got), fmt.Sprint(want))
	}
}

// With Batching.OnHandshake, subscriptions and calls that wait for the connection
// arrive as one message (TR-30, CF-18).
func TestBatchOnHandshake(t *testing.T) {
	srv, err := socketcluster.New(socketcluster.Config{Auth: auth.Options{Key: testKey}})
	if err != nil {
		t.Fatal(err)
	}
	messages := make(chan string, 100)
	socketcluster.On(srv, func(e socketcluster.HandshakeEvent) {
		socketcluster.On(e.Socket, func(e socketcluster.MessageEvent) { messages <- string(e.Data) })
	})
	c, err := client.New(serve(t, srv), client.Options{Batching: client.Batching{OnHandshake: 1e8}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, channel := range []string{"a", "b"} {
		if _, err := c.Subscribe(t.Context(), channel, client.PendingOK()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Invoke(t.Context(), "none", nil); err == nil {
		t.Error("the call has been answered")
	}
	want := []string{
		`{"event":"#handshake","data":{"authToken":null},"cid":1}`,
		`[{"event":"#subscribe","data":{"channel":"a"},"cid":2},{"event":"#subscribe","data":{"channel":"b"},"cid":3},{"event":"none","cid":4}]`,
	}
	for _, text := range want {
		if got := <-messages; got != text {
			t.Errorf("the server got\n%s\nwant\n%s", got, text)
		}
	}
}
