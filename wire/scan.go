package wire

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// The functions of this file check JSON as JSON.parse does: a name may come twice
// in an object, and an escaped surrogate may be alone. Their callers check before
// that the text is UTF-8. They find the ends of values without decoding them, which
// is all that a packet needs of its data, in half of the time of a tokenizer.
//
// Each returns the index after what it has read, or invalid. It may be called with an
// index at the end of the text.

const invalid = -1

// endOfValue reads the value that begins at i. depth is the number of the objects
// and arrays that contain it.
func endOfValue(text []byte, i, depth int) int {
	if uint(i) >= uint(len(text)) {
		return invalid
	}
	switch text[i] {
	case '"':
		return endOfString(text, i)
	case '{', '[':
		return endOfNested(text, i, depth+1)
	case 't':
		return endOfLiteral(text, i, "true")
	case 'f':
		return endOfLiteral(text, i, "false")
	case 'n':
		return endOfLiteral(text, i, "null")
	}
	return endOfNumber(text, i)
}

// endOfNested reads the object or array that begins at i. depth counts it, too.
func endOfNested(text []byte, i, depth int) int {
	if depth > MaxDepth {
		return invalid
	}
	object, end := text[i] == '{', text[i]+2 // the brackets are that far apart in ASCII
	if i = endOfSpace(text, i+1); i < len(text) && text[i] == end {
		return i + 1
	}
	for {
		if object {
			if _, i = endOfName(text, i); i == invalid {
				return invalid
			}
		}
		if i = endOfValue(text, i, depth); i == invalid {
			return invalid
		}
		if i = endOfSpace(text, i); i >= len(text) {
			return invalid
		}
		switch text[i] {
		case ',':
			i = endOfSpace(text, i+1)
		case end:
			return i + 1
		default:
			return invalid
		}
	}
}

// endOfName reads the name of a member. value is the index of what follows its colon.
func endOfName(text []byte, i int) (end, value int) {
	if i >= len(text) || text[i] != '"' {
		return invalid, invalid
	}
	if end = endOfString(text, i); end == invalid {
		return invalid, invalid
	}
	if i = endOfSpace(text, end); i >= len(text) || text[i] != ':' {
		return invalid, invalid
	}
	return end, endOfSpace(text, i+1)
}

// endOfSpace skips the space that JSON allows between tokens, which is less than
// Unicode's.
func endOfSpace(text []byte, i int) int {
	for i < len(text) && text[i] <= ' ' && isSpace(text[i]) {
		i++
	}
	return i
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

func endOfLiteral(text []byte, i int, literal string) int {
	if end := i + len(literal); end <= len(text) && string(text[i:end]) == literal {
		return end
	}
	return invalid
}

// endOfString reads the string whose first quote is at i.
func endOfString(text []byte, i int) int {
	for i++; i < len(text); {
		if len(text)-i >= 8 {
			special := specialBytes(binary.LittleEndian.Uint64(text[i:]))
			if special == 0 {
				i += 8
				continue
			}
			i += bits.TrailingZeros64(special) / 8
		}
		switch c := text[i]; {
		case c == '"':
			return i + 1
		case c < ' ':
			return invalid
		case c == '\\':
			if i = endOfEscape(text, i+1); i == invalid {
				return invalid
			}
		default:
			i++
		}
	}
	return invalid
}

// specialBytes finds the first of eight bytes that ends a string or needs a look: a
// quote, a backslash or a control character. The lowest bit that is set is the
// highest one of that byte. There is none if all bytes are plain.
func specialBytes(b uint64) uint64 {
	const low, high = 0x0101010101010101, 0x8080808080808080
	quote, backslash := b^'"'*low, b^'\\'*low
	return ((b - ' '*low) | (quote - low) | (backslash - low)) &^ b & high
}

// endOfEscape reads what follows a backslash, at i.
func endOfEscape(text []byte, i int) int {
	if i >= len(text) {
		return invalid
	}
	switch text[i] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 1
	case 'u':
		end := i + 5
		if end > len(text) {
			return invalid
		}
		for _, c := range text[i+1 : end] {
			if letter := c | 0x20; (c < '0' || c > '9') && (letter < 'a' || letter > 'f') {
				return invalid
			}
		}
		return end
	}
	return invalid
}

// endOfNumber reads a number that begins at i.
func endOfNumber(text []byte, i int) int {
	if i < len(text) && text[i] == '-' {
		i++
	}
	if i < len(text) && text[i] == '0' {
		i++
	} else if i = endOfDigits(text, i); i == invalid {
		return invalid
	}
	if i < len(text) && text[i] == '.' {
		if i = endOfDigits(text, i+1); i == invalid {
			return invalid
		}
	}
	if i < len(text) && text[i]|0x20 == 'e' {
		i++
		if i < len(text) && (text[i] == '+' || text[i] == '-') {
			i++
		}
		return endOfDigits(text, i)
	}
	return i
}

// endOfDigits reads at least one digit.
func endOfDigits(text []byte, i int) int {
	start := i
	for i < len(text) && '0' <= text[i] && text[i] <= '9' {
		i++
	}
	if i == start {
		return invalid
	}
	return i
}

// scanner walks through the members of an object or the elements of an array. The
// values alias its text.
type scanner struct {
	text  []byte
	at    int
	depth int  // the number of objects and arrays that are open
	fresh bool // the innermost one has just been opened
}

// open enters the object or array at the cursor.
func (s *scanner) open() {
	s.at = endOfSpace(s.text, s.at+1)
	s.depth++
	s.fresh = true
}

// next moves to the next member or element. more is false at the end of the object or
// array, which it leaves. ok is false if the text is invalid.
func (s *scanner) next(end byte) (more, ok bool) {
	if s.at >= len(s.text) {
		return false, false
	}
	switch c := s.text[s.at]; {
	case c == end:
		s.leap(s.at + 1)
		s.depth--
		s.fresh = false
		return false, true
	case s.fresh:
		s.fresh = false
	case c == ',':
		s.leap(s.at + 1)
	default:
		return false, false
	}
	return true, true
}

// leap moves to the token at i or, if there is space, after that.
func (s *scanner) leap(i int) { s.at = endOfSpace(s.text, i) }

// member reads one member of the open object, with the literal of its name. more is
// false at its end. ok is false if the text is invalid.
func (s *scanner) member() (name, value []byte, more, ok bool) {
	if more, ok = s.next('}'); !more {
		return nil, nil, false, ok
	}
	start := s.at
	end, at := endOfName(s.text, start)
	if end == invalid {
		return nil, nil, false, false
	}
	s.at = at
	value = s.value()
	return s.text[start:end], value, value != nil, value != nil
}

// element is member for an array.
func (s *scanner) element() (value []byte, more, ok bool) {
	if more, ok = s.next(']'); !more {
		return nil, false, ok
	}
	value = s.value()
	return value, value != nil, value != nil
}

// value reads the value at the cursor. It returns nil if that is invalid.
func (s *scanner) value() []byte {
	start := s.at
	end := endOfValue(s.text, start, s.depth)
	if end == invalid {
		return nil
	}
	s.leap(end)
	return s.text[start:end:end]
}

// atEnd reports whether nothing but space follows the value that was read.
func (s *scanner) atEnd() bool { return s.at == len(s.text) }

// validText reports whether raw is one JSON value that may be sent in a text
// frame.
func validText(raw []byte) bool {
	if !utf8.Valid(raw) {
		return false
	}
	end := endOfValue(raw, endOfSpace(raw, 0), 0)
	return end != invalid && endOfSpace(raw, end) == len(raw)
}
