package cluster_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/socketcluster-go/socketcluster/broker"
	"github.com/socketcluster-go/socketcluster/cluster"
	"github.com/socketcluster-go/socketcluster/internal/sctest"
)

// roles are what a process of a test is, by the variable of the environment that says so.
var roles = map[string]func(options string){processVar: runProcess}

// Nothing is left after the tests. A process of a test is a node instead.
func TestMain(m *testing.M) {
	for variable, run := range roles {
		if text := os.Getenv(variable); text != "" {
			run(text)
			return
		}
	}
	// NATS forgets the store of a Raft group that it makes while it shuts down
	// (createRaftGroup in jetstream_cluster.go returns without a stop when startRaftNode
	// fails). Two goroutines of that store stay; a server that runs would have more.
	const server = "github.com/nats-io/nats-server/v2/server"
	goleak.VerifyTestMain(m,
		goleak.IgnoreTopFunction("github.com/golang/glog.(*fileSink).flushDaemon"),
		goleak.IgnoreAnyFunction(server+".(*fileStore).flushStreamStateLoop"),
		goleak.IgnoreAnyFunction(server+"/ats.Register.func1"))
}

// secret is that of the clusters of tests.
const secret = "the secret of the tests"

// start starts n nodes that know each other, a, b and so on.
func start(t testing.TB, n int) []*cluster.Node {
	t.Helper()
	addrs := make([]string, n)
	for i := range addrs {
		addrs[i] = sctest.FreeAddr(t)
	}
	nodes := make([]*cluster.Node, n)
	for i := range nodes {
		nodes[i] = startNode(t, cluster.Options{Name: string(rune('a' + i)), Listen: addrs[i], Routes: addrs, Secret: secret})
	}
	for _, node := range nodes {
		await(t, "all nodes", func() bool { return len(node.Nodes()) == n })
	}
	return nodes
}

func startNode(t testing.TB, o cluster.Options) *cluster.Node {
	t.Helper()
	o.Logger = slog.New(slog.DiscardHandler)
	node, err := cluster.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(node.Close)
	return node
}

// hangLimit is for how long a test waits for what comes within a second on a quiet machine, or
// after an election or two: a few seconds each.
const hangLimit = time.Minute

func await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	awaitWithin(t, hangLimit, what, ok)
}

func awaitWithin(t testing.TB, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	for begun := time.Now(); !ok(); time.Sleep(time.Millisecond) {
		if time.Since(begun) > limit {
			t.Fatalf("waiting for %s", what)
		}
	}
}

// sink keeps what is delivered.
type sink struct {
	mu  sync.Mutex
	all []string
}

func (s *sink) Deliver(channel string, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := "none"
	if data != nil {
		text = string(data)
	}
	s.all = append(s.all, channel+" "+text)
}

func (s *sink) got() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.all)
}

