package cluster

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/socketcluster-go/socketcluster/broker"
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

// connected returns another connection to the server of a node.
func connected(t *testing.T, n *Node) *nats.Conn {
	t.Helper()
	nc, err := n.engine.connect("test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// A node asks again for a stream, as the first question may go to nobody.
func TestOpenAsksAgain(t *testing.T) {
	t.Parallel()
	n, s, _ := storedChannel(t, 0)
	nc := connected(t, n)
	asked := 0
	account := n.engine.srv.GlobalAccount()
	_, err := nc.Subscribe("nobody", func(*nats.Msg) {
		if asked++; asked == 2 {
			account.RemoveMapping(apiPrefix + askState + s.stream)
		}
	})
	if err := errors.Join(err, nc.Flush(), account.AddMapping(apiPrefix+askState+s.stream, "nobody")); err != nil {
		t.Fatal(err)
	}
	if err := n.history.open(s); err != nil {
		t.Errorf("after %d questions without an answer: %v", asked, err)
	}
}

// What a copy has and the leader no longer, does not count: between that and what the
// leader has, others may be missing.
func TestReadIsConfirmed(t *testing.T) {
	t.Parallel()
	n, s, subject := storedChannel(t, 5)
	h := n.history
	e, err := h.read(t.Context(), s, subject, want{count: 100, bytes: maxRead})
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
		e, err := h.confirm(t.Context(), s, subject, &reader{want: want{from: stale[0].seq}, extract: extract{list: stale}})
		if err != nil || len(e.list) != c.left || c.left > 0 && (e.list[0].seq != stale[c.gone].seq || e.trimmed != (c.gone > 0)) {
			t.Errorf("of five, %d are gone: %d are left, trimmed: %v, %v", c.gone, len(e.list), e.trimmed, err)
		}
	}
}

// A client that comes to a node which is behind a full history is told what is gone, although
// the node has delivered only some of what was read.
func TestPastOfFullHistory(t *testing.T) {
	t.Parallel()
	n, s, subject := storedChannel(t, 150)
	rule := n.history.rule("chat/a")
	e, err := n.history.read(t.Context(), s, subject, want{from: 2, count: rule.Size + 1, bytes: maxRead})
	if err != nil || len(e.list) != rule.Size+1 || !e.trimmed {
		t.Fatalf("read %d, %v, %v", len(e.list), e.trimmed, err)
	}
	at := e.list[50]
	f := &follower{h: n.history, rule: rule, epoch: s.getEpoch(), at: at.seq, known: at.at, ring: ring{base: at.seq}}
	since := Position{Epoch: s.getEpoch(), Seq: 2, Time: at.at}
	from := broker.From{Since: since.String()}
	f.mu.Lock()
	defer f.mu.Unlock()
	got, ok := f.past(from, since, true, &reading{epoch: f.epoch, extract: e})
	past := f.pastOf(from, since, true, got)
	if want := (Lost{3, e.list[0].seq - 1}); !ok || past.Lost == nil || *past.Lost != want || len(past.Publications) != 51 {
		t.Errorf("%v, %d publications, lost %v, want %v", ok, len(past.Publications), past.Lost, want)
	}
}

// A publication does not wait for the answer of a leader that leads no longer.
func TestPublishAfterElection(t *testing.T) {
	t.Parallel()
	n, s, _ := storedChannel(t, 1)
	nc := connected(t, n)
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
			_, err := n.history.try(t.Context(), s, &nats.Msg{Subject: "nobody.answers"}, askTimeout)
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

// What is read may take longer than the first try waits, as the way is long.
func TestAnswersMayTakeLong(t *testing.T) {
	t.Parallel()
	n, s, _ := storedChannel(t, 0)
	nc := connected(t, n)
	const late = askTimeout + askTimeout/4
	account := n.engine.srv.GlobalAccount()
	answer := func(request string, answers ...*nats.Msg) {
		t.Helper()
		far := "far." + strings.Trim(request, ".$")
		_, err := nc.Subscribe(far, func(msg *nats.Msg) {
			time.AfterFunc(late, func() {
				for _, answer := range answers {
					_ = nc.PublishMsg(&nats.Msg{Subject: msg.Reply, Header: answer.Header, Data: answer.Data})
				}
			})
		})
		if err := errors.Join(err, account.AddMapping(request+s.stream, far)); err != nil {
			t.Fatal(err)
		}
	}
	stored := func(seq string) *nats.Msg {
		return &nats.Msg{Data: []byte("1"), Header: nats.Header{seqHeader: {seq}, timeHeader: {time.Now().Format(time.RFC3339Nano)}}}
	}
	answer(n.subject(ledPrefix+askMessage), stored("7"))
	answer(directGet, stored("7"), &nats.Msg{Header: nats.Header{"Status": {"204"}}})
	answer(n.subject(ledPrefix+askState), &nats.Msg{Data: []byte(`{"state":{"messages":1,"first_seq":7,"last_seq":7}}`)})
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), readTimeout)
	defer cancel()
	e, err := n.history.read(ctx, s, s.subject("chat/a"), want{count: 10, bytes: maxRead})
	if err != nil || len(e.list) != 1 || e.list[0].seq != 7 || e.oldest.seq != 7 {
		t.Errorf("read %+v, %v", e, err)
	}
}

