package httpauth

import (
	"context"

	"github.com/socketcluster-go/socketcluster/auth"
)

// principal is what the context of a request carries.
type principal struct {
	token   *auth.Token
	ambient bool
}

type principalKey struct{}

// NewContext makes token the principal of the requests that carry the context.
// The application vouches for it: only its exp and revocations are checked. An
// application with sessions of its own makes one with auth.NewToken("", claims)
// in middleware around the socket server, and the socket is authenticated with
// these claims, without a token that its client could read.
//
// It counts as ambient, see [Ambient]. A nil token takes the principal away.
func NewContext(ctx context.Context, token *auth.Token) context.Context {
	return withPrincipal(ctx, principal{token, true})
}

func withPrincipal(ctx context.Context, p principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// FromContext answers the principal of a request, nil if it has none.
func FromContext(ctx context.Context) *auth.Token {
	p, _ := ctx.Value(principalKey{}).(principal)
	return p.token
}

// Ambient tells whether the principal comes from something that browsers send
// by themselves, as by [Source.Ambient]. A principal that was set with
// [NewContext] does.
func Ambient(ctx context.Context) bool {
	p, _ := ctx.Value(principalKey{}).(principal)
	return p.token != nil && p.ambient
}

// Claims decodes the claims of the principal. It reports false if the request
// has none, or its claims do not fit T.
func Claims[T any](ctx context.Context) (T, bool) {
	var claims T
	token := FromContext(ctx)
	if token == nil {
		return claims, false
	}
	if err := token.Claims(&claims); err != nil {
		var none T
		return none, false
	}
	return claims, true
}
