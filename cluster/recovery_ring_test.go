package cluster

import (
	"slices"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/broker"
)

// What was read from the stream and what was delivered are put together at what was
// delivered last, whichever of them is ahead.
func TestPastOfFollower(t *testing.T) {
	now := time.Now()
	numbers := func(from, to uint64) (list []stored) {
		for i := from; i <= to; i++ {
			list = append(list, stored{seq: i, at: now})
		}
		return list
	}
	rule := &historyRule{HistoryRule: HistoryRule{Size: 100, Age: time.Hour}}
	f := &follower{h: &history{}, rule: rule, epoch: "e", at: 20, known: now, ring: ring{base: 15, list: numbers(16, 20)}}
	since := func(seq uint64) (broker.From, Position) {
		p := Position{"e", seq, now}
		return broker.From{Since: p.String()}, p
	}
	for _, c := range []struct {
		since, readFrom, readTo, want uint64
		ok                            bool
	}{
		{20, 0, 0, 21, true},
		{17, 0, 0, 18, true},
		{15, 0, 0, 16, true},
		{14, 0, 0, 0, false}, // must be read
		{5, 1, 18, 6, true},  // what was read is behind
		{5, 1, 20, 6, true},
		{5, 1, 25, 6, true},  // and ahead
		{5, 1, 15, 6, true},  // and just long enough
		{5, 1, 14, 0, false}, // and too short
	} {
		var read *reading
		if c.readTo > 0 {
			read = &reading{epoch: "e", extract: extract{list: numbers(c.readFrom, c.readTo)}}
		}
		from, p := since(c.since)
		e, ok := f.past(from, p, true, read)
		if ok != c.ok {
			t.Errorf("since %d, with %d to %d: %v", c.since, c.readFrom, c.readTo, ok)
		}
		if !ok {
			continue
		}
		past := f.pastOf(from, p, true, e)
		var got, want []uint64
		for _, m := range past.Publications {
			got = append(got, m.Position.Seq)
		}
		for _, m := range numbers(c.want, 20) {
			want = append(want, m.seq)
		}
		if !slices.Equal(got, want) || past.Lost != nil || past.Position.Seq != 20 {
			t.Errorf("since %d, with %d to %d came %v, lost %v, at %v", c.since, c.readFrom, c.readTo, got, past.Lost, past.Position)
		}
	}
}

// A read that found nothing is no answer if something has come since that the ring does not
// have any more.
func TestPastOfEmptyHistory(t *testing.T) {
	now := time.Now()
	rule := &historyRule{HistoryRule: HistoryRule{Size: 100, Age: time.Hour}}
	f := &follower{h: &history{}, rule: rule, epoch: "e", at: 20, known: now, sure: now, ring: ring{base: 20}}
	p := Position{"e", 0, now.Add(-time.Minute)}
	for name, from := range map[string]broker.From{"since": {Since: p.String()}, "last": {Last: 5}} {
		if _, ok := f.past(from, p, true, &reading{epoch: "e"}); ok {
			t.Errorf("%s: nothing was there before 20 came, and that is enough", name)
		}
		if _, ok := f.past(from, p, true, &reading{epoch: "e", extract: extract{list: []stored{{seq: 20, at: now}}}}); !ok {
			t.Errorf("%s: 20 was read, and that is not enough", name)
		}
		if _, ok := f.past(from, p, true, &reading{epoch: "e", at: 20}); !ok {
			t.Errorf("%s: 20 is gone since it was delivered, and that is not enough", name)
		}
	}
}

