package httpauth

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/socketcluster-go/socketcluster/wire"
)

// Origins is a list of origins. It determines which pages may connect, and
// which may use what the browser adds to a request by itself. nil is the empty
// list.
//
// An entry is "scheme://host:port" or "host:port":
//
//   - The scheme is that of the page, such as https, capacitor or
//     chrome-extension. Without one, the entry stands for http and https, and
//     pages of any other scheme match it as if their port were 80.
//   - The host is a name or an address, "*.example.com" for all hosts below
//     example.com but not that host itself, or "*" for all hosts.
//   - The port is a number, or "*" for all ports. After a scheme it may be left
//     out: then it is the default port of that scheme.
//
// "*:*" matches every request, whatever its Origin header, and even without
// one. "file://" is the origin of pages that are files.
type Origins struct {
	entries []originEntry
	any     bool // "*:*" is one of them
}

// originEntry is an entry, or the origin of a page. Its parts are in lower case.
type originEntry struct {
	scheme string // "" for an entry without one
	host   string // without brackets
	port   string // "" if the scheme has none
}

// ParseOrigins makes a list. The error names the first entry that cannot be
// used, and the reason.
func ParseOrigins(entries ...string) (*Origins, error) {
	list := &Origins{entries: make([]originEntry, 0, len(entries))}
	for _, text := range entries {
		e, err := parseEntry(strings.ToLower(text))
		if err != nil {
			return nil, fmt.Errorf("has the entry %q: %w", text, err)
		}
		list.any = list.any || e == originEntry{host: "*", port: "*"}
		list.entries = append(list.entries, e)
	}
	return list, nil
}

func parseEntry(text string) (e originEntry, err error) {
	scheme, rest, hasScheme := strings.Cut(text, "://")
	if !hasScheme {
		rest = text
	} else if e.scheme = scheme; !isScheme(scheme) {
		return e, errors.New("the part before :// is not a scheme")
	} else if scheme == "ws" || scheme == "wss" {
		return e, fmt.Errorf("the scheme must be that of the page, %s, not that of its sockets", strings.Replace(scheme, "ws", "http", 1))
	} else if text == "file://" {
		return e, nil
	}
	if strings.ContainsAny(rest, "/?#@") {
		return e, errors.New("nothing may follow the host and the port")
	}
	e.host, e.port = splitPort(rest, !hasScheme)
	switch {
	case !isHost(strings.TrimPrefix(e.host, "*.")) && e.host != "*":
		return e, errors.New(`it must have a host: a name in ASCII, as browsers send it, an address, "*.example.com" or "*"`)
	case e.port == "" && !hasScheme:
		return e, errors.New(`it must be "host:port" or begin with a scheme, and the host and the port may be "*"`)
	case e.port == "":
		e.port = schemePort(e.scheme)
	case e.port != "*" && !isPort(e.port):
		return e, errors.New(`its port must be a number from 1 to 65535 or "*"`)
	}
	return e, nil
}

// splitPort splits at the last colon. bare allows an IPv6 host without
// brackets, because a port must follow.
func splitPort(s string, bare bool) (host, port string) {
	host = s
	if i := strings.LastIndexByte(s, ':'); i > strings.LastIndexByte(s, ']') && (bare || s[0] == '[' || strings.Count(s, ":") == 1) {
		host, port = s[:i], s[i+1:]
		if port == "" {
			port = "none" // a colon without a port behind it is a mistake
		}
	}
	if inner, ok := strings.CutPrefix(host, "["); ok && strings.HasSuffix(inner, "]") && strings.Contains(inner, ":") {
		host = inner[:len(inner)-1]
	}
	if strings.Contains(host, ":") {
		if addr, err := netip.ParseAddr(host); err == nil {
			host = addr.String()
		}
	}
	return host, port
}

func isScheme(s string) bool {
	for i, c := range []byte(s) {
		if !isAlphanumeric(c) && (i == 0 || !strings.ContainsRune("+-.", rune(c))) {
			return false
		}
	}
	return s != "" && (s[0] < '0' || s[0] > '9')
}

