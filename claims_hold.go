package socketcluster

import "sync"

// HoldClaims keeps tokens with a value, a string or a whole number, in a claim from
// being signed again with the claims that they have: by Config.TokenRenewal,
// [Server.SignAgain] or [Socket.SetAuthTokenIf], until release is called. [UpdateClaims]
// does so itself; HoldClaims is for a change that several servers make together, each of
// which must hold them before one makes new tokens. SignAgain and SetAuthTokenIf fail
// with [ErrTokenChanged] meanwhile. It does not block, and release may be called several times.
func (srv *Server) HoldClaims(claim, value string) (release func()) {
	return sync.OnceFunc(srv.edits.begin(claim, value))
}
