package login

// known is the set of users and addresses that have logged in. When it is
// full, one of the oldest of a few leaves, to be limited by the count for the
// user from everywhere again.
type known struct {
	limit int
	seq   uint64
	seen  map[uint64]uint64 // the order of the last logins
}

func newKnown(limit int) known { return known{limit: limit, seen: make(map[uint64]uint64)} }

func (k *known) has(key uint64) bool {
	_, ok := k.seen[key]
	return ok
}

func (k *known) add(key uint64) {
	if !k.has(key) && len(k.seen) >= k.limit {
		var oldest, at uint64
		n := 0
		for other, seq := range k.seen { // begins anywhere
			if n == 0 || seq < at {
				oldest, at = other, seq
			}
			if n++; n == evictionSample {
				break
			}
		}
		delete(k.seen, oldest)
	}
	k.seq++
	k.seen[key] = k.seq
}
