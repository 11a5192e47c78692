package cluster_test

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/cluster"
)

// withHistory gives the channels of tests a history.
func withHistory(o *cluster.Options) {
	o.History = []cluster.HistoryRule{
		{Channel: "small/*", Size: 3, Age: time.Hour},
		{Channel: "brief/*", Size: 10, Age: time.Second},
		{Channel: "chat/*", Size: 1000, Age: time.Hour},
	}
}

func publish(t testing.TB, node *cluster.Node, channel, id string, data any) cluster.Position {
	t.Helper()
	p, err := node.Publish(t.Context(), channel, id, fmt.Append(nil, data))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// texts returns the data of publications.
func texts(list []cluster.Publication) []string {
	all := []string{}
	for _, p := range list {
		text := "none"
		if p.Data != nil {
			text = string(p.Data)
		}
		all = append(all, text)
	}
	return all
}

func history(t testing.TB, node *cluster.Node, channel string, count int) cluster.Past {
	t.Helper()
	past, err := node.History(t.Context(), channel, count)
	if err != nil {
		t.Fatal(err)
	}
	return past
}

func recovered(t testing.TB, node *cluster.Node, channel string, since cluster.Position) cluster.Past {
	t.Helper()
	past, err := node.Recover(t.Context(), channel, since)
	if err != nil {
		t.Fatal(err)
	}
	return past
}

// A history has as many copies as its rule says, beside others with another number of them, and
// what belongs to one channel does not come to another.
func TestCopies(t *testing.T) {
	nodes, _ := startStored(t, 3, func(o *cluster.Options) {
		o.History = []cluster.HistoryRule{
			{Channel: "one/*", Size: 10, Age: time.Hour, Copies: 1},
			{Channel: "two/*", Size: 10, Age: time.Hour, Copies: 2},
			{Channel: "chat/*", Size: 10, Age: time.Hour},
		}
	})
	brokers, sinks := begin(t, nodes)
	want := map[string]int{"one/a": 1, "two/a": 2, "chat/a": 3}
	for channel, copies := range want {
		await(t, fmt.Sprintf("%d copies of %s", copies, channel), func() bool { return nodes[0].Copies(t.Context(), channel) == copies })
		for _, b := range brokers {
			if err := b.Subscribe(t.Context(), channel); err != nil {
				t.Fatal(err)
			}
		}
	}
	for channel := range want {
		since := publish(t, nodes[0], channel, "x", 1)
		if again := publish(t, nodes[1], channel, "x", 1); again.Seq != since.Seq || again.Epoch != since.Epoch {
			t.Errorf("%s: stored at %v, and again at %v", channel, since, again)
		}
		publish(t, nodes[1], channel, "", 2)
		for i, node := range nodes {
			if got := texts(recovered(t, node, channel, since).Publications); !slices.Equal(got, []string{"2"}) {
				t.Errorf("node %d: after the first publication on %s came %v", i, channel, got)
			}
			await(t, "deliveries", func() bool { return slices.Contains(sinks[i].got(), channel+" 2") })
		}
	}
	for i := range sinks {
		if got := sinks[i].got(); len(got) != 2*len(want) {
			t.Errorf("node %d has delivered %v", i, got)
		}
	}
	for channel := range want { // none gets more later
		if err := nodes[0].KeepHistory(channel); err != nil {
			t.Error(err)
		}
	}
	var names []string
	for _, s := range nodes[0].Stats(t.Context()).Streams {
		names = append(names, fmt.Sprint(s.Name, " ", len(s.Copies)))
	}
	for _, name := range []string{"sc_history1_0 1", "sc_history2_7 2", "sc_history_3 3"} {
		if !slices.Contains(names, name) {
			t.Errorf("the streams are %v, without %s", names, name)
		}
	}
}

// A channel keeps the last publications, and gives those after a position.
func TestHistory(t *testing.T) {
	nodes, _ := startStored(t, 1, withHistory)
	node := nodes[0]
	brokers, sinks := begin(t, nodes)
	for _, channel := range []string{"small/a", "small/b"} {
		if err := brokers[0].Subscribe(t.Context(), channel); err != nil {
			t.Fatal(err)
		}
	}
	empty := history(t, node, "small/a", 10)
	if len(empty.Publications) != 0 || empty.Position.Seq != 0 || empty.Position.Epoch == "" {
		t.Errorf("an empty history is %+v", empty)
	}
	var positions []cluster.Position
	var want []string
	for i := range 5 {
		positions = append(positions, publish(t, node, "small/a", "", i))
		publish(t, node, "small/b", "", -i)
		want = append(want, fmt.Sprint("small/a ", i), fmt.Sprint("small/b ", -i))
	}
	// They are delivered when Publish has returned.
	got := sinks[0].got()
	slices.SortStableFunc(got, func(a, b string) int { return strings.Compare(a[:7], b[:7]) })
	slices.SortStableFunc(want, func(a, b string) int { return strings.Compare(a[:7], b[:7]) })
	if !slices.Equal(got, want) {
		t.Errorf("delivered %v, want %v", got, want)
	}
	for count, want := range map[int][]string{-1: {}, 0: {}, 1: {"4"}, 2: {"3", "4"}, 3: {"2", "3", "4"}, 10: {"2", "3", "4"}} {
		past := history(t, node, "small/a", count)
		if got := texts(past.Publications); !slices.Equal(got, want) || past.Lost != nil || past.Position.Seq != positions[4].Seq {
			t.Errorf("the last %d are %v at %v, %v, want %v", count, got, past.Position, past.Lost, want)
		}
	}
	for since, want := range map[int][]string{1: {"2", "3", "4"}, 2: {"3", "4"}, 3: {"4"}, 4: {}} {
		past := recovered(t, node, "small/a", positions[since])
		if got := texts(past.Publications); !slices.Equal(got, want) || past.Lost != nil || past.Position.Seq != positions[4].Seq {
			t.Errorf("after %d came %v at %v, lost %v, want %v", since, got, past.Position, past.Lost, want)
		}
	}
	past := recovered(t, node, "small/a", positions[0])
	if got := texts(past.Publications); !slices.Equal(got, []string{"2", "3", "4"}) || past.Lost == nil || past.Lost.From != positions[0].Seq+1 || past.Lost.To != positions[2].Seq-1 {
		t.Errorf("after 0 came %v, lost %+v, positions %v", got, past.Lost, positions)
	}
	past = recovered(t, node, "small/a", empty.Position)
	if got := texts(past.Publications); !slices.Equal(got, []string{"2", "3", "4"}) || past.Lost == nil || *past.Lost != (cluster.Lost{}) {
		t.Errorf("since the beginning came %v, lost %+v", got, past.Lost)
	}
	other := positions[2]
	other.Epoch = "x"
	past = recovered(t, node, "small/a", other)
	if got := texts(past.Publications); !slices.Equal(got, []string{"2", "3", "4"}) || past.Lost == nil || *past.Lost != (cluster.Lost{}) || past.Position != history(t, node, "small/a", 1).Position {
		t.Errorf("since another epoch came %v, lost %+v, at %v", got, past.Lost, past.Position)
	}
	future := positions[4]
	future.Seq += 1000
	past = recovered(t, node, "small/a", future)
	if len(past.Publications) != 0 || past.Lost == nil || past.Position.Seq != positions[4].Seq {
		t.Errorf("since the future came %v, lost %+v, at %v", texts(past.Publications), past.Lost, past.Position)
	}

	// From an empty history on, all is there.
	empty = history(t, node, "small/c", 1)
	for range 2 {
		past = recovered(t, node, "small/c", empty.Position)
		if len(past.Publications) != 0 || past.Lost != nil || past.Position.Seq != 0 {
			t.Errorf("an empty history has %+v", past)
		}
	}
	for _, text := range []string{"null", "", "{}"} {
		publish(t, node, "small/c", "", text)
	}
	past = recovered(t, node, "small/c", past.Position)
	if got := texts(past.Publications); !slices.Equal(got, []string{"null", "none", "{}"}) || past.Lost != nil {
		t.Errorf("since the beginning came %v, lost %v", got, past.Lost)
	}
	if got := texts(history(t, node, "small/c", 2).Publications); !slices.Equal(got, []string{"none", "{}"}) {
		t.Errorf("the last are %v", got)
	}

	// Other channels keep nothing.
	for _, channel := range []string{"news", "small/", "small", "small/a/b"} {
		if _, err := node.History(t.Context(), channel, 1); !errors.Is(err, cluster.ErrNoHistory) {
			t.Errorf("the history of %q: %v", channel, err)
		}
		if _, err := node.Recover(t.Context(), channel, positions[0]); !errors.Is(err, cluster.ErrNoHistory) {
			t.Errorf("recovery of %q: %v", channel, err)
		}
		if _, err := node.Publish(t.Context(), channel, "", nil); !errors.Is(err, cluster.ErrNoHistory) {
			t.Errorf("a publication on %q: %v", channel, err)
		}
	}
	if _, err := node.Publish(t.Context(), "chat/a", "", make([]byte, 3<<20)); err == nil || !strings.Contains(err.Error(), "max_payload") {
		t.Errorf("a publication that is too large: %v", err)
	}
	if _, err := node.Publish(t.Context(), "chat/a", strings.Repeat("x", 257), nil); err == nil {
		t.Error("an id may be too long")
	}
}

// What has the id of something that is stored is not stored again, whatever the id
// consists of, and each channel has its own.
func TestIdempotentPublication(t *testing.T) {
	nodes, _ := startStored(t, 1, withHistory)
	node := nodes[0]
	ids := []string{"a", "b", "a\r\nNats-TTL: 1s", strings.Repeat("*", 256), " ", "p.a"}
	for _, channel := range []string{"chat/a", "chat/i", "chat/\r\n" + strings.Repeat(".", 1000)} {
		var want []string
		for i, id := range ids {
			first := publish(t, node, channel, id, i)
			if again := publish(t, node, channel, id, "again"); again.Seq != first.Seq {
				t.Errorf("%q on %q has the positions %v and %v", id, channel, first, again)
			}
			want = append(want, fmt.Sprint(i))
		}
		if got := texts(history(t, node, channel, 100).Publications); !slices.Equal(got, want) {
			t.Errorf("%q has %v", channel, got)
		}
	}
}

// A publication vanishes when it is too old. Whoever was away for so long is told.
func TestHistoryExpires(t *testing.T) {
	nodes, _ := startStored(t, 1, withHistory)
	node := nodes[0]
	first := publish(t, node, "brief/a", "", 1)
	publish(t, node, "brief/a", "", 2)
	await(t, "expiry", func() bool { return len(history(t, node, "brief/a", 10).Publications) == 0 })
	past := recovered(t, node, "brief/a", first)
	if past.Lost == nil || len(past.Publications) > 0 || past.Position.Seq != 0 {
		t.Errorf("after the expiry came %+v", past)
	}
}

// Histories outlive the node.
func TestHistoryOutlivesNode(t *testing.T) {
	nodes, options := startStored(t, 1, withHistory)
	first := publish(t, nodes[0], "chat/a", "", 1)
	publish(t, nodes[0], "chat/a", "x", 2)
	nodes[0].Close()
	if _, err := nodes[0].Publish(t.Context(), "chat/a", "", nil); err == nil {
		t.Error("a closed node publishes")
	}
	node := startNode(t, options[0])
	past := recovered(t, node, "chat/a", first)
	if got := texts(past.Publications); !slices.Equal(got, []string{"2"}) || past.Lost != nil {
		t.Errorf("after a restart came %v, lost %+v", got, past.Lost)
	}
	if again := publish(t, node, "chat/a", "x", 2); again.Seq != past.Position.Seq {
		t.Errorf("an id is forgotten by a restart")
	}
}

func TestSyncAlways(t *testing.T) {
	for _, always := range []bool{false, true} {
		nodes, _ := startStored(t, 1, func(o *cluster.Options) { o.SyncAlways = always })
		if got := nodes[0].SyncsAlways(); got != always {
			t.Errorf("SyncAlways is %v, and NATS has %v", always, got)
		}
	}
}

func TestHistoryRules(t *testing.T) {
	for want, rule := range map[string]cluster.HistoryRule{
		"has two placeholders":           {Channel: "a**", Size: 1, Age: time.Hour},
		"claims mean nothing here":       {Channel: "a/{b}", Size: 1, Age: time.Hour},
		"the size is 0":                  {Channel: "a", Age: time.Hour},
		"the size is 10001":              {Channel: "a", Size: 10001, Age: time.Hour},
		"the age is 0s":                  {Channel: "a", Size: 1},
		"the age is 8784h":               {Channel: "a", Size: 1, Age: 366 * 24 * time.Hour},
		"there are -1 copies":            {Channel: "a", Size: 1, Age: time.Hour, Copies: -1},
		"there are 6 copies":             {Channel: "a", Size: 1, Age: time.Hour, Copies: 6},
		"History needs Options.StoreDir": {Channel: "a", Size: 1, Age: time.Hour},
	} {
		o := cluster.Options{Name: "a", History: []cluster.HistoryRule{rule}, Logger: slog.New(slog.DiscardHandler)}
		if !strings.Contains(want, "StoreDir") {
			o.StoreDir = t.TempDir()
		}
		if node, err := cluster.Start(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
			if node != nil {
				node.Close()
			}
		}
	}
}

func TestPositions(t *testing.T) {
	p := cluster.Position{Epoch: "1a-8", Seq: 12345, Time: time.UnixMilli(1700000000000)}
	got, err := cluster.ParsePosition(p.String())
	if err != nil || got != p {
		t.Errorf("%v comes back as %v, %v", p, got, err)
	}
	for _, text := range []string{"", "a", "a.b", ".1.1", "a.b.c.d", "a.-1.1", "a.+1.1", "a.01.1", "a.A.1", "a.1._", "a.1.1" + strings.Repeat("0", 60), "a..1"} {
		if got, err := cluster.ParsePosition(text); !errors.Is(err, cluster.ErrPosition) {
			t.Errorf("%q is %v, %v", text, got, err)
		}
	}
}

// Nodes compare what they have after an election, as its leader may not have sent all.
func TestElectionIsSuspect(t *testing.T) {
	nodes, _ := startStored(t, 3, withHistory)
	begin(t, nodes)
	await(t, "three copies", func() bool { return nodes[0].Complete(t.Context(), "chat/a") == 3 })
	before := nodes[1].Disturbed()
	if err := nodes[0].StepDown(t.Context(), "chat/a"); err != nil {
		t.Fatal(err)
	}
	await(t, "a comparison", func() bool { return nodes[1].Disturbed() != before })
}
