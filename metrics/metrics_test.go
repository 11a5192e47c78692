package metrics_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/client"
	"github.com/socketcluster-go/socketcluster/metrics"
	"github.com/socketcluster-go/socketcluster/metrics/clustermetrics"
)

func Example() {
	srv, err := socketcluster.New(socketcluster.Config{Auth: auth.Options{Key: "the key of the examples, 32 bytes"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()
	registry := prometheus.NewRegistry()
	registry.MustRegister(metrics.NewCollector(srv)) // promhttp.HandlerFor(registry, …) serves them
	families, err := registry.Gather()
	fmt.Println(len(families), families[0].GetName(), err)
	// Output: 12 socketcluster_budget_bytes <nil>
}

// The figures are those of the server, and each figure of the server is exported.
func TestCollector(t *testing.T) {
	srv, err := socketcluster.New(socketcluster.Config{
		Auth:   auth.Options{Key: "a key for the tests of the metrics, long enough"},
		Limits: socketcluster.Limits{Budget: 1 << 30, Connections: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	site := httptest.NewServer(srv)
	t.Cleanup(func() {
		srv.Close()
		site.Close()
	})
	c, err := client.Dial(t.Context(), site.URL, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Subscribe(context.Background(), "news"); err != nil {
		t.Fatal(err)
	}
	if err := c.Publish(t.Context(), "news", 1); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Dial(t.Context(), site.URL, client.Options{}); err == nil {
		t.Fatal("a second client has connected")
	}
	collector := metrics.NewCollector(srv)
	if problems, err := testutil.CollectAndLint(collector); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
	want := `
# HELP socketcluster_connections Connections, by what they are: open, pending before the end of the handshake, or closing.
# TYPE socketcluster_connections gauge
socketcluster_connections{state="closing"} 0
socketcluster_connections{state="open"} 1
socketcluster_connections{state="pending"} 0
# HELP socketcluster_connections_accepted_total Upgrade requests that have become connections.
# TYPE socketcluster_connections_accepted_total counter
socketcluster_connections_accepted_total 1
# HELP socketcluster_deliveries_total Deliveries of publications to subscribers on this server.
# TYPE socketcluster_deliveries_total counter
socketcluster_deliveries_total 1
# HELP socketcluster_messages_received_total Messages of clients, pongs included.
# TYPE socketcluster_messages_received_total counter
socketcluster_messages_received_total 3
# HELP socketcluster_budget_bytes Limits.Budget.
# TYPE socketcluster_budget_bytes gauge
socketcluster_budget_bytes 1.073741824e+09
`
	if err := testutil.CollectAndCompare(collector, strings.NewReader(want), "socketcluster_connections", "socketcluster_connections_accepted_total",
		"socketcluster_deliveries_total", "socketcluster_messages_received_total", "socketcluster_budget_bytes"); err != nil {
		t.Error(err)
	}
	limits := srv.Stats().LimitHits
	if limits["Limits.Connections"] == 0 {
		t.Error("the limit was not reached")
	}
	// One metric for each figure, for each reason and each limit.
	figures := reflect.TypeFor[socketcluster.ServerStats]().NumField() + reflect.TypeFor[socketcluster.RefusedStats]().NumField() + len(limits) - 2
	if n := testutil.CollectAndCount(collector); n != figures {
		t.Errorf("%d metrics for %d figures: is one not exported?", n, figures)
	}
}

// The dashboard shows no figure that does not exist.
func TestDashboard(t *testing.T) {
	text, err := os.ReadFile("../docs/grafana.json")
	if err != nil {
		t.Fatal(err)
	}
	if !json.Valid(text) {
		t.Fatal("it is not JSON")
	}
	known := make(chan *prometheus.Desc, 100)
	metrics.NewCollector(nil).Describe(known)
	clustermetrics.NewCollector(nil).Describe(known)
	close(known)
	names := ""
	for d := range known {
		names += " " + d.String()
	}
	found := regexp.MustCompile(`socketcluster_[a-z_]+`).FindAllString(string(text), -1)
	for _, name := range found {
		if !strings.Contains(names, name) {
			t.Errorf("there is no %s", name)
		}
	}
	if len(found) < 10 {
		t.Errorf("it shows %d figures", len(found))
	}
}
