// Package auth signs and verifies the tokens by which a server knows its
// clients.
//
// A token is a JSON Web Token in compact form (RFC 7515, RFC 7519). The server
// keeps no record of logins. It takes whoever presents a token with a valid
// signature for the user that the claims name, until the token expires. [JWT]
// does this with the algorithms HS, RS, PS and ES of 256, 384 and 512 bits. It
// accepts tokens of the JavaScript package jsonwebtoken, and that package
// accepts its tokens. Anything else that issues tokens can replace it if it
// implements [Engine]; package authtest tests whether an implementation keeps
// the promises of that interface.
//
// # One key or many
//
// With one key, or one key pair, tokens need no kid, and Verify ignores the one
// that they have. With [Options].Keys there are many keys, each pinned to one
// algorithm, and the kid of a token picks its key; a token without a kid
// belongs to the key without an ID, and to no other key. Keys come from a
// [KeySource]: a [KeyRing] that the program rotates, [KeyFiles], a client of
// package auth/jwks, or several of these as [KeySources].
//
// A token with an unknown kid is refused for good only if the source is sure
// that there is no such key. Otherwise the error is [ErrKeysUnavailable]. So an
// address that is down, or a new key that has not arrived yet, logs nobody out.
//
// # What Verify checks, in this order
//
// The first check that fails determines the message. All failures are
// AuthTokenInvalidError unless noted.
//
//  1. The length, before anything is read: "jwt too large".
//  2. The text is not empty: "jwt must be provided".
//  3. Exactly three parts between dots: "jwt malformed".
//  4. All characters are base64url, so there is no padding and there are no
//     line breaks. Header and payload are encoded without stray bits. They are
//     JSON objects in valid UTF-8, at most 64 levels deep, in which no name
//     occurs twice at any level. The header demands no critical extension
//     (crit). No registered claim, nor sid, auth_time, alg, kid or crit, is
//     spelled in another case, such as EXP. No two claims differ only in case,
//     such as user and USER. Otherwise: "invalid token".
//  5. There is a signature: "jwt signature is required".
//  6. There is a key: "secret or public key must be provided". With many keys,
//     one has the kid of the token: "unknown kid", or [ErrKeysUnavailable]
//     (AuthTokenError; the client keeps its token).
//  7. The algorithm is an accepted one: "invalid algorithm". All accepted ones
//     fit the kind and curve of the key. The header can only choose among
//     these; "none" is never one of them.
//  8. The signature, in canonical base64url: "invalid signature".
//  9. nbf is a number: "invalid nbf value". It is not in the future: "jwt not
//     active" (AuthTokenNotBeforeError with date; the client keeps its token).
//  10. exp is a number: "invalid exp value". It is in the future: "jwt expired"
//     (AuthTokenExpiredError with expiry). A token is expired at the instant of
//     exp.
//  11. iat, if there is one, is a number: "invalid iat value". It may be any
//     number, and may be in the future.
//  12. What the options demand: audience, issuer, subject, token ID, and
//     "maxAge exceeded" (AuthTokenExpiredError). Then what the [RingKey]
//     demands: its issuer, its audience and its Check.
//
// An error has the field isBadToken. If it is true, the client drops the token.
//
// # Units and numbers
//
// Dates in claims count seconds since the epoch and may have a fraction (RFC
// 7519 section 2). They are compared with the clock digit by digit: nothing is
// rounded towards a longer life. Dates too large for any calendar are valid and
// far in the future. Dates that no double can hold are refused. Signed dates
// are whole seconds, except [AuthTime] and those that the claims contain.
// Options take a [time.Duration] or text for [ParseTimespan].
//
// Clocks may differ by [Options].ClockTolerance, which is 0 by default. It
// extends nbf, exp and MaxAge, and live connections keep their tokens for that
// much longer ([Token.ValidUntil]).
//
// # Spellings of a signature
//
// A signature with HS, RS or PS has one spelling. One with ES has two, (r, s)
// and (r, n-s). Both are valid: whoever has one can compute the other, and
// libraries that sign use either. So the signed text does not identify a token,
// but claims such as jti do. Nothing in this package, in the server or in
// package revoke identifies a token by its text.
//
// # Concurrency and ownership
//
// All types are safe for concurrent use. Nothing blocks, with one exception:
// Verify waits for [KeySource].Refresh when it meets an unknown kid. Finding a
// key takes one atomic load and one map lookup. Byte slices are copied on their
// way in and out. Tokens and keys are immutable. Keys of a [JWT] can be
// replaced while it is in use: each call works with one consistent set of keys
// and algorithms.
//
// # Differences from JavaScript
//
// This package refuses payloads other than objects, repeated or oddly spelled
// names, an iat that is not a number, critical extensions, short symmetric
// keys, and RSA keys under 2048 bits. It derives the algorithm from a key pair.
// Tokens get the default expiry however they are signed. RSA keys that are
// restricted to PSS in their encoding cannot be read; use an ordinary RSA key
// with the PS algorithms. Ed25519 keys work in a [RingKey] only, because
// JavaScript servers cannot verify with them.
package auth
