package wire

import (
	"bytes"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// tokenReader walks through one JSON text. Its values alias the text: the
// tokenizer reads straight from a bytes.Buffer, which lives inside the reader
// so that nothing is allocated.
type tokenReader struct {
	dec  jsontext.Decoder
	buf  bytes.Buffer
	text []byte
}

func (r *tokenReader) reset(text []byte) {
	r.text = text
	r.buf = *bytes.NewBuffer(text)
	r.dec.Reset(&r.buf, tokenOptions...)
}

// open consumes the opening bracket of the text, or the one at the cursor.
func (r *tokenReader) open() bool {
	_, err := r.dec.ReadToken()
	return err == nil
}

func (r *tokenReader) peek() jsontext.Kind { return r.dec.PeekKind() }

// value reads the value at the cursor. It returns nil if that is invalid.
func (r *tokenReader) value() []byte {
	v, err := r.dec.ReadValue()
	if err != nil {
		return nil
	}
	return v[:len(v):len(v)]
}

// member reads one member of the open object. more is false at its end, which
// is then consumed. ok is false if the text is invalid.
func (r *tokenReader) member() (name, value []byte, more, ok bool) {
	if r.peek() == jsontext.KindEndObject {
		_, err := r.dec.ReadToken()
		return nil, nil, false, err == nil
	}
	if name = r.value(); name == nil {
		return nil, nil, false, false
	}
	if value = r.value(); value == nil {
		return nil, nil, false, false
	}
	return name, value, true, true
}

// countElements validates a text that is an array, and counts its elements. It
// stops early if there are more than limit, if limit is positive.
func (r *tokenReader) countElements(limit int) (n int, ok bool) {
	if !r.open() {
		return 0, false
	}
	for {
		switch r.peek() {
		case jsontext.KindEndArray:
			_, err := r.dec.ReadToken()
			return n, err == nil && r.atEnd()
		default:
			if r.value() == nil {
				return n, false
			}
			if n++; limit > 0 && n > limit {
				return n, true
			}
		}
	}
}

// atEnd reports whether nothing but space follows the value that was read.
func (r *tokenReader) atEnd() bool {
	return len(trimSpace(r.text[r.dec.InputOffset():])) == 0
}

// validText reports whether raw is one JSON value that may be sent in a text
// frame.
func validText(raw []byte) bool {
	return utf8.Valid(raw) && jsontext.Value(raw).IsValid(tokenOptions...)
}

// jsonSpace is the space that JSON allows between tokens, which is less than
// Unicode's.
const jsonSpace = " \t\r\n"

// trimSpace removes leading space.
func trimSpace(text []byte) []byte { return bytes.TrimLeft(text, jsonSpace) }

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
