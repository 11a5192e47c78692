package socketcluster

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/internal/claimscan"
	"github.com/socketcluster-go/socketcluster/wire"
)

// SetAuthToken logs the client in: it signs a token with the claims, which
// must make a JSON object, gives it to the socket and sends it to the client,
// which keeps it for its next connections. What is sent to the client
// afterwards comes after the token. It does not wait for the client; right behind
// the answer to a handshake or to another token, the packet, and all that is sent after
// it, leaves when the client has answered a ping. See Compat.TokenAfterAnswer for
// those that come before the answer to a call.
//
// An exp among the claims wins over [auth.ExpiresIn], which wins over the
// default expiry. The token is not encrypted: the client can read it.
//
// With Config.Revocations the token has a claim auth_time, unless there is one:
// the moment at which the call came that ctx is of, or else the present. Give a
// login that took longer, over several calls perhaps, the time of its begin with
// [auth.AuthTime].
//
// It fails before the handshake is complete, and with an AuthTokenInvalidError if
// the token is revoked already: the user's logins up to that time, say. If the
// token cannot be signed, the socket is closed with 4002.
//
// To read claims, change them and write them back, use [Socket.SetAuthTokenIf]:
// what has changed in between would be lost.
func (s *Socket) SetAuthToken(ctx context.Context, claims any, opts ...auth.SignOption) error {
	token, err := s.sign(ctx, claims, opts)
	if err != nil {
		return err
	}
	_, err = s.giveToken(ctx, token, token, AuditLogin, func() bool { return true })
	return err
}

// ErrTokenChanged is the error of [Socket.SetAuthTokenIf] for a socket whose
// token is another one by now.
var ErrTokenChanged = errors.New("socketcluster: the token of the socket has changed")

// SetAuthTokenIf is [Socket.SetAuthToken] for claims that were made from those of
// the socket's token old, or nil if it had none. It fails with [ErrTokenChanged],
// and changes nothing, if the socket has another token by now: then read the
// claims again.
//
// The new token belongs to the login of old: it has the same auth_time and sid,
// unless the claims have others, and does not outlive Config.AuthMaxAge. A client
// whose token came with its upgrade request is not sent it. It is not signed if old
// would be refused today, as it has been revoked or its key was taken out: the error
// is an AuthTokenError, or one of that kind; nor if others have signed old: the error
// is [auth.ErrForeignToken].
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

// ConfirmAuthToken is [Socket.SetAuthToken] that waits for the client to
// confirm that it has the token. If it does not, the error is an AuthError;
// the socket stays authenticated.
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

// giveToken makes a token that the server has signed the socket's own, and sends it
// to the client in the same step. from is the token that it was made from, whose
// revocation is meant for it too, or the token itself. allowed is asked with mu
// held. given is false if it says no.
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
		s.sendToken(wire.AppendTransmit(packetBuffer(eventSetAuthToken, raw), eventSetAuthToken, raw), s.owes(ctx))
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

// hasAuthTime tells whether claims say when the login was. Those that cannot be
// encoded are for the engine to refuse.
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

// askForToken has the engine sign. A panic in it is an error like another, as
// renewal runs on no handler's goroutine.
func (srv *Server) askForToken(ctx context.Context, claims any, opts []auth.SignOption) (token *auth.Token, err error) {
	err = protect(srv.log, "Engine.Sign", func() error {
		token, err = srv.engine.Sign(ctx, claims, opts...)
		return err
	})
	if err == nil && token == nil {
		err = errors.New("the engine gave neither a token nor an error")
	}
	return token, err
}

// hasNoMessage tells whether a client has answered with an error that is no
// object, such as a text.
func hasNoMessage(err error) bool {
	var e *wire.Error
	return errors.As(err, &e) && e.AppendJSON(nil)[0] != '{'
}

// plainMessage is the text of an error without its name.
func plainMessage(err error) string {
	var e *wire.Error
	if errors.As(err, &e) {
		return e.Message
	}
	return err.Error()
}

// Deauthenticate logs the client out: it takes the socket's token away and
// tells the client to forget it. It does not wait for the client. ctx is that of the
// call, if there is one: see Compat.TokenAfterAnswer.
func (s *Socket) Deauthenticate(ctx context.Context) {
	s.update(func() {
		s.logout()
		s.sendRemoveAuthToken(s.owes(ctx))
	})
}

// ConfirmDeauthenticate is [Socket.Deauthenticate] that waits for the client
// to confirm that it has forgotten the token.
func (s *Socket) ConfirmDeauthenticate(ctx context.Context) error {
	_, err := s.invokeAs(ctx, eventRemoveAuthToken, nil, s.lock, s.logout)
	return err
}

// DeauthenticateSelf takes the socket's token away without telling the
// client, which will present it again when it connects the next time.
func (s *Socket) DeauthenticateSelf() {
	s.update(s.logout)
}

// adopt makes a token that the server has signed the socket's own, unless the
// socket has closed. mu must be held, and the token sent in the same step.
func (s *Socket) adopt(token *auth.Token, kind AuditKind) {
	if s.state != Open {
		return
	}
	if kind == AuditLogin {
		s.token.overrule()
	}
	s.queue(AuthTokenSignedEvent{s, token.Signed()})
	s.gain(token, fromClient, kind)
}

// replaceToken gives the socket and its client another token in place of old;
// the socket alone, if old has come with the upgrade request, or the socket has
// closed. It reports false if the socket has logged out or in meanwhile, or if the
// claims of old are being changed and this is not that change (edit).
func (s *Socket) replaceToken(ctx context.Context, old, token *auth.Token, edit bool) (replaced bool, err error) {
	stands := func() bool { return s.token.Load() == old && (edit || !s.srv.edits.concern(old)) }
	if s.State() == Closed {
		return s.replaceLeft(old, token, stands)
	}
	_, err = s.giveToken(ctx, token, old, AuditRenewal, func() bool {
		if replaced = stands(); replaced && s.token.origin != fromClient {
			// The client does not have the old one, and does not get this.
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

// replaceLeft is replaceToken on a socket that has closed, for what it has sent
// and still waits for handlers. stands is asked with mu held.
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

// sendRemoveAuthToken tells the client to forget its token; see sendToken for after.
// mu must be held.
func (s *Socket) sendRemoveAuthToken(after *Call) {
	if s.state == Closed {
		return
	}
	s.sendToken(wire.AppendTransmit(packetBuffer(eventRemoveAuthToken, nil), eventRemoveAuthToken, nil), after)
}
