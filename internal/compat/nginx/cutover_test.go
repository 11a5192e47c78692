package nginx_test

import (
	"crypto/tls"
	_ "embed"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/broker/upstream"
	goclient "github.com/socketcluster-go/socketcluster/client"
	"github.com/socketcluster-go/socketcluster/internal/compat/proc"
)

// cutover is what docs/PORTING.md shows.
//
//go:embed cutover.conf
var cutover string

func TestCutoverIsDocumented(t *testing.T) { testDocumented(t, "PORTING.md", cutover) }

// A worker of socketcluster-server and a node behind it share the connections of a site, as
// the weights say, and the clients of both share the channels.
func TestCutover(t *testing.T) {
	worker := proc.Start(t, proc.Node(t, "bench/js/server.js", "PORT=0"))
	silent := slog.New(slog.DiscardHandler)
	nodes, err := upstream.New(upstream.Options{URL: "ws://" + worker.Addr(), Client: goclient.Options{Logger: silent}})
	if err != nil {
		t.Fatal(err)
	}
	srv, err := socketcluster.New(socketcluster.Config{Broker: nodes, Logger: silent})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	web := &http.Server{Handler: srv}
	go web.Serve(listener)
	t.Cleanup(func() {
		srv.Close()
		web.Close()
	})
	both := strings.NewReplacer(backend, worker.Addr(), "127.0.0.1:8001", listener.Addr().String()).Replace(cutover)
	site := balance(t, both)

	const count = 20
	var clients []*goclient.Client
	var subs []*goclient.Subscription
	for range count {
		c, err := goclient.Dial(t.Context(), "wss://"+site.HTTPS, goclient.Options{TLS: &tls.Config{RootCAs: site.Roots}, Logger: silent})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		sub, err := c.Subscribe(t.Context(), "news")
		if err != nil {
			t.Fatal(err)
		}
		clients, subs = append(clients, c), append(subs, sub)
	}
	if n := srv.Stats().Connections; n != count/10 {
		t.Errorf("%d of %d connections are at the node, want a tenth", n, count)
	}
	for i, c := range clients {
		if err := c.Publish(t.Context(), "news", i); err != nil {
			t.Fatal(err)
		}
	}
	late := time.AfterFunc(25*time.Second, func() {
		for _, sub := range subs {
			sub.Close()
		}
	})
	defer late.Stop()
	for id, sub := range subs {
		next := 0
		for raw := range sub.All() {
			var got int
			if err := json.Unmarshal(raw, &got); err != nil || got != next {
				t.Fatalf("client %d has got %s, want %d", id, raw, next)
			}
			if next++; next == count {
				break
			}
		}
		if next != count {
			t.Errorf("client %d has got %d of %d publications", id, next, count)
		}
	}
}
