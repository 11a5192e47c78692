package socketcluster

import (
	"fmt"
	"iter"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// originList is Config.Origins as a set. An empty list admits every origin, as
// does one with anyOrigin.
type originList map[string]bool

const anyOrigin = "*:*"

// parseOrigins checks the entries and turns them into a set. Hosts compare
// without case, so they are kept in lower case.
func parseOrigins(entries []string) (originList, error) {
	list := make(originList, len(entries))
	for _, e := range entries {
		host, port, ok := cutPort(e)
		if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
			host = host[1 : len(host)-1]
		}
		if !ok || !validPart(host) || !validPart(port) || !validPort(port) {
			return nil, &ConfigError{"Origins", fmt.Sprintf(`has the entry %q; each must be "host:port", and either part may be "*"`, e)}
		}
		list[strings.ToLower(host)+":"+port] = true
	}
	return list, nil
}

// validPart refuses entries that no origin would ever match.
func validPart(s string) bool {
	return s == "*" || s != "" && !strings.ContainsAny(s, "*/@,[] \t")
}

func validPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return s == "*" || err == nil && n > 0 && s[0] != '0'
}

// cutPort splits at the last colon, so that an IPv6 host needs no brackets.
func cutPort(s string) (host, port string, ok bool) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// admits tells whether a request may be upgraded, going by its Origin header.
func (l originList) admits(r *http.Request, allowMissing bool) bool {
	if len(l) == 0 || l[anyOrigin] {
		return true
	}
	values := r.Header["Origin"]
	if len(values) == 0 {
		return allowMissing
	}
	if len(values) > 1 {
		return false
	}
	u, err := url.Parse(values[0])
	if err != nil || u.Host == "" {
		return false
	}
	host, port := hostAndPort(u, u.Scheme)
	return l[host+":"+port] || l[host+":*"] || l["*:"+port]
}

// hostAndPort answers the host in lower case, and the port or that of the
// scheme.
func hostAndPort(u *url.URL, scheme string) (host, port string) {
	host, port = strings.ToLower(u.Hostname()), u.Port()
	if port == "" {
		port = "80"
		if scheme == "https" {
			port = "443"
		}
	}
	return host, port
}

// trusts tells whether the page that a request comes from may use what the
// browser adds to the request by itself: it is of the server's own origin, or
// of a host that the list names. A request without an Origin header does not
// come from a page.
func (l originList) trusts(r *http.Request) bool {
	values := r.Header["Origin"]
	if len(values) == 0 {
		return true
	}
	if len(values) > 1 {
		return false
	}
	u, err := url.Parse(values[0])
	if err != nil || !strings.EqualFold(values[0], u.Scheme+"://"+u.Host) || u.Scheme != "http" && u.Scheme != "https" {
		return false
	}
	host, port := hostAndPort(u, u.Scheme)
	if host == "" || !validPart(host) || host == "*" {
		return false
	}
	// A proxy that ends TLS leaves no trace that can be trusted, so that
	// without TLS a page of either scheme may be the server's own.
	ownHost, ownPort := hostAndPort(&url.URL{Host: r.Host}, u.Scheme)
	if host == ownHost && port == ownPort && (u.Scheme == "https" || r.TLS == nil) {
		return true
	}
	return l[host+":"+port] || l[host+":*"]
}

// literal yields the origins that entries without "*" stand for.
func (l originList) literal() iter.Seq[string] {
	return func(yield func(string) bool) {
		for entry := range l {
			host, port, _ := cutPort(entry)
			if host == "*" || port == "*" {
				continue
			}
			for _, scheme := range []string{"https", "http"} {
				if !yield(originOf(scheme, host, port)) {
					return
				}
			}
		}
	}
}

// originOf writes an origin as browsers do, without the port of the scheme.
func originOf(scheme, host, port string) string {
	if scheme == "https" && port == "443" || scheme == "http" && port == "80" {
		if strings.Contains(host, ":") {
			host = "[" + host + "]"
		}
		return scheme + "://" + host
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}
