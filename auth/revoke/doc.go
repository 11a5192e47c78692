// Package revoke ends logins before their tokens expire: one login, all logins
// of a session, or all logins of a user, everywhere.
//
// A [Revocation] says which tokens are no longer good. A [Store] keeps it until
// these would have expired anyway. [Memory] is the store of a single process;
// package revoketest checks that another one keeps the promises of a Store.
//
// # Which tokens are revoked
//
// A revocation names exactly one of these, and a token is revoked if its claim
// has the same value, a string or a whole number compared as text:
//
//   - JTI: the claim jti. It only helps if no two tokens have the same.
//   - Session: the claim sid, which an application gives to all tokens of a
//     session, and which stays when a token is renewed.
//   - Subject: the claim sub, or the one that Claim names. Only tokens that were
//     issued before the moment Before are revoked.
//
// A token has the second of its issue in its claim iat, without a fraction. It
// counts as issued before a moment if that second is not later than the second
// of the moment. A token of the same second is thus revoked even if it was
// issued a little later: whoever logs in again at once is logged out once more,
// which is a nuisance, while the opposite would be a hole. A server that logs a
// user out everywhere but here, and gives a new token to this one client in the
// same step, signs it with the next second as its iat claim.
//
// A token without a number as iat counts as issued before any moment, as nobody
// can tell. So does one whose iat is more than a minute ahead of the clock, until
// its time comes: it was not issued then. Issuers whose tokens have an iat in the
// future have to be corrected. A token without the claim, or with another type of value in it,
// cannot be revoked by it.
//
// # How a server uses it
//
// It asks [Store].Check about each token that it accepts: after it has become
// the token of a socket, so that it finds either the revocation here or the
// socket in the next step. With [Store].Watch it hears of each revocation, and
// looks for it among its sockets with [Revocation.Matches]. Nothing is asked
// for a message.
//
// # Time
//
// Before is cut to its second; Until is moved on to the next one. Moments are
// those of the clock of the machine that issues, revokes or checks: what their
// clocks differ by, and the clock tolerance of the verification if there is one,
// has to be added to Until, and to Before if other machines issue tokens.
//
// # Concurrency and blocking
//
// All types are safe for concurrent use. Checks do not block each other. Add
// tells the watchers before it returns, and waits for them; it holds no lock
// meanwhile.
//
// # Cost and constants
//
// A check of an empty store is one atomic load. Otherwise it reads the claims of
// the token once and looks up one map for each of the claims by which anything
// is revoked. [DefaultLimit] and the limits of texts and claims are this
// package's own; the names of the claims are those of RFC 7519 and, for sid, of
// OpenID Connect Front-Channel Logout 1.0.
package revoke
