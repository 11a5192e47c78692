package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/sctest"
)

// Machines see the metrics, that the process works, and whether it takes clients.
func TestOps(t *testing.T) {
	d, err := clusterDemo(t)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	p := newOps(ctx, d.node, slog.New(slog.DiscardHandler))
	site := httptest.NewServer(p.handler())
	defer site.Close()
	get := func(path string) (status int, text string) {
		t.Helper()
		resp, err := http.Get(site.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
	if status, text := get("/readyz"); status != http.StatusServiceUnavailable || text != "starting\n" {
		t.Errorf("before it begins: %d %q", status, text)
	}
	p.begin(d.sockets, nil)
	status, text := get("/metrics")
	for _, name := range []string{"socketcluster_connections{", "go_goroutines", "process_resident_memory_bytes"} {
		if status != http.StatusOK || !strings.Contains(text, "\n"+name) {
			t.Errorf("status %d, and no %s", status, name)
		}
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if status, text := get(path); status != http.StatusOK || text != "ok\n" {
			t.Errorf("%s: %d %q", path, status, text)
		}
	}
	stop()
	if status, text := get("/readyz"); status != http.StatusServiceUnavailable || text != "shutting down\n" {
		t.Errorf("after the end: %d %q", status, text)
	}
	if status, _ := get("/healthz"); status != http.StatusOK {
		t.Errorf("after the end: %d", status)
	}
	if _, err := p.serve("nonsense"); err == nil || !strings.Contains(err.Error(), "the setting metrics-addr") {
		t.Error(err)
	}
	end, err := p.serve("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	end()
}

// A node that has never had its storage is not ready, and says so. One that had it is ready
// without it: most of what it does goes on.
func TestStorageReadiness(t *testing.T) {
	t.Setenv("SOCKETCLUSTER_CLUSTER_SECRET", "a secret of the nodes")
	alone, other := sctest.FreeAddr(t), sctest.FreeAddr(t)
	d, err := clusterDemo(t, "--cluster-listen", alone, "--cluster-routes", alone+","+other, "--cluster-store", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	p := newOps(t.Context(), d.node, noLog())
	ready := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		return p.ready(ctx)
	}
	for _, begun := range []bool{false, true} {
		p.begun.Store(begun)
		if err := ready(); err == nil || err.Error() != "starting: wait for storage" {
			t.Errorf("begun %t: %v", begun, err)
		}
	}
	single, err := clusterDemo(t, "--cluster-store", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	p = newOps(t.Context(), single.node, noLog())
	p.begin(single.sockets, nil)
	for begun := time.Now(); ready() != nil; time.Sleep(time.Millisecond) {
		if time.Since(begun) > time.Minute {
			t.Fatal(ready())
		}
	}
	single.node.Close() // as good as any end of the storage
	if err := single.node.Ready(t.Context()); err == nil {
		t.Error("there is storage after the end of the node")
	}
	if err := ready(); err != nil {
		t.Errorf("later, without storage: %v", err)
	}
	plain, err := clusterDemo(t, "--cluster-listen", other)
	if err != nil {
		t.Fatal(err)
	}
	if err := (&storage{node: plain.node}).check(t.Context()); err != nil {
		t.Errorf("a node that should have no storage: %v", err)
	}
}

// A process whose node cannot reach its NATS any more does not work.
func TestHealthOfNode(t *testing.T) {
	d, err := clusterDemo(t, "--cluster-store", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{http.StatusOK, http.StatusServiceUnavailable} {
		w := httptest.NewRecorder()
		d.ops.handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/healthz", nil))
		if w.Code != want {
			t.Errorf("%d %s, want %d", w.Code, w.Body, want)
		}
		d.node.Close()
	}
}

func TestShutdownDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		late, end := later(ctx, 5*time.Second)
		defer end()
		stop()
		begun := time.Now()
		<-late.Done()
		if took := time.Since(begun); took != 5*time.Second {
			t.Errorf("it has ended after %v", took)
		}
	})
}
