package wire

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
)

// jsonSpace is the space that JSON allows between tokens, which is less than
// Unicode's.
const jsonSpace = " \t\r\n"

// trimSpace removes leading space.
func trimSpace(text []byte) []byte { return text[endOfSpace(text, 0):] }

func isString(raw []byte) bool { return len(raw) > 0 && raw[0] == '"' }

func isNumber(raw []byte) bool {
	return len(raw) > 0 && (raw[0] == '-' || '0' <= raw[0] && raw[0] <= '9')
}

// isFalsy reports whether a valid JSON value, without surrounding space, is
// falsy in JavaScript. An absent value is falsy too.
func isFalsy(raw []byte) bool {
	switch string(raw) {
	case "", "null", "false", `""`:
		return true
	}
	return isNumber(raw) && parseNumber(raw) == 0
}

// maxMemberName is the length of the longest name in packets and payloads, as a
// literal with every letter escaped.
const maxMemberName = len(`""`) + 6*len("waitForAuth")

// memberName returns the unescaped name of a member, or nil if it cannot be one
// of those in packets and payloads. Only escaped names, which no client writes,
// cost an allocation.
func memberName(literal []byte) []byte {
	if bytes.IndexByte(literal, '\\') < 0 {
		return literal[1 : len(literal)-1]
	}
	if len(literal) > maxMemberName {
		return nil
	}
	name, err := jsontext.AppendUnquote(nil, literal)
	if err != nil {
		return nil
	}
	return name
}
