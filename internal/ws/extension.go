package ws

import (
	"net/http"
	"slices"
	"strings"
)

// deflateName is the extension of RFC 7692 in Sec-WebSocket-Extensions.
const deflateName = "permessage-deflate"

// deflateAnswer accepts an offer, and is also the offer of a client. Neither
// side keeps its window between two messages, so an idle connection holds no
// compressor state, and a compressed message can be shared. A server may demand
// both even if the client did not offer them (RFC 7692, section 7.1.1).
const deflateAnswer = deflateName + "; server_no_context_takeover; client_no_context_takeover"

// maxExtensions is the maximum total length of a client's offers in bytes.
// Those of browsers have about 50, and parsing takes many times as much memory.
const maxExtensions = 1024

// extension is one element of Sec-WebSocket-Extensions.
type extension struct {
	name   string
	params []extensionParam
}

type extensionParam struct {
	name, value string
	hasValue    bool
}

// negotiateDeflate returns the answer to the first acceptable offer, or "" if
// there is none. ok is false if the header violates its grammar or is too long.
func negotiateDeflate(h http.Header) (answer string, ok bool) {
	length := 0
	for _, line := range h["Sec-Websocket-Extensions"] {
		if length += len(line); length > maxExtensions {
			return "", false
		}
		offers, ok := parseExtensions(line)
		if !ok {
			return "", false
		}
		for i := range offers {
			if answer == "" {
				answer = offers[i].acceptDeflate()
			}
		}
	}
	return answer, true
}

// acceptDeflate returns the answer to an offer, or "" to decline it, as RFC
// 7692, section 7.1, demands for unknown, repeated and invalid parameters.
func (e *extension) acceptDeflate() string {
	if e.name != deflateName {
		return ""
	}
	answer := deflateAnswer
	for i, p := range e.params {
		if slices.ContainsFunc(e.params[:i], func(q extensionParam) bool { return q.name == p.name }) {
			return ""
		}
		switch p.name {
		case "server_no_context_takeover", "client_no_context_takeover":
			if p.hasValue {
				return ""
			}
		case "server_max_window_bits":
			// compress/flate has one window size, so a smaller one cannot be
			// promised.
			if p.value != "15" {
				return ""
			}
			answer += "; server_max_window_bits=15"
		case "client_max_window_bits":
			// The decompressor accepts any window, so no answer is needed.
			if p.hasValue && !slices.Contains(windowBits, p.value) {
				return ""
			}
		default:
			return ""
		}
	}
	return answer
}

// deflateAccepted reads the answer to deflateAnswer as an offer. ok is false
// for an extension or a parameter that was not offered or is not supported.
func deflateAccepted(h http.Header) (deflate, ok bool) {
	var all []extension
	for _, line := range h["Sec-Websocket-Extensions"] {
		chosen, ok := parseExtensions(line)
		if !ok {
			return false, false
		}
		all = append(all, chosen...)
	}
	if len(all) == 0 {
		return false, true
	}
	if len(all) > 1 || all[0].name != deflateName {
		return false, false
	}
	stateless := false // without this promise of the server, its messages cannot be read
	for i, p := range all[0].params {
		if slices.ContainsFunc(all[0].params[:i], func(q extensionParam) bool { return q.name == p.name }) {
			return false, false
		}
		switch p.name {
		case "server_no_context_takeover":
			stateless = !p.hasValue
		case "client_no_context_takeover":
			if p.hasValue {
				return false, false
			}
		case "server_max_window_bits": // the decompressor accepts any window
			if !slices.Contains(windowBits, p.value) {
				return false, false
			}
		default:
			return false, false
		}
	}
	return stateless, stateless
}

// windowBits are the values of the parameters for the size of the window.
var windowBits = []string{"8", "9", "10", "11", "12", "13", "14", "15"}

// parseExtensions parses a value of Sec-WebSocket-Extensions (RFC 6455, section
// 9.1). Elements of the list may be empty, as in all HTTP lists.
func parseExtensions(s string) (all []extension, ok bool) {
	in := extensionScanner{s}
	for {
		if in.take(',') {
			continue
		}
		if in.rest == "" {
			return all, true
		}
		var e extension
		if e.name, ok = in.token(); !ok {
			return nil, false
		}
		for in.take(';') {
			var p extensionParam
			if p.name, ok = in.token(); !ok {
				return nil, false
			}
			if p.hasValue = in.take('='); p.hasValue {
				if p.value, ok = in.value(); !ok {
					return nil, false
				}
			}
			e.params = append(e.params, p)
		}
		all = append(all, e)
		if in.rest != "" && !in.take(',') {
			return nil, false
		}
	}
}

// extensionScanner scans the value of a header.
type extensionScanner struct{ rest string }

// take skips white space, and then a delimiter if it comes next.
func (in *extensionScanner) take(delimiter byte) bool {
	in.rest = strings.TrimLeft(in.rest, " \t")
	if in.rest == "" || in.rest[0] != delimiter {
		return false
	}
	in.rest = in.rest[1:]
	return true
}

func (in *extensionScanner) token() (t string, ok bool) {
	in.rest = strings.TrimLeft(in.rest, " \t")
	n := strings.IndexAny(in.rest, ",;= \t")
	if n < 0 {
		n = len(in.rest)
	}
	t, in.rest = in.rest[:n], in.rest[n:]
	in.rest = strings.TrimLeft(in.rest, " \t")
	return t, isToken(t)
}

// value reads a token, with or without quotes; a character after a backslash
// stands for itself.
func (in *extensionScanner) value() (v string, ok bool) {
	if !in.take('"') {
		return in.token()
	}
	var b strings.Builder
	for i := 0; i < len(in.rest); i++ {
		switch in.rest[i] {
		case '"':
			in.rest = strings.TrimLeft(in.rest[i+1:], " \t")
			return b.String(), isToken(b.String())
		case '\\':
			if i++; i == len(in.rest) {
				return "", false
			}
		}
		b.WriteByte(in.rest[i])
	}
	return "", false
}
