package socketcluster

import (
	"sync/atomic"
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/wire"
)

// tokenLife is the token of a socket, and the state that begins and ends with
// it. Its methods are the only writers of its fields, and call nothing of the
// socket.
//
// Load, inForce and reads of epoch need no lock. All other methods, and reads
// of the other fields, need the socket's mu. Only setToken, gain and dropToken
// change the token. Their callers queue the events and send the packet of the
// change before they release mu: so the client ends up with the same token as
// the socket, whatever else changes the token meanwhile.
type tokenLife struct {
	token     atomic.Pointer[auth.Token]
	expires   moment        // when deliveries end, or 0; next keeps it up to date
	renewal   moment        // when the next token is due, or 0
	epoch     atomic.Uint32 // see authority.go
	origin    origin        // of token
	announced AuthState     // by events
	overruled bool          // the server decided about the token while middleware was running
}

// origin is the source of a socket's token.
type origin uint8

const (
	fromClient    origin = iota // the client has it: it sent or received it
	fromRequest                 // the upgrade request: the client's scripts do not have it
	fromPrincipal               // the application vouches for the upgrade request; there may be no text
)

// Load returns the token, or nil.
func (l *tokenLife) Load() *auth.Token { return l.token.Load() }

// set sets the current token, or removes it. If the token changes, a new epoch
// begins, after the change, because callers read the epoch before they run
// middleware.
func (l *tokenLife) set(token *auth.Token, from origin) (changed bool) {
	changed = l.token.Swap(token) != token
	l.origin = from
	l.renewal = 0
	if changed {
		epoch := l.epoch.Load() + 1
		if epoch == lostEpoch {
			epoch = 0
		}
		l.epoch.Store(epoch)
	}
	return changed
}

// renewAt sets the moment when the next token is due; 0 means never.
func (l *tokenLife) renewAt(at moment) { l.renewal = at }

// next returns the next moment when something is due, or 0. at is the moment of
// now.
func (l *tokenLife) next(now time.Time, at moment) moment {
	l.expires = 0
	if token := l.Load(); token != nil {
		if end, ok := token.ValidUntil(); ok {
			// This is relative to now, because the wall clock may have been set
			// since the server's epoch.
			l.expires = at.add(tokenDeath(end).Sub(now))
		}
	}
	if l.renewal != 0 && (l.expires == 0 || l.renewal < l.expires) {
		return l.renewal
	}
	return l.expires
}

// due returns the token if it has expired, or else reports whether it must be
// renewed. Neither is due again before the token changes or renewAt is called.
func (l *tokenLife) due(now time.Time, at moment) (expired *auth.Token, renew bool) {
	token := l.Load()
	if token != nil && token.Expired(now) {
		expired = token
	}
	renew = expired == nil && l.renewal != 0 && at >= l.renewal
	if expired != nil || renew {
		l.renewal = 0
	}
	return expired, renew
}

// tokenDeath is the first moment at which a token counts as expired: strictly
// after the time until which it is valid (AUTH-40).
func tokenDeath(end time.Time) time.Time { return end.Add(time.Millisecond) }

// inForce reports whether approvals of an epoch are still valid: the token is
// the same, and has not expired.
func (l *tokenLife) inForce(epoch uint32) bool {
	if l.epoch.Load() != epoch {
		return false
	}
	token := l.Load()
	return token == nil || !token.Expired(time.Now())
}

// inForceAt is inForce at a moment.
func (l *tokenLife) inForceAt(epoch uint32, at moment) bool {
	return epoch == l.epoch.Load() && (l.expires == 0 || at < l.expires)
}

// beginDecision begins the decision about a token of the client. Later
// decisions of the server override it.
func (l *tokenLife) beginDecision() { l.overruled = false }

// overrule records a decision of the server.
func (l *tokenLife) overrule() { l.overruled = true }

// announce records the state that events are about to report, and reports
// whether the last events reported another one.
func (l *tokenLife) announce(state AuthState) (changed bool) {
	changed = l.announced != state
	l.announced = state
	return changed
}

