package socketcluster

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/internal/claimscan"
	"github.com/socketcluster-go/socketcluster/internal/guard"
	"github.com/socketcluster-go/socketcluster/wire"
)

// SetAuthToken logs in the client: it signs a token with the claims, which must
// encode to a JSON object, gives it to the socket and sends it to the client,
// which keeps it for its next connections. Later packets come after the token.
// SetAuthToken does not wait for the client. If the token directly follows the
// answer to a handshake or to another token, its packet and all later ones are
// sent when the client has answered a ping. See Compat.TokenAfterAnswer for
// tokens that are set before the answer to a call.
//
// An exp in the claims overrides [auth.ExpiresIn], which overrides the default
// expiry. The token is not encrypted: the client can read it.
//
// With Config.Revocations, a token without auth_time gets one: the time at
// which the call of ctx arrived, or else the current time. If a login took
// longer, for example over several calls, set the time when it began by
// [auth.AuthTime].
//
// It fails before the handshake is complete. It fails with an
// AuthTokenInvalidError if the token is already revoked, for example because
// the user's logins up to that time are. If the token cannot be signed, the
// socket is closed with 4002.
//
// To read claims, change them and write them back, use [Socket.SetAuthTokenIf]:
// SetAuthToken would overwrite changes in between.
func (s *Socket) SetAuthToken(ctx context.Context, claims any, opts ...auth.SignOption) error {
	token, err := s.sign(ctx, claims, opts)
	if err != nil {
		return err
	}
	_, err = s.giveToken(ctx, token, token, AuditLogin, func() bool { return true })
	return err
}

// ErrTokenChanged is the error of [Socket.SetAuthTokenIf] if the socket now has
// another token.
var ErrTokenChanged = errors.New("socketcluster: the token of the socket has changed")

// SetAuthTokenIf is [Socket.SetAuthToken] for claims that were derived from
// those of old, the socket's token, or nil if it had none. If the socket now
// has another token, it fails with [ErrTokenChanged] and changes nothing: then
// read the claims again.
//
// The new token belongs to the login of old: it has the same auth_time and sid,
// unless the claims have others, and does not outlive Config.AuthMaxAge. It is
// not sent to a client whose token came with its upgrade request. It is not
// signed if old would now be refused, because it has been revoked or its key
// was removed: the error is then an AuthTokenError or a related one. It is not
// signed either if others have signed old: the error is then
// [auth.ErrForeignToken].
func (s *Socket) SetAuthTokenIf(ctx context.Context, old *auth.Token, claims any, opts ...auth.SignOption) error {
	if s.token.Load() != old {
		return ErrTokenChanged
	}
	if s.State() == Closed {
		return s.notOpen("transmit", eventSetAuthToken)
	}
	if old == nil {
		token, err := s.sign(ctx, claims, opts)
		if err != nil {
			return err
		}
		given, err := s.giveToken(ctx, token, token, AuditLogin, func() bool { return s.token.Load() == nil })
		if err == nil && !given {
			err = ErrTokenChanged
		}
		return err
	}
	s.mu.Lock()
	from := s.token.origin
	s.mu.Unlock()
	edit := func(json.RawMessage, members) (members, error) { return membersOf(claims) }
	token, err := s.srv.resign(ctx, old, from, edit, opts...)
	if failure, ok := errors.AsType[signFailure](err); ok {
		s.signFailed(failure.error)
		return failure.error
	}
	if err != nil {
		return err
	}
	replaced, err := s.replaceToken(ctx, old, token, false)
	if err == nil && !replaced {
		err = ErrTokenChanged
	}
	return err
}

// ConfirmAuthToken is [Socket.SetAuthToken], but waits for the client to
// confirm that it has the token. If the client does not, the error is an
// AuthError, and the socket stays authenticated.
func (s *Socket) ConfirmAuthToken(ctx context.Context, claims any, opts ...auth.SignOption) error {
	token, err := s.sign(ctx, claims, opts)
	if err != nil {
		return err
	}
	lock := func() error { return s.lockUnlessRevoked(token) }
	_, err = s.invokeAs(ctx, eventSetAuthToken, tokenData{token.Signed()}, lock, func() { s.adopt(token, AuditLogin) })
	if err == nil || err == errRevoked {
		return err
	}
	failure := &wire.Error{Name: wire.ErrAuth.Name, Message: "Failed to deliver auth token to client - " + plainMessage(err)}
	if hasNoMessage(err) {
		failure.Message = "Failed to confirm delivery of auth token to client due to malformatted error response"
	}
	s.emitError(failure)
	return failure
}

// giveToken gives the socket a token that the server has signed, and sends it
// to the client in the same step. from is the token from which it was derived,
// whose revocation applies to it too, or the token itself. allowed is called
// with mu held; if it returns false, so does given.
func (s *Socket) giveToken(ctx context.Context, token, from *auth.Token, kind AuditKind, allowed func() bool) (given bool, err error) {
	raw, err := encodeData(tokenData{token.Signed()})
	if err != nil {
		return false, err
	}
	if err := s.lockUnlessRevoked(token, from); err != nil {
		return false, err
	}
	if s.state != Open {
		s.mu.Unlock()
		return false, s.notOpen("transmit", eventSetAuthToken)
	}
	if given = allowed(); given {
		s.adopt(token, kind)
		s.sendToken(transmitPacket(eventSetAuthToken, raw), s.owes(ctx))
	}
	s.mu.Unlock()
	s.drainEvents()
	return given, nil
}

