package cluster

import (
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/socketcluster-go/socketcluster/broker"
)

// heard is a sink that notes what it gets.
type heard []string

func (s *heard) Deliver(string, []byte) {}

func (s *heard) DeliverAt(_, position string, _ []byte) {
	p, err := ParsePosition(position)
	*s = append(*s, fmt.Sprint(p.Seq, err))
}

func (s *heard) Lose(_, position string, lost broker.Lost) {
	p, err := ParsePosition(position)
	*s = append(*s, fmt.Sprintf("%d-%d at %d %v %v", lost.From, lost.To, p.Seq, time.Since(p.Time).Round(time.Hour), err))
}

// lossyFollower returns a follower at 10, of an hour ago, whose channel keeps 3 publications for
// two hours.
func lossyFollower() (*follower, *heard) {
	sink := new(heard)
	n := &Node{o: Options{Logger: slog.New(slog.DiscardHandler)}}
	n.channels = newChannels(n)
	n.channels.sink = sink
	h := &history{n: n, shut: true} // nobody reads
	rule := &historyRule{HistoryRule: HistoryRule{Size: 3, Age: 2 * time.Hour}}
	return &follower{h: h, rule: rule, shard: &shard{}, epoch: "e", begun: true, at: 10, known: time.Now().Add(-time.Hour), sure: time.Now().Add(-time.Hour), moved: make(chan struct{})}, sink
}

func liveMessage(seq, last uint64) *nats.Msg {
	return &nats.Msg{Header: nats.Header{
		seqHeader: {strconv.FormatUint(seq, 10)}, lastHeader: {strconv.FormatUint(last, 10)},
		timeHeader: {time.Now().Format(time.RFC3339Nano)},
	}}
}

// What a node has missed and cannot read any more is told before what comes then.
func TestFollowerTellsWhatIsLost(t *testing.T) {
	now := time.Now()
	long := now.Add(-3 * time.Hour)
	numbers := func(all ...uint64) (list []stored) {
		for _, i := range all {
			list = append(list, stored{seq: i, at: now})
		}
		return list
	}
	for name, c := range map[string]struct {
		since   Position
		renewed bool
		list    []stored
		waiting []*nats.Msg
		want    []string
		quiet   bool   // live publications have not been lost
		wanted  uint64 // was seen in the stream
	}{
		"nothing":                {Position{Epoch: "e", Seq: 10, Time: now}, false, numbers(10, 12, 15), nil, []string{"12 <nil>", "15 <nil>"}, false, 0},
		"more than it keeps":     {Position{Epoch: "e", Seq: 10, Time: now}, false, numbers(12, 15, 17, 20), nil, []string{"11-14 at 14 0s <nil>", "15 <nil>", "17 <nil>", "20 <nil>"}, true, 0},
		"all has expired":        {Position{Epoch: "e", Seq: 10, Time: long}, false, nil, nil, []string{"0-0 at 10 0s <nil>"}, false, 0},
		"all has, in quiet":      {Position{Epoch: "e", Seq: 10, Time: long}, false, nil, nil, nil, true, 0},
		"the last has, in quiet": {Position{Epoch: "e", Seq: 10, Time: long}, false, numbers(30), []*nats.Msg{liveMessage(30, 0)}, []string{"30 <nil>"}, true, 30},
		"one waits, in quiet":    {Position{Epoch: "e", Seq: 10, Time: long}, false, nil, []*nats.Msg{liveMessage(30, 0)}, []string{"30 <nil>"}, true, 30},
		"one is gone":            {Position{Epoch: "e", Seq: 10, Time: long}, false, numbers(30), []*nats.Msg{liveMessage(30, 20)}, []string{"11-29 at 29 0s <nil>", "30 <nil>"}, true, 30},
		"what was seen is gone":  {Position{Epoch: "e", Seq: 10, Time: long}, false, nil, nil, []string{"0-0 at 10 0s <nil>"}, true, 20},
		"the live one is left":   {Position{Epoch: "e", Seq: 10, Time: long}, false, nil, []*nats.Msg{liveMessage(30, 20)}, []string{"0-0 at 20 0s <nil>", "30 <nil>"}, true, 0},
		"another stream":         {Position{Epoch: "e", Seq: 0, Time: now}, true, numbers(3, 4), []*nats.Msg{liveMessage(4, 3), liveMessage(5, 4)}, []string{"0-0 at 2 0s <nil>", "3 <nil>", "4 <nil>", "5 <nil>"}, true, 0},
		"another, read half way": {Position{Epoch: "d", Seq: 10, Time: now}, true, nil, []*nats.Msg{liveMessage(4, 3)}, nil, true, 0},
	} {
		f, sink := lossyFollower()
		f.at, f.filling, f.renewed, f.waiting, f.wanted = c.since.Seq, true, c.renewed, c.waiting, c.wanted
		if !c.quiet {
			f.h.disturbed.Store(now.UnixNano())
		}
		if c.renewed {
			f.at = 0
		}
		f.filled(extract{list: c.list}, c.since, c.wanted, now)
		if !slices.Equal(*sink, heard(c.want)) {
			t.Errorf("%s: got %q, want %q", name, *sink, c.want)
		}
		if f.renewed != (name == "another, read half way") || f.filling != f.renewed {
			t.Errorf("%s: renewed %v, filling %v", name, f.renewed, f.filling)
		}
	}
}

