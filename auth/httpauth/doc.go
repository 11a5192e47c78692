// Package httpauth finds out who sends an HTTP request: from a token in a
// cookie, in the Authorization header or in a subprotocol, or from what the
// application's own middleware knows.
//
// A [Source] takes a token out of a request. An [auth.Engine] verifies it. The
// result is the principal of the request, an [auth.Token] in its context:
// [NewContext] sets it, [FromContext] and [Claims] read it. An [Authenticator]
// does these steps as middleware for net/http, with the engine of a socket
// server if [github.com/socketcluster-go/socketcluster.Server.Authenticator]
// has made it; the socket server does them for its own upgrade requests.
//
// No source reads the URL. Addresses end up in logs, in histories and in
// Referer headers, and whoever reads them there has the token.
//
// # Ambient tokens
//
// A browser adds cookies to a request by itself, whichever page has caused it.
// Such a token is ambient: it proves whose browser sends the request, and not
// that its user wants it. So a request with an ambient token must come from a
// page of the server's own origin, or of one that the server trusts: [Origins]
// decides. The Origin header names the page; where a request has none, its
// Sec-Fetch-Site reports whether a page of another origin has sent it. An
// Authenticator lets GET, HEAD and OPTIONS pass: routes for these must change
// nothing. [Authenticator.Protect] does the same for a login, which has no token
// yet. A socket server holds upgrade requests to it too, as what follows on
// the connection may change anything.
//
// A principal that the application has set counts as ambient, as it most often
// comes from the cookie of a session.
//
// What goes by the address of the client is ambient in a second way: browsers
// keep a cookie to its host, but send a request from the same address to any.
// With such a principal ([NewContextByAddress]) or source ([AmbientByAddress]) the host of the
// request is checked as well, also for GET. Otherwise the page of a stranger could
// give its own name the address of the server (DNS rebinding), and
// would be of the server's own origin.
//
// # Cookies
//
// [SetCookie] sets a cookie that scripts cannot read (HttpOnly), that is sent
// over TLS only (Secure; browsers make an exception for localhost, Safari does
// not), and that other sites' forms and frames do not send (SameSite=Lax).
// Choose a name that begins with __Host-: browsers then take it from no other
// host, while other cookies can be set by any host of the same site, for all
// its hosts. That is also why two cookies of one name are an error: one of them
// may be somebody else's.
//
// # Errors
//
// What a source refuses is an AuthTokenError with the field isBadToken, a
// *wire.Error like those of an engine. It never holds a part of the token.
// Errors of other types, of an engine or a [Custom] source, are taken for the
// server's own: an Authenticator logs them and keeps them from the client.
//
// # Concurrency, blocking and size
//
// All types are safe for concurrent use, as long as their fields do not change.
// Sources read headers and do not block; verification may, as far as the engine
// does, and ends with the context of the request. The length of a token is
// bounded by MaxHeaderBytes of [net/http.Server] and then by the engine.
package httpauth
