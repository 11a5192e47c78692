package httpauth

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/socketcluster-go/socketcluster/wire"
)

// A Source is a place in a request that may hold a token. [Cookie], [Bearer],
// [Subprotocol] and [Custom] make one; the zero value is not valid, and is
// refused with an error wherever it is used.
type Source struct {
	token    func(r *http.Request) (string, error)
	ambience Ambience
	prefix   string // of the subprotocols that hold tokens
	err      error  // why the source cannot be used
}

// Ambience reports whether browsers add a token or principal to requests by
// themselves. If they do, a request with it need not be what the user wants.
type Ambience uint8

const (
	// NotAmbient is for values that a page must add to its requests.
	NotAmbient Ambience = iota

	// AmbientByHost is for values that browsers send to one host and its
	// neighbours: cookies, client certificates, HTTP authentication.
	AmbientByHost

	// AmbientByAddress is for identities that every request from the client's
	// address, or over its network, has, whatever the host name in the request.
	AmbientByAddress
)

// Cookie reads the token from a cookie; see [SetCookie], and the package
// comment for the choice of a name. A request with several cookies of that name
// has a bad token.
func Cookie(name string) Source {
	if err := checkCookieName(name); err != nil {
		return Source{err: err}
	}
	return Source{ambience: AmbientByHost, token: func(r *http.Request) (string, error) {
		cookies := r.CookiesNamed(name)
		switch len(cookies) {
		case 0:
			return "", nil
		case 1:
			return cookies[0].Value, nil
		}
		return "", badToken("The request has several cookies of the name that the token has")
	}}
}

// Bearer reads the token from a header "Authorization: Bearer token" (RFC
// 6750). Other schemes do not count as a token. Several Authorization headers,
// or an invalid token after Bearer, count as a bad token.
func Bearer() Source {
	return Source{token: func(r *http.Request) (string, error) {
		headers := r.Header["Authorization"]
		if len(headers) == 0 {
			return "", nil
		}
		if len(headers) > 1 {
			return "", badToken("The request has several Authorization headers")
		}
		scheme, token, _ := strings.Cut(headers[0], " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return "", nil
		}
		token = strings.Trim(token, " ")
		if !isToken68(token) {
			return "", badToken("The Authorization header holds no token")
		}
		return token, nil
	}}
}

// Subprotocol reads the token from a WebSocket subprotocol that the client
// offers, as pages of other origins can: new WebSocket(url, ["socketcluster",
// "token." + token]) for the prefix "token.". Tokens must consist of characters
// that are allowed in a subprotocol (RFC 9110, section 5.6.2), as JWTs do.
//
// The server never selects such a subprotocol, because the token would then be
// in the response, too. Browsers close the connection if they offer
// subprotocols and the server selects none, so the client must offer another
// one as well. Several tokens count as a bad token.
func Subprotocol(prefix string) Source {
	if !isToken(prefix) {
		return Source{err: fmt.Errorf("httpauth: Subprotocol has the prefix %q; it may have only characters that are allowed in a subprotocol", prefix)}
	}
	return Source{prefix: prefix, token: func(r *http.Request) (string, error) {
		token, found := "", false
		for _, line := range r.Header["Sec-Websocket-Protocol"] {
			for name := range strings.SplitSeq(line, ",") {
				rest, ok := strings.CutPrefix(strings.Trim(name, " \t"), prefix)
				if !ok {
					continue
				}
				if found {
					return "", badToken("The request offers several tokens as subprotocols")
				}
				if !isToken(rest) {
					return "", badToken("The subprotocol holds no token")
				}
				token, found = rest, true
			}
		}
		return token, nil
	}}
}

// Custom reads the token by a function of the application. fn returns "" for a
// request without one. It is called once for each request, from many
// goroutines, and must not read the body.
//
// a reports whether browsers send the token by themselves: [AmbientByHost] if
// it comes from cookies, client certificates or HTTP authentication,
// [AmbientByAddress] if it depends on the address of the client.
func Custom(fn func(r *http.Request) (signed string, err error), a Ambience) Source {
	if fn == nil {
		return Source{err: errors.New("httpauth: Custom has no function")}
	}
	if a > AmbientByAddress {
		return Source{err: fmt.Errorf("httpauth: Custom has the Ambience %d, which does not exist", a)}
	}
	return Source{token: fn, ambience: a}
}

// Token returns the token of a request, unverified, or "" if the request has
// none in this place.
func (s Source) Token(r *http.Request) (signed string, err error) {
	if err := s.Err(); err != nil {
		return "", err
	}
	return s.token(r)
}

// Ambience reports whether browsers send the token by themselves.
func (s Source) Ambience() Ambience { return s.ambience }

// Owns reports whether a subprotocol that a client offers is meant for this
// source. Such a subprotocol contains a token and must not be selected.
func (s Source) Owns(subprotocol string) bool {
	return s.prefix != "" && strings.HasPrefix(subprotocol, s.prefix)
}

// Err reports why the source cannot be used: it is the zero value, or was made
// with a name, prefix or function that cannot work. It returns nil for all
// others.
func (s Source) Err() error {
	if s.err == nil && s.token == nil {
		return errors.New("httpauth: a zero Source; make one with Cookie, Bearer, Subprotocol or Custom")
	}
	return s.err
}

// badToken is the error for a token that is refused before an engine sees it.
func badToken(message string) error {
	return &wire.Error{
		Name:    wire.NameAuthToken,
		Message: message,
		Fields:  []wire.Field{{Key: "isBadToken", Value: true}},
	}
}

// isToken68 reports whether s is a b64token of RFC 6750, section 2.1.
func isToken68(s string) bool {
	s = strings.TrimRight(s, "=")
	for _, c := range []byte(s) {
		if !isAlphanumeric(c) && !strings.ContainsRune("-._~+/", rune(c)) {
			return false
		}
	}
	return s != ""
}

// isToken reports whether s is a token of RFC 9110, section 5.6.2.
func isToken(s string) bool {
	for _, c := range []byte(s) {
		if !isAlphanumeric(c) && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return s != ""
}

func isAlphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
