package wire

import (
	"bytes"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// ParseString reads a JSON string without surrounding space. It refuses other
// values, absent data, and strings that are not valid Unicode, such as lone
// surrogates.
func ParseString(raw []byte) (string, bool) {
	if !isString(raw) {
		return "", false
	}
	if isPlain(raw) {
		return string(raw[1 : len(raw)-1]), true
	}
	s, err := jsontext.AppendUnquote(nil, raw)
	if err != nil {
		return "", false
	}
	return string(s), true
}

// isPlain reports whether raw, which begins with a quote, is a string literal of
// printable ASCII without escapes, as nearly all names are.
func isPlain(raw []byte) bool {
	n := len(raw) - 1
	if n == 0 || raw[n] != '"' {
		return false
	}
	for _, c := range raw[1:n] {
		if c < ' ' || c >= utf8.RuneSelf || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// Publish is the payload of #publish. Other members of the payload are dropped.
type Publish struct {
	Channel  string
	Position string // in the history of the channel, which a server states; "" for none
	Data     []byte // raw JSON aliasing the payload; nil when absent
	ID       []byte // raw JSON aliasing the payload; nil when absent. The server decides what it may be
}

// ParsePublish reads the payload of #publish. It reports false unless the
// payload is an object whose channel is a string of valid Unicode. The caller
// decides whether the name is acceptable, for instance not empty and not too
// long.
func ParsePublish(raw []byte) (Publish, bool) {
	var p Publish
	var channel []byte
	ok := eachMember(raw, func(name, value []byte) {
		switch string(memberName(name)) {
		case "channel":
			channel = value
		case "position":
			p.Position, _ = ParseString(value)
		case "data":
			p.Data = value
		case "id":
			p.ID = value
		}
	})
	if !ok {
		return Publish{}, false
	}
	if p.Channel, ok = ParseString(channel); !ok {
		return Publish{}, false
	}
	return p, true
}

// Subscribe is the payload of #subscribe.
type Subscribe struct {
	Channel     string
	WaitForAuth bool   // only the literal true counts
	Data        []byte // raw JSON aliasing the payload; nil when absent
	Since       string // the position after which the client wants publications; "" for none
	Last        int    // how many of the last publications the client wants, 0 if it does not say
	Options     []byte // the payload without its channel, a JSON object that does not alias it
}

// ParseSubscribe reads the payload of #subscribe under the rules of
// [ParsePublish]. Options keeps the members in the order of the payload, each
// name once with its last value, and is "{}" if there is nothing but the
// channel.
func ParseSubscribe(raw []byte) (Subscribe, bool) {
	var s Subscribe
	var channel []byte
	var rest members
	ok := eachMember(raw, func(name, value []byte) {
		switch string(memberName(name)) {
		case "channel":
			channel = value
			return
		case "waitForAuth":
			s.WaitForAuth = string(value) == "true"
		case "data":
			s.Data = value
		case "since":
			s.Since, _ = ParseString(value)
		case "last":
			if n, err := strconv.ParseUint(string(value), 10, 31); err == nil {
				s.Last = int(n)
			}
		}
		rest.set(name, value)
	})
	if !ok {
		return Subscribe{}, false
	}
	if s.Channel, ok = ParseString(channel); !ok {
		return Subscribe{}, false
	}
	s.Options = rest.appendObject(nil)
	return s, true
}

// TokenKind is the kind of value that a #handshake has as its token.
type TokenKind uint8

const (
	// TokenAbsent is no token: no data, data that is not an object, no
	// authToken in it, or one that is falsy in JavaScript.
	TokenAbsent TokenKind = iota
	// TokenString is a token to be verified.
	TokenString
	// TokenOther is a value that cannot be a token.
	TokenOther
)

// ParseHandshakeToken reads the token from the payload of #handshake. tok is
// the unescaped text of a TokenString; it aliases raw if it has no escapes.
// Lone surrogates become U+FFFD, so the signature of such a token is invalid.
func ParseHandshakeToken(raw []byte) (tok []byte, kind TokenKind) {
	var token []byte
	ok := eachMember(raw, func(name, value []byte) {
		if string(memberName(name)) == "authToken" {
			token = value
		}
	})
	switch {
	case !ok || isFalsy(token):
		return nil, TokenAbsent
	case !isString(token):
		return nil, TokenOther
	}
	return unquoteLenient(token), TokenString
}

// eachMember calls visit for each member of the object raw, with the literal of
// the name. It returns false, possibly after some calls, if raw is not one
// valid JSON object.
func eachMember(raw []byte, visit func(name, value []byte)) bool {
	raw = trimSpace(raw)
	if len(raw) == 0 || raw[0] != '{' {
		return false
	}
	s := scanner{text: raw}
	s.open()
	for {
		name, value, more, ok := s.member()
		if !ok {
			return false
		}
		if !more {
			return s.atEnd()
		}
		visit(name, value)
	}
}

// unquoteLenient returns the content of a valid string literal, with U+FFFD in
// place of invalid Unicode. It aliases the literal if that has no escapes.
func unquoteLenient(literal []byte) []byte {
	if bytes.IndexByte(literal, '\\') < 0 {
		return literal[1 : len(literal)-1 : len(literal)-1]
	}
	// The only possible error is that something was replaced.
	s, _ := jsontext.AppendUnquote(nil, literal)
	return s
}
