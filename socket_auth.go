package socketcluster

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/wire"
)

// verify asks the engine. A panic in it is an error like another. revoked is a
// token that would be good had it not been revoked.
func (srv *Server) verify(ctx context.Context, signed string, opts ...auth.VerifyOption) (token, revoked *auth.Token, err error) {
	if len(signed) > srv.cfg.Limits.TokenSize {
		srv.hit(limitTokenSize) // the engine refuses it
	}
	err = protect(srv.log, "Engine.Verify", func() error {
		token, err = srv.engine.Verify(ctx, signed, opts...)
		return err
	})
	if _, panicked := errors.AsType[*panicError](err); panicked {
		return nil, nil, err // nobody knows whether the token is bad
	}
	if err == nil && token != nil {
		if err := srv.revocation(token); err != nil {
			return nil, token, err
		}
	}
	if err == nil && token == nil {
		err = errors.New("the engine gave neither a token nor an error")
	}
	if err != nil {
		return nil, nil, srv.tokenError(err)
	}
	return token, nil, nil
}

// verify verifies what the client, or its upgrade request, has brought.
func (s *Socket) verify(signed string) (token, revoked *auth.Token, err error) {
	return s.srv.verify(s.Context(), signed)
}

// tokenError gives the errors of custom engines the form that clients know:
// whatever is not a wire error is an AuthTokenError of a bad token.
func (srv *Server) tokenError(err error) error {
	var public *wire.Error
	if errors.As(err, &public) {
		return err
	}
	srv.publicError(err, "step", "verify") // for the log
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

// lockUnlessRevoked locks mu, unless one of the tokens has been revoked. A token
// that is set before mu is released is found by every revocation that is yet to
// come; see Server.revoked.
func (s *Socket) lockUnlessRevoked(tokens ...*auth.Token) error {
	for {
		seen := s.srv.revocations.Load()
		for _, t := range tokens {
			if err := s.srv.revocation(t); err != nil {
				return err
			}
		}
		s.mu.Lock()
		if s.srv.revocations.Load() == seen {
			return nil
		}
		s.mu.Unlock()
	}
}

// beginDecision is called before a token of the client is looked at. What the
// server decides about the socket's token from then on goes before it.
func (s *Socket) beginDecision() {
	s.mu.Lock()
	s.token.beginDecision()
	s.turns.told = false
	s.mu.Unlock()
}

// admitToken makes a verified token the socket's own once middleware has approved it.
// Until then it is in the action and nowhere else, so that there is nothing to
// take back. If the server has decided otherwise meanwhile, by SetAuthToken or
// Deauthenticate, that stays.
func (s *Socket) admitToken(id identity, v *verdict) {
	if s.State() == Closed {
		return
	}
	emitted, err := s.approveToken(id)
	if err == nil {
		err = s.lockUnlessRevoked(id.token)
	}
	if err != nil {
		s.reject(err, id, !emitted, v)
		return
	}
	v.token, v.told = id.token, s.turns.told
	s.extend().verdict = v
	if s.state == Open && !s.token.overruled {
		s.gain(id.token, id.origin, AuditTokenAccepted)
	}
	s.mu.Unlock()
	s.drainEvents()
}

// approveToken asks the middleware about a token that has been verified, and the engine
// once more if it has expired meanwhile. emitted reports whether err has been emitted.
func (s *Socket) approveToken(id identity) (emitted bool, err error) {
	a := &Authenticate{Socket: s, SignedAuthToken: id.token.Signed(), AuthToken: id.token}
	if blocked := s.srv.runMiddleware(s.Context(), s, a); blocked != nil {
		return true, blocked
	}
	if id.origin != fromPrincipal && id.token.Expired(time.Now()) {
		_, _, err = s.verify(id.signed)
	}
	return false, err
}

// reject reports why a token of the client was not accepted, and takes the one
// away that the socket has, unless that is a later decision of the server's.
// emit is set if err has not been emitted yet. v is nil for the token of a handshake.
func (s *Socket) reject(err error, id identity, emit bool, v *verdict) {
	if v != nil {
		v.refuse(s, err)
	}
	s.mu.Lock()
	old := s.token.Load()
	if s.state == Closed {
		s.mu.Unlock()
		return
	}
	if v != nil {
		s.extend().verdict = v
	}
	lost := !s.token.overruled
	if lost {
		s.setToken(nil, fromClient)
	}
	if emit {
		s.queueError(err)
	}
	s.queueRejected(err, id, old, lost)
	s.mu.Unlock()
	s.drainEvents()
}

// queueRejected queues the events of a token that was not accepted, and of
// the loss of the one before it, if the socket is left without any. mu must be
// held.
func (s *Socket) queueRejected(err error, id identity, old *auth.Token, lost bool) {
	s.queueAudit(AuditTokenRejected, cmp.Or(id.token, id.revoked), plainMessage(err))
	bad := isBadToken(err)
	if bad {
		s.queue(BadAuthTokenEvent{s, err, id.signed})
	}
	if lost && (bad || old != nil) {
		s.announceLoss(old, AuditLogout, "another token was not accepted")
	}
}

// handleAuthenticate is authentication on a socket that is open (AUTH-34).
func (s *Socket) handleAuthenticate(p *wire.Packet, isCall bool) {
	if !isCall {
		s.emitError(invalidAction("Authenticate request was malformatted"))
		s.closeWith(wire.CloseHandshakeRejected)
		return
	}
	s.beginDecision()
	id := identity{sent: p.Data != nil && string(p.Data) != "null", err: auth.ErrTokenNotString}
	ok := true
	if id.sent {
		id.signed, ok = wire.ParseString(p.Data)
	}
	if ok {
		id.token, id.revoked, id.err = s.verify(id.signed)
	}
	v := &verdict{id: p.ID}
	switch {
	case id.token != nil:
		s.admitToken(id, v)
	case id.sent:
		s.reject(id.err, id, true, v)
	default:
		v.refuse(s, id.err)
		s.update(func() {
			s.extend().verdict = v
			s.logout()
		})
	}
	s.conclude(v)
}
