package cluster

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// storedChannel starts a node, and stores some publications of a channel.
func storedChannel(t *testing.T, count int) (n *Node, s *shard, subject string) {
	t.Helper()
	n, err := Start(t.Context(), Options{
		Name: "a", StoreDir: t.TempDir(), Logger: slog.New(slog.DiscardHandler),
		History: []HistoryRule{{Channel: "chat/*", Size: 100, Age: time.Hour}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	for range count {
		if _, err := n.Publish(t.Context(), "chat/a", "", []byte("1")); err != nil {
			t.Fatal(err)
		}
	}
	s = n.history.rule("chat/a").shardOf("chat/a")
	return n, s, s.subject("chat/a")
}

// What a copy has and the leader no longer, does not count: between that and what the
// leader has, others may be missing.
func TestReadIsConfirmed(t *testing.T) {
	t.Parallel()
	n, s, subject := storedChannel(t, 5)
	h := n.history
	e, err := h.read(t.Context(), s, subject, 0, 100)
	stale := e.list
	if err != nil || len(stale) != 5 || e.trimmed {
		t.Fatalf("read %d, %v, %v", len(stale), e.trimmed, err)
	}
	stream, err := n.js.Stream(t.Context(), s.stream)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ gone, left int }{{0, 5}, {1, 4}, {3, 2}, {5, 0}} {
		for _, m := range stale[:c.gone] {
			_ = stream.DeleteMsg(t.Context(), m.seq) // it may be gone already
		}
		e, err := h.confirm(t.Context(), s, subject, stale[0].seq, &reader{list: stale})
		if err != nil || len(e.list) != c.left || c.left > 0 && (e.list[0].seq != stale[c.gone].seq || e.trimmed != (c.gone > 0)) {
			t.Errorf("of five, %d are gone: %d are left, trimmed: %v, %v", c.gone, len(e.list), e.trimmed, err)
		}
	}
}

// A publication does not wait for the answer of a leader that leads no longer.
func TestPublishAfterElection(t *testing.T) {
	t.Parallel()
	n, s, _ := storedChannel(t, 1)
	nc, err := n.engine.connect("test")
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	asked, err := nc.SubscribeSync("nobody.answers")
	if err == nil {
		err = nc.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		event string
		want  error
	}{
		"its stream": {streamElected + s.stream, context.Canceled},
		"another":    {streamElected + n.o.Prefix + "_history_x", context.DeadlineExceeded},
		"no leader":  {streamCreated + s.stream, context.DeadlineExceeded},
	} {
		failed := make(chan error, 1)
		go func() {
			_, err := n.history.try(t.Context(), s, &nats.Msg{Subject: "nobody.answers"}, publishTry)
			failed <- err
		}()
		if _, err := asked.NextMsg(10 * time.Second); err != nil {
			t.Fatal(err)
		}
		n.history.reported(&nats.Msg{Subject: c.event})
		if err := <-failed; !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}
