package account

import "sync/atomic"

// Shared counts an object once that has many holders, as long as one of them
// has it. First one goroutine hands it out, by Take for each holder and Settle
// at the end. Holders may release it at any time after their Take.
type Shared struct {
	shard *Shard
	size  int
	taken int64 // until Settle
	refs  atomic.Int64
}

// Init sets the shard and the size to count.
func (s *Shared) Init(shard *Shard, size int) { s.shard, s.size = shard, size }

// Take adds a holder.
func (s *Shared) Take() { s.taken++ }

// Settle counts the object if it still has a holder.
func (s *Shared) Settle() {
	// Holders that have already released it have made refs negative.
	if s.refs.Add(s.taken) > 0 {
		s.shard.Add(s.size)
	}
}

// Release removes a holder.
func (s *Shared) Release() {
	if s.refs.Add(-1) == 0 {
		s.shard.Add(-s.size)
	}
}
