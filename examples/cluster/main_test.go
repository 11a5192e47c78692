package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/client"
	"github.com/socketcluster-go/socketcluster/cluster"
	"github.com/socketcluster-go/socketcluster/examples/internal/processes"
	"github.com/socketcluster-go/socketcluster/examples/internal/site"
	"github.com/socketcluster-go/socketcluster/internal/sctest"
	"github.com/socketcluster-go/socketcluster/wire"
)

func TestMain(m *testing.M) { processes.Main(m, main) }

// start starts three nodes, and waits until they are ready.
func start(t *testing.T) (a, b, c *processes.Process) {
	var all []*processes.Process
	env := []string{"AUTH_KEY=the key of the test, of 32 bytes or more", "CLUSTER_SECRET=the secret of the test"}
	names := []string{"a", "b", "c"}
	var addrs []string
	for range names {
		addrs = append(addrs, sctest.FreeAddr(t))
	}
	dir := t.TempDir()
	for i, name := range names {
		all = append(all, processes.Start(t, env, "-name", name, "-store", filepath.Join(dir, name), "-listen", addrs[i], "-routes", strings.Join(addrs, ",")))
	}
	for _, p := range all {
		p.Get("/readyz")
	}
	return all[0], all[1], all[2]
}

// connect connects a client, with a token or without one.
func connect(t *testing.T, p *processes.Process, token string) *client.Client {
	t.Helper()
	store := new(client.MemoryStore)
	if token != "" {
		if err := store.Save(t.Context(), "token", token); err != nil {
			t.Fatal(err)
		}
	}
	c, err := client.Dial(t.Context(), p.URL(), client.Options{TokenStore: store, AuthTokenName: "token"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// login connects a user, who answers questions.
func login(t *testing.T, p *processes.Process, user string) *client.Client {
	t.Helper()
	c := connect(t, p, "")
	c.Handle("asked", socketcluster.Func(func(_ context.Context, q asked) (string, error) {
		return q.From + " asks " + user + ": " + q.Text, nil
	}))
	if _, err := c.Invoke(t.Context(), "login", user); err != nil {
		t.Fatal(err)
	}
	return c
}

// Users are asked on whichever node they are, and a logout everywhere is in force on all
// nodes when it returns. Both go on without a node that has been killed.
func TestCluster(t *testing.T) {
	t.Parallel()
	a, b, c := start(t)
	alice, carol := login(t, a, "alice"), login(t, a, "carol")
	login(t, b, "bob")
	ask := func(to string) (string, error) {
		return client.InvokeAs[string](t.Context(), carol, "ask", question{to, "Lunch?"})
	}
	if got, err := ask("bob"); err != nil || got != "carol asks bob: Lunch?" {
		t.Errorf("bob: %q, %v", got, err)
	}
	if _, err := ask("dave"); !errors.Is(err, &wire.Error{Name: "NobodyError"}) {
		t.Errorf("dave: %v", err)
	}
	if got, err := client.InvokeAs[nodes](t.Context(), carol, "nodes", nil); err != nil || got.This != "a" || !slices.Equal(got.All, []string{"a", "b", "c"}) {
		t.Errorf("the nodes are %+v, %v", got, err)
	}

	token := alice.SignedAuthToken()
	other := connect(t, c, token)
	if other.AuthState() != socketcluster.Authenticated {
		t.Fatal("alice is not logged in on another node")
	}
	out := make(chan struct{})
	client.On(other, func(client.DeauthenticateEvent) { close(out) })
	if _, err := alice.Invoke(t.Context(), "logoutEverywhere", nil); err != nil {
		t.Fatal(err)
	}
	<-out
	for _, p := range []*processes.Process{a, b, c} {
		if connect(t, p, token).AuthState() == socketcluster.Authenticated {
			t.Error("a node accepts the token of a logout everywhere")
		}
	}

	b.Kill()
	login(t, c, "bob")
	if got, err := ask("bob"); err != nil || got != "carol asks bob: Lunch?" {
		t.Errorf("bob on another node: %q, %v", got, err)
	}
}

// Those who have not logged in can do nothing.
func TestNothingElseIsAllowed(t *testing.T) {
	node, err := cluster.Start(t.Context(), cluster.Options{Name: "a", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(node.Close)
	revocations, err := node.Revocations(t.Context(), cluster.RevocationOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	srv, handler, err := newHandler(ctx, "the key of the test, of 32 bytes or more", node, revocations)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { srv.Close() })
	s := site.Serve(t, handler)
	c := s.Connect("")
	for _, call := range []struct {
		procedure string
		data      any
		name      string
	}{
		{"login", "", "LoginError"},
		{"login", strings.Repeat("x", 51), "LoginError"},
		{"ask", question{"bob", "Lunch?"}, "AuthError"},
		{"logoutEverywhere", nil, "AuthError"},
	} {
		if _, err := c.Call(call.procedure, call.data); !errors.Is(err, &wire.Error{Name: call.name}) {
			t.Errorf("%s: %v, want a %s", call.procedure, err, call.name)
		}
	}
	for path, want := range map[string]string{"/": "import {create} from './client.js'", "/client.js": "create", "/readyz": "ok"} {
		if status, body := s.Do("GET", path, ""); status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %d: %.100s", path, status, body)
		}
	}
	stop()
	if status, _ := s.Do("GET", "/readyz", ""); status != http.StatusServiceUnavailable {
		t.Errorf("a node that stops is ready: %d", status)
	}
}
