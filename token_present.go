package socketcluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/internal/guard"
	"github.com/socketcluster-go/socketcluster/internal/principal"
	"github.com/socketcluster-go/socketcluster/wire"
)

// identity is the identity that a client claims, and the result of its
// verification.
type identity struct {
	signed  string      // the token as text, if there is one
	sent    bool        // the client has sent it in the packet
	token   *auth.Token // nil if there is none, or it is not accepted
	err     error       // why it is not
	revoked *auth.Token // a revoked token, for the audit event
	origin  origin
}

// verify calls the engine. A panic in it becomes an error. revoked is a token
// that is valid except that it has been revoked.
func (srv *Server) verify(ctx context.Context, signed string, opts ...auth.VerifyOption) (token, revoked *auth.Token, err error) {
	if len(signed) > srv.cfg.Limits.TokenSize {
		srv.hit(limitTokenSize) // the engine refuses it
	}
	err = guard.Call(srv.log, "Engine.Verify", func() error {
		token, err = srv.engine.Verify(ctx, signed, opts...)
		return err
	})
	if _, panicked := errors.AsType[*guard.PanicError](err); panicked {
		return nil, nil, err // it is unknown whether the token is bad
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

// verify verifies a token of the client or its upgrade request.
func (s *Socket) verify(signed string) (token, revoked *auth.Token, err error) {
	return s.srv.verify(s.Context(), signed)
}

// verifyRequest verifies the identity of the upgrade request, if it has one.
func (s *Socket) verifyRequest() (id identity) {
	r := s.Request()
	if r == nil {
		return id
	}
	t, found := r.Context().Value(requestTokenKey{}).(*requestToken)
	switch {
	case !found:
	case t.err != nil:
		id.origin = fromRequest
		id.err = s.srv.tokenError(t.err)
	case t.principal != nil:
		id.origin = fromPrincipal
		id.signed = t.principal.Signed()
		if id.err = s.srv.checkPrincipal(t.principal); id.err == nil {
			id.token = t.principal
		} else {
			id.revoked = t.principal
		}
	default:
		id.origin = fromRequest
		id.signed = t.signed
		id.token, id.revoked, id.err = s.verify(t.signed)
	}
	return id
}

// checkPrincipal checks the exp of a principal, and revocations, because nobody
// else may have done so.
func (srv *Server) checkPrincipal(token *auth.Token) error {
	if err := principal.Expiry(token); err != nil {
		return err
	}
	return srv.revocation(token)
}

// tokenError converts the errors of custom engines to the form that clients
// know: an error that is not a *wire.Error becomes an AuthTokenError of a bad
// token.
func (srv *Server) tokenError(err error) error {
	var public *wire.Error
	if errors.As(err, &public) {
		return err
	}
	srv.publicError(err, "step", "verify") // for the log
	return &wire.Error{Name: wire.ErrAuthToken.Name, Message: "The token could not be verified", Fields: []wire.Field{{Key: "isBadToken", Value: true}}}
}

// isBadToken reports whether an error means that the token will never be valid.
func isBadToken(err error) bool {
	var e *wire.Error
	if !errors.As(err, &e) {
		return false
	}
	v, _ := e.Field("isBadToken")
	bad, _ := v.(bool)
	return bad
}

// beginDecision is called before a token of the client is checked.
func (s *Socket) beginDecision() {
	s.mu.Lock()
	s.token.beginDecision()
	s.turns.is.set(notified, false)
	s.mu.Unlock()
}

// admitToken gives the socket a verified token once middleware has approved it.
// Until then the token is only in the action, so there is nothing to undo. If
// the server has decided otherwise meanwhile, by SetAuthToken or
// Deauthenticate, that decision stays.
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
	v.token, v.notified = id.token, s.turns.is.has(notified)
	s.extend().verdict = v
	if s.state == Open && !s.token.overruled {
		s.gain(id.token, id.origin, AuditTokenAccepted)
	}
	s.mu.Unlock()
	s.drainEvents()
}

// approveToken runs the middleware for a verified token, and verifies it again
// if it has expired meanwhile. emitted reports whether err has been emitted.
func (s *Socket) approveToken(id identity) (emitted bool, err error) {
	if s.srv.middleware.sees(lineInbound, (*Authenticate)(nil).Type()) { // the text of a token is made each time
		a := &Authenticate{Socket: s, SignedAuthToken: id.token.Signed(), AuthToken: id.token}
		if blocked := s.srv.runMiddleware(s.Context(), s, a); blocked != nil {
			return true, blocked
		}
	}
	if id.origin != fromPrincipal && id.token.Expired(time.Now()) {
		_, _, err = s.verify(id.signed)
	}
	return false, err
}

// reject reports why a token of the client was not accepted, and removes the
// token of the socket, unless that is a later decision of the server. emit is
// set if err has not been emitted yet. v is nil for the token of a handshake.
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

// queueRejected queues the events of a token that was not accepted, and of the
// loss of the previous one, if the socket now has none. mu must be held.
func (s *Socket) queueRejected(err error, id identity, old *auth.Token, lost bool) {
	s.queueAudit(AuditTokenRejected, cmp.Or(id.token, id.revoked), plainMessage(err))
	bad := isBadToken(err)
	if bad {
		queue(s, BadAuthTokenEvent{s, err, id.signed})
	}
	if lost && (bad || old != nil) {
		s.announceLoss(old, AuditLogout, "another token was not accepted")
	}
}

// handleAuthenticate handles authentication on an open socket (AUTH-34).
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

// verdict is the answer to #authenticate. The events of the decision are
// emitted before it is sent (AUTH-35). If one of their handlers changes the
// token, that packet must still come after the answer, because the client would
// take the answer as the final state; so the answer is then sent at once. The
// socket's mu guards it.
type verdict struct {
	id       float64
	token    *auth.Token // that was accepted, or nil
	notified bool        // the client had already received a decision of the server
	err      *wire.Error // why it was not accepted
	bad      bool        // it never will be accepted
	given    bool
}

// refuse makes the verdict that a token is not accepted.
func (v *verdict) refuse(s *Socket, err error) {
	v.err, v.bad = s.srv.publicError(err, "step", "authenticate"), isBadToken(err)
}

// pronounce sends the answer for the current state: a handler may have removed
// the token. mu must be held.
func (s *Socket) pronounce(v *verdict) {
	s.ext.verdict = nil
	v.given = true
	switch {
	case v.token != nil:
		s.sendLocked(response(v.id, fmt.Appendf(nil, `{"isAuthenticated":%t,"authError":null}`, s.token.Load() != nil), nil))
	case v.bad:
		s.sendLocked(response(v.id, s.unauthenticatedData(v.err), v.err))
	default:
		s.sendLocked(response(v.id, authStatus(v.err), nil))
	}
	s.mustAct(false)
	s.noteGiven()
}

// conclude sends the answer if no change of the token has done so. It also
// sends what the client must learn after it: that its token is gone for good,
// or a decision that the server made meanwhile, which the answer makes the
// client forget.
func (s *Socket) conclude(v *verdict) {
	s.awaitRoom(0)
	s.mu.Lock()
	defer s.mu.Unlock()
	if v.given || s.state != Open {
		return
	}
	s.pronounce(v)
	now := s.token.Load()
	switch {
	case now == nil && v.bad:
		s.forgetRejected()
	case now == nil && v.notified:
		s.sendRemoveAuthToken(nil)
	case now != nil && now != v.token && s.token.origin == fromClient:
		if raw, err := encodeData(tokenData{now.Signed()}); err == nil {
			s.sendToken(transmitPacket(eventSetAuthToken, raw), nil)
		}
	}
}

// forgetRejected makes the client forget a token that was not accepted. The
// answer has the same effect, so both may reach the client in one turn (HS-14).
// mu must be held.
func (s *Socket) forgetRejected() {
	s.sendLocked(transmitPacket(eventRemoveAuthToken, nil))
}
