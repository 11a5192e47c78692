// Package jwks takes the verification keys of a server from JWK Sets that other
// parties publish over HTTP, such as identity providers.
//
// A [Client] is an [auth.KeySource] that verifies and never signs. It fetches each
// address when it is made and then from time to time, in the background, so that
// verifying a token waits for nothing. Only a token with an unknown kid waits for
// a fetch that it causes, or for one that is under way; at most one is, for each
// address, and there is a least time between two of them, as strangers choose the
// kid. While that time lasts, or while the address is down, the answer is
// [auth.ErrKeysUnavailable], with which a client keeps its token, since its key may
// exist.
//
// What an address gave last remains in force, however long the address is down. A
// set without a single usable key counts as a failure.
//
// # Trust
//
// Whoever answers at an address can issue tokens, so it must be https, save for a
// loopback address. Redirections are followed three times at most, and never from
// https to http. Symmetric and private keys are not accepted from an address: they
// would have been published. Set Issuer and Audience: providers serve many, and
// sign the tokens of all with the same keys.
//
// # Defaults
//
// A fetch has 5 seconds, half of the time of a handshake, and 1 MiB. The interval
// of 15 minutes bounds how long a key that has been withdrawn is accepted; it
// varies by a tenth, so that the servers of a cluster do not come all at once.
// After a failure a fetch is tried again after a second, and then after twice the
// time of before, up to a minute. There are 30 seconds between fetches for unknown
// kids; keys are usually published well before they sign.
//
// Nothing in logs comes out of keys or tokens, and addresses are logged without
// user information and query.
package jwks
