package cluster_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/cluster"
	"github.com/socketcluster-go/socketcluster/internal/sctest"
)

// startStored starts n nodes that know each other and have storage, and returns their
// options.
func startStored(t testing.TB, n int, change func(*cluster.Options)) ([]*cluster.Node, []cluster.Options) {
	t.Helper()
	options := make([]cluster.Options, n)
	addrs := make([]string, n)
	for i := range addrs {
		addrs[i] = sctest.FreeAddr(t)
	}
	dir := t.TempDir()
	for i := range options {
		name := string(rune('a' + i))
		options[i] = cluster.Options{Name: name, StoreDir: filepath.Join(dir, name), Logger: slog.New(slog.DiscardHandler)}
		if n > 1 {
			options[i].Listen, options[i].Routes, options[i].Secret = addrs[i], addrs, secret
		}
		if change != nil {
			change(&options[i])
		}
	}
	// Those that come late wait for an election of some seconds.
	nodes := make([]*cluster.Node, n)
	errs := make([]error, n)
	var starts sync.WaitGroup
	for i, o := range options {
		starts.Go(func() { nodes[i], errs[i] = cluster.Start(t.Context(), o) })
	}
	starts.Wait()
	for _, node := range nodes {
		if node != nil {
			t.Cleanup(node.Close)
		}
	}
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	for _, node := range nodes {
		ready(t, node)
		await(t, "all nodes", func() bool { return len(node.Nodes()) == n })
	}
	return nodes, options
}

func ready(t testing.TB, node *cluster.Node) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), hangLimit)
	defer cancel()
	if err := node.Ready(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestStorage(t *testing.T) {
	_, options := startStored(t, 1, nil)
	o := options[0]
	o.Name, o.Logger = "b", slog.New(slog.DiscardHandler)
	if _, err := cluster.Start(t.Context(), o); err == nil || !strings.Contains(err.Error(), o.StoreDir+": another node uses it") {
		t.Errorf("two nodes have one store: %v", err)
	}
	o.StoreDir = filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(o.StoreDir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := cluster.Start(t.Context(), o); err == nil || !strings.Contains(err.Error(), "Options.StoreDir "+o.StoreDir) {
		t.Errorf("the store is a file: %v", err)
	}
	o.StoreDir = ""
	if err := startNode(t, o).Ready(t.Context()); !errors.Is(err, cluster.ErrNoStorage) {
		t.Errorf("a node without a store: %v", err)
	}
}

// A store is free as soon as Close has returned, which does not take long, and a node
// that starts again has its storage.
func TestStoreIsReleased(t *testing.T) {
	nodes, options := startStored(t, 3, nil)
	begun := time.Now()
	nodes[0].Close()
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("closing took %v", took)
	}
	ready(t, startNode(t, options[0]))
}

// What a node has stored alone is no copy of what a cluster has, and the other way round: all nodes have
// the same history, whatever the node did before.
func TestStoreOfNodeAlone(t *testing.T) {
	t.Parallel()
	const channel = "chat/a"
	nodes, options := startStored(t, 3, withHistory)
	publish(t, nodes[0], channel, "", "three")
	await(t, "three copies", func() bool { return nodes[1].Complete(t.Context(), channel) == 3 })
	epoch := history(t, nodes[0], channel, 10).Position.Epoch

	nodes[0].Close()
	alone := options[0]
	alone.Listen, alone.Routes, alone.Secret = "", nil, ""
	node := startNode(t, alone)
	ready(t, node)
	for _, text := range []string{"alone 1", "alone 2"} {
		publish(t, node, channel, "", text)
	}
	if past := history(t, node, channel, 10); !slices.Equal(texts(past.Publications), []string{"alone 1", "alone 2"}) || past.Position.Epoch == epoch {
		t.Errorf("alone, the node has %+v", past)
	}
	node.Close()

	publish(t, nodes[1], channel, "", "two")
	nodes[0] = startNode(t, options[0])
	ready(t, nodes[0])
	publish(t, nodes[2], channel, "", "again")
	await(t, "three copies", func() bool { return nodes[1].Complete(t.Context(), channel) == 3 })
	for _, n := range nodes {
		if past := history(t, n, channel, 10); !slices.Equal(texts(past.Publications), []string{"three", "two", "again"}) || past.Position.Epoch != epoch {
			t.Errorf("node %s has %+v", n.Name(), past)
		}
	}
}

// A node does not leave revocations behind.
func TestStoreWithRevocations(t *testing.T) {
	t.Parallel()
	nodes, options := startStored(t, 1, nil)
	if _, err := nodes[0].Revocations(t.Context(), cluster.RevocationOptions{}); err != nil {
		t.Fatal(err)
	}
	nodes[0].Close()
	o := options[0]
	o.Listen, o.Routes, o.Secret, o.Logger = sctest.FreeAddr(t), []string{sctest.FreeAddr(t)}, secret, slog.New(slog.DiscardHandler)
	_, err := cluster.Start(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), `the folder "alone" may have revocations`) {
		t.Errorf("a cluster with the store of a node that was alone: %v", err)
	}
	if err := os.RemoveAll(filepath.Join(o.StoreDir, "alone")); err != nil {
		t.Fatal(err)
	}
	startNode(t, o)
}
