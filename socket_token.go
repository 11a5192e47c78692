package socketcluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/wire"
)

// What changes the token of a socket tells the client in the same step, under
// mu: whatever else changes the token meanwhile, the client ends with the token
// that the socket ends with.

// SetAuthToken logs the client in: it signs a token with the claims, which
// must make a JSON object, gives it to the socket and sends it to the client,
// which keeps it for its next connections. What is sent to the client
// afterwards comes after the token.
//
// An exp among the claims wins over [auth.ExpiresIn], which wins over the
// default expiry. The token is not encrypted: the client can read it.
//
// It fails before the handshake is complete. If the token cannot be signed,
// the socket is closed with 4002.
func (s *Socket) SetAuthToken(ctx context.Context, claims any, opts ...auth.SignOption) error {
	token, err := s.sign(ctx, claims, opts)
	if err != nil {
		return err
	}
	err = s.transmit(eventSetAuthToken, tokenData{token.Signed()}, func() bool {
		s.adopt(token, AuditLogin)
		return true
	})
	s.dropRevoked(token, token)
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
	defer s.dropRevoked(token, token)
	if _, err := s.invoke(ctx, eventSetAuthToken, tokenData{token.Signed()}, func() { s.adopt(token, AuditLogin) }); err != nil {
		failure := &wire.Error{Name: wire.ErrAuth.Name, Message: "Failed to deliver auth token to client - " + plainMessage(err)}
		if hasNoMessage(err) {
			failure.Message = "Failed to confirm delivery of auth token to client due to malformatted error response"
		}
		s.emitError(failure)
		return failure
	}
	return nil
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
	token, err := s.askForToken(ctx, claims, append(slices.Clip(opts), auth.PreferExpClaim()))
	if err != nil {
		s.emitError(err)
		s.disconnect(wire.CloseSignFailed, "", "Error: "+plainMessage(err))
		return nil, err
	}
	return token, nil
}

// askForToken has the engine sign. A panic in it is an error like another, as
// renewal runs on no handler's goroutine.
func (s *Socket) askForToken(ctx context.Context, claims any, opts []auth.SignOption) (token *auth.Token, err error) {
	defer func() {
		if v := recover(); v != nil {
			token, err = nil, fmt.Errorf("the engine failed: %w", recovered(s.srv.log, "Engine.Sign", v))
		}
	}()
	token, err = s.srv.engine.Sign(ctx, claims, opts...)
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
// tells the client to forget it.
func (s *Socket) Deauthenticate(ctx context.Context) error {
	s.mu.Lock()
	s.dropToken(AuditLogout, "")
	s.sendRemoveAuthToken()
	s.mu.Unlock()
	s.drainEvents()
	return nil
}

// ConfirmDeauthenticate is [Socket.Deauthenticate] that waits for the client
// to confirm that it has forgotten the token.
func (s *Socket) ConfirmDeauthenticate(ctx context.Context) error {
	_, err := s.invoke(ctx, eventRemoveAuthToken, nil, func() { s.dropToken(AuditLogout, "") })
	return err
}

// DeauthenticateSelf takes the socket's token away without telling the
// client, which will present it again when it connects the next time.
func (s *Socket) DeauthenticateSelf() {
	s.mu.Lock()
	s.dropToken(AuditLogout, "")
	s.mu.Unlock()
	s.drainEvents()
}

// adopt makes a token that the server has signed the socket's own, unless the
// socket has closed. mu must be held, and the token sent in the same step.
func (s *Socket) adopt(token *auth.Token, kind AuditKind) {
	if s.state != Open {
		return
	}
	s.setToken(token)
	s.queue(AuthTokenSignedEvent{s, token.Signed()})
	s.queueAuthenticated(token, kind)
	s.armRenewal()
}

// replaceToken gives the socket and its client another token in place of old;
// the socket alone, if old has come with the upgrade request.
// It reports false if the socket has logged out or in meanwhile, or closed.
func (s *Socket) replaceToken(old, token *auth.Token) (replaced bool, err error) {
	err = s.transmit(eventSetAuthToken, tokenData{token.Signed()}, func() bool {
		if s.token.Load() != old || s.state != Open {
			return false
		}
		replaced = true
		if s.fromRequest {
			// The client does not have the old one, and does not get this.
			s.setToken(token)
			s.fromRequest = true
			s.queueAuthenticated(token, AuditRenewal)
			return false
		}
		s.adopt(token, AuditRenewal)
		return true
	})
	// The new token is younger than a revocation that was meant for the old one.
	s.dropRevoked(token, old)
	return replaced, err
}

// dropToken takes the socket's token away. mu must be held.
func (s *Socket) dropToken(kind AuditKind, reason string) {
	old := s.token.Load()
	s.setToken(nil)
	s.queueDeauthenticated(old, kind, reason)
}

// sendRemoveAuthToken tells the client to forget its token. mu must be held.
func (s *Socket) sendRemoveAuthToken() {
	if s.state == Closed {
		return
	}
	s.sendLocked(wire.AppendTransmit(packetBuffer(eventRemoveAuthToken, nil), eventRemoveAuthToken, nil))
}

// expireNow takes an expired token away as a packet comes, in case the timer
// is a moment late, and returns the error that middleware gets to see.
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

// expire logs the client out because its token has expired, unless it has got
// another one meanwhile.
func (s *Socket) expire(token *auth.Token) {
	s.mu.Lock()
	if s.token.Load() != token {
		s.mu.Unlock()
		return
	}
	s.dropToken(AuditExpiry, "")
	s.sendRemoveAuthToken()
	s.mu.Unlock()
	s.drainEvents()
}
