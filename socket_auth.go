package socketcluster

import (
	"errors"
	"fmt"
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/wire"
)

// verify asks the engine. A panic in it is an error like another. revoked is a
// token that would be good had it not been revoked.
func (s *Socket) verify(signed string) (token, revoked *auth.Token, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("the engine failed: %w", recovered(s.srv.log, "Engine.Verify", v))
		}
	}()
	if len(signed) > s.srv.cfg.Limits.TokenSize {
		s.srv.hit(limitTokenSize) // the engine refuses it
	}
	token, err = s.srv.engine.Verify(s.Context(), signed)
	if err == nil && token != nil {
		if err := s.srv.revocation(token); err != nil {
			return nil, token, err
		}
	}
	if err == nil && token == nil {
		err = errors.New("the engine gave neither a token nor an error")
	}
	if err != nil {
		return nil, nil, s.tokenError(err)
	}
	return token, nil, nil
}

// tokenError gives the errors of custom engines the form that clients know:
// whatever is not a wire error is an AuthTokenError of a bad token.
func (s *Socket) tokenError(err error) error {
	var public *wire.Error
	if errors.As(err, &public) {
		return err
	}
	s.srv.publicError(err, "step", "verify") // for the log
	return &wire.Error{Name: wire.ErrAuthToken.Name, Message: "The token could not be verified", Fields: []wire.Field{{Key: "isBadToken", Value: true}}}
}

// isBadToken tells whether an error means that the token will never be good.
func isBadToken(err error) bool {
	var e *wire.Error
	if !errors.As(err, &e) {
		return false
	}
	v, _ := e.Field("isBadToken")
	bad, _ := v.(bool)
	return bad
}

// admitToken makes a verified token the socket's own, and takes it away again
// if middleware blocks it.
func (s *Socket) admitToken(token *auth.Token, fromRequest bool) error {
	s.mu.Lock()
	old := s.token.Load()
	if s.state == Closed {
		s.mu.Unlock()
		return errNotWritable
	}
	s.setToken(token)
	s.fromRequest = fromRequest
	s.mu.Unlock()
	// Once more, as it may have been revoked after it was verified; from here on
	// a revocation finds the token with its socket.
	if err := s.srv.revocation(token); err != nil {
		s.emitError(err)
		s.takeBack(token, old, err)
		return err
	}
	a := &Authenticate{Socket: s, SignedAuthToken: token.Signed(), AuthToken: token}
	blocked := s.srv.runMiddleware(s.Context(), s, a)
	if blocked == nil {
		return nil
	}
	s.takeBack(token, old, blocked)
	return blocked
}

// takeBack takes a token away again that was admitted a moment ago, in place
// of old.
func (s *Socket) takeBack(token, old *auth.Token, err error) {
	s.mu.Lock()
	// Another one may have taken its place meanwhile.
	still := s.token.Load() == token
	if still {
		s.setToken(nil)
	}
	s.queueRejected(err, token.Signed(), token, old, still)
	s.mu.Unlock()
	s.drainEvents()
}

// rejectToken tells why a token that the client has sent was not accepted,
// and takes the one away that the socket may have. revoked is that token if it
// was verified.
func (s *Socket) rejectToken(err error, signed string, revoked *auth.Token) {
	s.mu.Lock()
	old := s.token.Load()
	if s.state == Closed {
		s.mu.Unlock()
		return
	}
	s.setToken(nil)
	s.queueError(err)
	s.queueRejected(err, signed, revoked, old, true)
	s.mu.Unlock()
	s.drainEvents()
}

// queueRejected queues the events of a token that was not accepted, and of
// the loss of the one before it, if the socket is left without any. token is
// nil if it could not be verified. mu must be held.
func (s *Socket) queueRejected(err error, signed string, token, old *auth.Token, lost bool) {
	if s.state == Closed {
		return
	}
	s.queueAudit(AuditTokenRejected, token, plainMessage(err))
	bad := isBadToken(err)
	if bad {
		s.queue(BadAuthTokenEvent{s, err, signed})
	}
	if lost && (bad || old != nil) {
		s.queueDeauthenticated(old, AuditLogout, "another token was not accepted")
	}
}

