// Package revoke ends logins before their tokens expire: one login, all logins
// of a session, or all logins of a user, everywhere.
//
// A [Revocation] describes tokens that are no longer valid. A [Store] keeps it
// until they would have expired anyway. [Memory] is the store of a single
// process. Package revoketest tests whether another implementation keeps the
// promises of a Store.
//
// # Which tokens are revoked
//
// A revocation has exactly one of these fields. It revokes a token whose claim
// has the same value, a string or a whole number that is compared as text:
//
//   - JTI: the claim jti, which should be unique.
//   - Session: the claim sid, which all tokens of a session have, and which
//     stays when a token is renewed. If Before is set, only tokens that were
//     signed up to that moment are revoked: those whose iat is not later.
//   - Subject: the claim sub, or the one that Claim names. Only tokens of logins
//     up to the moment Before are revoked.
//
// # When a login was
//
// The time of a login is the claim auth_time of its tokens, which
// [auth.AuthTime] writes to the microsecond, and which renewals keep. It must
// be a time before the password was checked. Then nobody who logged in with the
// old password escapes the revocation that comes with the new one, however long
// the check, the signing or a renewal takes. Package login takes that time.
//
// For a token without auth_time, the time of the login is its iat, the time of
// its signature. That is later than the login, and is usually truncated to the
// second. So a token that was issued in the same second as the moment Before is
// revoked, even if it was issued a little later. Whoever logs in again at once
// is logged out once more. That is a nuisance, but the opposite would be a
// hole.
//
// The login counts as earlier than any moment if this claim is missing or is
// not a number, because its time is unknown. The same holds if the claim is
// more than a minute ahead of the clock, until that time has come: nobody has
// logged in then. Issuers whose clocks are that wrong have to be corrected; no
// clock tolerance of a server is larger ([auth.MaxClockTolerance]). A
// revocation does not apply to a token that lacks its claim, or has another
// type of value in it.
//
// To log a user out everywhere but here, revoke up to a moment, and then give
// this client a token of a later login:
//
//	now := time.Now()
//	err := srv.Revoke(ctx, revoke.Revocation{Subject: user, Before: now, Until: …})
//	…
//	err = socket.SetAuthToken(ctx, claims, auth.AuthTime(now.Add(time.Millisecond)))
//
// # How a server uses it
//
// It calls [Store].Check for each token that it accepts. By [Store].Watch it is
// notified of each revocation, and finds the sockets concerned by
// [Revocation.Matches]. It checks again if it was notified before the token has
// become that of a socket, so either the check finds the revocation, or the
// notification finds the socket. Messages cause no checks.
//
// # Time
//
// Before is rounded up to the microsecond, and Until to the second. Times come
// from the clocks of the machines that issue, revoke or check. Add the
// difference of these clocks to Until, and also to Before if other machines
// issue tokens. Add the clock tolerance of the verification to Until as well;
// [auth.Token.ValidUntil] includes it.
//
// # Concurrency and blocking
//
// All types are safe for concurrent use. Checks do not block each other. Add
// calls the watchers before it returns, and waits for them; it holds no lock
// meanwhile.
//
// # Cost and constants
//
// A check of an empty store is one atomic load. Otherwise it reads the claims
// of the token once, and makes one map lookup for each claim by which anything
// is revoked. [DefaultLimit] and the limits of texts and claims are this
// package's own; the names of the claims are those of RFC 7519 and, for sid, of
// OpenID Connect Front-Channel Logout 1.0.
package revoke
