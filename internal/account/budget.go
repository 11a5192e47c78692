package account

import "sync/atomic"

const (
	shardCount = 16
	parts      = 1024 // of the limit: the amount that a shard may keep to itself
)

// Budget is a number of bytes that many connections may hold together.
type Budget struct {
	limit    int64
	slack    int64
	over     func()
	total    atomic.Int64
	orphaned atomic.Int64
	shards   [shardCount]Shard
}

// NewBudget makes a budget of limit bytes. over is called whenever something is
// counted beyond the limit.
func NewBudget(limit int64, over func()) *Budget {
	b := &Budget{limit: limit, slack: max(limit/parts, 1), over: over}
	for i := range b.shards {
		b.shards[i].budget = b
	}
	return b
}

// Limit returns the size of the budget in bytes.
func (b *Budget) Limit() int64 { return b.limit }

// Shard returns the part of the budget in which a holder counts; n may be any
// number. Bytes that are added in one shard may be subtracted in another.
func (b *Budget) Shard(n uint8) *Shard { return &b.shards[n%shardCount] }

// Over reports whether more is held than the limit, as far as shards have
// reported.
func (b *Budget) Over() bool { return b.total.Load() > b.limit }

// Used returns the number of bytes that are held.
func (b *Budget) Used() int64 {
	n := b.total.Load()
	for i := range b.shards {
		n += b.shards[i].n.Load()
	}
	return n
}

// Orphaned returns the number of bytes that handlers of closed connections
// hold.
func (b *Budget) Orphaned() int64 { return b.orphaned.Load() }

// Shard is a part of a budget. A nil Shard counts nothing.
type Shard struct {
	budget *Budget
	n      atomic.Int64 // not reported yet
	_      [112]byte    // processors fetch cache lines in pairs
}

// Add counts n more bytes, or fewer if n is negative.
func (s *Shard) Add(n int) {
	if s == nil || n == 0 {
		return
	}
	b := s.budget
	if v := s.n.Add(int64(n)); v < b.slack && v > -b.slack {
		return
	}
	if b.total.Add(s.n.Swap(0)) > b.limit && n > 0 {
		b.over()
	}
}

// orphan counts n more bytes as orphaned, or fewer if n is negative.
func (s *Shard) orphan(n int) {
	if s != nil {
		s.budget.orphaned.Add(int64(n))
	}
}
