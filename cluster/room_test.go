package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/broker"
)

// Those who find no room wait, and enter in turn: a large one is not overtaken for ever. Who gives
// up leaves nothing behind.
func TestRoom(t *testing.T) {
	r := newRoom(4 * roomUnit)
	enter := func(bytes int) func() {
		t.Helper()
		leave, err := r.enter(t.Context(), bytes)
		if err != nil {
			t.Fatal(err)
		}
		return leave
	}
	first, second := enter(1), enter(roomUnit+1)
	if len(r.units) != 3 {
		t.Errorf("%d units are taken", len(r.units))
	}
	ended, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 2)
	for range 2 { // one waits for units, and one for its turn
		go func() {
			_, err := r.enter(ended, 100*roomUnit)
			failed <- err
		}()
	}
	until(t, "the one that waits has what there is", func() bool { return len(r.units) == 4 })
	cancel()
	for range 2 {
		if err := <-failed; !errors.Is(err, context.Canceled) {
			t.Errorf("who gives up gets %v", err)
		}
	}
	second()
	enter(3 * roomUnit)()
	first()
	enter(100 * roomUnit)()
	if len(r.units) != 0 || len(r.turn) != 0 {
		t.Errorf("%d units are taken at the end", len(r.units))
	}
}

// until waits for something that other goroutines do.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for begun := time.Now(); !ok(); time.Sleep(time.Millisecond) {
		if time.Since(begun) > 10*time.Second {
			t.Fatalf("it never happens that %s", what)
		}
	}
}

// taker is a sink that wants nothing.
type taker struct{}

func (taker) Deliver(string, []byte)           {}
func (taker) DeliverAt(string, string, []byte) {}
func (taker) Lose(string, string, broker.Lost) {}

