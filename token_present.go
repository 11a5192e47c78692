package socketcluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/internal/principal"
	"github.com/socketcluster-go/socketcluster/wire"
)

// identity is who a client says it is, and what has become of that.
type identity struct {
	signed  string      // the token as text, if there is one
	sent    bool        // the client has sent it in the packet
	token   *auth.Token // nil if there is none, or it is not accepted
	err     error       // why it is not
	revoked *auth.Token // what is nobody's any more, for the record
	origin  origin
}

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

// checkPrincipal holds a principal to its exp and to revocations, as nobody
// else may have done it.
func (srv *Server) checkPrincipal(token *auth.Token) error {
	if err := principal.Expiry(token); err != nil {
		return err
	}
	return srv.revocation(token)
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

// beginDecision is called before a token of the client is looked at.
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

// verdict is the answer to #authenticate. The events of the decision are told before
// it is given (AUTH-35). What one of their handlers does to the token comes behind
// the answer all the same, as the client would take the answer for the last word;
// so the answer leaves at once then. The socket's mu guards it.
type verdict struct {
	id    float64
	token *auth.Token // that was accepted, or nil
	told  bool        // by then the client had been told of a decision of the server's
	err   *wire.Error // why it was not accepted
	bad   bool        // it never will be
	given bool
}

// refuse makes the verdict that a token is not accepted.
func (v *verdict) refuse(s *Socket, err error) {
	v.err, v.bad = s.srv.publicError(err, "step", "authenticate"), isBadToken(err)
}

// pronounce gives the answer, as things are by now: a handler may have taken the
// token away. mu must be held.
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
}

// conclude gives the answer if no change of the token has done so, and tells the
// client what else it has to know: that its token is gone for good, or what the
// server has done to it while it was deciding, as the answer makes the client
// forget that.
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
	case now == nil && v.told:
		s.sendRemoveAuthToken(nil)
	case now != nil && now != v.token && s.token.origin == fromClient:
		if raw, err := encodeData(tokenData{now.Signed()}); err == nil {
			s.sendToken(wire.AppendTransmit(packetBuffer(eventSetAuthToken, raw), eventSetAuthToken, raw), nil)
		}
	}
}

// forgetRejected tells the client to forget a token that was not accepted. As the
// answer says the same, the two may reach it in one turn (HS-14). mu must be held.
func (s *Socket) forgetRejected() {
	s.sendLocked(wire.AppendTransmit(packetBuffer(eventRemoveAuthToken, nil), eventRemoveAuthToken, nil))
}