// A live publication whose predecessors are gone is delivered after a read which shows whether
// others were before it, if the node may not have got them.
func TestFollowerDoubtsWhatIsGone(t *testing.T) {
	now := time.Now()
	old := now.Add(-4 * time.Hour)
	for name, c := range map[string]struct {
		sure, disturbed time.Duration // ago
		reads           bool
		oldest          stored
		want            []string
	}{
		"quiet":           {3 * time.Hour, 4 * time.Hour, false, stored{}, []string{"30 <nil>"}},
		"nothing was":     {time.Hour, time.Minute, true, stored{seq: 2, at: old}, []string{"30 <nil>"}},
		"it has expired":  {3 * time.Hour, time.Minute, true, stored{seq: 2, at: old}, []string{"11-29 at 29 0s <nil>", "30 <nil>"}},
		"it was evicted":  {time.Hour, time.Minute, true, stored{seq: 25, at: now.Add(-time.Minute)}, []string{"11-29 at 29 0s <nil>", "30 <nil>"}},
		"others were":     {time.Hour, time.Minute, true, stored{seq: 25, at: now.Add(-2 * time.Hour)}, []string{"30 <nil>"}},
		"it was told":     {time.Hour, time.Minute, true, stored{seq: 22, at: now.Add(-time.Minute)}, []string{"30 <nil>"}},
		"nothing is left": {time.Hour, time.Minute, true, stored{seq: 31, at: now}, []string{"0-0 at 10 0s <nil>", "30 <nil>"}},
	} {
		f, sink := lossyFollower()
		f.sure, f.upTo = now.Add(-c.sure), 21
		f.h.disturbed.Store(now.Add(-c.disturbed).UnixNano())
		f.live(liveMessage(30, 0))
		if f.filling != c.reads || c.reads && len(*sink) > 0 {
			t.Errorf("%s: reading is %v, and %q came before", name, f.filling, *sink)
		}
		if c.reads {
			list := []stored{{seq: 30, at: now}}
			if name == "nothing is left" {
				list = nil
			}
			f.filled(extract{list: list, oldest: c.oldest}, Position{Epoch: "e", Seq: f.at, Time: f.sure}, 0, now)
		}
		if !slices.Equal(*sink, heard(c.want)) || f.filling {
			t.Errorf("%s: got %q, want %q; reading is %v", name, *sink, c.want, f.filling)
		}
	}
}

// The oldest message of a stream shows a follower that something may be gone. Without a
// disturbance it has got it, and while it reads, that shows more.
func TestFollowerIsCompared(t *testing.T) {
	now := time.Now()
	later := stored{seq: 12, at: now}
	for name, c := range map[string]struct {
		oldest         stored
		quiet, filling bool
		reads, sure    bool
		upTo           uint64
	}{
		"nothing is gone":      {stored{seq: 11, at: now}, false, false, false, true, 0},
		"older ones are gone":  {stored{seq: 12, at: now.Add(-2 * time.Hour)}, false, false, false, true, 0},
		"others may be gone":   {later, false, false, true, false, 0},
		"it was there":         {later, true, false, false, true, 0},
		"it was compared":      {later, false, false, false, true, 11},
		"somebody reads":       {later, false, true, true, false, 0},
		"clocks are not exact": {stored{seq: 12, at: now.Add(-time.Hour - time.Second)}, false, false, true, false, 0},
	} {
		f, _ := lossyFollower()
		f.sure, f.upTo, f.filling = now.Add(-time.Hour), c.upTo, c.filling
		if !c.quiet {
			f.h.disturbed.Store(now.UnixNano())
		}
		f.compared(c.oldest, 13, now)
		if f.filling != c.reads || f.sure.Equal(now) != c.sure || f.upTo == 13 != c.sure {
			t.Errorf("%s: it reads: %v, it is sure until %v and %d", name, f.filling, f.sure, f.upTo)
		}
	}
}

// A node that has stood still may have missed something without a report.
func TestPauseIsSuspect(t *testing.T) {
	s, now := &shard{}, time.Now()
	for i, c := range []struct {
		after time.Duration
		want  bool
	}{{time.Hour, false}, {watchEvery, false}, {doubtPeriod + time.Second, true}, {doubtEvery, false}} {
		now = now.Add(c.after)
		if got := s.paused(now); got != c.want {
			t.Errorf("%d, after %v: %v", i, c.after, got)
		}
	}
}

// What is seen in the stream while a follower reads is read again, as the read may have been
// too early for it. If it is gone then, nothing is read for it any more.
func TestFollowerReadsAgain(t *testing.T) {
	f, sink := lossyFollower()
	now := time.Now()
	since := Position{Epoch: "e", Seq: 10, Time: now}
	f.known, f.filling = now, true
	f.behind(12)
	f.filled(extract{list: []stored{{seq: 10, at: now}, {seq: 11, at: now}}}, since, 0, now)
	if !f.filling {
		t.Error("nobody reads what was seen")
	}
	f.filled(extract{list: []stored{{seq: 11, at: now}}}, Position{Epoch: "e", Seq: 11, Time: now}, 12, now)
	if f.filling || !slices.Equal(*sink, heard{"11 <nil>"}) {
		t.Errorf("filling %v, got %q", f.filling, *sink)
	}
}

// What expires while a follower reads is lost: how long a publication was away counts from
// the end of the read.
func TestFollowerReadsForLong(t *testing.T) {
	f, sink := lossyFollower()
	begun := time.Now().Add(-readTimeout)
	since := Position{Epoch: "e", Seq: 10, Time: time.Now().Add(maxSkew - f.rule.Age)}
	f.known, f.filling = since.Time, true
	f.h.disturbed.Store(begun.UnixNano())
	f.filled(extract{list: []stored{{seq: 20, at: time.Now()}}}, since, 0, begun)
	if want := (heard{"11-19 at 19 0s <nil>", "20 <nil>"}); !slices.Equal(*sink, want) {
		t.Errorf("got %q, want %q", *sink, want)
	}
}
