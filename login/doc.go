// Package login stands between those who log in and the check of their
// passwords: it limits how often they may try, answers unknown names and wrong
// passwords in the same words, and puts every attempt on record.
//
//	gate, err := login.New(srv, login.Options{})
//
//	granted, err := login.Do(ctx, gate, login.Attempt{User: in.Username, Socket: call.Socket},
//		func(ctx context.Context) (claims, error) { return users.check(ctx, in) })
//	…
//	err = call.Socket.SetAuthToken(ctx, granted.Result, auth.AuthTime(granted.LoginTime))
//
// The check returns [ErrInvalidCredentials] for an unknown name and for a wrong
// password alike. Package auth/password makes both take the same time.
//
// # The time of a login
//
// A check of a password takes its time, and may wait for others. Meanwhile the
// password may be changed, and all that the user has be revoked
// (auth/revoke.Revocation by Subject). So [Do] tells when the check began, and the
// token has to say so: then all logins with the old password are revoked, whenever
// their tokens are signed, and renewals do not make them younger.
//
// # Limits
//
// An attempt takes one token from each of five buckets before it is checked,
// and gets them back if it succeeds: only failures count. It gets no more than
// these, so that logging in does not undo failures. A bucket is refilled evenly.
//
//   - PerSocket, for each socket.
//   - PerAddress, for each client address; IPv6 addresses count by their /64, as
//     that is what one customer has. Addresses that are not known are not
//     limited.
//   - PerNetwork, for each IPv6 /48, which is what one site has: 65,536 of those. Five
//     times PerAddress by default. It does not count addresses from which this user
//     has logged in before.
//   - PerUserAndAddress, for each name together with an address.
//   - PerUser, for each name from everywhere. It does not count addresses from which
//     this user has logged in before: otherwise a stranger who fails often enough
//     would lock the user out.
//
// The last 16 addresses of each user are remembered, and 65,536 of all users
// together. If there is no room, the user with most addresses loses the oldest;
// among those with as many, who has logged in least of late. So a stranger with a
// few accounts cannot have the addresses of others forgotten. They are forgotten
// with the process.
//
// # Who can still be locked out
//
// As long as strangers go on failing on purpose, they keep out:
//
//   - a user who comes from an address that is not remembered: a new one, or any
//     after the process has begun. PerUser is used up.
//   - everybody behind their own address or /64. PerAddress is used up. In the name
//     of one user there, PerUserAndAddress is enough.
//   - users who come from an address that is not remembered in their own /48.
//     PerNetwork is used up.
//
// Who is logged in stays so. Higher limits make this harder, and guessing easier.
//
// Of one user, as many attempts are checked at once from all known addresses
// together as PerUserAndAddress allows from one (10), and as many from all others.
// So one account, whose logins succeed and cost no tokens, leaves room for others
// in the queue of auth/password, from however many addresses it comes.
//
// If a bucket is empty, the attempt fails with a LoginRateError that says after
// how many seconds there will be a token; it is not checked. Attempts that are
// being checked hold their tokens, so that many at once do not get past the
// limit.
//
// Names are counted by their [NormalName], whether there is such a user or not.
// Store and look up users by the same, so that a name is one user for both.
//
// # Constants
//
// OWASP ASVS 4.0.3, requirement 2.2.1, allows 100 failed attempts an hour on one
// account. A full bucket and an hour of refill are 100 by default for PerUser
// (50 + 50), and 70 for PerUserAndAddress (10 + 60). PerAddress and PerSocket
// (20 and 10 a minute) leave room for many people behind one address, as only
// failures count. A /48 is the most that a site usually gets (RFC 6177).
//
// # Memory
//
// A [Gate] keeps an exact count for 65,536 buckets of each kind. Beyond that,
// buckets are moved to a count–min sketch, in which some share a count: they may
// seem emptier than they are, and never fuller. So nobody can make a gate
// forget what was counted for another by trying many names or addresses. It
// takes some 26 MiB at most, and next to nothing as long as few attempts fail. The
// addresses that users have logged in from take 8 MiB at most.
//
// The counts are those of one process, and end with it.
//
// # Audit events
//
// Failures are [socketcluster.AuditLoginFailed], refused attempts
// [socketcluster.AuditLoginLimited]: one a minute for each bucket that refuses,
// so that a flood of attempts is no flood of events. A success over HTTP is
// [socketcluster.AuditLogin]; over a socket SetAuthToken tells of that.
//
// # Blocking
//
// [Do] blocks as long as the check does. All of the package may be used by many
// goroutines.
package login
