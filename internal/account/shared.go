package account

import "sync/atomic"

// Shared counts something once that many hold, for as long as one of them
// does. First it is handed out, by one goroutine, with Take for each holder and
// Settle at the end; holders may let go of it at any time after their Take.
type Shared struct {
	shard *Shard
	size  int
	taken int64 // until Settle
	refs  atomic.Int64
}

// Init says what is to be counted, and where.
func (s *Shared) Init(shard *Shard, size int) { s.shard, s.size = shard, size }

// Take hands it out to one more holder.
func (s *Shared) Take() { s.taken++ }

// Settle counts it if any of its holders is left.
func (s *Shared) Settle() {
	// Those that have let go of it already have made refs negative.
	if s.refs.Add(s.taken) > 0 {
		s.shard.Add(s.size)
	}
}

// Release reports that one holder has let go of it.
func (s *Shared) Release() {
	if s.refs.Add(-1) == 0 {
		s.shard.Add(-s.size)
	}
}
