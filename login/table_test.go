package login

import (
	"fmt"
	"hash/maphash"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// bucketModel is a token bucket as it is explained: it counts time, of which
// each token takes a step.
type bucketModel struct {
	credit, span, step, at time.Duration
}

func (b *bucketModel) pass(now time.Duration) {
	b.credit = min(b.span, b.credit+now-b.at)
	b.at = now
}

// A table agrees with a bucket for each key as long as it has room for all,
// and never gives a token that such a bucket does not have, however little
// room it has.
func TestTableAgreesWithTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := Rate{rapid.IntRange(1, 5).Draw(t, "attempts"), time.Duration(rapid.IntRange(1, 60).Draw(t, "seconds")) * time.Second}
		roomy := newTable(rate, 100)
		tight := newTable(rate, rapid.IntRange(1, 3).Draw(t, "room"))
		models := make(map[uint64]*bucketModel)
		var now time.Duration
		type taken struct {
			key   uint64
			tight bool
		}
		var held []taken
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			// One bit for each row, so that keys meet in the cells of the sketch.
			key := rapid.Uint64().Draw(t, "key") & 0x0001_0001_0001_0001
			m := models[key]
			if m == nil {
				step := roomy.rate.Interval
				span := step * time.Duration(rate.Attempts)
				m = &bucketModel{credit: span, span: span, step: step, at: now}
				models[key] = m
			}
			switch rapid.IntRange(0, 3).Draw(t, "action") {
			case 0:
				now += time.Duration(rapid.IntRange(0, int(rate.Per)).Draw(t, "pause"))
			case 1:
				if len(held) > 0 {
					back := held[0]
					held = held[1:]
					m := models[back.key]
					m.pass(now)
					m.credit = min(m.span, m.credit+m.step)
					roomy.giveBack(back.key, now)
					if back.tight {
						tight.giveBack(back.key, now)
					}
				}
			default:
				m.pass(now)
				want := max(0, m.step-m.credit)
				if got := roomy.wait(key, now); got != want {
					t.Fatalf("wait is %v, want %v", got, want)
				}
				if got := tight.wait(key, now); got < want {
					t.Fatalf("with little room wait is %v, want %v at least", got, want)
				}
				if want == 0 {
					m.credit -= m.step
					roomy.take(key, now)
					ok := tight.wait(key, now) == 0
					tight.take(key, now) // where it is stricter, it owes one
					held = append(held, taken{key, ok})
				}
			}
			if len(tight.buckets) > tight.limit {
				t.Fatalf("%d buckets, want at most %d", len(tight.buckets), tight.limit)
			}
		}
	})
}

// Whatever names an attacker tries, and however many, what was counted for a
// name stays counted.
func TestFloodDoesNotForget(t *testing.T) {
	target := newTable(Rate{5, time.Hour}, 100)
	k := keyer{maphash.MakeSeed()}
	alice := k.user("alice", netip.Addr{})
	for range 5 {
		target.take(alice, 0)
	}
	for i := range 20_000 {
		key := k.user(fmt.Sprint("name ", i), netip.Addr{})
		if target.wait(key, 0) == 0 {
			target.take(key, 0)
		}
	}
	if got := target.wait(alice, 0); got < 12*time.Minute {
		t.Errorf("after a flood of names the next attempt is %v away, want 12m", got)
	}
	// Others are hardly touched: at most as if they had failed a few times.
	refused := 0
	for i := range 1000 {
		if target.wait(k.user(fmt.Sprint("other ", i), netip.Addr{}), 0) > 0 {
			refused++
		}
	}
	if refused > 10 {
		t.Errorf("%d of 1000 others are refused", refused)
	}
	if len(target.buckets) > 100 {
		t.Errorf("%d buckets, want 100", len(target.buckets))
	}
	// All is forgotten when the time has passed, and the room is free again.
	late := 2 * time.Hour
	if got := target.wait(alice, late); got != 0 {
		t.Errorf("after two hours: %v", got)
	}
}

// A user who always succeeds takes no room.
func TestSuccessLeavesNothing(t *testing.T) {
	target := newTable(Rate{5, time.Hour}, 100)
	for i := range uint64(1000) {
		target.take(i, 0)
		target.giveBack(i, 0)
	}
	if len(target.buckets) != 0 || target.sketch != nil {
		t.Errorf("%d buckets are left", len(target.buckets))
	}
}

func TestUserKeys(t *testing.T) {
	k := keyer{maphash.MakeSeed()}
	none := netip.Addr{}
	for _, same := range [][]string{
		{"alice", "ALICE", "Alice", " alice\t", "alicE\u00a0"},
		{"straße", "STRAẞE", "Straße"},
		{"k", "K", "\u212a"}, // the last is the Kelvin sign
		{"σίσυφος", "ΣΊΣΥΦΟΣ", "σίσυφοσ"},
		{"", "  "},
		{strings.Repeat("x", 1<<20), strings.Repeat("X", 1<<20)},
	} {
		for _, name := range same[1:] {
			if k.user(name, none) != k.user(same[0], none) {
				t.Errorf("%.20q and %.20q are counted apart", name, same[0])
			}
		}
	}
	for _, pair := range [][2]string{{"alice", "alice2"}, {"a b", "ab"}, {"alice", "alicé"}, {"", "\x00"}} {
		if k.user(pair[0], none) == k.user(pair[1], none) {
			t.Errorf("%q and %q are counted as one", pair[0], pair[1])
		}
	}
	if k.user("alice", none) == k.user("alice", netip.MustParseAddr("192.0.2.1")) {
		t.Error("the address makes no difference")
	}
	if other := (keyer{maphash.MakeSeed()}); other.user("alice", none) == k.user("alice", none) {
		t.Error("keys can be foreseen")
	}
}

func TestAddressKeys(t *testing.T) {
	k := keyer{maphash.MakeSeed()}
	for _, test := range []struct {
		a, b    string
		same    bool
		network string // an address of the network of a
	}{
		{"192.0.2.1", "192.0.2.1", true, ""},
		{"192.0.2.1", "192.0.2.2", false, ""},
		{"192.0.2.1", "::ffff:192.0.2.1", true, ""},
		{"2001:db8:0:1::1", "2001:db8:0:1:ffff::2", true, "2001:db8:0:ffff::"},
		{"2001:db8:0:1::1", "2001:db8:0:2::1", false, "2001:db8:0:2::1"},
		{"::ffff:192.0.2.1", "::ffff:192.0.2.2", false, ""},
		{"fe80::1%eth0", "fe80::2", true, "fe80::%eth1"},
	} {
		a, b := netip.MustParseAddr(test.a), netip.MustParseAddr(test.b)
		if same := k.address(a) == k.address(b); same != test.same {
			t.Errorf("%s and %s: same bucket %v, want %v", a, b, same, test.same)
		}
		if key, ok := k.network(a); ok != (test.network != "") {
			t.Errorf("%s: has a network %v", test.a, ok)
		} else if ok {
			if other, _ := k.network(netip.MustParseAddr(test.network)); other != key {
				t.Errorf("%s and %s are counted as two networks", test.a, test.network)
			}
			if other, _ := k.network(netip.MustParseAddr("2001:db8:ffff::1")); other == key {
				t.Errorf("%s and another are counted as one network", test.a)
			}
		}
		if same := k.user("alice", a) == k.user("alice", b); same != test.same {
			t.Errorf("%s and %s: same bucket for alice %v, want %v", a, b, same, test.same)
		}
	}
}
