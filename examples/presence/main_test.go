package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/cluster"
	"github.com/socketcluster-go/socketcluster/examples/internal/site"
	"github.com/socketcluster-go/socketcluster/internal/sctest"
	"github.com/socketcluster-go/socketcluster/wire"
)

// serve starts two nodes.
func serve(t *testing.T) (nodes []*cluster.Node, sites []*site.Server) {
	var addrs []string
	for range 2 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addrs = append(addrs, l.Addr().String())
		l.Close()
	}
	for i, addr := range addrs {
		node, err := cluster.Start(t.Context(), cluster.Options{
			Name: fmt.Sprint("node", i), Listen: addr, Routes: addrs, Secret: "the secret of the test", Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(node.Close)
		srv, handler, err := newHandler(node, 10*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { srv.Close() })
		nodes, sites = append(nodes, node), append(sites, site.Serve(t, handler))
	}
	for _, node := range nodes {
		for len(node.Nodes()) < len(nodes) {
			time.Sleep(time.Millisecond)
		}
	}
	return nodes, sites
}

func enter(t *testing.T, s *site.Server, user string) *sctest.Client {
	t.Helper()
	c := s.Connect("")
	if _, err := c.Call("name", user); err != nil {
		t.Fatal(err)
	}
	for _, channel := range []string{"room", "presence/room"} {
		if err := c.Subscribe(channel); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// Those on one node see those on the other come and go.
func TestPresence(t *testing.T) {
	nodes, sites := serve(t)
	alice := enter(t, sites[0], "alice")
	want := func(kind string) {
		t.Helper()
		for {
			var e struct{ Data cluster.PresenceEvent }
			alice.Event("#publish", &e)
			if e.Data.User == "bob" {
				if e.Data.Type != kind {
					t.Errorf("got %+v, want a %s", e.Data, kind)
				}
				return
			}
		}
	}
	bob := enter(t, sites[1], "bob")
	want("join")
	bob.Close()
	want("leave")
	enter(t, sites[1], "bob")
	want("join")
	if got, err := alice.Call("presence", map[string]string{"channel": "room"}); err != nil || string(got) != `{"users":[{"user":"alice","sockets":1},{"user":"bob","sockets":1}],"total":2,"more":false}` {
		t.Errorf("%s, %v", got, err)
	}
	nodes[1].Close()
	want("leave")
}

func TestNothingElseIsAllowed(t *testing.T) {
	_, sites := serve(t)
	c := enter(t, sites[0], "alice")
	for _, call := range []struct {
		err  error
		name string
	}{
		{c.Subscribe("other"), "ChannelError"},
		{c.Publish("presence/room", `"x"`), "PresenceError"},
		{func() error { _, err := c.Call("name", "bob"); return err }(), "NameError"},
		{func() error { _, err := c.Call("name", strings.Repeat("x", 51)); return err }(), "NameError"},
	} {
		if !errors.Is(call.err, &wire.Error{Name: call.name}) {
			t.Errorf("%v, want a %s", call.err, call.name)
		}
	}
}

func TestPage(t *testing.T) {
	_, sites := serve(t)
	for path, want := range map[string]string{"/": "import {create} from './client.js'", "/client.js": "create"} {
		if status, body := sites[0].Do("GET", path, ""); status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %d: %.100s", path, status, body)
		}
	}
}
