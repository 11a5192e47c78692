package presence

import "encoding/json"

// Key identifies a row among those of a node.
type Key struct{ Channel, Socket string }

// MaxRow is the size of the largest row: the bytes of channel, user and info.
const MaxRow = 16 << 10

// Row is a socket in a channel. Its channel, user and info have [MaxRow] bytes at most.
type Row struct {
	Key
	User string
	Info json.RawMessage // nil: none
}

// Who returns whose row it is, and where.
func (r *Row) Who() Who { return Who{r.Channel, r.User} }

// digest returns a number that differs, very probably, from that of any other
// row. It is the same on all nodes: FNV-1a over the fields with their lengths,
// and the finalizer of MurmurHash3, so that sums of digests are of use.
func (r *Row) digest() uint64 {
	const offset, prime = 14695981039346656037, 1099511628211
	h := uint64(offset)
	for _, field := range [...]string{r.Channel, r.Socket, r.User} {
		h = (h ^ uint64(len(field))) * prime
		for i := range len(field) {
			h = (h ^ uint64(field[i])) * prime
		}
	}
	for _, c := range r.Info {
		h = (h ^ uint64(c)) * prime
	}
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

// rowSet has the rows of a node. Its digest is the sum of theirs, which does not
// depend on their order. The zero value is an empty set.
type rowSet struct {
	rows   map[Key]Row
	digest uint64
}

// put adds a row, in place of one with the same key. It reports whether this
// changes the set, and returns the row that was there.
func (s *rowSet) put(r Row) (old Row, replaced, changed bool) {
	old, replaced = s.rows[r.Key]
	if replaced && old.User == r.User && string(old.Info) == string(r.Info) {
		return old, true, false
	}
	if replaced {
		s.digest -= old.digest()
	}
	if s.rows == nil {
		s.rows = make(map[Key]Row)
	}
	s.rows[r.Key] = r
	s.digest += r.digest()
	return old, replaced, true
}

// remove removes a row. It returns the row if there was one.
func (s *rowSet) remove(key Key) (old Row, removed bool) {
	if old, removed = s.rows[key]; removed {
		s.digest -= old.digest()
		delete(s.rows, key)
	}
	return old, removed
}
