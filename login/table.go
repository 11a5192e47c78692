package login

import (
	"time"

	"github.com/socketcluster-go/socketcluster/internal/bucket"
)

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
// A bucket that is full is as good as none. What has to leave the table goes into
// a count–min sketch of buckets, each of which is a moment: a cell has the latest
// of all keys that share it, so that a bucket is never fuller in the sketch than
// it was.
type table struct {
	rate    bucket.Rate
	limit   int
	buckets map[uint64]bucket.Bucket
	sketch  *[sketchRows][sketchCells]bucket.Bucket // nil until it is needed
}

func newTable(r Rate, limit int) *table {
	return &table{
		rate:    bucket.Rate{Interval: r.Per / time.Duration(r.Attempts), Burst: r.Attempts},
		limit:   limit,
		buckets: make(map[uint64]bucket.Bucket),
	}
}

func (t *table) bucket(key uint64) bucket.Bucket {
	if b, ok := t.buckets[key]; ok {
		return b
	}
	return t.sketched(key)
}

// wait returns how long it takes until there is a token; 0 if there is one.
func (t *table) wait(key uint64, now time.Duration) time.Duration {
	return t.rate.Wait(t.bucket(key), now)
}

// take takes a token, which must be there.
func (t *table) take(key uint64, now time.Duration) {
	t.set(key, t.rate.Take(t.bucket(key), now), now)
}

// giveBack undoes take.
func (t *table) giveBack(key uint64, now time.Duration) {
	if b, ok := t.buckets[key]; ok { // else it has become one of many in the sketch
		t.set(key, t.rate.GiveBack(b), now)
	}
}

func (t *table) set(key uint64, b bucket.Bucket, now time.Duration) {
	full := bucket.Bucket(now) // and any before
	if b <= full && t.sketched(key) <= full {
		delete(t.buckets, key)
		return
	}
	if _, ok := t.buckets[key]; !ok && len(t.buckets) >= t.limit {
		t.evict(full)
	}
	t.buckets[key] = b
}

// evict makes room for a bucket: of a few, the fullest moves to the sketch.
func (t *table) evict(full bucket.Bucket) {
	var key uint64
	var fullest bucket.Bucket
	n := 0
	for k, b := range t.buckets { // begins anywhere
		if n == 0 || b < fullest {
			key, fullest = k, b
		}
		if n++; n == evictionSample || fullest <= full {
			break
		}
	}
	delete(t.buckets, key)
	if fullest <= full {
		return
	}
	if t.sketch == nil {
		t.sketch = new([sketchRows][sketchCells]bucket.Bucket)
	}
	for row := range t.sketch {
		cell := &t.sketch[row][cellOf(key, row)]
		*cell = max(*cell, fullest)
	}
}

// sketched returns what the sketch says of a key: no less than what was put
// into it.
func (t *table) sketched(key uint64) bucket.Bucket {
	if t.sketch == nil {
		return 0
	}
	b := t.sketch[0][cellOf(key, 0)]
	for row := 1; row < sketchRows; row++ {
		b = min(b, t.sketch[row][cellOf(key, row)])
	}
	return b
}

func cellOf(key uint64, row int) uint64 { return key >> (sketchBits * row) % sketchCells }