// Where a follower has told of a loss, or has begun with an empty history, only those who were
// there have missed nothing.
func TestPastWhereNothingWasDelivered(t *testing.T) {
	now := time.Now()
	rule := &historyRule{HistoryRule: HistoryRule{Size: 100, Age: time.Hour}}
	for _, at := range []uint64{0, 10} {
		f := &follower{h: &history{}, rule: rule, epoch: "e", at: at, known: now, sure: now.Add(time.Second), ring: ring{base: at, from: now}}
		for ago, want := range map[time.Duration]bool{time.Minute: false, 0: true, -time.Minute: true} {
			p := Position{"e", at, now.Add(-ago).Truncate(time.Millisecond)}
			from := broker.From{Since: p.String()}
			if _, ok := f.past(from, p, true, nil); ok != want {
				t.Errorf("at %d, %v before: it is known what was missed: %v", at, ago, ok)
			}
			e := extract{oldest: stored{seq: 15, at: now.Add(-30 * time.Second)}}
			past := f.pastOf(from, p, true, e)
			if (past.Lost == nil) != want {
				t.Errorf("at %d, %v before: lost is %v", at, ago, past.Lost)
			}
			if at == 0 && past.Position.Time != f.sure { // not later, as the node may be cut off by now
				t.Errorf("the position of an empty history is of %v, and nothing is known to have come until %v", past.Position.Time, f.sure)
			}
		}
	}
}

// A ring keeps no more than the rule and the node allow, and nothing that is too old.
func TestRing(t *testing.T) {
	h, rule := &history{}, &historyRule{HistoryRule: HistoryRule{Size: 5, Age: time.Minute}}
	var r ring
	for i := range uint64(8) {
		r.add(h, rule, stored{seq: i + 1, at: time.Now(), data: make([]byte, 10)})
	}
	if len(r.list) != 5 || r.base != 3 || h.rings.Load() != 5*(entryBytes+10) {
		t.Errorf("the ring has %d after %d, of %d bytes", len(r.list), r.base, h.rings.Load())
	}
	r.list[0].at = time.Now().Add(-2 * time.Minute)
	r.expire(h, rule)
	if len(r.list) != 4 || r.base != 4 || h.rings.Load() != 4*(entryBytes+10) {
		t.Errorf("the ring has %d after %d, of %d bytes", len(r.list), r.base, h.rings.Load())
	}
	r.add(h, rule, stored{seq: 9, at: time.Now(), data: make([]byte, ringBytes-entryBytes+1)})
	if len(r.list) != 0 || r.base != 9 || h.rings.Load() != 0 {
		t.Errorf("the ring has %d after %d, of %d bytes", len(r.list), r.base, h.rings.Load())
	}
	h.rings.Store(maxRings)
	r.add(h, rule, stored{seq: 10, at: time.Now(), data: make([]byte, 10)})
	if len(r.list) != 0 || r.base != 10 || h.rings.Load() != maxRings {
		t.Errorf("the ring has %d after %d, of %d bytes", len(r.list), r.base, h.rings.Load())
	}
}

// A ring keeps neither the message that a publication came in, nor what it has dropped, and counts what
// publications without data take.
func TestRingKeepsNoMessages(t *testing.T) {
	h, rule := &history{}, &historyRule{HistoryRule: HistoryRule{Size: 2, Age: time.Minute}}
	r := ring{list: make([]stored, 0, 8)}
	all := r.list[:1]
	message := []byte("headers data")
	r.add(h, rule, stored{seq: 1, at: time.Now(), data: message[8:]})
	copy(message[8:], "gone")
	if string(all[0].data) != "data" {
		t.Errorf("the ring has %q, which belongs to the message", all[0].data)
	}
	r.add(h, rule, stored{seq: 2, at: time.Now()})
	r.add(h, rule, stored{seq: 3, at: time.Now()})
	if all[0].data != nil || len(r.list) != 2 || r.list[0].data != nil {
		t.Errorf("the ring has %v, and keeps %q", r.list, all[0].data)
	}
	if h.rings.Load() != 2*entryBytes {
		t.Errorf("two empty publications take %d bytes", h.rings.Load())
	}
	r.reset(h, 3, time.Time{})
	if h.rings.Load() != 0 {
		t.Errorf("an empty ring has %d bytes", h.rings.Load())
	}
}
