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

// A login whose token came with the upgrade request, usually in a cookie, is
// renewed over HTTP: a route signs the token again, sets the cookie, and gives
// the new token to the sockets of the login.

// SignAgain signs the claims of a token again, with a new life: that of opts,
// or the default one. The token keeps its session (sid) and the time of its
// login (auth_time), gets a new jti, and does not outlive Config.AuthMaxAge.
//
// old may come from [httpauth.FromContext], for example. SignAgain fails, and
// signs nothing, if old would not be accepted now or was signed by others. It
// fails with [ErrTokenChanged] while [UpdateClaims] is changing the claims of
// that user.
func (srv *Server) SignAgain(ctx context.Context, old *auth.Token, opts ...auth.SignOption) (*auth.Token, error) {
	token, err := srv.resign(ctx, old, fromClient, withNewLife, opts...)
	if err != nil {
		return nil, err
	}
	if srv.edits.concern(old) {
		return nil, ErrTokenChanged
	}
	// A change may also have ended while the engine was signing.
	if err := srv.revocation(old); err != nil {
		return nil, err
	}
	return token, nil
}

// RenewSession replaces the token of all sockets of this server whose upgrade
// request had another token of the same session. A session is the claim sid, a
// text or a whole number, which the new token must have too. It returns the
// number of these sockets.
//
// Nothing is sent to the clients, so no script of the page sees the token.
// Inbound middleware runs again for the subscriptions; publications to them
// wait until it has allowed them. The events are those of any other new token.
//
// A socket that is in its handshake, or whose upgrade request arrives with the
// old token within Config.Timeouts.Handshake, gets the new token when it has
// completed the handshake, if both tokens have an iat and that of the old one
// is earlier. It is not included in the number. Other sockets are logged out
// when the old token expires.
//
// The token is checked like that of an upgrade request; one without a text is
// checked like a principal. Sockets to which the application has given another
// token meanwhile do not change. The error contains one for each socket that
// could not get the token; the others have it.
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
	// This comes before the loop over the sockets: a socket that is still in
	// its handshake then will look here later.
	srv.renewals.add(session, token, time.Now().Add(srv.cfg.Timeouts.Handshake))
	var failed []error
	for s := range srv.ClientsWith(claimSession, session) {
		s.mu.Lock()
		old, from := s.token.Load(), s.token.origin
		s.mu.Unlock()
		if from == fromClient || old == nil || !hasClaim(old, claimSession, session) {
			continue
		}
		given, err := s.replaceToken(ctx, old, token, false)
		if err != nil {
			failed = append(failed, fmt.Errorf("socket %s: %w", s.ID(), err))
		}
		if given {
			renewed++
		}
	}
	return renewed, errors.Join(failed...)
}

// renewals has the latest calls of RenewSession, by session, for sockets that
// were in their handshake. It has those of the last Timeouts.Handshake, and at
// most as many others.
type renewals struct {
	mu    sync.Mutex
	last  map[string]renewal
	prune int // the size of last at which it is pruned
}

type renewal struct {
	token *auth.Token
	until time.Time
}

// minRenewals is a size of last that is not worth pruning.
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

// newer returns the token by which the session of a token was renewed. It
// returns nil if there was none, or if the given token may be newer.
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
		s.srv.log.Debug("a session was renewed during the handshake, but its new token is not valid", "socket", s.ID(), "error", err)
	}
}
