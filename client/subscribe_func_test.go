package client_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"testing"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/client"
)

// A function gets the publications of its channel in order, before the answer that the
// server sends after them, and a panic costs nothing but itself.
func TestSubscribeFunc(t *testing.T) {
	srv, err := socketcluster.New(socketcluster.Config{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.Dial(t.Context(), serve(t, srv), client.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var got []string
	sub, err := c.SubscribeFunc(t.Context(), "a", func(data json.RawMessage) {
		got = append(got, fmt.Sprintf("%t %s", data == nil, data))
		if string(data) == "1" {
			panic("one")
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	loop, err := c.Subscribe(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"true ", "false null"}
	for _, data := range []any{nil, json.RawMessage("null")} {
		if err := c.Publish(t.Context(), "a", data); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 100 {
		if err := c.Publish(t.Context(), "a", i); err != nil {
			t.Fatal(err)
		}
		want = append(want, "false "+strconv.Itoa(i))
		if len(got) != len(want) {
			t.Fatalf("%d publications have come before the answer, want %d", len(got), len(want))
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	n := 0
	for range loop.All() { // beside it, a loop gets the same
		if n++; n == len(want) {
			break
		}
	}
	for range sub.All() {
		t.Error("the loop has got something")
	}
	if sub.Dropped() != 0 {
		t.Error("something was lost")
	}
	if err := c.Publish(t.Context(), "a", "ended"); err != nil || len(got) != len(want) {
		t.Errorf("after the end: %v, %d publications", err, len(got))
	}
	if c.ChannelState("a") != client.Unsubscribed {
		t.Error("the channel is still subscribed")
	}
}
