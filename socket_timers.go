package socketcluster

import (
	"fmt"
	"math"
	"time"

	"github.com/socketcluster-go/socketcluster/wire"
)

// wheelTask is the socket as a task of the wheel: one timer serves its pings,
// its timeouts, and the expiry and renewal of its token.
type wheelTask Socket

// moment is a time of the server's clock, which takes a third of the memory of
// a time.Time. Zero means none.
type moment time.Duration

// moment converts a time, which must not be before the server's epoch.
func (srv *Server) moment(t time.Time) moment { return moment(t.Sub(srv.epoch)) }

// add returns the moment d later, or the last one.
func (m moment) add(d time.Duration) moment {
	if d > math.MaxInt64-time.Duration(m) {
		return math.MaxInt64
	}
	return max(m+moment(d), 1)
}

// schedule sets the timer to the next thing that is due. mu must be held.
func (s *Socket) schedule(now time.Time) {
	var next moment
	earlier := func(m moment) {
		if m != 0 && (next == 0 || m < next) {
			next = m
		}
	}
	earlier(s.deadline)
	earlier(s.token.next(now, s.srv.moment(now)))
	if s.state != Closed && !s.srv.cfg.Timeouts.PingDisabled {
		earlier(s.nextPing)
		if s.ext != nil {
			earlier(s.ext.plainAt)
		}
		earlier(s.silentAt())
	}
	if next == 0 || s.gone {
		s.srv.wheel.Stop(&s.timer)
		return
	}
	s.srv.wheel.Set(&s.timer, s.srv.epoch.Add(time.Duration(next)), (*wheelTask)(s))
}

// Expire does what is due. It runs on the wheel's goroutine and must not block:
// if the socket's lock is held, which may take long on a busy machine, it
// starts a goroutine, so that it does not delay the timers of other sockets.
func (t *wheelTask) Expire(now time.Time) {
	s := (*Socket)(t)
	if !s.mu.TryLock() {
		go func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.expireLocked(time.Now())
		}()
		return
	}
	defer s.mu.Unlock()
	s.expireLocked(now)
}

// expireLocked is Expire with mu held. Work that may run user code, or wait,
// gets a goroutine of its own.
func (s *Socket) expireLocked(now time.Time) {
	cfg := &s.srv.cfg
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
		if expired, _ := s.token.due(now, at); expired != nil { // publications may still wait in the outbox
			s.dropToken(AuditExpiry, "")
		}
		return
	}
	if !cfg.Timeouts.PingDisabled {
		turned, regular := s.turnToPlainPings(at), at >= s.nextPing
		if regular {
			s.nextPing = at.add(cfg.Timeouts.PingInterval)
		}
		if turned || regular {
			if s.asked <= s.lastSeenAt() {
				s.asked = at
			}
			s.pushPing(at)
		}
		if at >= s.silentAt() {
			dead := !s.pushesBack() && at >= s.silentAt() // the reading goroutine may just have continued
			s.seen(now)                                   // once is enough
			if dead {
				s.srv.hit(limitPingTimeout)
				go s.disconnect(wire.ClosePongTimeout, "", s.silence())
				return
			}
		}
	}
	if expired, renew := s.token.due(now, at); expired != nil {
		go s.expire(expired)
	} else if renew {
		go s.renew()
	}
}

// silence returns the reason for the events of a client that was silent for too
// long. mu must be held.
func (s *Socket) silence() string {
	text := wire.ClosePongTimeout.Text()
	if s.ponged {
		return text
	}
	other := wire.Version1 + wire.Version2 - s.version
	return fmt.Sprintf("%s. It has never answered a ping: it may speak version %d of the protocol, see Config.ProtocolVersion and Config.Protocol1Path", text, other)
}

// silentAt returns the moment when the pong timeout ends. A client that must
// answer pings also has its full time after the first one that it has not
// answered: if the server sent that late, the client is not to blame. mu must
// be held.
func (s *Socket) silentAt() moment {
	cfg := &s.srv.cfg
	seen := s.lastSeenAt()
	at := seen.add(cfg.Timeouts.Ping)
	asked := s.asked
	if asked <= seen {
		asked = s.nextPing
	}
	return max(at, asked.add(cfg.Timeouts.Ping-cfg.Timeouts.PingInterval))
}
