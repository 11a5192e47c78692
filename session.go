package socketcluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

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
// A socket that is in its handshake, or whose upgrade request arrives with the old
// token within Config.Timeouts.Handshake, gets the token as soon as it has completed
// the handshake; it is not in the number. That holds if both tokens have an iat, and
// that of the old one is earlier. Other sockets are logged out when the old token
// expires.
//
// The token is checked as that of an upgrade request is; one without a text as a
// principal. Sockets to which the
// application has given another token meanwhile are left alone. The error tells of
// each socket that could not be given the token; the others have it.
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
	// Before the sockets are looked at: who is in its handshake then looks here later.
	srv.renewals.add(session, token, time.Now().Add(srv.cfg.Timeouts.Handshake))
	var failed []error
	for s := range srv.Clients() {
		s.mu.Lock()
		old, from := s.token.Load(), s.token.origin
		s.mu.Unlock()
		if from == fromClient || old == nil || !hasClaim(old, claimSession, session) {
			continue
		}
		given, err := s.replaceToken(ctx, old, token, false)
		if err != nil {
			failed = append(failed, fmt.Errorf("socket %s: %w", s.id, err))
		}
		if given {
			renewed++
		}
	}
	return renewed, errors.Join(failed...)
}

// renewals are the last calls of RenewSession, by session, for sockets that were in
// their handshake. It holds those of the last Timeouts.Handshake, and at most as many
// others.
type renewals struct {
	mu    sync.Mutex
	last  map[string]renewal
	prune int // the size of last at which it is looked through
}

type renewal struct {
	token *auth.Token
	until time.Time
}

// minRenewals is a size of last that is not worth a look.
const minRenewals = 64

func (r *renewals) add(session string, token *auth.Token, until time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last == nil {
		r.last = make(map[string]renewal)
	}
	r.last[session] = renewal{token, until}
	if len(r.last) >= max(r.prune, minRenewals) {
		now := time.Now()
		maps.DeleteFunc(r.last, func(_ string, old renewal) bool { return now.After(old.until) })
		r.prune = 2 * len(r.last)
	}
}

// newer returns the token by which the session of a token was renewed, or nil if it
// was not, or if the token may be of a later time.
func (r *renewals) newer(than *auth.Token) *auth.Token {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.last) == 0 {
		return nil
	}
	session, ok := textClaim(than, claimSession)
	if !ok {
		return nil
	}
	found, ok := r.last[session]
	if !ok || time.Now().After(found.until) {
		return nil
	}
	was, dated := than.IssuedAt()
	is, isDated := found.token.IssuedAt()
	if !dated || !isDated || !is.After(was) {
		return nil
	}
	return found.token
}

// catchUp gives the socket the token by which its session was renewed during the
// handshake.
func (s *Socket) catchUp(old *auth.Token) {
	token := s.srv.renewals.newer(old)
	if token == nil {
		return
	}
	if _, err := s.replaceToken(s.Context(), old, token, false); err != nil {
		s.srv.log.Debug("a session was renewed during the handshake, but its new token is not good", "socket", s.id, "error", err)
	}
}
