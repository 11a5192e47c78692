package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/socketcluster-go/socketcluster/cluster"
)

// The table says what each node is and does, and what is wrong.
func TestClusterTable(t *testing.T) {
	s := cluster.Stats{
		Node: "a", Cluster: "chat", Nodes: []string{"a", "b", "d"}, Witnesses: []string{"d"}, Electors: []string{"a", "b", "c", "d", "e"}, Twins: []string{"b"}, Unlike: []string{"b", "d"}, Channels: 5, Gaps: 4, Losses: 3, Dropped: 2, Revocations: 90, RevocationLimit: 100, CutOff: true,
		Present: cluster.PresenceStats{Channels: 2, Users: 7, Sockets: 3},
		Streams: []cluster.StreamStats{
			{Name: "s0", Leader: "a", Position: 12, Messages: 10, MaxMessages: 200, Bytes: 1000, Copies: []cluster.CopyStats{copyOf("a", true, true, 0), copyOf("b", true, false, 7), copyOf("c", false, false, 9)}},
			{Name: "s1", Copies: []cluster.CopyStats{}},
			{Name: "s2", Leader: "b", Position: 3, Messages: 3, Bytes: 30, Copies: []cluster.CopyStats{copyOf("a", true, false, 2), copyOf("b", true, true, 0), copyOf("n1", true, true, 0)}},
		},
	}
	const want = `Cluster chat, as node a sees it

NODE  STATE        LEADS  COPIES  BEHIND
a     alive        1      2       2
b     alive        1      2       7
c     away         0      1       9
d     witness      0      0       0
e     away         0      0       0
n1    NATS server  0      1       0

STREAM  LEADER  POSITION  MESSAGES   BYTES  COPIES
s0      a       12        10 of 200  1000   a b (7 behind) c (away)
s1      none    -         -          -      -
s2      b       3         3          30     a (2 behind) b n1

Node a: 5 channels, 90 of 100 revocations; since its start 4 gaps read, 3 lost, 2 messages dropped
Presence: 7 users in 2 channels; node a has 3 sockets in them
WRONG: node a is cut off from the revocations of others, and accepts no token
WRONG: there are 90 revocations; with 100, there is no room for more
WRONG: these nodes have other history rules than node a: b, d
WRONG: these streams have no leader, and wait: s1
WRONG: node e is away, and counts among the 5 that elect; if it is gone for good: socketcluster cluster remove e
WRONG: several nodes have these names: b
WRONG: node c is away, with copies of streams: 1
`
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/cluster" {
			writeJSON(w, http.StatusOK, s)
		}
	}))
	defer site.Close()
	clearSettings(t)
	addr := strings.TrimPrefix(site.URL, "http://")
	if o := runWith(t, "", "cluster", "--metrics-addr", addr); o.status != 1 || o.out != want || o.err != "" {
		t.Errorf("status %d, %s\n%s", o.status, o.err, cmp.Diff(want, o.out))
	}
	t.Setenv("SOCKETCLUSTER_METRICS_ADDR", addr)
	var got cluster.Stats
	if o := runWith(t, "", "cluster", "--json"); o.status != 1 || json.Unmarshal([]byte(o.out), &got) != nil {
		t.Errorf("%+v", o)
	}
	if diff := cmp.Diff(s, got); diff != "" {
		t.Error(diff)
	}
}

// Without an answer there is no table.
func TestClusterUnanswered(t *testing.T) {
	d, err := clusterDemo(t)
	if err != nil {
		t.Fatal(err)
	}
	site := httptest.NewServer(newOps(t.Context(), d.node, noLog()).handler())
	defer site.Close()
	odd := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") }))
	defer odd.Close()
	clearSettings(t)
	for addr, want := range map[string]string{
		"":                                      "no node is named: set --metrics-addr",
		"127.0.0.1:1":                           "connection refused",
		"nonsense":                              "missing port",
		strings.TrimPrefix(site.URL, "http://"): "the process is no node of a cluster",
		strings.TrimPrefix(odd.URL, "http://"):  "invalid character 'h'",
	} {
		if o := runWith(t, "", "cluster", "--metrics-addr="+addr); o.status != 2 || o.out != "" || !strings.Contains(o.err, want) {
			t.Errorf("%q: %+v, want %s", addr, o, want)
		}
	}
}

func copyOf(node string, alive, current bool, lag uint64) cluster.CopyStats {
	return cluster.CopyStats{Node: node, Alive: alive, Current: current, Lag: lag}
}
