package account

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"

	"pgregory.net/rapid"
)

// The total is never further behind than the shards may be.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.Int64Range(1, 1<<30).Draw(t, "limit")
		told := 0
		b := NewBudget(limit, func() { told++ })
		var want int64
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			n := rapid.Int64Range(-want, limit/2+1).Draw(t, "n")
			before := told
			b.Shard(rapid.Byte().Draw(t, "shard")).Add(int(n))
			want += n
			if got := b.Used(); got != want {
				t.Fatalf("Used = %d, want %d", got, want)
			}
			slack := shardCount * max(limit/parts, 1)
			if want > limit+slack && !b.Over() || want <= limit-slack && b.Over() {
				t.Fatalf("Over = %v with %d of %d", b.Over(), want, limit)
			}
			if told > before && n <= 0 {
				t.Fatal("over was called when something was given back")
			}
			if want-n <= limit-slack && want > limit+slack && told == before {
				t.Fatal("over was not called")
			}
		}
	})
}

// A shared object counts once, however its holders change.
func TestShared(t *testing.T) {
	b := NewBudget(1000, func() {})
	for holders := range 5 {
		for early := range holders + 1 {
			var s Shared
			s.Init(b.Shard(1), 100)
			for i := range holders {
				s.Take()
				if i < early {
					s.Release()
				}
			}
			s.Settle()
			for i := early; i < holders; i++ {
				if got := b.Used(); got != 100 {
					t.Fatalf("%d of %d holders left: %d bytes", holders-i, holders, got)
				}
				s.Release()
			}
			if got := b.Used(); got != 0 {
				t.Fatalf("no holder left: %d bytes", got)
			}
		}
	}
}

func TestConcurrently(t *testing.T) {
	var told atomic.Int64
	b := NewBudget(1<<20, func() { told.Add(1) })
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 1000 {
				n := rand.IntN(1 << 20)
				b.Shard(uint8(rand.N(256))).Add(n)
				var s Shared
				s.Init(b.Shard(uint8(n)), n)
				var holders sync.WaitGroup
				for range 3 {
					s.Take()
					holders.Go(s.Release)
				}
				s.Settle()
				holders.Wait()
				b.Shard(uint8(rand.N(256))).Add(-n)
			}
		})
	}
	all.Wait()
	if got := b.Used(); got != 0 {
		t.Errorf("%d bytes are left", got)
	}
	if told.Load() == 0 {
		t.Error("over was never called")
	}
}

func TestNilShard(t *testing.T) {
	var s *Shard
	s.Add(1)
}

func TestShardsAreApart(t *testing.T) {
	if got := unsafe.Sizeof(Shard{}); got != 128 {
		t.Errorf("a shard has %d bytes, want 128", got)
	}
}

func BenchmarkAdd(b *testing.B) {
	budget := NewBudget(1<<30, func() {})
	b.RunParallel(func(pb *testing.PB) {
		s := budget.Shard(uint8(rand.N(256)))
		for pb.Next() {
			s.Add(100)
			s.Add(-100)
		}
	})
}
