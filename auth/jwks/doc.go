// Package jwks gets the verification keys of a server from JWK Sets that other
// parties, such as identity providers, publish over HTTP.
//
// A [Client] is an [auth.KeySource] that verifies and never signs. It fetches
// each address when it is made, and then periodically in the background, so
// verifying a token usually waits for nothing. Only a token with an unknown kid
// causes a fetch and waits for it, or waits for one that is under way. There is
// at most one fetch at a time for each address, and a minimum time between two
// of them, because strangers choose the kid. Within that time, or while the
// address is down, the error is [auth.ErrKeysUnavailable]. The client then
// keeps its token, because the key may exist.
//
// While an address is down, its last set stays in use for Options.MaxAge. Then
// its keys end, because they may have been withdrawn. A response that is not a
// JWK Set is a failure like any other.
//
// Each set replaces the previous one: keys that are no longer in it have ended.
// If it is empty, or has no usable key, all keys have ended; this is logged,
// and the set is fetched again as after a failure. A key whose private part is
// in the set, for whatever reason, has ended too, because everybody can sign
// with it. Tokens that were accepted before stay valid.
//
// Only {"keys":[]} is an empty set. {"keys":null}, {}, [], and a response
// without a body are failures, after which the previous keys stay in use.
//
// A private part ends its key at all addresses of the client, even if the
// response is not a valid set: a single JWK, repeated names, too many keys, or
// a truncated text. It does so until that address has responded with a set
// without it.
//
// # Trust
//
// Whoever controls an address can issue tokens, so it must be https, except for
// a loopback address. At most three redirects are followed, never from https to
// http, and never to an address that is nearer to this machine than the
// configured one: from a public address to a private network or to this
// machine, whatever its name. With a Transport that is not an *http.Transport,
// and through a proxy, only literal addresses and the name localhost are
// recognized. Symmetric and private keys are not accepted from an address,
// because they have been published. Set Issuer and Audience: a provider serves
// many applications, and signs the tokens of all of them with the same keys.
//
// # Defaults
//
// A fetch may take 5 seconds, half of the time of a handshake, and return 1
// MiB. The interval of 15 minutes, plus the time of the fetch, bounds how long
// a withdrawn key is accepted. A fetch starts up to a fifth of the interval
// early, so that the servers of a cluster do not fetch all at once. If fetches
// fail, the bound is the maximum age of 6 hours. That is enough time to end an
// outage; tokens of providers live for about an hour. After a failure, a fetch
// is tried again after a second, and then after twice the previous pause, up to
// a minute. There are 30 seconds between fetches for unknown kids; keys are
// usually published well before they sign.
//
// Logs contain nothing of keys or tokens, and addresses without user
// information and query.
package jwks
