package socketcluster

import (
	"context"
	"errors"
	"fmt"

	"github.com/socketcluster-go/socketcluster/auth"
)

// A login whose token came with the upgrade request, in a cookie mostly, is
// renewed over HTTP: a route signs the token again, sets the cookie and tells the
// sockets of the login.

// SignAgain signs the claims of a token again, with a new life: that of opts, or
// the default one. The token keeps its session (sid) and the time of its login
// (auth_time), gets another jti, and does not outlive Config.AuthMaxAge.
//
// old may come from [httpauth.FromContext], say. SignAgain fails, and signs
// nothing, if old would not be accepted now, or was signed by others; and with
// [ErrTokenChanged] while [UpdateClaims] changes the claims of that user.
func (srv *Server) SignAgain(ctx context.Context, old *auth.Token, opts ...auth.SignOption) (*auth.Token, error) {
	token, err := srv.resign(ctx, old, fromClient, withNewLife, opts...)
	if err == nil && srv.edits.concern(old) {
		return nil, ErrTokenChanged
	}
	return token, err
}

// RenewSession gives a token to all sockets of this server whose upgrade request
// has brought another one of the same session, in place of that. A session is the
// claim sid, a text or a whole number, which the token must have too. It returns
// how many sockets those were.
//
// Nothing is sent to the clients, so that no script of the page sees the token.
// Inbound middleware is asked about the subscriptions again; what is published to
// them meanwhile follows when it has allowed them. Events tell of the token as of
// any other one.
//
// The token is checked as that of an upgrade request is; one without a text as a
// principal. Sockets to which the
// application has given another token meanwhile are left alone.
func (srv *Server) RenewSession(ctx context.Context, session string, token *auth.Token) (renewed int, err error) {
	if !hasClaim(token, claimSession, session) {
		return 0, errors.New("socketcluster: the sid of the token is not that of the session")
	}
	from := fromRequest
	if token.Signed() == "" {
		from = fromPrincipal
	}
	if err := srv.stillGood(ctx, token, from); err != nil {
		return 0, err
	}
	for s := range srv.Clients() {
		s.mu.Lock()
		old, from := s.token.Load(), s.origin
		s.mu.Unlock()
		if from == fromClient || old == nil || !hasClaim(old, claimSession, session) {
			continue
		}
		given, err := s.replaceToken(ctx, old, token, false)
		if err != nil {
			return renewed, fmt.Errorf("socket %s: %w", s.id, err)
		}
		if given {
			renewed++
		}
	}
	return renewed, nil
}