// A reader does not wait for the answer of a leader that leads no longer, and asks the next one with
// the patience of the beginning.
func TestReadAfterElection(t *testing.T) {
	t.Parallel()
	s := (&Node{}).newShards(1)[0]
	ctx, cancel := terms(s.getTerm).until(t.Context(), time.Hour)
	defer cancel()
	s.newTerm()
	select {
	case <-ctx.Done():
	case <-time.After(10 * time.Second):
		t.Error("it waits for the leader that was")
	}
	var waits []time.Duration
	_ = terms(s.getTerm).again(t.Context(), func(wait time.Duration) error {
		waits = append(waits, wait)
		switch len(waits) {
		case 6:
			s.newTerm()
		case 7:
			return nil
		}
		return errTryAgain
	})
	want := []time.Duration{askTimeout, 2 * askTimeout, 4 * askTimeout, maxAskTimeout, maxAskTimeout, maxAskTimeout, askTimeout}
	if !slices.Equal(waits, want) {
		t.Errorf("it waits for %v, want %v", waits, want)
	}
}

// What was asked is asked again when nodes have come or gone, as the question or the answer may have
// been lost on the way.
func TestReadAfterNodesChange(t *testing.T) {
	t.Parallel()
	n, s, _ := storedChannel(t, 0)
	term := s.getTerm()
	n.members.mu.Lock()
	n.members.watchers.wake()
	n.members.mu.Unlock()
	select {
	case <-term.Done():
	case <-time.After(10 * time.Second):
		t.Error("it waits for an answer that may be lost")
	}
}

// A server of an outside NATS whose own copy knows of no leader says so first. A node waits for the
// leader, which other servers reach.
func TestLeaderAnswersLater(t *testing.T) {
	t.Parallel()
	n, _, _ := storedChannel(t, 0)
	other := connected(t, n)
	answers := []string{"none"}
	if _, err := other.Subscribe("which", func(msg *nats.Msg) {
		for _, text := range answers {
			_ = msg.Respond([]byte(text))
		}
	}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(n.engine.srv.GlobalAccount().AddMapping(apiPrefix+"which", "which"), other.Flush()); err != nil {
		t.Fatal(err)
	}
	outside := &Node{nc: n.nc, engine: &engine{}}
	ask := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), askTimeout)
		defer cancel()
		return outside.askLeader(ctx, context.Background, "which", nil, func(msg *nats.Msg) error {
			if string(msg.Data) == "none" {
				return errTryAgain
			}
			return nil
		})
	}
	if err := ask(); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("without a leader: %v", err)
	}
	answers = []string{"none", "none", "here"}
	if err := ask(); err != nil {
		t.Errorf("with a leader: %v", err)
	}
}

// The oldest message of a stream that has none any more is the next one: all that was is gone.
func TestStateOfAnEmptyStream(t *testing.T) {
	t.Parallel()
	n, s, _ := storedChannel(t, 0)
	state := func() streamState {
		t.Helper()
		state, err := n.history.state(t.Context(), s)
		if err != nil || !state.led {
			t.Fatalf("the state is %+v, %v", state, err)
		}
		return state
	}
	if oldest := state().oldest; oldest.evicted(Position{}) {
		t.Errorf("of a new stream, %d is the oldest", oldest.seq)
	}
	begun := time.Now()
	for range 3 {
		if _, err := n.Publish(t.Context(), "chat/a", "", []byte("1")); err != nil {
			t.Fatal(err)
		}
	}
	stream, err := n.js.Stream(t.Context(), s.stream)
	if err == nil {
		err = stream.Purge(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	got := state()
	if got.oldest.seq != 4 || got.last != 3 || !got.oldest.evicted(Position{Seq: 1, Time: begun}) || got.oldest.evicted(Position{Seq: 3, Time: begun}) {
		t.Errorf("the state is %+v", got)
	}
}

// NATS may not have the time of the oldest message at hand: it must be asked for, as a message without a
// time would be older than all that anybody has.
func TestTimeOfTheOldest(t *testing.T) {
	t.Parallel()
	n, s, _ := storedChannel(t, 2)
	begun := time.Now().Add(-time.Minute)
	now := time.Now().Add(time.Minute)
	at, err := n.history.timeOf(t.Context(), s, 2, now)
	if err != nil || at.Before(begun) || !at.Before(now) {
		t.Errorf("the second was stored at %v, %v", at, err)
	}
	if at, err := n.history.timeOf(t.Context(), s, 7, now); err != nil || at != now {
		t.Errorf("one that is gone was stored at %v, %v", at, err)
	}
	nc := connected(t, n)
	for _, unknown := range []string{"0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z"} {
		_, listen := nc.Subscribe("unknown."+unknown[:4], func(msg *nats.Msg) {
			_ = msg.Respond([]byte(`{"state":{"messages":1,"first_seq":2,"first_ts":"` + unknown + `","last_seq":2}}`))
		})
		if err := errors.Join(listen, n.engine.srv.GlobalAccount().AddMapping("$JS.API.STREAM.INFO."+s.stream, "unknown."+unknown[:4]), nc.Flush()); err != nil {
			t.Fatal(err)
		}
		outside := &history{n: &Node{o: n.o, nc: n.nc, engine: &engine{}}}
		state, err := outside.state(t.Context(), s)
		if err != nil || !state.oldest.at.Equal(at) {
			t.Errorf("the oldest is of %v, and was stored at %v, %v", state.oldest.at, at, err)
		}
	}
}