// isHost reports whether s, in lower case, can be the host of an origin.
func isHost(s string) bool {
	if strings.Contains(s, ":") {
		addr, err := netip.ParseAddr(s)
		return err == nil && addr.Zone() == ""
	}
	for _, c := range []byte(s) {
		if !isAlphanumeric(c) && !strings.ContainsRune("-._~", rune(c)) {
			return false
		}
	}
	return s != ""
}

func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0 && s[0] != '0'
}

// schemePort returns the default port of the scheme.
func schemePort(scheme string) string {
	switch scheme {
	case "http":
		return "80"
	case "https":
		return "443"
	}
	return ""
}

// maxOrigin is the maximum length of an origin that is compared and repeated,
// in bytes. A host name has at most 253.
const maxOrigin = 320

// parseOrigin reads an Origin header. It reports false if text is not an
// origin.
func parseOrigin(text string) (o originEntry, ok bool) {
	if len(text) > maxOrigin {
		return o, false
	}
	scheme, rest, ok := strings.Cut(strings.ToLower(text), "://")
	if !ok || !isScheme(scheme) {
		return o, false
	}
	o.scheme = scheme
	if scheme == "file" && rest == "" {
		return o, true
	}
	o.host, o.port = splitPort(rest, false)
	if o.port == "" {
		o.port = schemePort(scheme)
	} else if !isPort(o.port) {
		return o, false
	}
	return o, isHost(o.host)
}

// String writes an origin as browsers do.
func (o originEntry) String() string {
	host := o.host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if o.port != schemePort(o.scheme) {
		host += ":" + o.port
	}
	return o.scheme + "://" + host
}

func (o originEntry) isWeb() bool { return o.scheme == "http" || o.scheme == "https" }

// matches reports whether the origin of a page is one of those that the entry
// stands for.
func (e originEntry) matches(page originEntry) bool {
	port := page.port
	if e.scheme == "" && port == "" {
		port = "80"
	}
	if e.scheme != "" && e.scheme != page.scheme || e.port != "*" && e.port != port {
		return false
	}
	if below, ok := strings.CutPrefix(e.host, "*"); ok { // of everything, or of a domain
		return strings.HasSuffix(page.host, below) && page.host != ""
	}
	return e.host == page.host
}

// names reports whether the entry names the host of a page, so that the page
// may do more than connect.
func (e originEntry) names(page originEntry) bool {
	return e.matches(page) && e.host != "*" && e.host != "" && (e.scheme != "" || page.isWeb())
}

// Admit reports why the page that sent a request may not connect, or returns
// nil. An empty list admits all. allowMissing admits requests without an Origin
// header, unless their Sec-Fetch-Site shows that they come from a page of
// another origin.
//
// The error names the entry that is missing. It repeats an origin only if that
// is well-formed, so it may be shown.
func (l *Origins) Admit(r *http.Request, allowMissing bool) error {
	if l == nil || len(l.entries) == 0 || l.any {
		return nil
	}
	page, err := pageOf(r)
	switch {
	case err != nil:
		return err
	case page != originEntry{}:
		if l.has(page, originEntry.matches) {
			return nil
		}
		return fmt.Errorf("%v is not in Origins", page)
	case fetchSite(r) == otherSite:
		return errNamelessPage
	case !allowMissing:
		return errors.New("the request has no Origin header; AllowMissingOrigin admits such requests")
	}
	return nil
}

// Trust reports why a request may not use what the browser added to it by
// itself, or returns nil. It may do so if no page sent it, or a page of the
// server's own origin, or a page that the list names. An entry with the host
// "*" does not count, and an entry without a scheme does not count for pages
// that are neither http nor https. A request without an Origin header comes
// from no page, unless its Sec-Fetch-Site shows otherwise.
//
// An identity that depends on the client's address is not bound to one host: a
// stranger may let a name of their own resolve to the address of the server,
// and then their page is of the server's own origin (DNS rebinding). So such a
// request must be addressed to a host that the list names, to localhost, or to
// an IP address.
//
// The error is a *wire.Error for clients. It names the entry that is missing, and
// repeats an origin or a host only if that is well-formed.
func (l *Origins) Trust(r *http.Request, a Ambience) error {
	if a == NotAmbient {
		return nil
	}
	if err := l.checkHost(r, a); err != nil {
		return err
	}
	return l.checkPage(r, "The cookie or session of the request")
}

