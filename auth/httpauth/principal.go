package httpauth

import (
	"context"

	"github.com/socketcluster-go/socketcluster/auth"
)

// principal is the value in the context of a request.
type principal struct {
	token    *auth.Token
	ambience Ambience
}

type principalKey struct{}

// NewContext makes token the principal of requests with this context. The
// application vouches for it: only its exp and revocations are checked. An
// application with its own sessions makes one by auth.NewToken("", claims) in
// middleware around the socket server. The socket is then authenticated with
// these claims, without a token that its client could read.
//
// It is [AmbientByHost], because it usually comes from the cookie of a session.
// If it depends on the address of the client, use [NewContextByAddress]. A nil
// token removes the principal.
func NewContext(ctx context.Context, token *auth.Token) context.Context {
	return withPrincipal(ctx, principal{token, AmbientByHost})
}

// NewContextByAddress is [NewContext] for a principal that is
// [AmbientByAddress]: for instance one for everybody on the local network.
func NewContextByAddress(ctx context.Context, token *auth.Token) context.Context {
	return withPrincipal(ctx, principal{token, AmbientByAddress})
}

func withPrincipal(ctx context.Context, p principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// FromContext returns the principal of a request, or nil if it has none.
func FromContext(ctx context.Context) *auth.Token {
	p, _ := ctx.Value(principalKey{}).(principal)
	return p.token
}

// AmbienceOf reports whether the principal comes from something that browsers
// send by themselves, like [Source.Ambience]. Without a principal it is
// NotAmbient.
func AmbienceOf(ctx context.Context) Ambience {
	p, _ := ctx.Value(principalKey{}).(principal)
	if p.token == nil {
		return NotAmbient
	}
	return p.ambience
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
