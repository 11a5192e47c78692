// Package oidc accepts the ID tokens of an OpenID Connect provider, whose address
// is all that needs to be known of it.
//
// [Discover] reads the provider's discovery document (OpenID Connect Discovery 1.0
// section 4) and makes a [Provider] of it, which is an auth.KeySource. Joined with
// other sources it lets one engine verify own tokens and ID tokens alike:
//
//	cfg.Auth.Keys = auth.KeySources{ring, provider}
//
// The keys are those of a client of package auth/jwks: cached, fetched in the
// background, fetched at most every 30 seconds because of a token with an unknown
// kid, and kept for some hours while the provider is down (Options.MaxKeyAge).
//
// # What an ID token is
//
// A provider signs more than ID tokens with its keys: access tokens, logout
// tokens, answers about users. So beside what auth.JWT checks of every token, these
// are demanded of all tokens under the keys of a provider (OpenID Connect Core 1.0
// sections 2 and 3.1.3.7):
//
//   - iss is the issuer, letter for letter;
//   - aud names one of Options.ClientIDs, and nobody else;
//   - azp is there if aud has several entries, and is one of ClientIDs;
//   - there are sub, exp and iat;
//   - the header's typ, if there is one, is JWT;
//   - there is no claim events, which logout tokens and other tokens that tell of
//     something have (RFC 8417 section 2.2); not all of them have a typ;
//   - the algorithm is one that the provider announces for ID tokens. Symmetric
//     ones and "none" never are.
//
// What fails is refused with an AuthTokenInvalidError. A key that is published
// without alg is pinned to RS256, or to what its curve demands.
//
// sub is unique for each issuer only. An application that accepts tokens of
// several, its own among them, must look at iss as well before it believes sub.
//
// # The code flow
//
// [Provider.Endpoint] is for golang.org/x/oauth2, [Provider.Client] for the requests
// that it makes, and [Provider.Verify] for the page that the provider sends the browser back to: it checks the nonce as well.
// An ID token tells who has logged in, and is not made to be a session: it cannot
// be renewed, revoked or chosen the claims of. It is better to sign an own token
// from it, as the example oidc does.
//
// # When the provider is down
//
// Discover fails if the document or the keys cannot be had within 5 seconds each,
// so that a mistake shows at the start and not with the first login. It does not
// try again; the caller may. The document is read once: an address of keys that
// moves needs a restart, while the keys behind it may change at any time.
//
// # Trust
//
// All addresses must be https: the issuer, those in the document, and those of
// redirections, of which three are followed. Only if the issuer is at http on a
// loopback address, for tests, the others may be too.
//
// None of them leads nearer to this machine than the issuer is found: from a public
// one to a private network or to this machine, whatever name it has. What a name
// stands for is looked at with each connection, those of [Provider.Client] among them;
// with a Transport that is no *http.Transport, and through a proxy, only the names
// localhost and addresses count. If a public provider has its keys in your own network,
// give their address to package auth/jwks.
//
// A document has at most 1 MiB. Nothing in errors and logs comes out of keys or tokens.
package oidc
