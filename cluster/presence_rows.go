package cluster

import "encoding/json"

// rowKey identifies a row among those of a node.
type rowKey struct{ channel, socket string }

// row is a socket in a channel.
type row struct {
	rowKey
	user string
	info json.RawMessage // nil: none
}

// digest returns a number that differs, very probably, from that of any other
// row. It is the same on all nodes: FNV-1a over the fields with their lengths,
// and the finalizer of MurmurHash3, so that sums of digests are of use.
func (r *row) digest() uint64 {
	const offset, prime = 14695981039346656037, 1099511628211
	h := uint64(offset)
	for _, field := range [...]string{r.channel, r.socket, r.user} {
		h = (h ^ uint64(len(field))) * prime
		for i := range len(field) {
			h = (h ^ uint64(field[i])) * prime
		}
	}
	for _, c := range r.info {
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
	rows   map[rowKey]row
	digest uint64
}

// put adds a row, in place of one with the same key. It reports whether this
// changes the set, and returns the row that was there.
func (s *rowSet) put(r row) (old row, replaced, changed bool) {
	old, replaced = s.rows[r.rowKey]
	if replaced && old.user == r.user && string(old.info) == string(r.info) {
		return old, true, false
	}
	if replaced {
		s.digest -= old.digest()
	}
	if s.rows == nil {
		s.rows = make(map[rowKey]row)
	}
	s.rows[r.rowKey] = r
	s.digest += r.digest()
	return old, replaced, true
}

// remove removes a row. It returns the row if there was one.
func (s *rowSet) remove(key rowKey) (old row, removed bool) {
	if old, removed = s.rows[key]; removed {
		s.digest -= old.digest()
		delete(s.rows, key)
	}
	return old, removed
}
