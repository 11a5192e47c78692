package main

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/socketcluster-go/socketcluster/examples/internal/site"
	"github.com/socketcluster-go/socketcluster/wire"
)

func serve(t *testing.T) *site.Server {
	_, handler, err := newHandler()
	if err != nil {
		t.Fatal(err)
	}
	return site.Serve(t, handler)
}

type channel struct {
	Channel string `json:"channel"`
	Data    any    `json:"data,omitempty"`
}

func TestMessagesReachTheRoom(t *testing.T) {
	server := serve(t)
	alice, bob := server.Connect(""), server.Connect("")
	if _, err := bob.Call("#subscribe", channel{Channel: "room"}); err != nil {
		t.Fatal(err)
	}
	data := map[string]any{"from": "alice", "text": "hello", "more": 1}
	if _, err := alice.Call("#publish", channel{"room", data}); err != nil {
		t.Fatal(err)
	}
	var got struct{ Data map[string]any }
	bob.Event("#publish", &got)
	if len(got.Data) != 2 || got.Data["from"] != "alice" || got.Data["text"] != "hello" {
		t.Errorf("bob got %v", got.Data)
	}
}

func TestNothingElseIsAllowed(t *testing.T) {
	client := serve(t).Connect("")
	if _, err := client.Call("#subscribe", channel{Channel: "other"}); !errors.Is(err, &wire.Error{Name: "ChannelError"}) {
		t.Errorf("subscribe to another channel: %v", err)
	}
	if _, err := client.Call("#publish", channel{"other", message{"alice", "hello"}}); !errors.Is(err, &wire.Error{Name: "ChannelError"}) {
		t.Errorf("publish on another channel: %v", err)
	}
	for _, data := range []any{nil, "hello", message{"", "hello"}, message{"alice", ""}, message{"alice", strings.Repeat("x", 1001)}} {
		if _, err := client.Call("#publish", channel{"room", data}); !errors.Is(err, &wire.Error{Name: "MessageError"}) {
			t.Errorf("publish %.40v: %v", data, err)
		}
	}
}

func TestPage(t *testing.T) {
	server := serve(t)
	for path, want := range map[string]string{"/": "import {create} from './client.js'", "/client.js": "create"} {
		resp, err := http.Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || !strings.Contains(string(body), want) {
			t.Errorf("%s: %s, %v: %.100s", path, resp.Status, err, body)
		}
	}
}
