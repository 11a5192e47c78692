package presence

import "time"

// asksInBeat is how often a node asks for a snapshot, or the next part of one, within a
// beat, until it comes.
const asksInBeat = 4

// remote is what a node knows of the rows of another one. It has missed
// something, or does not know whether it has, until synced.
type remote struct {
	node   string // its name
	rows   rowSet
	seq    uint64 // of the latest delta that rows has
	synced bool

	asked time.Time // when a snapshot was asked for, or a part of it has come
	parts rowSet    // the snapshot that is coming
	of    uint64    // its seq
	next  uint64    // its next part; 0: none is coming
}

// delta reports whether a delta is the next one. If it is a later one, something
// was missed.
func (r *remote) delta(seq uint64) (next bool) {
	switch {
	case r.synced && seq <= r.seq: // a repeated or late one
	case r.synced && seq == r.seq+1:
		r.seq = seq
		return true
	default:
		r.synced = false
	}
	return false
}

// beat compares what the node says of its rows with what is known.
func (r *remote) beat(seq, count, digest uint64) {
	switch {
	case r.synced && seq < r.seq: // a late one
	case count == uint64(len(r.rows.rows)) && digest == r.rows.digest:
		r.seq, r.synced = seq, true
	default:
		r.synced = false
	}
}

// wants reports whether a snapshot must be asked for now, after a pause since the last time.
func (r *remote) wants(now time.Time, pause time.Duration) bool {
	if r.synced || now.Sub(r.asked) < pause {
		return false
	}
	r.asked = now
	return true
}

// snapshot takes a part of a snapshot. It reports whether this was the last one:
// then all rows of the node are those in parts.
func (r *remote) snapshot(m *message, now time.Time) (complete bool) {
	if r.synced {
		return false // another one has come before
	}
	if m.count == 0 {
		r.parts, r.of, r.next = rowSet{}, m.seq, 0
	} else if m.seq != r.of || m.count != r.next {
		return false // a part is missing
	}
	r.asked = now
	r.next = m.count + 1
	for i := range m.changes {
		r.parts.put(m.changes[i].Row)
	}
	return m.last
}

// adopt ends a snapshot, once rows has what parts had.
func (r *remote) adopt() {
	r.seq, r.synced, r.parts, r.next = r.of, true, rowSet{}, 0
}
