// Package admission decides who may connect: from which address a request
// comes, behind trusted [Proxies], and whether there is a place for it in
// [Places]. Package auth/httpauth decides which pages may connect, because
// ordinary routes need this too.
//
// Nothing here waits or keeps a request. Proxies are immutable. Places may be
// used from any goroutine. Their lock is a leaf, so any other lock may be held.
// A place is taken for the request, settled at the end of the handshake, and
// left at the end of the connection, once each and in this order. The caller
// remembers the address for which it was taken.
package admission
