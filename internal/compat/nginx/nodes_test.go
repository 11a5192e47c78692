package nginx_test

import (
	"context"
	"crypto/tls"
	_ "embed"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster"
	goclient "github.com/socketcluster-go/socketcluster/client"
	"github.com/socketcluster-go/socketcluster/cluster"
	"github.com/socketcluster-go/socketcluster/internal/sctest"
)

// nodes is what docs/CLUSTER.md shows.
//
//go:embed nodes.conf
var nodes string

func TestNodesAreDocumented(t *testing.T) { testDocumented(t, "CLUSTER.md", nodes) }

// Clients are spread over the nodes of a cluster, and those of a node that ends go on at the
// others.
func TestNodes(t *testing.T) {
	silent := slog.New(slog.DiscardHandler)
	routes := []string{sctest.FreeAddr(t), sctest.FreeAddr(t), sctest.FreeAddr(t)}
	upstream := nodes
	var servers []*socketcluster.Server
	var ends []func()
	for i, name := range []string{"a", "b", "c"} {
		node, err := cluster.Start(t.Context(), cluster.Options{Name: name, Listen: routes[i], Routes: routes, Secret: "the secret of these nodes, long enough", Logger: silent})
		if err != nil {
			t.Fatal(err)
		}
		srv, err := socketcluster.New(socketcluster.Config{Broker: node.Broker(), TrustedProxies: []string{"127.0.0.1"}, Logger: silent})
		if err != nil {
			t.Fatal(err)
		}
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		web := &http.Server{Handler: srv}
		go web.Serve(listener)
		end := func() {
			web.Close()
			srv.Close()
			node.Close()
		}
		t.Cleanup(end)
		servers, ends = append(servers, srv), append(ends, end)
		upstream = strings.ReplaceAll(upstream, name+".internal:8000", listener.Addr().String())
	}
	site := balance(t, upstream)

	const count = 6
	var clients []*goclient.Client
	var mu sync.Mutex
	got := make(map[string]int) // how many clients have got a text
	for range count {
		c, err := goclient.Dial(t.Context(), "wss://"+site.HTTPS, goclient.Options{
			TLS: &tls.Config{RootCAs: site.Roots}, Logger: silent,
			Reconnect: goclient.Reconnect{InitialDelay: 10 * time.Millisecond, Randomness: -1, MaxDelay: time.Second},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		sub, err := c.Subscribe(t.Context(), "news")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			last := ""
			for raw := range sub.All() {
				if text := string(raw); text != last {
					mu.Lock()
					got[text]++
					mu.Unlock()
					last = text
				}
			}
		}()
		clients = append(clients, c)
	}
	for i, srv := range servers {
		if n := srv.Stats().Connections; n != count/len(servers) {
			t.Errorf("%d of %d connections are at node %d, want a third", n, count, i)
		}
	}
	// all publishes a text until all have got it: routes and subscriptions take a moment.
	all := func(text string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 25*time.Second)
		defer cancel()
		for {
			_ = clients[0].Publish(ctx, "news", text) // it may be connecting
			time.Sleep(20 * time.Millisecond)
			mu.Lock()
			n := got[fmt.Sprintf("%q", text)]
			mu.Unlock()
			if n == count {
				return
			}
			if ctx.Err() != nil {
				t.Fatalf("%d of %d clients have got %q", n, count, text)
			}
		}
	}
	all("all nodes are there")
	ends[2]()
	all("a node has ended")
	if n := servers[0].Stats().Clients + servers[1].Stats().Clients; n != count {
		t.Errorf("%d of %d clients are at the nodes that are left", n, count)
	}
}
