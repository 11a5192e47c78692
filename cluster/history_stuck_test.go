package cluster_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/socketcluster-go/socketcluster/auth/revoke"
	"github.com/socketcluster-go/socketcluster/cluster"
	"github.com/socketcluster-go/socketcluster/internal/sctest"
)

// elsewhere returns channels of count streams other than that of one.
func elsewhere(channel string, count int) (all []string) {
	seen := map[string]bool{cluster.StreamOf(channel): true}
	for i := 0; len(all) < count; i++ {
		name := fmt.Sprint("chat/", i)
		if stream := cluster.StreamOf(name); !seen[stream] {
			seen[stream], all = true, append(all, name)
		}
	}
	return all
}

// together returns count channels of the stream of one.
func together(channel string, count int) (all []string) {
	for i := 0; len(all) < count; i++ {
		if name := fmt.Sprint("chat/x", i); cluster.StreamOf(name) == cluster.StreamOf(channel) {
			all = append(all, name)
		}
	}
	return all
}

// lose makes a node miss what is published on a channel until the node compares what it has.
func lose(t *testing.T, node *cluster.Node, channel string) {
	t.Helper()
	if err := node.Deafen(channel); err != nil {
		t.Fatal(err)
	}
}

// Streams that do not answer hold up neither the comparison of what was delivered with
// another stream, nor the reading of what is missing from it.
func TestStuckStreams(t *testing.T) {
	const channel = "chat/a"
	nodes, _ := startStored(t, 1, withHistory)
	node := nodes[0]
	brokers, sinks := begin(t, nodes)
	others := elsewhere(channel, 7)
	many := together(others[0], 600) // far more than are read at the same time
	for _, c := range append(append([]string{channel}, others...), many...) {
		if err := brokers[0].Subscribe(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range others {
		mute(t, node.Server(), node, c)
	}
	for _, c := range many {
		if err := node.ForgeHere(c, 1000); err != nil {
			t.Fatal(err)
		}
	}
	lose(t, node, channel)
	begun := time.Now()
	if err := node.PublishUnseen(channel, "1"); err != nil {
		t.Fatal(err)
	}
	sinks[0].await(t, channel+" 1")
	// Each of the others would hold it up for seconds.
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("it came after %v", took)
	}
}

// A leader of NATS (2.15) that was deposed may say for two minutes that a publication which it
// lost is in process. Another node leads then.
func TestStuckPublication(t *testing.T) {
	const channel = "chat/a"
	nodes, _ := startStored(t, 3, withHistory)
	await(t, "three copies", func() bool { return nodes[0].Complete(t.Context(), channel) == 3 })
	awaitShare(t, nodes[0]) // nodes ask for no other leader for this reason
	led := nodes[0].Leader(t.Context(), channel)
	asked, heal, err := nodes[0].Stick(channel)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 { // others of the same stream ask for no other leader
		go nodes[0].Publish(t.Context(), together(channel, 3)[i], "", []byte("2"))
	}
	done := make(chan error, 1)
	go func() {
		_, err := nodes[0].Publish(t.Context(), channel, "x", []byte("1"))
		done <- err
	}()
	await(t, "another leader", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second/4) // the former leader may not answer
		defer cancel()
		leader := nodes[0].Leader(ctx, channel)
		return leader != "" && leader != led
	})
	heal()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if n := asked(); n != 1 {
		t.Errorf("the node asked for another leader %d times", n)
	}
	if got := texts(history(t, nodes[1], channel, 10).Publications); len(got) != 1 || got[0] != "1" {
		t.Errorf("the history is %v", got)
	}
}

// A leader that waits for its copies is not asked to go: it would take them longer.
func TestLeaderWaitsForCopies(t *testing.T) {
	for _, c := range []struct {
		others []string
		want   bool
	}{
		{nil, true},
		{[]string{""}, true},
		{[]string{"behind"}, false},
		{[]string{"", ""}, true},
		{[]string{"", "behind"}, true},
		{[]string{"offline", "behind"}, false},
		{[]string{"silent", "behind"}, false},
		{[]string{"", "", "offline", "behind"}, true},
		{[]string{"", "behind", "offline", "behind"}, false},
	} {
		if got := cluster.CanStore(c.others...); got != c.want {
			t.Errorf("with %q it can store: %v", c.others, got)
		}
	}
}

// A revocation that is stuck is stored when another node leads, too.
func TestStuckRevocation(t *testing.T) {
	nodes, _ := startStored(t, 3, nil)
	var all []*cluster.Revocations
	for _, node := range nodes {
		all = append(all, revocations(t, node, cluster.RevocationOptions{}))
	}
	await(t, "three copies", func() bool {
		_, copies := nodes[0].RevocationsStream(t.Context())
		return copies == 3
	})
	asked, heal, err := nodes[0].StickRevocations()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		done <- all[0].Add(t.Context(), revoke.Revocation{JTI: "x", Until: time.Now().Add(time.Hour)})
	}()
	await(t, "a request for another leader", func() bool { return asked() == 1 })
	heal()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// mute makes a NATS server lose all requests about the stream of a channel.
func mute(t *testing.T, srv *server.Server, node *cluster.Node, channel string) {
	t.Helper()
	stop, err := node.Mute(srv, channel)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
}

// A node that starts while a stream does not answer serves the channels of others.
func TestStartWithStuckStream(t *testing.T) {
	const channel = "chat/a"
	srv := outsideServers(t, 1)[0]
	o := cluster.Options{Name: "a", URL: srv.ClientURL()}
	withHistory(&o)
	node := startNode(t, o)
	other := elsewhere(channel, 1)[0]
	publish(t, node, other, "", 1) // all streams are being created
	for _, c := range append(elsewhere(channel, 7), channel) {
		await(t, "a stream", func() bool { return node.Copies(t.Context(), c) == 1 })
	}
	mute(t, srv, node, other)
	o.Name = "b"
	late := startNode(t, o)
	publish(t, late, channel, "", 1)
}

// A node that comes back looks into the copies of others for what was revoked meanwhile, and
// does not wait for a mark of its own, which may need an election.
func TestRevocationsWithoutLeader(t *testing.T) {
	nodes, options := startStored(t, 2, nil)
	var all []*cluster.Revocations
	for _, node := range nodes {
		all = append(all, revocations(t, node, cluster.RevocationOptions{}))
	}
	await(t, "two copies", func() bool {
		_, copies := nodes[0].RevocationsStream(t.Context())
		return copies == 2
	})
	stop, err := nodes[1].CutRevocations()
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	before := all[1].Len()
	if err := all[0].Add(t.Context(), revoke.Revocation{JTI: "x", Until: time.Now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	// Nodes see that another one comes as they see that one is back.
	startNode(t, cluster.Options{Name: "c", Listen: sctest.FreeAddr(t), Routes: options[0].Routes, Secret: secret})
	await(t, "the revocation", func() bool { return all[1].Len() == before+1 })
}
