package cluster_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/socketcluster-go/socketcluster/cluster"
)

// The figures say which nodes there are, who leads what, where the streams are, and what
// the node has missed.
func TestStats(t *testing.T) {
	nodes, _ := startStored(t, 3, withHistory)
	brokers, sinks := begin(t, nodes)
	if err := brokers[1].Subscribe(t.Context(), "chat/a"); err != nil {
		t.Fatal(err)
	}
	if _, err := nodes[0].Revocations(t.Context(), cluster.RevocationOptions{}); err != nil {
		t.Fatal(err)
	}
	last := publish(t, nodes[0], "chat/a", "", 1)
	sinks[1].await(t, "chat/a 1")
	var s cluster.Stats
	await(t, "all copies", func() bool {
		s = nodes[1].Stats(t.Context())
		return len(s.Streams) == 9 && !slices.ContainsFunc(s.Streams, func(s cluster.StreamStats) bool {
			return s.Leader == "" || len(s.Copies) != 3 || slices.ContainsFunc(s.Copies, func(c cluster.CopyStats) bool { return !c.Alive || !c.Current })
		})
	})
	names := []string{"a", "b", "c"}
	// One gap, if the node has looked whether anything was before the first publication.
	if s.Node != "b" || s.Cluster != "socketcluster" || !slices.Equal(s.Nodes, names) || s.Channels != 1 || s.Gaps > 1 || s.Losses != 0 || s.Dropped != 0 || s.Revocations != 0 || s.CutOff {
		t.Errorf("the node has %+v", s)
	}
	found := false
	for i, stream := range s.Streams {
		if !slices.Contains(names, stream.Leader) || stream.Copies[0].Node != "a" || stream.Copies[2].Node != "c" || i > 0 && stream.Name <= s.Streams[i-1].Name {
			t.Errorf("a stream is %+v", stream)
		}
		found = found || stream.Position == last.Seq && stream.Messages == 1 && stream.Bytes > 0
	}
	if !found {
		t.Errorf("no stream is at %d: %+v", last.Seq, s.Streams)
	}
	if err := nodes[2].Forge("chat/a", last.Seq+2); err != nil {
		t.Fatal(err)
	}
	await(t, "the gap", func() bool { return nodes[1].Stats(t.Context()).Gaps > 0 })
	nodes[2].Fail()
	await(t, "the end of c", func() bool { return len(nodes[1].Nodes()) == 2 })
	for _, stream := range nodes[1].Stats(t.Context()).Streams {
		for _, one := range stream.Copies {
			if one.Alive != (one.Node != "c") {
				t.Errorf("after the end of c, a copy of %s is %+v", stream.Name, one)
			}
		}
	}
	nodes[1].Close()
	if s := nodes[1].Stats(t.Context()); s.Streams[0].Leader != "" || s.Channels != 0 {
		t.Errorf("a node that has ended has %+v", s)
	}
}

// A node without storage has no streams, and counts what it could not take.
func TestStatsOfDrops(t *testing.T) {
	nodes := start(t, 2)
	release := make(chan struct{})
	held := &slowSink{release: release}
	if err := nodes[0].Broker().Start(t.Context(), new(sink)); err != nil {
		t.Fatal(err)
	}
	if err := nodes[1].Broker().Start(t.Context(), held); err != nil {
		t.Fatal(err)
	}
	defer close(release)
	if err := nodes[1].Broker().Subscribe(t.Context(), "news"); err != nil {
		t.Fatal(err)
	}
	dropped := func() uint64 { return nodes[1].Stats(t.Context()).Dropped }
	await(t, "drops", func() bool {
		for range 1000 {
			if err := nodes[0].Broker().Publish(t.Context(), "news", []byte("1")); err != nil {
				t.Fatal(err)
			}
		}
		return dropped() > 0
	})
	before := dropped()
	if err := nodes[1].Broker().Unsubscribe(t.Context(), "news"); err != nil {
		t.Fatal(err)
	}
	if s := nodes[1].Stats(t.Context()); s.Dropped < before || s.Streams != nil || s.Channels != 0 {
		t.Errorf("after %d, the node has %+v", before, s)
	}
}

// slowSink takes nothing until it is released.
type slowSink struct{ release chan struct{} }

func (s *slowSink) Deliver(string, []byte) { <-s.release }

// The figures say which nodes are witnesses, and which still vote although they are gone.
func TestStatsOfRoles(t *testing.T) {
	t.Parallel()
	nodes, _ := startStored(t, 3, func(o *cluster.Options) { o.Witness = o.Name == "c" })
	if err := nodes[2].Broker().Start(t.Context(), new(sink)); err == nil || !strings.Contains(err.Error(), "Options.Witness") {
		t.Errorf("a server with a witness: %v", err)
	}
	check := func(i int, alive string) {
		t.Helper()
		s := nodes[i].Stats(t.Context())
		if strings.Join(s.Electors, "") != "abc" || strings.Join(s.Nodes, "") != alive || len(s.Twins) > 0 {
			t.Errorf("node %d: of %q, %q are alive; twins: %q", i, s.Electors, s.Nodes, s.Twins)
		}
		if strings.Contains(alive, "c") != (strings.Join(s.Witnesses, " ") == "c") {
			t.Errorf("node %d: witnesses are %q", i, s.Witnesses)
		}
	}
	for i := range nodes {
		check(i, "abc")
	}
	nodes[2].Close()
	await(t, "two nodes", func() bool { return len(nodes[0].Nodes()) == 2 })
	check(0, "ab")
	_, err := cluster.Start(t.Context(), cluster.Options{Name: "x", Witness: true})
	if err == nil || !strings.Contains(err.Error(), "Options.Witness needs Options.StoreDir and Options.Listen") {
		t.Errorf("a witness that is alone: %v", err)
	}
}
