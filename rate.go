package socketcluster

import (
	"time"
)

// rateClass is a kind of what a socket sends that has a rate of its own.
type rateClass uint8

const (
	rateCalls rateClass = iota
	ratePublications
	rateSubscriptions
	rateAuthentications
	numRates
)

// limit is the setting of the rate.
func (c rateClass) limit() limit { return limitCallRate + limit(c) }

// rate is a token bucket in the form of the generic cell rate algorithm: a
// bucket is one moment, when it will be full again.
type rate struct {
	interval  time.Duration // between two tokens
	tolerance time.Duration // how far ahead of the clock the moment may be to take one more
}

// maxRate is where intervals become shorter than the clock can tell.
const maxRate = int(time.Second)

// newRate makes a rate of so many a second, of which atOnce may come together.
func newRate(perSecond, atOnce int) rate {
	interval := time.Second / time.Duration(min(perSecond, maxRate))
	return rate{interval, interval * time.Duration(min(atOnce, maxRate)-1)}
}

// newRates are the rates of sockets under these limits. What two seconds allow
// may come at once, and a client that comes back subscribes to all its channels.
func newRates(l *Limits) [numRates]rate {
	twice := func(n int) int { return 2 * min(n, maxRate) }
	return [numRates]rate{
		rateCalls:           newRate(l.CallRate, twice(l.CallRate)),
		ratePublications:    newRate(l.PublishRate, twice(l.PublishRate)),
		rateSubscriptions:   newRate(l.SubscribeRate, max(twice(l.SubscribeRate), l.Channels)),
		rateAuthentications: newRate(l.AuthenticateRate, twice(l.AuthenticateRate)),
	}
}

// take takes a token from the bucket that is full at a moment, or tells how
// long it takes until there is one.
func (r rate) take(fullAt *time.Duration, now time.Duration) (wait time.Duration) {
	at := max(*fullAt, now)
	if ahead := at - now; ahead > r.tolerance {
		return ahead - r.tolerance
	}
	*fullAt = at + r.interval
	return 0
}

// throttleStep is how long a throttled socket rests beyond what it must, so
// that a timer serves more than one token.
const throttleStep = 10 * time.Millisecond

// throttle waits until the socket may do one more of a kind. It reports false
// when the socket has closed meanwhile. Only the inbox worker calls it.
func (s *Socket) throttle(c rateClass) bool {
	r := s.srv.rates[c]
	wait := r.take(&s.buckets[c], s.srv.clock())
	if wait == 0 {
		return true
	}
	s.tellThrottled(c)
	for wait > 0 {
		timer := time.NewTimer(wait + min(throttleStep, r.tolerance))
		select {
		case <-timer.C:
		case <-s.Done():
			timer.Stop()
			return false
		}
		wait = r.take(&s.buckets[c], s.srv.clock())
	}
	return true
}

// tellThrottled counts, and writes to the log when it is the first time for
// the socket.
func (s *Socket) tellThrottled(c rateClass) {
	if s.throttled {
		s.srv.hit(c.limit())
		return
	}
	s.throttled = true
	s.hit(c.limit(), "a client is slowed down: it sends more than the limit allows")
}
