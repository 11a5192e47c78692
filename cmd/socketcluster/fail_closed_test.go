//go:build slow

package main

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/cluster"
	"github.com/socketcluster-go/socketcluster/internal/sctest"
)

// A node that is cut off is not ready, and refuses what needs to know who has been logged
// out. It goes on when the others are back.
func TestFailClosed(t *testing.T) {
	t.Parallel()
	config := writeFile(t, "c.toml", `
		cluster-revocations = true
		cluster-fail-closed = true
		cluster-cut-off = "2s"
		[[rules]]
		channel = "public"
		subscribe = "anyone"
		[[rules]]
		channel = "private"
		subscribe = "authenticated"
	`)
	secret := writeFile(t, "secret", "the secret of the nodes")
	addrs := []string{sctest.FreeAddr(t), sctest.FreeAddr(t)}
	dirs := []string{t.TempDir(), t.TempDir()}
	start := func(i int) *demo {
		o, err := parseOptions([]string{
			"--config", config, "--auth-key", processKey, "--cluster-secret-file", secret, "--cluster-node", string(rune('a' + i)),
			"--cluster-store", dirs[i], "--cluster-listen", addrs[i], "--cluster-routes", strings.Join(addrs, ","),
		})
		if err != nil {
			t.Error(err)
			return nil
		}
		d, err := newDemo(t.Context(), o, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Error(err)
			return nil
		}
		return d
	}
	var demos [2]*demo
	var starts sync.WaitGroup
	for i := range demos {
		starts.Go(func() { demos[i] = start(i) })
	}
	starts.Wait()
	if t.Failed() {
		return
	}
	a := demos[0]
	site := httptest.NewServer(a.handler)
	t.Cleanup(func() {
		a.sockets.Close()
		site.Close()
		if err := a.close(); err != nil {
			t.Error(err)
		}
	})
	dial := sctest.TCP(strings.TrimPrefix(site.URL, "http://"))
	token, err := a.sockets.Auth().Sign(t.Context(), claims{Username: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	a.ops.begin(a.sockets, a.revocations)
	await := func(what string, ok func(err error) bool) {
		t.Helper()
		for begun := time.Now(); !ok(a.ops.ready(context.Background())); time.Sleep(10 * time.Millisecond) {
			if time.Since(begun) > time.Minute {
				t.Fatalf("waiting for %s: %v", what, a.ops.ready(context.Background()))
			}
		}
	}
	await("the node", func(err error) bool { return err == nil })
	p := &peer{sctest.Connect(t, dial, token.Signed()).Follow(), t}
	if err := p.subscribe("private"); err != nil {
		t.Fatalf("%+v", err)
	}
	p.call("#unsubscribe", "private")

	demos[1].sockets.Close()
	if err := demos[1].close(); err != nil {
		t.Fatal(err)
	}
	await("the cut", func(err error) bool { return err == cluster.ErrCutOff })
	if err := p.subscribe("public"); err != nil {
		t.Errorf("a public channel: %+v", err)
	}
	if err := p.subscribe("private"); err == nil || err.Name != "CutOffError" {
		t.Errorf("a private channel: %+v", err)
	}
	conn, err := dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sctest.Open(conn, nil); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("a client connects: %v", err)
	}

	back := start(1)
	if back == nil {
		return
	}
	defer func() {
		back.sockets.Close()
		_ = back.close()
	}()
	await("the end of the cut", func(err error) bool { return err == nil })
	if err := p.subscribe("private"); err != nil {
		t.Errorf("after the cut: %+v", err)
	}
}
