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
// What an address gave last remains in force while the address is down, for
// Options.MaxAge: then its keys end, as nobody can tell any more which of them have
// been withdrawn. An answer that is no JWK Set is a failure like others.
//
// A set counts as it is: keys that are not in it any more have ended. So have all if
// it is empty, or has none that can be used, which is logged, and asked for again as
// after a failure. A key whose private part is in the set, whatever for, has ended
// too: everybody can sign with it. Tokens that were accepted before live on.
//
// Empty is {"keys":[]} alone. {"keys":null}, {}, [], and an answer without a body are
// no sets: failures, after which the keys of before stay.
//
// A private part ends its key at all addresses of the client, and where the answer
// is no set as well: one JWK, repeated names, too many keys, an end in the middle.
// It does so until that address has answered with a set without it.
//
// # Trust
//
// Whoever answers at an address can issue tokens, so it must be https, save for a
// loopback address. Redirections are followed three times at most, never from
// https to http, and never to an address that is nearer to this machine than the
// configured one is found: from a public one to a private network or to this machine,
// whatever name it has. With a Transport that is no *http.Transport, and through a
// proxy, only the names localhost and addresses count. Symmetric and private keys are not accepted from an address: they
// would have been published. Set Issuer and Audience: providers serve many, and
// sign the tokens of all with the same keys.
//
// # Defaults
//
// A fetch has 5 seconds, half of the time of a handshake, and 1 MiB. The interval
// of 15 minutes, and the time of the fetch, bound how long a key that has been
// withdrawn is accepted; a fetch comes up to a fifth earlier, so that the servers of a
// cluster do not come all at once. If fetches fail, the bound is the greatest age of
// 6 hours. That is time to end an outage; the tokens of providers live for about an
// hour. After a failure a fetch is tried again after a second, and then after twice the
// time of before, up to a minute. There are 30 seconds between fetches for unknown
// kids; keys are usually published well before they sign.
//
// Nothing in logs comes out of keys or tokens, and addresses are logged without
// user information and query.
package jwks
