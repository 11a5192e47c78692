package cluster_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/cluster"
)

// copiesOn returns the nodes that have copies of the stream of a channel, and all of it.
func copiesOn(t testing.TB, node *cluster.Node, channel string) (names []string) {
	t.Helper()
	for _, s := range node.Stats(t.Context()).Streams {
		if s.Name != "sc_history_"+cluster.StreamOf(channel) {
			continue
		}
		for _, c := range s.Copies {
			if c.Alive && c.Current {
				names = append(names, c.Node)
			}
		}
	}
	return names
}

// A node that is alive is not removed. One that is gone is, the others go on, and another
// one gets its copies.
func TestRemove(t *testing.T) {
	t.Parallel()
	nodes, options := startStored(t, 3, withHistory)
	const channel = "chat/a"
	publish(t, nodes[0], channel, "", 1)
	await(t, "three copies", func() bool { return slices.Equal(copiesOn(t, nodes[0], channel), []string{"a", "b", "c"}) })
	remove := func(name string) ([]string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		return cluster.Remove(ctx, options[0], name)
	}
	if _, err := remove("c"); !errors.Is(err, cluster.ErrAlive) {
		t.Errorf("a node that is alive: %v", err)
	}
	_, err := remove("nobody")
	wantError(t, err, `there is no node "nobody" with storage; there are ["a" "b" "c"]`)
	nodes[2].Close()
	if left, err := remove("c"); err != nil || !slices.Equal(left, []string{"a", "b"}) {
		t.Fatalf("%v are left, %v", left, err)
	}
	publish(t, nodes[0], channel, "", 2)
	await(t, "two copies", func() bool { return slices.Equal(copiesOn(t, nodes[0], channel), []string{"a", "b"}) })

	o := options[2]
	o.Name, o.StoreDir = "d", filepath.Join(t.TempDir(), "d")
	d := startNode(t, o)
	ready(t, d)
	await(t, "the copy of the new node", func() bool { return slices.Equal(copiesOn(t, nodes[0], channel), []string{"a", "b", "d"}) })
	if got := texts(history(t, d, channel, 10).Publications); !slices.Equal(got, []string{"1", "2"}) {
		t.Errorf("the new node has %v", got)
	}
	nodes[1].Close()
	d.Close()
	_, err = remove("d")
	wantError(t, err, "majority")
	if _, err := cluster.Remove(t.Context(), cluster.Options{URL: "nats://127.0.0.1:4222"}, "c"); err == nil {
		t.Error("a node of an outside NATS is removed")
	}
}