func (s *sink) await(t testing.TB, want ...string) {
	t.Helper()
	await(t, fmt.Sprint(want), func() bool { return len(s.got()) >= len(want) })
	if got := s.got(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// begin starts the brokers of nodes.
func begin(t testing.TB, nodes []*cluster.Node) (brokers []broker.Broker, sinks []*sink) {
	t.Helper()
	for _, node := range nodes {
		b, s := node.Broker(), new(sink)
		if err := b.Start(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		brokers, sinks = append(brokers, b), append(sinks, s)
	}
	return brokers, sinks
}

// Publications reach the own node, and all others that have subscribed, in order,
// as soon as Subscribe has returned.
func TestChannels(t *testing.T) {
	nodes := start(t, 3)
	brokers, sinks := begin(t, nodes)
	name := "a.b *>é\n" + strings.Repeat(".", 1000)
	for _, b := range brokers[:2] {
		for _, channel := range []string{"news", name, ""} {
			if err := b.Subscribe(t.Context(), channel); err != nil {
				t.Fatal(err)
			}
		}
	}
	var want []string
	for i := range 100 {
		if err := brokers[2].Publish(t.Context(), "news", fmt.Append(nil, i)); err != nil {
			t.Fatal(err)
		}
		want = append(want, fmt.Sprint("news ", i))
	}
	for _, s := range sinks {
		s.await(t, want...)
	}
	for _, p := range []struct{ channel, data string }{{name, `"x"`}, {"", "null"}, {"", ""}} {
		var data []byte
		if p.data != "" {
			data = []byte(p.data)
		}
		if err := brokers[0].Publish(t.Context(), p.channel, data); err != nil {
			t.Fatal(err)
		}
		if p.data == "" {
			p.data = "none"
		}
		want = append(want, p.channel+" "+p.data)
		sinks[1].await(t, want...)
	}
	if err := brokers[1].Unsubscribe(t.Context(), "news"); err != nil {
		t.Fatal(err)
	}
	if err := brokers[0].Publish(t.Context(), "other", nil); err != nil {
		t.Fatal(err)
	}
	if got := len(sinks[2].got()); got != 100 {
		t.Errorf("a node without subscribers got %d publications", got)
	}
	if err := brokers[0].Publish(t.Context(), "news", make([]byte, 3<<20)); err == nil || !strings.Contains(err.Error(), "max_payload") {
		t.Errorf("a publication that is too large: %v", err)
	}
	if err := brokers[0].Start(t.Context(), sinks[0]); err == nil {
		t.Error("a broker has two sinks")
	}
}

// A node that leaves is noticed at once, and one that comes back is a member again.
func TestMembers(t *testing.T) {
	nodes := start(t, 2)
	nodes[1].Close()
	nodes[1].Close()
	await(t, "the end of b", func() bool { return len(nodes[0].Nodes()) == 1 })
	if err := nodes[1].Broker().Start(context.Background(), new(sink)); err == nil {
		t.Error("a closed node has a broker")
	}
}

func TestOptions(t *testing.T) {
	for want, o := range map[string]cluster.Options{
		`Options.Name is "a b"`:                   {Name: "a b"},
		`Options.Cluster is "."`:                  {Name: "a", Cluster: "."},
		`Options.UserClaim is "\xff"`:             {Name: "a", UserClaim: "\xff"},
		"Options.Routes needs Options.Listen":     {Name: "a", Routes: []string{"b:1"}},
		"Options.Secret has 3 bytes":              {Name: "a", Listen: "127.0.0.1:0", Secret: "abc"},
		`"b" is not an address such as host:6222`: {Name: "a", Listen: "127.0.0.1:0", Secret: secret, Routes: []string{"b"}},
		"needs Options.Routes: storage":           {Name: "a", Listen: "127.0.0.1:0", Secret: secret, StoreDir: t.TempDir()},
		"with Options.URL, NATS is outside":       {Name: "a", URL: "nats://127.0.0.1:1", Listen: "127.0.0.1:0"},
		"SyncAlways needs Options.StoreDir":       {Name: "a", SyncAlways: true},
		"connect to NATS":                         {Name: "a", URL: "nats://127.0.0.1:1"},
		`the port of Options.Listen is "a"`:       {Name: "a", Listen: "127.0.0.1:a", Secret: secret},
		`Options.Advertise: "foo bar" is not an`:  {Name: "a", Listen: "127.0.0.1:0", Secret: secret, Advertise: "foo bar"},
		`Options.Advertise: "a b:1" is not an`:    {Name: "a", Listen: "127.0.0.1:0", Secret: secret, Advertise: "a b:1"},
		`Options.Advertise: ":1" is not an`:       {Name: "a", Listen: "127.0.0.1:0", Secret: secret, Advertise: ":1"},
		`the port of Options.Advertise is "x"`:    {Name: "a", Listen: "127.0.0.1:0", Secret: secret, Advertise: "a:x"},
		`Options.Routes: "a b:1" is not an`:       {Name: "a", Listen: "127.0.0.1:0", Secret: secret, Routes: []string{"a b:1"}},
		"Options.Advertise needs Options.Listen":  {Name: "a", Advertise: "a:1"},
		"Listen, Advertise, Routes, Secret":       {Name: "a", URL: "nats://127.0.0.1:1", Advertise: "a:1"},
	} {
		o.Logger = slog.New(slog.DiscardHandler)
		if node, err := cluster.Start(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
			if node != nil {
				node.Close()
			}
		}
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if _, err := cluster.Start(t.Context(), cluster.Options{Name: "a", Listen: taken.Addr().String(), Secret: secret, Logger: slog.New(slog.DiscardHandler)}); err == nil || !strings.Contains(err.Error(), "Options.Listen is \""+taken.Addr().String()) {
		t.Errorf("at an address that is taken: %v", err)
	}
}
