package socketcluster

import (
	"time"

	"github.com/socketcluster-go/socketcluster/wire"
)

// wheelTask is the socket as the wheel sees it: one timer serves its pings,
// its timeouts, and the expiry and renewal of its token.
type wheelTask Socket

// schedule sets the timer to what is due next. mu must be held.
func (s *Socket) schedule(now time.Time) {
	var next time.Time
	earlier := func(t time.Time) {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	earlier(s.deadline)
	if s.state != Closed {
		if !s.srv.cfg.PingTimeoutDisabled {
			earlier(s.nextPing)
			earlier(s.lastSeenAt().Add(s.srv.cfg.PingTimeout))
		}
		if t := s.token.Load(); t != nil {
			if at, ok := t.ExpiresAt(); ok {
				earlier(tokenDeath(at))
			}
		}
		earlier(s.renewAt)
	}
	if next.IsZero() || s.gone {
		s.srv.wheel.Stop(&s.timer)
		return
	}
	s.srv.wheel.Set(&s.timer, next, (*wheelTask)(s))
}

// tokenDeath is the first moment at which a token counts as expired: strictly
// after its exp (AUTH-40).
func tokenDeath(exp time.Time) time.Time { return exp.Add(time.Millisecond) }

// Expire does what is due. It runs on the wheel's goroutine and does not
// block; what may run user code gets a goroutine of its own.
func (t *wheelTask) Expire(now time.Time) {
	s := (*Socket)(t)
	cfg := &s.srv.cfg
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.schedule(now)

	if !s.deadline.IsZero() && !now.Before(s.deadline) {
		s.deadline = time.Time{}
		switch s.state {
		case Connecting:
			s.srv.hit(limitHandshakeTimeout)
			go s.closeWith(wire.CloseHandshakeTimeout)
			return
		case Closed:
			s.srv.hit(limitCloseTimeout)
			s.conn.Close() // the peer has not answered the close frame
			return
		}
	}
	if s.state == Closed {
		return
	}
	if !cfg.PingTimeoutDisabled {
		if s.silent(now) {
			dead := !s.holdsUp() && s.silent(now) // it may just have been let go on
			s.seen(now)                           // once is enough
			if dead {
				s.srv.hit(limitPingTimeout)
				go s.closeWith(wire.ClosePongTimeout)
				return
			}
		}
		if !now.Before(s.nextPing) {
			s.nextPing = now.Add(cfg.PingInterval)
			s.pushPing()
		}
	}
	if token := s.token.Load(); token != nil && token.Expired(now) {
		go s.expire(token)
		s.renewAt = time.Time{}
		return
	}
	if !s.renewAt.IsZero() && !now.Before(s.renewAt) {
		s.renewAt = time.Time{}
		go s.renew()
	}
}