// tokenData is the data of #setAuthToken.
type tokenData struct {
	Token string `json:"token"`
}

// sign makes a token for the socket.
func (s *Socket) sign(ctx context.Context, claims any, opts []auth.SignOption) (*auth.Token, error) {
	if s.State() == Connecting {
		err := invalidAction("Cannot call setAuthToken before completing the handshake")
		s.emitError(err)
		return nil, err
	}
	opts = append(slices.Clip(opts), auth.PreferExpClaim())
	if c := callOf(ctx); c != nil && s.srv.cfg.Revocations != nil && auth.ApplySign(opts...).AuthTime == nil && !hasAuthTime(claims) {
		opts = append(opts, auth.AuthTime(c.began))
	}
	token, err := s.srv.askForToken(ctx, claims, opts)
	if err != nil {
		s.signFailed(err)
		return nil, err
	}
	return token, nil
}

// signFailed ends a socket for which no token can be signed (AUTH-26).
func (s *Socket) signFailed(err error) {
	s.emitError(err)
	s.disconnect(wire.CloseSignFailed, "", "Error: "+plainMessage(err))
}

// hasAuthTime reports whether claims contain the time of the login. The engine
// refuses claims that cannot be encoded.
func hasAuthTime(claims any) bool {
	text, err := wire.Marshal(claims)
	if err != nil {
		return true
	}
	scanner := claimscan.Scan(text)
	for name := range scanner.Members() {
		if string(name) == claimAuthTime {
			return true
		}
	}
	return false
}

// askForToken lets the engine sign. A panic in it becomes an error, because
// renewal does not run on the goroutine of a handler.
func (srv *Server) askForToken(ctx context.Context, claims any, opts []auth.SignOption) (token *auth.Token, err error) {
	err = guard.Call(srv.log, "Engine.Sign", func() error {
		token, err = srv.engine.Sign(ctx, claims, opts...)
		return err
	})
	if err == nil && token == nil {
		err = errors.New("the engine gave neither a token nor an error")
	}
	return token, err
}

// hasNoMessage reports whether a client has answered with an error that is not
// an object, such as a text.
func hasNoMessage(err error) bool {
	var e *wire.Error
	return errors.As(err, &e) && e.AppendJSON(nil)[0] != '{'
}

// plainMessage returns the text of an error without its name.
func plainMessage(err error) string {
	var e *wire.Error
	if errors.As(err, &e) {
		return e.Message
	}
	return err.Error()
}

// Deauthenticate logs out the client: it removes the socket's token and makes
// the client forget it. It does not wait for the client. ctx is that of the
// call, if there is one: see Compat.TokenAfterAnswer.
func (s *Socket) Deauthenticate(ctx context.Context) {
	s.update(func() {
		s.logout()
		s.sendRemoveAuthToken(s.owes(ctx))
	})
}

// ConfirmDeauthenticate is [Socket.Deauthenticate], but waits for the client to
// confirm that it has forgotten the token.
func (s *Socket) ConfirmDeauthenticate(ctx context.Context) error {
	_, err := s.invokeAs(ctx, eventRemoveAuthToken, nil, s.lock, s.logout)
	return err
}

// DeauthenticateSelf removes the socket's token without notifying the client,
// which will present it again at its next connection.
func (s *Socket) DeauthenticateSelf() {
	s.update(s.logout)
}

// adopt gives the socket a token that the server has signed, unless the socket
// has closed. mu must be held, and the token must be sent in the same step.
func (s *Socket) adopt(token *auth.Token, kind AuditKind) {
	if s.state != Open {
		return
	}
	if kind == AuditLogin {
		s.token.overrule()
	}
	queue(s, AuthTokenSignedEvent{s, token.Signed()})
	s.gain(token, fromClient, kind)
}

// replaceToken gives the socket and its client another token in place of old,
// or only the socket, if old came with the upgrade request or the socket has
// closed. It returns false if there has been a logout or another login
// meanwhile, or if the claims of old are being changed and this is not that
// change (edit).
func (s *Socket) replaceToken(ctx context.Context, old, token *auth.Token, edit bool) (replaced bool, err error) {
	stands := func() bool { return s.token.Load() == old && (edit || !s.srv.edits.concern(old)) }
	if s.State() == Closed {
		return s.replaceLeft(old, token, stands)
	}
	_, err = s.giveToken(ctx, token, old, AuditRenewal, func() bool {
		if replaced = stands(); replaced && s.token.origin != fromClient {
			// The client does not have the old token, and does not get this
			// one.
			s.gain(token, s.token.origin, AuditRenewal)
			return false
		}
		return replaced
	})
	if err != nil && s.State() == Closed {
		return s.replaceLeft(old, token, stands)
	}
	return replaced, err
}

// replaceLeft is replaceToken on a closed socket, for its messages that still
// wait for handlers. stands is called with mu held.
func (s *Socket) replaceLeft(old, token *auth.Token, stands func() bool) (replaced bool, err error) {
	if err := s.lockUnlessRevoked(token, old); err != nil {
		return false, err
	}
	defer s.mu.Unlock()
	if replaced = stands(); replaced {
		s.setToken(token, s.token.origin)
	}
	return replaced, nil
}

// sendRemoveAuthToken makes the client forget its token; see sendToken for
// after. mu must be held.
func (s *Socket) sendRemoveAuthToken(after *Call) {
	if s.state == Closed {
		return
	}
	s.sendToken(transmitPacket(eventRemoveAuthToken, nil), after)
}
