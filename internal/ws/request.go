package ws

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Refusal is the HTTP response to a request that is not upgraded.
type Refusal struct {
	Status int
	Text   string
	Header http.Header // further headers, may be nil
}

// Error implements error.
func (r *Refusal) Error() string {
	text := cmp.Or(strings.TrimSpace(r.Text), http.StatusText(r.Status))
	return "ws: upgrade refused with " + strconv.Itoa(r.Status) + ": " + text
}

// WriteTo responds with the text as text/plain and asks for the connection to
// be closed (TR-5).
func (r *Refusal) WriteTo(w http.ResponseWriter) {
	h := w.Header()
	for name, values := range r.Header {
		h[name] = slices.Clone(values)
	}
	h.Set("Connection", "close")
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(r.Text)))
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(r.Status)
	// A peer that has gone away does not need the refusal.
	_, _ = w.Write([]byte(r.Text))
}

// CheckRequest returns nil if the method and the headers make a valid WebSocket
// upgrade request. It makes its checks in the order of TR-5.
func CheckRequest(r *http.Request) *Refusal {
	refuse := func(text string) *Refusal {
		return &Refusal{Status: http.StatusBadRequest, Text: text}
	}
	switch {
	case r.Method != http.MethodGet:
		return &Refusal{http.StatusMethodNotAllowed, "Invalid HTTP method", http.Header{"Allow": {http.MethodGet}}}
	case !r.ProtoAtLeast(1, 1), // RFC 9110, section 7.8: Upgrade has no meaning in HTTP/1.0
		!hasToken(r.Header, "Upgrade", "websocket"),
		!hasToken(r.Header, "Connection", "upgrade"):
		return refuse("Invalid Upgrade header")
	case r.ContentLength != 0:
		// The bytes of the body would be taken for frames.
		return refuse("Bad Request")
	case !validKey(r.Header["Sec-Websocket-Key"]):
		return refuse("Missing or invalid Sec-WebSocket-Key header")
	case !validVersion(r.Header["Sec-Websocket-Version"]):
		refusal := refuse("Missing or invalid Sec-WebSocket-Version header")
		refusal.Header = http.Header{"Sec-Websocket-Version": {"13, 8"}}
		return refusal
	}
	if _, ok := subprotocols(r.Header); !ok {
		return refuse("Invalid Sec-WebSocket-Protocol header")
	}
	return nil
}

// Subprotocols returns the client's offers, in its order of preference, or nil
// if the header is absent or malformed.
func Subprotocols(r *http.Request) []string {
	names, _ := subprotocols(r.Header)
	return names
}

func subprotocols(h http.Header) (names []string, ok bool) {
	lines := h["Sec-Websocket-Protocol"]
	if len(lines) == 0 {
		return nil, true
	}
	for _, line := range lines {
		for name := range strings.SplitSeq(line, ",") {
			name = strings.Trim(name, " \t")
			if !isToken(name) || slices.Contains(names, name) {
				return nil, false
			}
			names = append(names, name)
			if len(names) > maxSubprotocols {
				return nil, false
			}
		}
	}
	return names, true
}

// maxSubprotocols bounds the search for duplicates, because strangers choose
// the list.
const maxSubprotocols = 64

// hasToken reports whether a comma-separated header contains the token,
// ignoring case.
func hasToken(h http.Header, name, token string) bool {
	for _, line := range h[name] {
		for t := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.Trim(t, " \t"), token) {
				return true
			}
		}
	}
	return false
}

// validKey reports whether there is one key that looks like 16 bytes in base64.
func validKey(values []string) bool {
	if len(values) != 1 || len(values[0]) != 24 || !strings.HasSuffix(values[0], "==") {
		return false
	}
	for _, b := range []byte(values[0][:22]) {
		if !isAlphanumeric(b) && b != '+' && b != '/' {
			return false
		}
	}
	return true
}

// validVersion accepts 13 and, like the reference server, 8 (TR-1).
func validVersion(values []string) bool {
	return len(values) == 1 && (values[0] == "13" || values[0] == "8")
}

// isToken reports whether s is a token of RFC 9110, section 5.6.2.
func isToken(s string) bool {
	for _, b := range []byte(s) {
		if !isAlphanumeric(b) && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(b)) {
			return false
		}
	}
	return s != ""
}

func isAlphanumeric(b byte) bool {
	return '0' <= b && b <= '9' || 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z'
}
