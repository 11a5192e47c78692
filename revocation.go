package socketcluster

import (
	"context"
	"errors"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/revoke"
	"github.com/socketcluster-go/socketcluster/wire"
)

// ErrNoRevocations is returned by [Server.Revoke] on a server without
// Config.Revocations.
var ErrNoRevocations = errors.New("socketcluster: Config.Revocations is not set")

// Revoke ends logins before their tokens expire: one login, those of a session,
// or those of a user, on all servers that share the store. The sockets that
// have such a token lose it, as by [Socket.Deauthenticate], or are disconnected
// with 1000 if r.Disconnect is set, and the token is refused from then on.
//
// An Until that is not set means for good; give the end of the longest token,
// so that the revocation can be forgotten. If tokens are signed again
// (Config.TokenRenewal, [Server.SignAgain], [Socket.SetAuthTokenIf]), the exp of the
// token at hand is too early: another one may be signed beside the revocation, and
// would be good again later. Give the present plus Config.AuthMaxAge. Without that, give
// the present plus the longest life of a token and a minute: a revoked token is not
// signed again.
//
// Revoke returns when the sockets of this server have been dealt with, their event
// handlers excepted.
func (srv *Server) Revoke(ctx context.Context, r revoke.Revocation) error {
	if srv.cfg.Revocations == nil {
		return ErrNoRevocations
	}
	return srv.cfg.Revocations.Add(ctx, r)
}

// revocation is the error of a token that has been revoked, or nil. If the store
// panics, nobody knows: the token is not accepted, and not called bad.
func (srv *Server) revocation(token *auth.Token) error {
	if srv.cfg.Revocations == nil {
		return nil
	}
	return protect(srv.log, "Config.Revocations", func() error {
		if r, revoked := srv.cfg.Revocations.Check(token); revoked {
			return r.Err()
		}
		return nil
	})
}

// errRevoked is the error of a token that has been revoked.
var errRevoked = revoke.Revocation{}.Err()

// revoked deals with the sockets that a new revocation is about. Their events
// are told by others: the one who revokes may be a handler of one of them.
func (srv *Server) revoked(r revoke.Revocation) {
	// Whoever sets a token from here on looks at the store again; whoever has
	// not looked at this is through with it once mu can be had.
	srv.revocations.Add(1)
	srv.Audit(AuditEvent{Kind: AuditRevocation, User: r.Subject, JTI: r.JTI, SID: r.Session, Reason: r.Reason})
	for _, s := range srv.everyOrigin() {
		s.mu.Lock()
		token := s.token.Load()
		s.mu.Unlock()
		if token == nil || !r.Matches(token) || !s.endLogin(token, AuditRevocation, r.Reason) {
			continue
		}
		if !r.Disconnect {
			go s.drainEvents()
			continue
		}
		// Nothing that it has sent is handled any more, from here on.
		s.discards.Store(true)
		if end, ok := s.cut(wire.CloseNormal, ""); ok {
			go func() {
				end()
				s.finish(wire.CloseNormal, "")
			}()
		}
	}
}
