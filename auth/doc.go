// Package auth signs and verifies the tokens by which a server knows its
// clients.
//
// A token is a JSON Web Token in compact form (RFC 7515, RFC 7519). The server
// keeps no record of logins: whoever presents a token with a good signature is
// who its claims say, until it expires. [JWT] does this with the algorithms
// HS, RS, PS and ES of 256, 384 and 512 bits, in a way that tokens pass between
// this package and the jsonwebtoken package of JavaScript in both directions.
// Anything else that issues tokens can take its place as an [Engine]; package
// authtest checks that it keeps the promises of one.
//
// # One key or many
//
// With one key, or one key pair, tokens need no kid, and one that they have is not
// looked at. With [Options].Keys there are many, each pinned to one algorithm, and
// the kid of a token picks its key; a token without a kid belongs to the key
// without an ID, and to no other. Keys come from a [KeySource]: a [KeyRing] that
// the program rotates, [KeyFiles], a client of package auth/jwks, or several of
// these as [KeySources].
//
// A token whose kid is unknown is refused for good only when its source is sure
// that there is no such key. Otherwise it is [ErrKeysUnavailable], so that an
// address that is down, or a new key that has not come round, logs nobody out.
//
// # What Verify checks, in this order
//
// The first check that fails decides the message. All failures are
// AuthTokenInvalidError unless noted.
//
//  1. The length, before anything is read: "jwt too large".
//  2. The text is not empty: "jwt must be provided".
//  3. Exactly three parts between dots: "jwt malformed".
//  4. All letters are of base64url, so there are no padding and no line breaks;
//     header and payload are encoded without stray bits, and are JSON objects
//     in valid UTF-8 with no name twice at any level and at most 64 levels
//     deep; no critical extension (crit) is demanded; no registered claim,
//     nor sid, auth_time, alg, kid or crit, is spelled in other letters, such as
//     EXP; and no two claims differ only in case, such as user and USER: "invalid token".
//  5. There is a signature: "jwt signature is required".
//  6. There is a key: "secret or public key must be provided"; of many, one with
//     the kid of the token: "unknown kid", or [ErrKeysUnavailable]
//     (AuthTokenError; the client keeps its token).
//  7. The algorithm is one of those accepted, all of which fit the kind and
//     curve of the key: "invalid algorithm". The header can only choose among
//     these; "none" is never one of them.
//  8. The signature, in canonical base64url: "invalid signature".
//  9. nbf is a number: "invalid nbf value"; and has come: "jwt not active"
//     (AuthTokenNotBeforeError with date; the client keeps its token).
//  10. exp is a number: "invalid exp value"; and has not come: "jwt expired"
//     (AuthTokenExpiredError with expiry). At the instant of exp a token is
//     expired.
//  11. iat, if there is one, is a number: "invalid iat value". It may be
//     any, in the future too.
//  12. What the options ask for: audience, issuer, subject, token id, and
//     "maxAge exceeded" (AuthTokenExpiredError); and the issuer, the audience and
//     the Check that a [RingKey] is bound to.
//
// A failure carries the field isBadToken; when it is true the client drops the
// token.
//
// # Units and numbers
//
// Dates in claims count seconds since the epoch and may have a fraction (RFC 7519
// section 2), which is compared digit by digit with the clock: nothing is rounded
// towards a longer life. Dates too large for any calendar are valid and far away,
// and those that no double can hold are refused. Signed dates are whole seconds,
// except [AuthTime] and those that the claims contain. Options take a
// [time.Duration] or text for [ParseTimespan].
//
// Clocks may differ by [Options].ClockTolerance, which is none by default: nbf, exp
// and MaxAge are that much wider, and live connections keep their tokens as long
// ([Token.ValidUntil]).
//
// # Spellings of a signature
//
// A signature with HS, RS or PS has one spelling. One with ES has two, (r, s) and
// (r, n-s), and both are good: who has one can write the other, and libraries
// that sign use either. So the signed text does not tell one token from another;
// its claims do, such as jti. Nothing here, in the server or in package revoke goes
// by the text.
//
// # Concurrency and ownership
//
// All types are safe for concurrent use. Nothing blocks except on the processor,
// save for [KeySource].Refresh, which Verify waits for when it meets an unknown
// kid. Finding a key takes one atomic load and one look into a map. Byte slices are
// copied on their way in and out; tokens and keys never change after they are made.
// Keys of a [JWT] can be replaced while it is in use: each call works with one
// consistent set of keys and algorithms.
//
// # Differences from JavaScript
//
// Payloads other than objects, repeated or oddly spelled names, an iat that is no
// number, demanded extensions, short symmetric keys and RSA keys under 2048 bits are refused; the algorithm is derived from a key
// pair; and tokens get the default expiry however they are signed. RSA keys that are
// restricted to PSS in their encoding cannot be read; use an ordinary RSA key with
// the PS algorithms. Ed25519 keys, which JavaScript servers cannot verify with, are
// for a [RingKey].
package auth
