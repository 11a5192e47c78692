// Package safehttp tells from which addresses keys may be fetched: whoever can
// change what travels in between can issue tokens, and an address that somebody else
// has chosen must not lead to services of this machine or of its network.
//
// The functions do not block, but for [Guard.RoundTrip], and are safe for concurrent
// use.
package safehttp

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
)

// maxRedirects is generous: addresses of keys are meant to be fetched directly.
const maxRedirects = 3

// CheckURL reports why nothing must be fetched from there, "" when it may: it must
// be https, or http on a loopback address, or on any with allowInsecure.
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

// CheckRedirect is for [http.Client]: it bounds redirections, and keeps them as
// safe as what was configured.
func CheckRedirect(allowInsecure bool) func(*http.Request, []*http.Request) error {
	return func(next *http.Request, via []*http.Request) error {
		if len(via) > maxRedirects {
			return fmt.Errorf("more than %d redirections", maxRedirects)
		}
		if reason := CheckURL(next.URL, allowInsecure); reason != "" {
			return fmt.Errorf("the address of a redirection %s", reason)
		}
		if next.URL.Scheme == "http" && via[len(via)-1].URL.Scheme == "https" {
			return errors.New("a redirection leads from https to http")
		}
		return nil
	}
}
