package recovery_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/client"
	"github.com/socketcluster-go/socketcluster/internal/compat/browsertest"
)

// numbers are what a Go client has got.
type numbers struct {
	mu   sync.Mutex
	got  []int
	lost int
}

func (n *numbers) count() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.got)
}

// dial connects a client that ends with the test.
func dial(t *testing.T, addr string) *client.Client {
	t.Helper()
	c, err := client.Dial(t.Context(), "ws://"+addr, client.Options{Reconnect: client.Reconnect{InitialDelay: 20 * time.Millisecond, Randomness: 20 * time.Millisecond, Multiplier: 1}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// follow collects what is published, and what is lost.
func follow(t *testing.T, c *client.Client) *numbers {
	t.Helper()
	n := new(numbers)
	client.On(c, func(client.LostEvent) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.lost++
	})
	_, err := c.SubscribeFunc(t.Context(), "history.a", func(data json.RawMessage) {
		number, err := strconv.Atoi(string(data))
		if err != nil {
			t.Error(err)
		}
		n.mu.Lock()
		defer n.mu.Unlock()
		n.got = append(n.got, number)
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// publish publishes numbers by a node. After the death of a node, an election may be due.
func publish(t *testing.T, c *client.Client, from, to int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for i := from; i < to; i++ {
		if err := c.Publish(ctx, "history.a", i); err != nil {
			t.Fatal(err)
		}
	}
}

// Clients whose node is killed connect to another one, and get everything once and in order:
// the unmodified npm client with the module, in Chromium, the project's own client there, and
// the Go client.
func TestNodeIsKilled(t *testing.T) {
	nodes := startCluster(t)
	s := startSite(t)
	s.node.Store(nodes[0])
	tab := browsertest.Start(t).NewTab(t)
	tab.Navigate(s.URL)
	goClient := follow(t, dial(t, strings.TrimPrefix(s.URL, "http://")))
	publisher := dial(t, nodes[2].Addr())
	want := func(count, connections int) {
		t.Helper()
		tab.WaitText("#out", fmt.Sprintf("stock %d/%d;own %d/%d;", count, connections, count, connections))
		for begun := time.Now(); goClient.count() < count; time.Sleep(time.Millisecond) {
			if time.Since(begun) > browsertest.Timeout {
				t.Fatalf("the Go client has %d of %d", goClient.count(), count)
			}
		}
	}
	want(0, 1)
	publish(t, publisher, 0, 50)
	want(50, 1)
	kill(t, nodes[0])
	publish(t, publisher, 50, 70) // while they have no node
	s.node.Store(nodes[1])
	want(70, 2)
	publish(t, publisher, 70, 80)
	want(80, 2)

	var result struct {
		Stock, Own []int
		Lost       []any
	}
	tab.Eval("window.result()", &result)
	if len(result.Lost) > 0 || goClient.lost > 0 {
		t.Errorf("%v is lost in the browser, and %d times in Go", result.Lost, goClient.lost)
	}
	for name, got := range map[string][]int{"stock client": result.Stock, "own client": result.Own, "Go client": goClient.got} {
		for i, number := range got {
			if number != i {
				t.Errorf("%s: number %d is %d", name, i, number)
				break
			}
		}
	}
}