// checkPage refuses a request from a page that is not trusted. what describes
// it in the error.
func (l *Origins) checkPage(r *http.Request, what string) error {
	page, err := pageOf(r)
	none := err == nil && page == originEntry{}
	switch site := fetchSite(r); {
	case errors.Is(err, errSeveralOrigins):
	case none && site != otherSite, site == ownSite, site == unknownSite && isOwn(page, r):
		return nil
	case none:
		err = errNamelessPage
	case err == nil && l.has(page, originEntry.names):
		return nil
	}
	if err != nil {
		return crossOrigin("%s is not accepted from a page of another origin: %v", what, err)
	}
	return crossOrigin("%s is not accepted from a page of another origin. Add %q to Origins to trust it", what, page)
}

func crossOrigin(format string, args ...any) error {
	return &wire.Error{Name: nameCrossOrigin, Message: fmt.Sprintf(format, args...)}
}

const nameCrossOrigin = "CrossOriginError"

// checkHost refuses a request whose identity depends on the address, if its
// host may be a stranger's.
func (l *Origins) checkHost(r *http.Request, a Ambience) error {
	if a != AmbientByAddress {
		return nil
	}
	const remedy = "who is known by address must come to a host that is listed there, to localhost or to an IP address"
	http, ok := parseOrigin("http://" + r.Host)
	if !ok {
		return crossOrigin("The request has come to a host that is not in Origins: %s", remedy)
	}
	https, _ := parseOrigin("https://" + r.Host)
	_, err := netip.ParseAddr(http.host)
	if err == nil || http.host == "localhost" || strings.HasSuffix(http.host, ".localhost") ||
		l.has(http, originEntry.names) || l.has(https, originEntry.names) {
		return nil
	}
	return crossOrigin("The request has come to the host %s, which is not in Origins: %s", strings.TrimPrefix(http.String(), "http://"), remedy)
}

// has reports whether an entry fits a page.
func (l *Origins) has(page originEntry, fits func(e, page originEntry) bool) bool {
	return l != nil && slices.ContainsFunc(l.entries, func(e originEntry) bool { return fits(e, page) })
}

var (
	errSeveralOrigins = errors.New("the request has several Origin headers")
	errNullOrigin     = errors.New("the origin is null, as for files and sandboxed frames")
	errBadOrigin      = errors.New("the Origin header is malformed")
	errNamelessPage   = errors.New("the request has Sec-Fetch-Site, but no Origin header")
)

// pageOf returns the origin of the page that sent a request, or the zero value
// if it has no Origin header.
func pageOf(r *http.Request) (page originEntry, err error) {
	switch values := r.Header["Origin"]; len(values) {
	case 0:
		return page, nil
	case 1:
		if values[0] == "null" {
			return page, errNullOrigin
		}
		page, ok := parseOrigin(values[0])
		if !ok {
			return originEntry{}, errBadOrigin
		}
		return page, nil
	}
	return page, errSeveralOrigins
}

// site is the relation of the page that sends a request to the server, as a
// browser reports it in Sec-Fetch-Site. No page can set that header.
type site int

const (
	unknownSite site = iota // browsers before 2023, and plain http
	noSite                  // no page: the user typed the address
	ownSite
	otherSite
)

func fetchSite(r *http.Request) site {
	switch strings.Join(r.Header["Sec-Fetch-Site"], ",") {
	case "":
		return unknownSite
	case "none":
		return noSite
	case "same-origin":
		return ownSite
	}
	return otherSite
}

// isOwn reports whether a page is of the host to which a request is addressed.
// A proxy that ends TLS leaves no trace that can be trusted. So without TLS, a
// page of either scheme may be the server's own.
func isOwn(page originEntry, r *http.Request) bool {
	own, ok := parseOrigin(page.scheme + "://" + r.Host)
	return ok && page.isWeb() && own == page && (page.scheme == "https" || r.TLS == nil)
}
