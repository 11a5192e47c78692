// Package httpauth determines who sends an HTTP request: by a token in a
// cookie, in the Authorization header or in a subprotocol, or by the
// application's own middleware.
//
// A [Source] takes a token out of a request. An [auth.Engine] verifies it. The
// result is the principal of the request, an [auth.Token] in its context:
// [NewContext] sets it, [FromContext] and [Claims] read it. An [Authenticator]
// performs these steps as middleware for net/http. One from
// [github.com/socketcluster-go/socketcluster.Server.Authenticator] uses the
// engine of that socket server. The socket server performs the same steps for
// its own upgrade requests.
//
// No source reads the URL. URLs end up in logs, in histories and in Referer
// headers, and whoever reads them there has the token.
//
// # Ambient tokens
//
// A browser adds cookies to a request by itself, whichever page causes the
// request. Such a token is ambient: it proves whose browser sends the request,
// but not that the user wants it. So a request with an ambient token must come
// from a page of the server's own origin, or of an origin that the server
// trusts ([Origins]). The Origin header names the page. Without that header,
// Sec-Fetch-Site shows whether a page of another origin sent the request. An
// Authenticator lets GET, HEAD and OPTIONS pass, so routes for these must
// change nothing. [Authenticator.Protect] applies the same rule to a login,
// which has no token yet. A socket server applies it to upgrade requests too,
// because the messages that follow on the connection may change anything.
//
// A principal that the application has set counts as ambient, because it
// usually comes from the cookie of a session.
//
// An identity that depends on the client's address is ambient in a second way:
// a browser sends a cookie only to its host, but sends requests from the same
// address to every host. With such a principal ([NewContextByAddress]) or
// source ([AmbientByAddress]), the host of the request is checked as well, even
// for GET. Otherwise a stranger could let a name of their own resolve to the
// address of the server (DNS rebinding), and their page would be of the
// server's own origin.
//
// # Cookies
//
// [SetCookie] sets a cookie that scripts cannot read (HttpOnly), that is sent
// over TLS only (Secure; browsers make an exception for localhost, Safari does
// not), and that other sites' forms and frames do not send (SameSite=Lax).
// Choose a name that begins with __Host-: browsers then accept it from no other
// host. Any host of the same site can set other cookies for all its hosts. For
// the same reason two cookies with one name are an error: one of them may be
// somebody else's.
//
// # Errors
//
// A source refuses a token with an AuthTokenError that has the field
// isBadToken, a *wire.Error like those of an engine. It never contains a part
// of the token. Errors of other types, from an engine or a [Custom] source, are
// taken for errors of the server: an Authenticator logs them and does not send
// them to the client.
//
// # Concurrency, blocking and size
//
// All types are safe for concurrent use, as long as their fields do not change.
// Sources read headers and do not block. Verification blocks if the engine
// does, and ends with the context of the request. The length of a token is
// bounded by MaxHeaderBytes of [net/http.Server] and then by the engine.
package httpauth
