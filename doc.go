// Package socketcluster is a server that speaks the SocketCluster protocol:
// browsers, phones and services that use socketcluster-client connect to it
// without a change.
//
// # Concepts
//
// A [Server] is an [http.Handler]. Each client's connection is a [Socket].
// A client calls procedures ([Server.Handle], answered), transmits events
// ([Server.Receive], not answered), and subscribes and publishes to channels,
// which need no registration. [Middleware] allows or blocks what clients do, one
// [Action] at a time. An [Event] reports what has happened ([On], [Events]).
// The [Exchange] publishes and subscribes on the server's behalf.
//
// A token authenticates a client: a signed JSON Web Token that the client keeps
// and presents with each new connection. The client gets it over its socket
// ([Socket.SetAuthToken]) or over HTTP ([Server.Auth]).
//
// # Ordering
//
// The messages of one socket are handled in order. Middleware, publications,
// subscriptions and authentication run one after the other. Calls and
// transmissions run in order for each name, and side by side for different names.
//
// What the server sends to one socket leaves in the order in which it was sent: a
// token set in a login handler arrives before the answer of the login, unless
// [Compat] says otherwise. Publications of one publisher stay in order on each
// channel. Nothing is promised across sockets.
//
// # Blocking
//
// Middleware and event handlers delay what their own socket does next. Handlers
// delay only calls of their own name on their own socket, and, for a millisecond
// or two, what else that socket sends. Nothing delays pings, other sockets, or
// the delivery of publications.
//
// Answers of calls wait while half of Limits.Outbox waits for their client, so a
// client that calls without reading delays only its own calls. [Socket.Transmit]
// and [Socket.Send] wait too, until their context ends. [Exchange.Publish] waits a
// moment for subscribers that read well. With a context of [NoWait] they do not
// wait. Tokens, events of the protocol and pings never wait.
//
// # Units and constants
//
// Durations are [time.Duration], sizes are bytes. Close codes from 4000 to
// 4009 and all default timeouts are those of socketcluster-server 20; the
// defaults of [Limits] are this package's own.
package socketcluster