// setToken changes the token and what hangs on it. mu must be held.
func (s *Socket) setToken(token *auth.Token) {
	if s.token.Swap(token) != token {
		s.queueReauthorize()
	}
	s.fromRequest = false
	if token == nil {
		s.renewAt = 0
	}
	s.schedule(time.Now())
}

// handleAuthenticate is authentication on a socket that is open (AUTH-34).
func (s *Socket) handleAuthenticate(p *wire.Packet, isCall bool) {
	if !isCall {
		s.emitError(invalidAction("Authenticate request was malformatted"))
		s.closeWith(wire.CloseHandshakeRejected)
		return
	}
	supplied := p.Data != nil && string(p.Data) != "null"
	var signed string
	err := error(auth.ErrTokenNotString)
	ok := true
	if supplied {
		signed, ok = wire.ParseString(p.Data)
	}
	var token, revoked *auth.Token
	if ok {
		token, revoked, err = s.verify(signed)
	}
	switch {
	case token != nil:
		err = s.admitToken(token, false)
	case supplied:
		s.rejectToken(err, signed, revoked)
	default:
		s.DeauthenticateSelf()
	}
	switch {
	case err == nil:
		s.mu.Lock()
		if s.token.Load() == token {
			s.queueAuthenticated(token, AuditTokenAccepted)
			s.armRenewal()
		}
		s.mu.Unlock()
		s.drainEvents()
		s.awaitRoom(0)
		s.confirmAuthenticated(p.ID, token)
	case isBadToken(err):
		public := s.srv.publicError(err, "step", "authenticate")
		s.respond(p.ID, s.unauthenticatedData(public), public)
		s.removeRejected()
	default:
		s.respond(p.ID, authStatus(s.srv.publicError(err, "step", "authenticate")), nil)
	}
}

// queueAuthenticated queues the events of a new token. mu must be held.
func (s *Socket) queueAuthenticated(token *auth.Token, kind AuditKind) {
	if s.state == Closed {
		return
	}
	if !s.authTold {
		s.authTold = true
		s.queue(AuthStateChangeEvent{s, Unauthenticated, Authenticated, token})
	}
	s.queue(AuthenticateEvent{s, token})
	s.queueAudit(kind, token, "")
}

// queueDeauthenticated queues the events of a lost token. mu must be held.
// The change of state goes by what has been told before: a token may be lost
// while middleware looks at it, before anybody has heard of it.
func (s *Socket) queueDeauthenticated(old *auth.Token, kind AuditKind, reason string) {
	if s.state == Closed {
		return
	}
	if s.authTold {
		s.authTold = false
		s.queue(AuthStateChangeEvent{s, Authenticated, Unauthenticated, nil})
	}
	s.queue(DeauthenticateEvent{s, old})
	if old != nil {
		s.queueAudit(kind, old, reason)
	}
}

// removeRejected tells the client to forget a token that was not accepted,
// unless it has been given another one since.
func (s *Socket) removeRejected() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token.Load() == nil {
		s.sendRemoveAuthToken()
	}
}

// confirmAuthenticated answers that a token was accepted, as far as the socket
// still has it: a handler may have taken it away or set another one. The client
// takes the answer for its own token, so that another one is sent once more.
func (s *Socket) confirmAuthenticated(id float64, token *auth.Token) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.token.Load()
	answer := fmt.Appendf(nil, `{"isAuthenticated":%t,"authError":null}`, now != nil)
	s.sendLocked(wire.AppendResponse(packetBuffer("", answer), id, answer))
	if now == nil || now == token {
		return
	}
	if raw, err := encodeData(tokenData{now.Signed()}); err == nil {
		s.sendLocked(wire.AppendTransmit(packetBuffer(eventSetAuthToken, raw), eventSetAuthToken, raw))
	}
}
