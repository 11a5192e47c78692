package socketcluster

import (
	"context"
	"errors"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/revoke"
	"github.com/socketcluster-go/socketcluster/internal/guard"
	"github.com/socketcluster-go/socketcluster/wire"
)

// ErrNoRevocations is the error of [Server.Revoke] on a server without
// Config.Revocations.
var ErrNoRevocations = errors.New("socketcluster: Config.Revocations is not set")

// Revoke ends logins before their tokens expire: one login, those of a session,
// or those of a user, on all servers that share the store. Sockets with such a
// token lose it, as by [Socket.Deauthenticate], or are disconnected with 1000
// if r.Disconnect is set. From then on the tokens are refused.
//
// If Until is not set, the revocation is kept forever. Set it to the time when
// the last of the tokens expires, so that the revocation can be removed. If
// tokens are signed again (Config.TokenRenewal, [Server.SignAgain],
// [Socket.SetAuthTokenIf]), the exp of the current token is too early: another
// one may be signed at the same time as the revocation, and would become valid
// again later. Use the current time plus Config.AuthMaxAge. Without that
// setting, use the current time plus the longest life of a token and a minute:
// a revoked token is not signed again.
//
// Revoke returns when the sockets of this server have lost their tokens or are
// closed. It does not wait for event handlers.
func (srv *Server) Revoke(ctx context.Context, r revoke.Revocation) error {
	if srv.cfg.Revocations == nil {
		return ErrNoRevocations
	}
	return srv.cfg.Revocations.Add(ctx, r)
}

// revocation returns the error of a token that has been revoked, or nil. If the
// store panics or is not [revoke.Current], the answer is unknown: the token is not
// accepted, but not reported as bad.
func (srv *Server) revocation(token *auth.Token) error {
	if srv.cfg.Revocations == nil {
		return nil
	}
	return guard.Call(srv.log, "Config.Revocations", func() error {
		return revoke.Refusal(srv.cfg.Revocations, token)
	})
}

// errRevoked is the error of a token that has been revoked.
var errRevoked = revoke.Revocation{}.Err()

// revoked handles the sockets that a new revocation concerns. Other goroutines
// emit their events, because the caller may be a handler of one of them.
func (srv *Server) revoked(r revoke.Revocation) {
	// From here on, whoever sets a token checks the store again. originsWith waits
	// for those who have not seen this.
	srv.revocations.Add(1)
	srv.Audit(AuditEvent{Kind: AuditRevocation, User: r.Subject, JTI: r.JTI, SID: r.Session, Reason: r.Reason})
	for _, s := range srv.originsWith(r.Target()) {
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
		// From here on, nothing that it has sent is handled.
		s.discards.Store(true)
		if end, ok := s.cut(wire.CloseNormal, ""); ok {
			go func() {
				end()
				s.finish(wire.CloseNormal, "")
			}()
		}
	}
}
