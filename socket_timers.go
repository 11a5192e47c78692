package socketcluster

import (
	"time"

	"github.com/socketcluster-go/socketcluster/wire"
)

// wheelTask is the socket as the wheel sees it: one timer serves its pings,
// its timeouts, and the expiry and renewal of its token.
type wheelTask Socket

// moment is a point of the server's clock, which takes a third of a time.Time.
// Zero is none.
type moment time.Duration

// farAway is beyond the life of any process, and not of a time.Duration.
const farAway = 100 * 365 * 24 * time.Hour

// moment is that of a time, which is never before the server.
func (srv *Server) moment(t time.Time) moment { return moment(max(t.Sub(srv.epoch), 1)) }

// schedule sets the timer to what is due next. mu must be held.
func (s *Socket) schedule(now time.Time) {
	var next moment
	earlier := func(m moment) {
		if m != 0 && (next == 0 || m < next) {
			next = m
		}
	}
	earlier(s.deadline)
	if s.state != Closed {
		if !s.srv.cfg.PingTimeoutDisabled {
			earlier(s.nextPing)
			earlier(s.srv.moment(s.lastSeenAt().Add(s.srv.cfg.PingTimeout)))
		}
		if t := s.token.Load(); t != nil {
			if at, ok := t.ExpiresAt(); ok {
				// From now on, as the wall clock may have been set since the epoch.
				earlier(s.srv.moment(now.Add(min(tokenDeath(at).Sub(now), farAway))))
			}
		}
		earlier(s.renewAt)
	}
	if next == 0 || s.gone {
		s.srv.wheel.Stop(&s.timer)
		return
	}
	s.srv.wheel.Set(&s.timer, s.srv.epoch.Add(time.Duration(next)), (*wheelTask)(s))
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

	at := s.srv.moment(now)
	if s.deadline != 0 && at >= s.deadline {
		s.deadline = 0
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
		if at >= s.nextPing {
			s.nextPing = s.srv.moment(now.Add(cfg.PingInterval))
			s.pushPing()
		}
	}
	if token := s.token.Load(); token != nil && token.Expired(now) {
		go s.expire(token)
		s.renewAt = 0
		return
	}
	if s.renewAt != 0 && at >= s.renewAt {
		s.renewAt = 0
		go s.renew()
	}
}
