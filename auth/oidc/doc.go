// Package oidc accepts the ID tokens of an OpenID Connect provider. It needs
// only the address of the provider.
//
// [Discover] reads the provider's discovery document (OpenID Connect Discovery
// 1.0 section 4) and makes a [Provider], which is an auth.KeySource. Combined
// with other sources, it lets one engine verify both your own tokens and ID
// tokens:
//
//	cfg.Auth.Keys = auth.KeySources{ring, provider}
//
// The keys are those of a client of package auth/jwks: they are cached, fetched
// in the background, fetched at most every 30 seconds because of tokens with an
// unknown kid, and kept for some hours while the provider is down
// (Options.MaxKeyAge).
//
// # What an ID token is
//
// A provider signs more than ID tokens with its keys: access tokens, logout
// tokens, responses about users. So besides the checks of auth.JWT, tokens
// under the keys of a provider must satisfy these (OpenID Connect Core 1.0
// sections 2 and 3.1.3.7):
//
//   - iss is the issuer, letter for letter;
//   - aud names one of Options.ClientIDs, and nobody else;
//   - azp is present if aud has several entries, and is one of ClientIDs;
//   - sub, exp and iat are present;
//   - the header's typ, if there is one, is JWT;
//   - there is no claim events, which logout tokens and other security event
//     tokens have (RFC 8417 section 2.2); not all of them have a typ;
//   - the algorithm is one that the provider announces for ID tokens. Symmetric
//     ones and "none" never are.
//
// A token that fails is refused with an AuthTokenInvalidError. A key that is
// published without alg is pinned to RS256, or to the algorithm of its curve.
//
// sub is unique for one issuer only. An application that accepts tokens of
// several issuers, itself among them, must check iss before it trusts sub.
//
// # The code flow
//
// [Provider.Endpoint] is for golang.org/x/oauth2, [Provider.Client] for the
// requests that it makes, and [Provider.Verify] for the page to which the
// provider sends the browser back: it also checks the nonce. An ID token states
// who has logged in, and is not meant to be a session: you cannot renew it,
// revoke it or choose its claims. It is better to sign your own token from it,
// as the example oidc does.
//
// # When the provider is down
//
// Discover fails if it cannot get the document or the keys within 5 seconds
// each, so a mistake shows at the start and not at the first login. It does not
// try again; the caller may. The document is read once: if the address of the
// keys changes, a restart is needed, while the keys at that address may change
// at any time.
//
// # Trust
//
// All addresses must be https: the issuer, those in the document, and those of
// redirects, of which three are followed. Only if the issuer is at http on a
// loopback address, for tests, may the others be http too.
//
// None of them may be nearer to this machine than the issuer: if that is at a
// public address, none may be in a private network or on this machine, whatever
// its name. The address of a name is checked for each connection, including
// those of [Provider.Client]. With a Transport that is not an *http.Transport,
// and through a proxy, only literal addresses and the name localhost are
// recognized. If a public provider has its keys in your own network, use
// package auth/jwks with their address.
//
// A document has at most 1 MiB. Errors and logs contain nothing of keys or
// tokens.
package oidc
