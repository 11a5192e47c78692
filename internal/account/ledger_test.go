package account

import (
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"pgregory.net/rapid"
)

func never() <-chan struct{} { return nil }

// Whatever a ledger counts, the budget has the same; what is orphaned are the
// messages and handlers of a closed connection.
func TestLedgerModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := NewBudget(1<<40, func() {})
		var l Ledger
		l.Init(b.Shard(3))
		var want [numKinds]int
		closed := false
		orphaned := func() int {
			if !closed {
				return 0
			}
			return want[Messages] + want[Handlers]
		}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				k := Kind(rapid.IntRange(0, int(numKinds)-1).Draw(t, "kind"))
				n := rapid.IntRange(-want[k], 1<<20).Draw(t, "n")
				before := orphaned()
				want[k] += n
				if got := l.Add(k, n); got != ((before == 0) != (orphaned() == 0)) {
					t.Fatalf("Add reports a change: %v, with %d orphaned before and %d after", got, before, orphaned())
				}
			},
			"set": func(t *rapid.T) {
				k := Kind(rapid.IntRange(0, int(numKinds)-1).Draw(t, "kind"))
				want[k] = rapid.IntRange(0, 1<<20).Draw(t, "n")
				l.Set(k, want[k])
			},
			"take": func(t *rapid.T) {
				n := rapid.IntRange(0, 1000).Draw(t, "n")
				if ok, waited := l.Take(n, want[Messages]+n, never); !ok || waited {
					t.Fatalf("Take: %v, waited: %v", ok, waited)
				}
				want[Messages] += n
			},
			"close": func(*rapid.T) {
				before := orphaned()
				closed = true
				if got := l.Close(); got != (before != orphaned()) {
					t.Fatalf("Close reports a change: %v, with %d orphaned before and %d after", got, before, orphaned())
				}
			},
			"": func(t *rapid.T) {
				in, out, used := 0, 0, 0
				for k, n := range want {
					if got := l.Bytes(Kind(k)); got != n {
						t.Fatalf("%d bytes of kind %d, want %d", got, k, n)
					}
					if Kind(k) != Publications {
						used += n
					}
					if Kind(k) < firstOut {
						in += n
					} else {
						out += n
					}
				}
				if gotIn, gotOut := l.Held(); gotIn != in || gotOut != out {
					t.Fatalf("Held: %d, %d, want %d, %d", gotIn, gotOut, in, out)
				}
				if got := b.Used(); got != int64(used) {
					t.Fatalf("the budget has %d, want %d", got, used)
				}
				if got := l.Orphaned(); got != orphaned() || b.Orphaned() != int64(got) {
					t.Fatalf("%d orphaned, %d in the budget, want %d", got, b.Orphaned(), orphaned())
				}
			},
		})
	})
}

// A message waits for room, one that is larger than the limit until there is no
// other, and none longer than its connection.
func TestTakeWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l Ledger
		done := make(chan struct{})
		type result struct {
			ok, waited bool
			after      time.Duration
		}
		take := func(n int) <-chan result {
			began := time.Now()
			c := make(chan result, 1)
			go func() {
				ok, waited := l.Take(n, 100, func() <-chan struct{} { return done })
				c <- result{ok, waited, time.Since(began)}
			}()
			return c
		}
		if got := <-take(1000); got != (result{ok: true}) {
			t.Errorf("the first message: %+v", got)
		}
		second := take(60)
		time.Sleep(time.Second)
		l.Add(Messages, -900) // not enough
		time.Sleep(time.Second)
		l.Add(Messages, -60)
		if got := <-second; got != (result{true, true, 2 * time.Second}) {
			t.Errorf("the second message: %+v", got)
		}
		third := take(1)
		time.Sleep(time.Second)
		close(done)
		if got := <-third; got != (result{false, true, time.Second}) {
			t.Errorf("the third message: %+v", got)
		}
		if got := l.Bytes(Messages); got != 100 {
			t.Errorf("%d bytes of messages", got)
		}
	})
}

func TestLedgerIsSmall(t *testing.T) {
	if got := unsafe.Sizeof(Ledger{}); got > 96 {
		t.Errorf("a ledger has %d bytes", got)
	}
}

func BenchmarkLedger(b *testing.B) {
	var l Ledger
	l.Init(NewBudget(1<<30, func() {}).Shard(0))
	b.ReportAllocs()
	for b.Loop() {
		l.Take(100, 1000, never)
		l.Add(Messages, -100)
	}
}
