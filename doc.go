// Package socketcluster is a server that speaks the SocketCluster protocol:
// browsers, phones and services that use socketcluster-client connect to it
// without a change.
//
// # Concepts
//
// A [Server] is an [net/http.Handler]. Each client's connection is a [Socket].
// A client calls procedures ([Server.Handle], answered), transmits events
// ([Server.Receive], not answered), and subscribes and publishes to channels,
// which need no registration. [Middleware] decides on what clients do, one
// [Action] at a time. An [Event] tells what has happened ([On], [Events]).
// The [Exchange] publishes and subscribes on the server's behalf.
//
// A client is authenticated by a token, a signed JSON Web Token that it keeps
// and presents with each new connection. It gets one over its socket
// ([Socket.SetAuthToken]) or over HTTP ([Server.Auth]).
//
// # Ordering
//
// What one socket sends is handled in the order in which it came: middleware,
// publications, subscriptions and authentication one after the other, calls
// and transmissions in order for each name, side by side for different names.
// What a socket is sent leaves in the order in which it was given: a token
// set in a login handler arrives before the answer of the login.
// Publications of one publisher stay in order on each channel. Nothing is
// promised across sockets.
//
// # Blocking
//
// Middleware and event handlers hold up what their own socket does next.
// Handlers hold up only calls of their own name on their own socket. Nothing
// holds up pings, other sockets, or the delivery of publications. Answers of
// calls wait for their client when half of Limits.Outbox waits for it, so that one
// that calls without reading holds up only its own calls; [Socket.Transmit] and
// [Socket.Send] wait too, up to the end of their context. [Exchange.Publish] waits
// for subscribers that read well, for a moment. [NoWait] is for those who must not
// wait. Tokens, events of the protocol and pings never do.
//
// # Units and constants
//
// Durations are [time.Duration], sizes are bytes. Close codes from 4000 to
// 4009 and all default timeouts are those of socketcluster-server 20; the
// defaults of [Limits] are this package's own.
package socketcluster
