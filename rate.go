package socketcluster

import (
	"time"

	"github.com/socketcluster-go/socketcluster/internal/bucket"
)

// rateClass is a kind of packets with a rate of its own.
type rateClass uint8

const (
	rateCalls rateClass = iota
	ratePublications
	rateSubscriptions
	rateAuthentications
	numRates
)

// rate is the rate at which sockets may send packets of one class.
type rate struct {
	bucket.Rate
	limit limit
}

// newRates returns the rates of sockets under these limits. The number for two
// seconds may come at once, and a client that reconnects may subscribe to all
// its channels.
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

// throttleStep is the time that a throttled socket waits longer than necessary,
// so that one timer serves more than one token.
const throttleStep = 10 * time.Millisecond

// throttle waits until the socket may send one more packet of a class, which came at
// a time of which the clock may be ahead. It returns false if the socket has closed
// meanwhile. Only the inbox worker calls it.
func (s *Socket) throttle(c rateClass, at time.Time) bool {
	r, b := &s.srv.rates[c], &s.buckets[c]
	now := at.Sub(s.srv.epoch)
	if r.Wait(*b, now) > 0 {
		now = s.srv.clock()
	}
	for waited := false; ; waited = true {
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
		now = s.srv.clock()
	}
}

// reportThrottled counts a wait, and logs the first one of a socket.
func (s *Socket) reportThrottled(l limit) {
	x := s.extended()
	if x.throttled {
		s.srv.hit(l)
		return
	}
	x.throttled = true
	s.hit(l, "a client is slowed down: it sends more than the limit allows")
}
