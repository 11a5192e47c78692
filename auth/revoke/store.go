package revoke

import (
	"context"
	"errors"

	"github.com/socketcluster-go/socketcluster/auth"
)

// ErrFull is the error of a store that has no room for a revocation. The new
// revocation has no effect; earlier ones stay in force.
var ErrFull = errors.New("revoke: the store is full")

// A Store keeps revocations. Its methods are called from many goroutines. It may also
// be [Current].
type Store interface {
	// Add revokes tokens. When it returns nil, Check finds the revocation in
	// this process, and the watchers of this process have been called. A
	// revocation whose Until has passed changes nothing.
	Add(ctx context.Context, r Revocation) error

	// Check returns a revocation of the token, if there is one. If there are
	// several, it prefers one with Disconnect. It must not block: a store that
	// many machines share keeps a local copy.
	Check(token *auth.Token) (Revocation, bool)

	// Watch calls fn for every revocation from now on, once Check finds it
	// here, including those that are added on other machines. fn receives the
	// normal form, perhaps several times, and may be called from many
	// goroutines at once. stop ends the watch.
	Watch(fn func(Revocation)) (stop func())
}

// An Engine refuses revoked tokens, and otherwise behaves like the engine in
// it.
type Engine struct {
	auth.Engine
	Store Store
}

// Verify implements [auth.Engine].
func (e Engine) Verify(ctx context.Context, signed string, opts ...auth.VerifyOption) (*auth.Token, error) {
	token, err := e.Engine.Verify(ctx, signed, opts...)
	if err != nil {
		return nil, err
	}
	if err := Refusal(e.Store, token); err != nil {
		return nil, err
	}
	return token, nil
}
