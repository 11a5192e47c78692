package client_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/client"
	"github.com/socketcluster-go/socketcluster/internal/footprint"
)

// idleServerEnv is set for the process that is the server of idle clients.
const idleServerEnv = "SOCKETCLUSTER_IDLE_SERVER_FOR_CLIENTS"

// BenchmarkIdleClient reports what an idle client costs that shares a Runtime, is
// authenticated and subscribed to a channel of its own, over TCP. The server is a
// process of its own.
func BenchmarkIdleClient(b *testing.B) {
	const clients = 10_000
	for b.Loop() {
		each, goroutines := measureIdleClients(b, clients)
		b.ReportMetric(each.Heap, "heap-B/client")
		b.ReportMetric(each.Stacks, "stack-B/client")
		b.ReportMetric(each.Resident, "rss-B/client")
		b.ReportMetric(float64(goroutines), "goroutines")
	}
}

// An idle client that shares a Runtime takes less than 8 KB, and no goroutine, as the
// documentation says. This same test is the server.
func TestIdleClientCost(t *testing.T) {
	if os.Getenv(idleServerEnv) != "" {
		if err := beIdleServer(); err != nil {
			t.Fatal(err)
		}
		return
	}
	const clients = 1000
	each, goroutines := measureIdleClients(t, clients)
	if each.Heap+each.Stacks > 8<<10 {
		t.Errorf("an idle client takes %.0f bytes of heap and %.0f of stacks, want less than 8 KiB", each.Heap, each.Stacks)
	}
	if goroutines > clients/100 {
		t.Errorf("%d idle clients have %d goroutines", clients, goroutines)
	}
}

// measureIdleClients measures what each of n clients costs, and how many goroutines they
// have together.
func measureIdleClients(t testing.TB, n int) (each footprint.Footprint, goroutines int) {
	cmd := exec.Command(os.Args[0], "-test.run=^TestIdleClientCost$")
	cmd.Env = append(os.Environ(), idleServerEnv+"=1")
	cmd.Stderr = os.Stderr
	hold, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		hold.Close()
		if err := cmd.Wait(); err != nil {
			t.Fatal(err)
		}
	}()
	var addr, token string
	if _, err := fmt.Fscan(out, &addr, &token); err != nil {
		t.Fatal(err)
	}
	rt := client.NewRuntime()
	defer rt.Close()
	connect := func(i int) *client.Client {
		store := new(client.MemoryStore)
		if err := store.Save(t.Context(), "token", token); err != nil {
			t.Fatal(err)
		}
		c, err := client.Dial(t.Context(), "ws://"+addr, client.Options{Runtime: rt, TokenStore: store, AuthTokenName: "token"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Subscribe(context.Background(), fmt.Sprint("room/", i)); err != nil || c.AuthState() != socketcluster.Authenticated {
			t.Fatal(err, c.AuthState())
		}
		return c
	}
	// One-time costs of the first client are not counted.
	connect(-1).Close()
	goroutines = runtime.NumGoroutine()
	before := footprint.Now()
	clients := make([]*client.Client, n)
	for i := range clients {
		clients[i] = connect(i)
	}
	each = footprint.Now().Each(before, n)
	goroutines = runtime.NumGoroutine() - goroutines
	for _, c := range clients {
		c.Close()
	}
	return each, goroutines
}

// beIdleServer serves until standard input ends.
func beIdleServer() error {
	srv, err := socketcluster.New(socketcluster.Config{Auth: auth.Options{Key: testKey}})
	if err != nil {
		return err
	}
	token, err := srv.Auth().Sign(context.Background(), map[string]any{"username": "alice", "channels": []string{"news", "room/alice"}})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go http.Serve(listener, srv)
	fmt.Println(listener.Addr(), token.Signed())
	_, err = os.Stdin.Read(make([]byte, 1))
	_ = err // the end of input
	return nil
}

// An idle client over TCP that shares a Runtime has no goroutine of its own.
func TestIdleClientHasNoGoroutine(t *testing.T) {
	srv, err := socketcluster.New(socketcluster.Config{Auth: auth.Options{Key: testKey}})
	if err != nil {
		t.Fatal(err)
	}
	url := serve(t, srv)
	rt := client.NewRuntime()
	defer rt.Close()
	for range 5 {
		c, err := client.Dial(t.Context(), url, client.Options{Runtime: rt})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	for i := 0; ; i++ {
		stacks := make([]byte, 1<<20)
		text := string(stacks[:runtime.Stack(stacks, true)])
		if n := strings.Count(text, "client.(*"); n == 0 {
			return
		}
		if i == 10_000 {
			t.Fatal(text)
		}
		time.Sleep(time.Millisecond)
	}
}
