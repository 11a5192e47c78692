package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/cluster"
	"github.com/socketcluster-go/socketcluster/examples/internal/processes"
	"github.com/socketcluster-go/socketcluster/examples/internal/site"
	"github.com/socketcluster-go/socketcluster/internal/sctest"
	"github.com/socketcluster-go/socketcluster/wire"
)

func TestMain(m *testing.M) { processes.Main(m, main) }

// call calls the server, and decodes the position in its answer.
func call(t *testing.T, c *sctest.Client, event, data string) (position string) {
	t.Helper()
	raw, err := c.Call(event, json.RawMessage(data))
	var a struct{ Position string }
	if err == nil {
		err = json.Unmarshal(raw, &a)
	}
	if err != nil {
		t.Fatalf("%s %s: %v", event, data, err)
	}
	return a.Position
}

// texts returns the next messages.
func texts(c *sctest.Client, n int) (all []string) {
	for range n {
		var p struct{ Data message }
		c.Event("#publish", &p)
		all = append(all, p.Data.Text)
	}
	return all
}

func publication(text, id string) string {
	return fmt.Sprintf(`{"channel":"room","data":{"from":"alice","text":%q},"id":%q}`, text, id)
}

// What is acknowledged outlives kill -9. Those who come later get it, and those who come
// back what they have missed.
func TestHistoryOutlivesKill(t *testing.T) {
	t.Parallel()
	p := processes.Start(t, nil, "-store", filepath.Join(t.TempDir(), "store"))
	p.Get("/")
	alice, bob := p.Connect(""), p.Connect("")
	call(t, bob, "#subscribe", `{"channel":"room"}`)
	call(t, alice, "#publish", publication("one", "1"))
	since := call(t, alice, "#publish", publication("two", "2"))
	if got := texts(bob, 2); got[0] != "one" || got[1] != "two" {
		t.Errorf("bob got %v", got)
	}
	call(t, alice, "#publish", publication("three", "3"))
	p.Kill()
	p.Again()
	p.Get("/")
	alice, bob, carol := p.Connect(""), p.Connect(""), p.Connect("")
	call(t, alice, "#publish", publication("three", "3")) // its answer might have been lost
	call(t, alice, "#publish", publication("four", "4"))
	call(t, bob, "#subscribe", `{"channel":"room","since":"`+since+`"}`)
	if got := texts(bob, 2); got[0] != "three" || got[1] != "four" {
		t.Errorf("since two, bob got %v", got)
	}
	call(t, carol, "#subscribe", `{"channel":"room","last":20}`)
	if got := texts(carol, 4); strings.Join(got, " ") != "one two three four" {
		t.Errorf("carol got %v", got)
	}
}

func serve(t *testing.T) *site.Server {
	node, err := cluster.Start(t.Context(), cluster.Options{
		Name: "a", StoreDir: t.TempDir(), History: []cluster.HistoryRule{{Channel: room, Size: 10, Age: time.Hour}},
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(node.Close)
	srv, handler, err := newHandler(node)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { srv.Close() })
	return site.Serve(t, handler)
}

func TestNothingElseIsAllowed(t *testing.T) {
	c := serve(t).Connect("")
	if err := c.Subscribe("other"); !errors.Is(err, &wire.Error{Name: "ChannelError"}) {
		t.Errorf("subscribe to another channel: %v", err)
	}
	if err := c.Publish("other", message{"alice", "hello"}); !errors.Is(err, &wire.Error{Name: "ChannelError"}) {
		t.Errorf("publish on another channel: %v", err)
	}
	for _, data := range []any{nil, "hello", message{"", "hello"}, message{"alice", ""}, message{"alice", strings.Repeat("x", 1001)}} {
		if err := c.Publish("room", data); !errors.Is(err, &wire.Error{Name: "MessageError"}) {
			t.Errorf("publish %.40v: %v", data, err)
		}
	}
}

func TestPage(t *testing.T) {
	s := serve(t)
	for path, want := range map[string]string{"/": "import {create} from './client.js'", "/client.js": "create"} {
		if status, body := s.Do("GET", path, ""); status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %d: %.100s", path, status, body)
		}
	}
}