// largeHistory starts a node that has publications of 64 KiB on a channel to which it is subscribed.
func largeHistory(t *testing.T, count int) *Node {
	t.Helper()
	n, err := Start(t.Context(), Options{
		Name: "a", StoreDir: t.TempDir(), Logger: slog.New(slog.DiscardHandler),
		History: []HistoryRule{{Channel: "chat/*", Size: 100, Age: time.Hour}, {Channel: "long/*", Size: 3000, Age: time.Hour}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	for range count {
		if _, err := n.Publish(t.Context(), "chat/a", "", bytes.Repeat([]byte("1"), 64<<10)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(n.channels.Start(t.Context(), taker{}), n.channels.Subscribe(t.Context(), "chat/a")); err != nil {
		t.Fatal(err)
	}
	return n
}

// A subscriber gets no more than it has use for, and is told if that is not what it asked for.
func TestJoinIsBounded(t *testing.T) {
	t.Parallel()
	n := largeHistory(t, 20)
	past, err := n.History(t.Context(), "chat/a", 20)
	if err != nil {
		t.Fatal(err)
	}
	first := past.Publications[0].Position.String()
	for name, c := range map[string]struct {
		from broker.From
		want int
		lost bool
	}{
		"the last one":                   {broker.From{Last: 1, Bytes: 1 << 20}, 1, false},
		"some":                           {broker.From{Last: 5, Bytes: 1 << 20}, 5, false},
		"all there are":                  {broker.From{Last: 1000}, 20, false},
		"the last, within bytes":         {broker.From{Last: 10, Bytes: 4 * 64 << 10}, 4, true},
		"the last one, however large":    {broker.From{Last: 10, Bytes: 1}, 1, true},
		"since":                          {broker.From{Since: first, Bytes: 19 * 64 << 10}, 19, false},
		"since, within bytes":            {broker.From{Since: first, Bytes: 4 * 64 << 10}, 4, true},
		"since nowhere, within bytes":    {broker.From{Since: "x", Bytes: 4 * 64 << 10}, 4, true},
		"since nowhere, without a bound": {broker.From{Since: "x"}, 20, true},
	} {
		if err := n.channels.Join(t.Context(), "chat/a", c.from, func(p broker.Past) {
			if len(p.Publications) != c.want || (p.Lost != nil) != c.lost {
				t.Errorf("%s: %d publications, lost %v", name, len(p.Publications), p.Lost)
			}
		}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Who wants the last publication alone makes the node read nothing else.
func TestJoinReadsTheLastOne(t *testing.T) {
	t.Parallel()
	n := largeHistory(t, 40)
	before := n.nc.Stats().InBytes
	if err := n.channels.Join(t.Context(), "chat/a", broker.From{Last: 1}, func(broker.Past) {}); err != nil {
		t.Fatal(err)
	}
	if got := n.nc.Stats().InBytes - before; got > 10*64<<10 { // it is asked again if it is late
		t.Errorf("the node got %d bytes", got)
	}
}

// Who wants a few makes the node read few, wherever they are among those of other channels.
func TestReadsSkip(t *testing.T) {
	t.Parallel()
	n := largeHistory(t, 0)
	const channel = "long/a"
	other := ""
	for i := 0; other == ""; i++ {
		if name := fmt.Sprint("long/", i); StreamOf(name) == StreamOf(channel) {
			other = name
		}
	}
	s := n.history.rule(channel).shardOf(channel)
	publish := func(channel string, count int) {
		t.Helper()
		for i := range count {
			if _, err := n.js.PublishAsync(s.subject(channel), fmt.Append(nil, i)); err != nil {
				t.Fatal(err)
			}
		}
		<-n.js.PublishAsyncComplete()
	}
	publish(channel, 1500)
	publish(other, 500)
	publish(channel, 1000)
	before := n.nc.Stats().InMsgs
	past, err := n.History(t.Context(), channel, 20)
	if err != nil || len(past.Publications) != 20 || string(past.Publications[0].Data) != "980" || string(past.Publications[19].Data) != "999" {
		t.Errorf("the last are %v, %v", past.Publications, err)
	}
	if got := n.nc.Stats().InMsgs - before; got > 1200 { // others come, too, and it is asked again if it is late
		t.Errorf("the node got %d messages", got)
	}
	past, err = n.Recover(t.Context(), channel, Position{Epoch: s.getEpoch(), Seq: 2400, Time: time.Now()})
	if err != nil || len(past.Publications) != 600 || past.Lost != nil {
		t.Errorf("after the 2400th come %d, lost %v, %v", len(past.Publications), past.Lost, err)
	}
}

// All reads of a node share a room. When it is full, they wait, and do not fail.
func TestReadsWaitForRoom(t *testing.T) {
	t.Parallel()
	n := largeHistory(t, 3)
	leave, err := n.history.room.enter(t.Context(), maxReading)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 3)
	go func() {
		done <- n.channels.Join(t.Context(), "chat/a", broker.From{Last: 2}, func(broker.Past) {})
	}()
	go func() {
		_, err := n.History(t.Context(), "chat/a", 2)
		done <- err
	}()
	go func() {
		_, err := n.Recover(t.Context(), "chat/a", Position{})
		done <- err
	}()
	until(t, "three reads wait", func() bool {
		return len(n.history.rule("chat/a").shardOf("chat/a").reads) == 3 && len(n.history.room.turn) == 1
	})
	select {
	case err := <-done:
		t.Errorf("a read has found room: %v", err)
	default:
	}
	leave()
	for range 3 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if used := len(n.history.room.units); used != 0 {
		t.Errorf("%d units are taken at the end", used)
	}
}

// A read that is too long for a small room begins anew with a large one, and gets all.
func TestLongReads(t *testing.T) {
	t.Parallel()
	n := largeHistory(t, 40) // more than shortRead
	past, err := n.History(t.Context(), "chat/a", 40)
	if err != nil || len(past.Publications) != 40 || past.Lost != nil {
		t.Errorf("the history has %d publications, %v", len(past.Publications), err)
	}
	past, err = n.Recover(t.Context(), "chat/a", past.Publications[0].Position)
	if err != nil || len(past.Publications) != 39 || past.Lost != nil {
		t.Errorf("after the first come %d, lost %v, %v", len(past.Publications), past.Lost, err)
	}
}

// Readers with different wishes share few reads: one that is under way if it has what they want,
// otherwise one that has what all want.
func TestReadsAreShared(t *testing.T) {
	t.Parallel()
	n := largeHistory(t, 3)
	f := n.history.follower("chat/a")
	for range maxReads { // nobody reads yet
		f.shard.reads <- struct{}{}
	}
	got := make(chan *reading, 4)
	share := func(w want, complete bool) *reading {
		f.mu.Lock()
		before := f.reading
		f.mu.Unlock()
		go func() {
			r, err := f.share(t.Context(), w, complete)
			if err != nil {
				t.Error(err)
			}
			got <- r
		}()
		for begun := time.Now(); time.Since(begun) < 100*time.Millisecond; time.Sleep(time.Millisecond) {
			f.mu.Lock()
			now := f.reading
			f.mu.Unlock()
			if now != before {
				return now
			}
		}
		return before
	}
	last := share(want{0, 2, 1000}, false)
	if again := share(want{0, 1, 1000}, false); again != last {
		t.Error("a smaller wish has a read of its own")
	}
	since := share(want{2, 101, 500}, true)
	if since == last || since.want != (want{0, 101, 1000}) || !since.complete {
		t.Errorf("a read that shows what is missing is %+v", since.want)
	}
	if again := share(want{0, 101, 1000}, true); again != since {
		t.Error("the same wish has a read of its own")
	}
	for range maxReads {
		<-f.shard.reads
	}
	for range 4 {
		if r := <-got; r != last && r != since || len(r.list) == 0 {
			t.Errorf("a reader got %v", r)
		}
	}
}

// A subscriber that comes while the first publications of a channel are made gets them, or is told,
// also if the ring of the channel cannot hold them.
func TestJoinDuringFirstPublication(t *testing.T) {
	t.Parallel()
	n := largeHistory(t, 0)
	large := []byte(`"` + strings.Repeat("x", ringBytes) + `"`)
	for i := range 150 {
		channel := fmt.Sprint("chat/", i)
		if err := n.channels.Subscribe(t.Context(), channel); err != nil {
			t.Fatal(err)
		}
		f := n.history.follower(channel)
		from := broker.From{Last: 10}
		if i%2 == 1 {
			from = broker.From{Since: Position{f.shard.getEpoch(), 0, time.Now().Add(-time.Second)}.String()}
		}
		done := make(chan error, 1)
		go func() {
			time.Sleep(time.Duration(i%40) * 20 * time.Microsecond) // at each stage of the join
			_, err := n.Publish(context.Background(), channel, "", large)
			done <- err
		}()
		err := n.channels.Join(t.Context(), channel, from, func(p broker.Past) {
			if f.at > 0 && len(p.Publications) == 0 && p.Lost == nil {
				t.Errorf("%s: the publication was delivered before the subscriber came, and is not among those from before", channel)
			}
		})
		if err := errors.Join(err, <-done, n.channels.Unsubscribe(t.Context(), channel)); err != nil {
			t.Fatal(err)
		}
	}
}
