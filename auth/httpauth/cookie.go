package httpauth

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
)

// Both limits come from RFC 6265bis, section 5.6: browsers silently drop larger
// cookies, and forget cookies after 400 days.
const (
	maxCookieSize = 4096 // bytes of name and value
	maxCookieAge  = 400 * 24 * time.Hour
)

// SetCookie is for the response to a login. It sets a cookie with the token,
// which [Cookie] with the same name reads. The cookie ends when the token does;
// without an exp, when the browser is closed. It is HttpOnly, Secure,
// SameSite=Lax, and sent for all paths of the host that sets it, and for no
// other host.
//
// Call it before the response has begun. It fails, and sets nothing, if a
// cookie cannot hold the name or the token, if the token has expired, or if
// name and token have more than 4096 bytes: browsers drop such a cookie.
func SetCookie(w http.ResponseWriter, name string, token *auth.Token) error {
	if err := checkCookieName(name); err != nil {
		return err
	}
	signed := token.Signed()
	if !isCookieValue(signed) {
		return errors.New("httpauth: the token has characters that a cookie cannot hold")
	}
	if size := len(name) + len(signed); size > maxCookieSize {
		return fmt.Errorf("httpauth: a cookie with the token has %d bytes; browsers keep up to %d", size, maxCookieSize)
	}
	c := tokenCookie(name, signed)
	if end, ok := token.ExpiresAt(); ok {
		left := time.Until(end)
		if left < time.Second {
			return errors.New("httpauth: the token has expired")
		}
		c.MaxAge = int(min(left, maxCookieAge) / time.Second)
	}
	http.SetCookie(w, c)
	return nil
}

// ClearCookie is for the response to a logout: it makes the browser forget the
// cookie of [SetCookie]. Connected sockets stay logged in; use [auth/revoke] to
// log them out.
//
// [auth/revoke]: https://pkg.go.dev/github.com/socketcluster-go/socketcluster/auth/revoke
func ClearCookie(w http.ResponseWriter, name string) error {
	if err := checkCookieName(name); err != nil {
		return err
	}
	c := tokenCookie(name, "")
	c.MaxAge = -1
	http.SetCookie(w, c)
	return nil
}

func tokenCookie(name, value string) *http.Cookie {
	return &http.Cookie{
		Name:     name,
		Value:    value,
		Path:     "/",
		HttpOnly: true,
		Secure:   true,
		SameSite: http.SameSiteLaxMode,
	}
}

func checkCookieName(name string) error {
	if !isToken(name) {
		return fmt.Errorf("httpauth: %q cannot be the name of a cookie", name)
	}
	return nil
}

// isCookieValue reports whether s can be the value of a cookie without quotes
// (RFC 6265, section 4.1.1).
func isCookieValue(s string) bool {
	for _, c := range []byte(s) {
		if c <= ' ' || c >= 0x7f || strings.ContainsRune(`",;\`, rune(c)) {
			return false
		}
	}
	return s != ""
}
