package login

import (
	"time"

	"github.com/socketcluster-go/socketcluster/internal/bucket"
)

const (
	// maxBuckets is the number of buckets that a table counts exactly.
	maxBuckets = 1 << 16
	// sketchRows rows of sketchCells cells: 64 bits of key give an independent
	// index for each row.
	sketchRows  = 4
	sketchBits  = 16
	sketchCells = 1 << sketchBits
	// evictionSample is the number of buckets of which the fullest is evicted.
	evictionSample = 8
)

// table has the token buckets of one kind, by keys that nobody can predict.
//
// A full bucket need not be kept. A bucket that is evicted from the table goes
// into a count–min sketch of buckets. A bucket is a moment, and a cell has the
// latest moment of all keys that share it, so a bucket is never fuller in the
// sketch than it was.
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

// wait returns the time until there is a token, or 0 if there is one.
func (t *table) wait(key uint64, now time.Duration) time.Duration {
	return t.rate.Wait(t.bucket(key), now)
}

// take takes a token. There must be one.
func (t *table) take(key uint64, now time.Duration) {
	t.set(key, t.rate.Take(t.bucket(key), now), now)
}

// giveBack undoes take.
func (t *table) giveBack(key uint64, now time.Duration) {
	if b, ok := t.buckets[key]; ok { // otherwise it has been merged into the sketch
		t.set(key, t.rate.GiveBack(b), now)
	}
}

func (t *table) set(key uint64, b bucket.Bucket, now time.Duration) {
	full := bucket.Bucket(now) // and any earlier one
	if b <= full && t.sketched(key) <= full {
		delete(t.buckets, key)
		return
	}
	if _, ok := t.buckets[key]; !ok && len(t.buckets) >= t.limit {
		t.evict(full)
	}
	t.buckets[key] = b
}

// evict makes room for a bucket: it moves the fullest of a few to the sketch.
func (t *table) evict(full bucket.Bucket) {
	var key uint64
	var fullest bucket.Bucket
	n := 0
	for k, b := range t.buckets { // starts at a random bucket
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

// sketched returns the bucket of a key in the sketch, which is no fuller than
// the one that was put in.
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
