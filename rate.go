package socketcluster

import (
	"time"

	"github.com/socketcluster-go/socketcluster/internal/bucket"
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

// rate is how often sockets may do things of one class.
type rate struct {
	bucket.Rate
	limit limit
}

// newRates returns the rates of sockets under these limits. What two seconds
// allow may come at once, and a client that comes back subscribes to all its
// channels.
func newRates(l *Limits) [numRates]rate {
	perSecond := func(of limit, n, atOnce int) rate {
		return rate{bucket.PerSecond(n, max(2*min(n, int(time.Second)), atOnce)), of}
	}
	return [numRates]rate{
		rateCalls:           perSecond(limitCallRate, l.CallRate, 0),
		ratePublications:    perSecond(limitPublishRate, l.PublishRate, 0),
		rateSubscriptions:   perSecond(limitSubscribeRate, l.SubscribeRate, l.Channels),
		rateAuthentications: perSecond(limitAuthenticateRate, l.AuthenticateRate, 0),
	}
}

// throttleStep is how long a throttled socket rests beyond what it must, so
// that a timer serves more than one token.
const throttleStep = 10 * time.Millisecond

// throttle waits until the socket may do one more of a class. It reports false
// when the socket has closed meanwhile. Only the inbox worker calls it.
func (s *Socket) throttle(c rateClass) bool {
	r, b := s.srv.rates[c], &s.buckets[c]
	for waited := false; ; waited = true {
		now := s.srv.clock()
		wait := r.Wait(*b, now)
		if wait == 0 {
			*b = r.Take(*b, now)
			return true
		}
		if !waited {
			s.reportThrottled(r.limit)
		}
		timer := time.NewTimer(wait + min(throttleStep, r.Tolerance()))
		select {
		case <-timer.C:
		case <-s.Done():
			timer.Stop()
			return false
		}
	}
}

// reportThrottled counts, and writes to the log when it is the first time for
// the socket.
func (s *Socket) reportThrottled(l limit) {
	if s.throttled {
		s.srv.hit(l)
		return
	}
	s.throttled = true
	s.hit(l, "a client is slowed down: it sends more than the limit allows")
}
