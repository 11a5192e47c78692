package login

import "time"

const (
	// maxBuckets is how many buckets a table counts exactly.
	maxBuckets = 1 << 16
	// sketchRows rows of sketchCells cells: 64 bits of key give an independent
	// index for each row.
	sketchRows  = 4
	sketchBits  = 16
	sketchCells = 1 << sketchBits
	// evictionSample is of how many buckets the fullest has to leave.
	evictionSample = 8
)

// table holds the token buckets of one kind by keys that nobody can foresee.
//
// A bucket is a single moment: when it will be full again (the "theoretical
// arrival time" of the generic cell rate algorithm). A bucket that is full is as
// good as none. What has to leave the table goes into a count–min sketch of
// such moments: a cell has the latest of all keys that share it, so that a
// bucket is never fuller in the sketch than it was.
type table struct {
	step   time.Duration // in which one token comes back
	span   time.Duration // in which all of them do
	limit  int
	fullAt map[uint64]time.Duration
	sketch *[sketchRows][sketchCells]time.Duration // nil until it is needed
}

func newTable(r Rate, limit int) *table {
	step := r.Per / time.Duration(r.Attempts)
	return &table{
		step:   step,
		span:   step * time.Duration(r.Attempts),
		limit:  limit,
		fullAt: make(map[uint64]time.Duration),
	}
}

// at returns when a bucket will be full, or now.
func (t *table) at(key uint64, now time.Duration) time.Duration {
	at, ok := t.fullAt[key]
	if !ok {
		at = t.sketched(key)
	}
	return max(at, now)
}

// wait returns how long it takes until there is a token; 0 if there is one.
func (t *table) wait(key uint64, now time.Duration) time.Duration {
	return max(0, t.at(key, now)+t.step-t.span-now)
}

// take takes a token, which must be there.
func (t *table) take(key uint64, now time.Duration) { t.set(key, t.at(key, now)+t.step, now) }

// giveBack undoes take.
func (t *table) giveBack(key uint64, now time.Duration) {
	if at, ok := t.fullAt[key]; ok { // else it has become one of many in the sketch
		t.set(key, at-t.step, now)
	}
}

func (t *table) set(key uint64, at, now time.Duration) {
	if at <= now && t.sketched(key) <= now {
		delete(t.fullAt, key)
		return
	}
	if _, ok := t.fullAt[key]; !ok && len(t.fullAt) >= t.limit {
		t.evict(now)
	}
	t.fullAt[key] = at
}

// evict makes room for a bucket: of a few, the fullest moves to the sketch.
func (t *table) evict(now time.Duration) {
	var key uint64
	var at time.Duration
	n := 0
	for k, v := range t.fullAt { // begins anywhere
		if n == 0 || v < at {
			key, at = k, v
		}
		if n++; n == evictionSample || at <= now {
			break
		}
	}
	delete(t.fullAt, key)
	if at <= now {
		return
	}
	if t.sketch == nil {
		t.sketch = new([sketchRows][sketchCells]time.Duration)
	}
	for row := range t.sketch {
		cell := &t.sketch[row][cellOf(key, row)]
		*cell = max(*cell, at)
	}
}

// sketched returns what the sketch says of a key: no less than what was put
// into it.
func (t *table) sketched(key uint64) time.Duration {
	if t.sketch == nil {
		return 0
	}
	at := t.sketch[0][cellOf(key, 0)]
	for row := 1; row < sketchRows; row++ {
		at = min(at, t.sketch[row][cellOf(key, row)])
	}
	return at
}

func cellOf(key uint64, row int) uint64 { return key >> (sketchBits * row) % sketchCells }
