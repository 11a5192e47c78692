package cluster_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/cluster"
	"github.com/socketcluster-go/socketcluster/internal/logtest"
)

// Nodes whose history rules differ say so, and lose nothing that is published: for the one
// without a rule, the channel is a plain one.
func TestUnlikeHistories(t *testing.T) {
	logs := map[string]*logtest.Buffer{"a": {}, "b": {}}
	nodes, _ := startStored(t, 2, func(o *cluster.Options) {
		o.Logger = logs[o.Name].Logger()
		channel := "chat/*"
		if o.Name == "b" {
			channel = "other/*"
		}
		o.History = []cluster.HistoryRule{{Channel: channel, Size: 10, Age: time.Hour}}
	})
	brokers, sinks := begin(t, nodes)
	for _, b := range brokers {
		if err := b.Subscribe(t.Context(), "chat/a"); err != nil {
			t.Fatal(err)
		}
	}
	publish(t, nodes[0], "chat/a", "", 1)
	sinks[1].await(t, "chat/a 1")
	if err := brokers[1].Publish(t.Context(), "chat/a", []byte("2")); err != nil {
		t.Fatal(err)
	}
	sinks[0].await(t, "chat/a 1", "chat/a 2")
	sinks[1].await(t, "chat/a 1", "chat/a 2")
	for i, other := range []string{"b", "a"} {
		name := nodes[i].Name()
		if got := nodes[i].Stats(t.Context()).Unlike; !slices.Equal(got, []string{other}) {
			t.Errorf("%s has other rules than %v", name, got)
		}
		if text := logs[name].Take(); strings.Count(text, "Options.History") != 1 || !strings.Contains(text, "node="+other) {
			t.Errorf("%s logs %s", name, text)
		}
	}
}
