package revoke

import (
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/wire"
)

// Current is what a [Store] also has if it may be cut off from the other machines, so
// that revocations which they have acknowledged may be missing here. Current returns
// nil as long as all are here that are older than a bound of the store's, and
// otherwise why not. It must not block. Nobody's token is accepted meanwhile, see
// [Refusal].
type Current interface {
	Current() error
}

// ErrNotCurrent is the error for the owner of a token while a store is not
// [Current]: an AuthTokenError after which clients keep the token, as it may be
// good.
var ErrNotCurrent error = &wire.Error{
	Name:    wire.NameAuthToken,
	Message: "It is not known whether the token has been revoked",
	Fields:  []wire.Field{{Key: "isBadToken", Value: false}},
}

// Refusal returns why a store does not let a token be accepted: the error of its
// revocation, or [ErrNotCurrent]. It returns nil for a token that is good. Servers
// and middleware use it in place of [Store].Check.
func Refusal(store Store, token *auth.Token) error {
	if r, revoked := store.Check(token); revoked {
		return r.Err()
	}
	if c, ok := store.(Current); ok && c.Current() != nil {
		return ErrNotCurrent
	}
	return nil
}
