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
//   - Session: the claim sid, which all tokens of a session have, and which stays
//     when a token is renewed. Only tokens that were signed up to the moment
//     Before are revoked, if that is set: those whose iat is not later.
//   - Subject: the claim sub, or the one that Claim names. Only tokens of logins
//     up to the moment Before are revoked.
//
// # When a login was
//
// The time of a login is the claim auth_time of its tokens, which [auth.AuthTime]
// writes to the microsecond, and which renewals keep. It must be a time before the
// password was looked at: then nobody who logged in with the old password outruns
// the revocation that comes with the new one, however long the check, the signing
// or a renewal takes. Package login takes that time.
//
// A token without auth_time counts as of a login at its iat, the time of its
// signature. That is later than the login, and is mostly cut to the second. A token of
// the second of the moment is then revoked even if it was issued a little later:
// whoever logs in again at once is logged out once more, which is a nuisance, while
// the opposite would be a hole.
//
// A token counts as of a login before any moment if the claim that decides is no
// number, or is missing, as nobody can tell; and if it is more than a minute ahead of
// the clock, until its time comes: nobody has logged in then. Issuers whose clocks are
// that wrong have to be corrected; no clock tolerance of a server is larger ([auth.MaxClockTolerance]). A token without the claim that is looked for, or
// with another type of value in it, cannot be revoked by it.
//
// A server that logs a user out everywhere but here revokes up to a moment, and
// then gives this one client a token of a login after it:
//
//	now := time.Now()
//	err := srv.Revoke(ctx, revoke.Revocation{Subject: user, Before: now, Until: …})
//	…
//	err = socket.SetAuthToken(ctx, claims, auth.AuthTime(now.Add(time.Millisecond)))
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
// Before is rounded up to the microsecond, and Until to the second. Moments are
// those of the clock of the machine that issues, revokes or checks: what their
// clocks differ by has to be added to Until, and to Before if other machines issue
// tokens. The clock tolerance of the verification, if there is one, has to be added
// to Until as well; [auth.Token.ValidUntil] holds it.
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
