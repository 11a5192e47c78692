package clustermetrics_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/socketcluster-go/socketcluster/auth/revoke"
	"github.com/socketcluster-go/socketcluster/cluster"
	"github.com/socketcluster-go/socketcluster/metrics/clustermetrics"
)

// A node that is alone, without storage.
func Example() {
	node, err := cluster.Start(context.Background(), cluster.Options{Name: "a", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer node.Close()
	registry := prometheus.NewRegistry()
	registry.MustRegister(clustermetrics.NewCollector(node)) // promhttp.HandlerFor(registry, …) serves them
	families, err := registry.Gather()
	fmt.Println(len(families), families[0].GetName(), err)
	// Output: 15 socketcluster_cluster_channels <nil>
}

// The figures are those of the node.
func TestCollector(t *testing.T) {
	node, err := cluster.Start(t.Context(), cluster.Options{
		Name: "a", StoreDir: t.TempDir(), History: []cluster.HistoryRule{{Channel: "chat", Size: 10, Age: time.Hour}},
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(node.Close)
	for range 3 {
		if _, err := node.Publish(t.Context(), "chat", "", []byte("1")); err != nil {
			t.Fatal(err)
		}
	}
	rv, err := node.Revocations(t.Context(), cluster.RevocationOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := rv.Add(t.Context(), revoke.Revocation{JTI: "x"}); err != nil {
		t.Fatal(err)
	}
	var streams []cluster.StreamStats
	for deadline := time.Now().Add(30 * time.Second); len(streams) < 9; { // a node makes them after its start
		if time.Now().After(deadline) {
			t.Fatalf("there are %d streams", len(streams))
		}
		time.Sleep(10 * time.Millisecond)
		streams = node.Stats(t.Context()).Streams
	}
	stream := ""
	for _, s := range streams {
		if s.Position == 3 && strings.HasPrefix(s.Name, "sc_history") {
			stream = s.Name
		}
	}
	collector := clustermetrics.NewCollector(node)
	if problems, err := testutil.CollectAndLint(collector); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
	// Fifteen figures of the node, seven of each stream, which has one copy, and the limit of one.
	if n := testutil.CollectAndCount(collector); n != 15+9*7+1 {
		t.Errorf("%d metrics", n)
	}
	want := `
# HELP socketcluster_cluster_nodes Nodes of the cluster that are alive, as this one sees it.
# TYPE socketcluster_cluster_nodes gauge
socketcluster_cluster_nodes 1
# HELP socketcluster_cluster_cut_off 1 while this node is cut off from the revocations of others, and accepts no token.
# TYPE socketcluster_cluster_cut_off gauge
socketcluster_cluster_cut_off 0
# HELP socketcluster_cluster_revocations Revocations on this node.
# TYPE socketcluster_cluster_revocations gauge
socketcluster_cluster_revocations 1
# HELP socketcluster_cluster_revocations_limit Revocations with which there is no room for more.
# TYPE socketcluster_cluster_revocations_limit gauge
socketcluster_cluster_revocations_limit 1e+06
# HELP socketcluster_cluster_stream_messages_limit Messages with which the stream refuses others, if it has such a limit.
# TYPE socketcluster_cluster_stream_messages_limit gauge
socketcluster_cluster_stream_messages_limit{stream="sc-revocations"} 2e+06
`
	if err := testutil.CollectAndCompare(collector, strings.NewReader(want),
		"socketcluster_cluster_nodes", "socketcluster_cluster_cut_off", "socketcluster_cluster_revocations", "socketcluster_cluster_revocations_limit",
		"socketcluster_cluster_stream_messages_limit"); err != nil {
		t.Error(err)
	}
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(collector)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, f := range families {
		for _, m := range f.Metric {
			for _, label := range m.Label {
				if label.GetValue() != stream || label.GetName() != "stream" {
					continue
				}
				found++
				want := map[string]float64{"stream_available": 1, "stream_leader": 1, "stream_last_sequence": 3, "stream_messages": 3, "copy_alive": 1, "copy_lag": 0}
				if value, ok := want[strings.TrimPrefix(f.GetName(), "socketcluster_cluster_")]; ok && m.Gauge.GetValue() != value {
					t.Errorf("%s is %v, want %v", f.GetName(), m.Gauge.GetValue(), value)
				}
			}
		}
	}
	if found != 7 {
		t.Errorf("%q has %d figures", stream, found)
	}
}
