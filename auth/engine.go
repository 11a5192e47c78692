package auth

import "context"

// An Engine signs and verifies the tokens of a server.
//
// The default is [*JWT]. Another engine may keep its own key store, ask a
// remote service, or issue tokens that are not JWTs at all: the rest of the
// server treats the signed text as opaque.
//
// Both methods may be called from many goroutines at once. They should give up
// when ctx is done; the server uses it to bound the time of a handshake.
type Engine interface {
	// Sign issues a token for claims, which must encode to a JSON object.
	// The claims are not modified. [ApplySign] turns the options into a struct.
	Sign(ctx context.Context, claims any, opts ...SignOption) (*Token, error)

	// Verify checks a signed token. For an error that the client may see, it
	// returns a *wire.Error named wire.NameAuthToken,
	// wire.NameAuthTokenExpired, wire.NameAuthTokenInvalid or
	// wire.NameAuthTokenNotBefore. [ApplyVerify] turns the options into a
	// struct.
	Verify(ctx context.Context, signed string, opts ...VerifyOption) (*Token, error)
}
