package cluster

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// A position is of a moment after which the stream has dropped something if it has nothing
// that is as old, whatever the rule of the channel says.
func TestEvicted(t *testing.T) {
	now := time.Now()
	rule := &historyRule{HistoryRule: HistoryRule{Size: 10, Age: time.Hour}}
	for name, c := range map[string]struct {
		oldest stored
		since  Position
		lost   bool
	}{
		"nothing is gone":       {stored{seq: 1, at: now.Add(-time.Minute)}, Position{Seq: 5, Time: now.Add(-time.Second)}, false},
		"what is older is gone": {stored{seq: 6, at: now.Add(-time.Second)}, Position{Seq: 5, Time: now.Add(-time.Second)}, false},
		"the next one is gone":  {stored{seq: 7, at: now}, Position{Seq: 5, Time: now.Add(-time.Second)}, true},
		"from the beginning":    {stored{seq: 7, at: now}, Position{Time: now.Add(-time.Second)}, true},
		"a new stream":          {stored{seq: 1, at: now}, Position{Time: now.Add(-time.Second)}, false},
	} {
		list, lost := missing(extract{list: []stored{{seq: 8, at: now}}, oldest: c.oldest}, c.since, rule, now)
		if len(list) != 1 || (lost != nil) != c.lost {
			t.Errorf("%s: %d, lost %v", name, len(list), lost)
		}
	}
}

// Nothing was before the first message of a stream, however long ago the history was empty. Of another
// history nobody knows.
func TestNothingIsBeforeTheFirst(t *testing.T) {
	now := time.Now()
	rule := &historyRule{HistoryRule: HistoryRule{Size: 10, Age: time.Second}}
	for since, want := range map[Position]bool{{Time: now.Add(-time.Hour)}: false, {}: true} {
		list, lost := missing(extract{list: []stored{{seq: 1, at: now}}}, since, rule, now)
		if len(list) != 1 || (lost != nil) != want {
			t.Errorf("since %v: %d, lost %v", since, len(list), lost)
		}
	}
}

// Histories take no more than they may: the oldest publications go first, and who has missed
// them is told.
func TestHistoryBytes(t *testing.T) {
	t.Parallel()
	n, err := Start(t.Context(), Options{
		Name: "a", StoreDir: t.TempDir(), Logger: slog.New(slog.DiscardHandler), HistoryBytes: minHistoryBytes,
		History: []HistoryRule{{Channel: "chat/*", Size: 100, Age: time.Hour}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	store := func(channel string, size int) Position {
		t.Helper()
		p, err := n.Publish(t.Context(), channel, "", bytes.Repeat([]byte("x"), size))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	since := store("chat/a", 1)
	store("chat/a", 1)
	if past, err := n.Recover(t.Context(), "chat/a", since); err != nil || past.Lost != nil || len(past.Publications) != 1 {
		t.Fatalf("before: %+v, %v", past, err)
	}
	s, flood := n.history.rule("chat/a").shardOf("chat/a"), 0
	for i := 0; flood < 20; i++ {
		if channel := fmt.Sprint("chat/", i); n.history.rule(channel).shardOf(channel) == s {
			store(channel, 256<<10)
			flood++
		}
	}
	store("chat/a", 1)
	past, err := n.Recover(t.Context(), "chat/a", since)
	if err != nil || past.Lost == nil || len(past.Publications) != 1 {
		t.Errorf("after: %d publications, lost %v, %v", len(past.Publications), past.Lost, err)
	}
	stream, err := n.js.Stream(t.Context(), s.stream)
	if err != nil {
		t.Fatal(err)
	}
	if got := stream.CachedInfo().State.Bytes; got > minHistoryBytes/numShards {
		t.Errorf("the stream has %d bytes", got)
	}
}

// Copies remember ids for two minutes, so what a client chooses must not make them long.
func TestMessageIDsAreShort(t *testing.T) {
	h := &history{ids: "x"}
	long := strings.Repeat("n", 1024)
	seen := make(map[string]bool)
	for _, c := range [][2]string{{long, long}, {long, long + "1"}, {long + "1", long}, {"a", "b1"}, {"ab", "1"}, {"1a", "b"}} {
		id := h.messageID(c[0], c[1])
		if len(id) > 64 || seen[id] {
			t.Errorf("%.10q: %d bytes, seen %v", c, len(id), seen[id])
		}
		seen[id] = true
	}
}
