// Package bucket implements token buckets by the generic cell rate algorithm: a
// bucket is one moment, the time when it will be full again. So it needs 8
// bytes and no timer, and buckets can be compared like moments.
//
// Nothing here blocks, allocates or locks. The caller owns its buckets, and
// reads the clock: all times of a bucket are relative to one start, which is
// not after the first use.
package bucket

import "time"

// Rate is the speed at which buckets refill, and their size.
type Rate struct {
	Interval time.Duration // between two tokens; not negative
	Burst    int           // tokens of a full bucket; at least 1
}

// PerSecond is the rate of n tokens a second. The highest rate is one token
// each nanosecond, the resolution of the clock.
func PerSecond(n, burst int) Rate {
	return Rate{time.Second / time.Duration(min(n, int(time.Second))), min(burst, int(time.Second))}
}

// Bucket is the moment when a bucket will be full. The zero Bucket is full.
type Bucket time.Duration

// Wait returns the time until there is a token, or 0 if there is one.
func (r Rate) Wait(b Bucket, now time.Duration) time.Duration {
	lacking := time.Duration(b) - now // to be full
	return max(0, lacking-r.Tolerance())
}

// Tolerance returns the time by which a bucket that has a token may be ahead of
// the clock.
func (r Rate) Tolerance() time.Duration { return r.Interval * time.Duration(r.Burst-1) }

// Take returns the bucket without one token. If it has none, it then owes one.
func (r Rate) Take(b Bucket, now time.Duration) Bucket {
	return max(b, Bucket(now)) + Bucket(r.Interval)
}

// GiveBack undoes Take, as far as the bucket has not refilled meanwhile.
func (r Rate) GiveBack(b Bucket) Bucket { return b - Bucket(r.Interval) }