// lockUnlessRevoked locks mu, unless one of the tokens has been revoked. Every
// later revocation finds a token that is set before mu is released; see
// Server.revoked.
func (s *Socket) lockUnlessRevoked(tokens ...*auth.Token) error {
	for {
		seen := s.srv.revocations.Load()
		for _, t := range tokens {
			if err := s.srv.revocation(t); err != nil {
				return err
			}
		}
		s.mu.Lock()
		if s.state != Closed {
			s.srv.claims.unsettle(s) // before the next look at the number of revocations
		}
		if s.srv.revocations.Load() == seen {
			return nil
		}
		s.mu.Unlock()
	}
}

// setToken changes the token and everything that depends on it: the timer, and
// the approvals of middleware. mu must be held.
func (s *Socket) setToken(token *auth.Token, from origin) {
	old := s.token.Load()
	changed := s.token.set(token, from)
	if s.state != Closed { // then it is found among those that are closed
		s.srv.claims.replace(s, old, token)
	}
	s.schedule(time.Now())
	if changed {
		s.endApprovals()
	}
}

// gain gives the socket a token, and queues its events. mu must be held.
func (s *Socket) gain(token *auth.Token, from origin, kind AuditKind) {
	s.setToken(token, from)
	s.announceToken(token, kind)
}

// announceToken queues the events of a new token, and schedules its renewal. mu
// must be held.
func (s *Socket) announceToken(token *auth.Token, kind AuditKind) {
	if s.state == Closed {
		return
	}
	if s.token.announce(Authenticated) {
		queue(s, AuthStateChangeEvent{s, Unauthenticated, Authenticated, token})
	}
	queue(s, AuthenticateEvent{s, token})
	s.queueAudit(kind, token, "")
	s.armRenewal(token)
}

// dropToken removes the socket's token. mu must be held.
func (s *Socket) dropToken(kind AuditKind, reason string) {
	old := s.token.Load()
	s.setToken(nil, fromClient)
	s.announceLoss(old, kind, reason)
}

// announceLoss queues the events of a lost token. mu must be held. The change
// of state is relative to earlier events: a token may be lost while middleware
// is running for it, before any event has reported it.
func (s *Socket) announceLoss(old *auth.Token, kind AuditKind, reason string) {
	if s.state == Closed {
		return
	}
	if s.token.announce(Unauthenticated) {
		queue(s, AuthStateChangeEvent{s, Authenticated, Unauthenticated, nil})
	}
	queue(s, DeauthenticateEvent{s, old})
	if old != nil {
		s.queueAudit(kind, old, reason)
	}
}

// logout removes the socket's token by a decision of the application or the
// client. mu must be held.
func (s *Socket) logout() {
	s.token.overrule()
	s.dropToken(AuditLogout, "")
}

// endLogin removes a token and notifies the client, if the socket still has it.
// It queues the events, but does not emit them.
func (s *Socket) endLogin(token *auth.Token, kind AuditKind, reason string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token.Load() != token {
		return false
	}
	s.dropToken(kind, reason)
	s.sendRemoveAuthToken(nil)
	return true
}

// expireNow removes an expired token when a packet arrives, in case the timer
// is a little late, and returns the error for middleware.
func (s *Socket) expireNow() error {
	token := s.token.Load()
	if token == nil || !token.Expired(time.Now()) {
		return nil
	}
	s.expire(token)
	exp, _ := token.Claim("exp")
	return &wire.Error{
		Name:    wire.ErrAuthTokenExpired.Name,
		Message: "The socket auth token has expired",
		Fields:  []wire.Field{{Key: "expiry", Value: exp}},
	}
}

// expire logs out the client because its token has expired, unless it has
// another one meanwhile.
func (s *Socket) expire(token *auth.Token) {
	if s.endLogin(token, AuditExpiry, "") {
		s.drainEvents()
	}
}
