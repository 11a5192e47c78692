// Package safehttp decides from which addresses keys may be fetched. Whoever
// can change the traffic can issue tokens, and an address that somebody else
// has chosen must not lead to services of this machine or of its network.
//
// Only [Guard.RoundTrip] blocks. All functions are safe for concurrent use.
package safehttp

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
)

// maxRedirects is generous, because keys are usually fetched from their address
// directly.
const maxRedirects = 3

// CheckURL reports why nothing must be fetched from a URL, or returns "". The
// URL must be https, or http on a loopback address or, with allowInsecure, on
// any address.
func CheckURL(u *url.URL, allowInsecure bool) string {
	switch {
	case u.Host == "":
		return "has no host"
	case u.User != nil:
		return "has user information, which is not sent"
	case u.Scheme == "https":
		return ""
	case u.Scheme != "http":
		return "is neither https nor http"
	case allowInsecure || loopback(u.Hostname()):
		return ""
	}
	return "is not https"
}

func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.Unmap().IsLoopback()
}

// CheckRedirect is for [http.Client]: it bounds the number of redirects, and
// keeps them as safe as the configured address.
func CheckRedirect(allowInsecure bool) func(*http.Request, []*http.Request) error {
	return func(next *http.Request, via []*http.Request) error {
		if len(via) > maxRedirects {
			return fmt.Errorf("more than %d redirects", maxRedirects)
		}
		if reason := CheckURL(next.URL, allowInsecure); reason != "" {
			return fmt.Errorf("the address of a redirect %s", reason)
		}
		if next.URL.Scheme == "http" && via[len(via)-1].URL.Scheme == "https" {
			return errors.New("a redirect leads from https to http")
		}
		return nil
	}
}
