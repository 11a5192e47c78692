// Package login protects the check of passwords: it limits attempts to log in,
// gives the same answer for unknown names and wrong passwords, and records
// every attempt.
//
//	gate, err := login.New(srv, login.Options{})
//
//	granted, err := login.Do(ctx, gate, login.Attempt{User: in.Username, Socket: call.Socket},
//		func(ctx context.Context) (claims, error) { return users.check(ctx, in) })
//	…
//	err = call.Socket.SetAuthToken(ctx, granted.Result, auth.AuthTime(granted.LoginTime))
//
// The check returns [ErrInvalidCredentials] both for an unknown name and for a
// wrong password. With package auth/password both take the same time.
//
// # The time of a login
//
// A password check takes time, and may wait for others. Meanwhile the password
// may be changed, and all tokens of the user revoked (auth/revoke.Revocation by
// Subject). So [Do] returns the time when the check began, and the token must
// contain it. Then all logins with the old password are revoked, whenever their
// tokens are signed, and renewals do not make them younger.
//
// # Limits
//
// An attempt takes one token from each of five buckets before it is checked,
// and gives them back if it succeeds, so only failures count. It gives back no
// more than it took, so a success does not undo failures. A bucket is refilled
// evenly.
//
//   - PerSocket, for each socket.
//   - PerAddress, for each client address; IPv6 addresses count by their /64,
//     which is what one customer has. There is no limit if the address is
//     unknown.
//   - PerNetwork, for each IPv6 /48, which is what one site has and which
//     contains 65,536 /64s. It is five times PerAddress by default. It does not
//     count addresses from which this user has logged in before.
//   - PerUserAndAddress, for each name together with an address.
//   - PerUser, for each name, from all addresses. It does not count addresses
//     from which this user has logged in before: otherwise a stranger who fails
//     often enough would lock out the user.
//
// The last 16 addresses of each user are remembered, and 65,536 of all users
// together. If there is no room, the user with the most addresses loses the
// oldest one; among users with equally many, the one who has not logged in for
// the longest time. So a stranger with a few accounts cannot make the gate
// forget the addresses of others. They are lost when the process ends.
//
// # Who can still be locked out
//
// As long as strangers keep failing on purpose, they lock out:
//
//   - a user who comes from an address that is not remembered: a new one, or any
//     after the process has begun. PerUser is used up.
//   - everybody behind their own address or /64. PerAddress is used up. In the name
//     of one user there, PerUserAndAddress is enough.
//   - users who come from an address that is not remembered in their own /48.
//     PerNetwork is used up.
//
// Users who are logged in stay logged in. Higher limits make such attacks
// harder, and guessing easier.
//
// The number of attempts of one user that are checked at the same time is
// limited too: to the size of PerUserAndAddress (10) from all known addresses
// together, and to as many from all others. So one account, whose logins
// succeed and cost no tokens, leaves room for others in the queue of
// auth/password, however many addresses it uses.
//
// If a bucket is empty, the attempt is not checked. It fails with a
// LoginRateError that contains the number of seconds until there is a token.
// Attempts that are being checked hold their tokens, so many attempts at once
// do not get past the limit.
//
// Names are counted by their [NormalName], whether or not there is such a user.
// Store and look up users by the normal name too, so that both agree on who is
// one user.
//
// # Constants
//
// OWASP ASVS 4.0.3, requirement 2.2.1, allows 100 failed attempts an hour on
// one account. A full bucket and an hour of refill are 100 by default for
// PerUser (50 + 50), and 70 for PerUserAndAddress (10 + 60). PerAddress and
// PerSocket (20 and 10 a minute) leave room for many people behind one address,
// because only failures count. A /48 is the largest network that a site usually
// gets (RFC 6177).
//
// # Memory
//
// A [Gate] keeps an exact count for 65,536 buckets of each kind. Beyond that,
// buckets are moved to a count–min sketch, in which some share a count: they
// may seem emptier than they are, but never fuller. So nobody can make a gate
// forget the counts of another by trying many names or addresses. It takes
// about 26 MiB at most, and very little as long as few attempts fail. The
// addresses of users take 8 MiB at most.
//
// The counts are those of one process, and end with it.
//
// # Audit events
//
// Failures are [socketcluster.AuditLoginFailed], refused attempts
// [socketcluster.AuditLoginLimited]: at most one a minute for each bucket that
// refuses, so that a flood of attempts does not become a flood of events. A
// success over HTTP is [socketcluster.AuditLogin]; over a socket, SetAuthToken
// emits that event.
//
// # Blocking
//
// [Do] blocks as long as the check does. All functions and methods are safe for
// concurrent use.
package login
