// Package admission knows who may connect: which address a request comes from,
// behind [Proxies] that are trusted, and whether there is one of the [Places] for
// it. Which pages may connect is up to auth/httpauth, which ordinary routes share.
//
// Nothing here waits or keeps a request. Proxies do not change. Places may be used
// from any goroutine; their lock is a leaf, so that they may be used under any other.
// A place is taken by the request, settled by the end of the handshake, and left by
// the end of the connection, once each and in this order. The caller remembers the
// address that it has been taken for.
package admission
