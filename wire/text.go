package wire

import (
	"math"
	"strconv"
	"time"
	"unicode/utf8"
)

const hexDigits = "0123456789abcdef"

// AppendString appends s as a JSON string literal, as JSON.stringify writes it:
// only quotes, backslashes, control characters and lone surrogates are escaped.
// A surrogate that is encoded like a character (three bytes from 0xED) counts
// as a lone surrogate; every other byte that is not UTF-8 becomes U+FFFD.
func AppendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0 // the start of the part that has not been copied yet
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			i++
			if c >= ' ' && c != '"' && c != '\\' {
				continue
			}
			dst = append(dst, s[start:i-1]...)
			dst = appendEscape(dst, c)
			start = i
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if r != utf8.RuneError || n > 1 {
			i += n
			continue
		}
		dst = append(dst, s[start:i]...)
		if u, ok := surrogate(s[i:]); ok {
			dst = appendUnicodeEscape(dst, u)
			i += 3
		} else {
			dst = append(dst, "\uFFFD"...)
			i++
		}
		start = i
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\b':
		return append(dst, `\b`...)
	case '\f':
		return append(dst, `\f`...)
	case '\n':
		return append(dst, `\n`...)
	case '\r':
		return append(dst, `\r`...)
	case '\t':
		return append(dst, `\t`...)
	}
	return appendUnicodeEscape(dst, uint16(c))
}

func appendUnicodeEscape(dst []byte, u uint16) []byte {
	return append(dst, '\\', 'u', hexDigits[u>>12], hexDigits[u>>8&15], hexDigits[u>>4&15], hexDigits[u&15])
}

// surrogate decodes the three bytes that would encode a surrogate if UTF-8
// allowed it.
func surrogate(s string) (uint16, bool) {
	if len(s) < 3 || s[0] != 0xED || s[1] < 0xA0 || s[1] > 0xBF || s[2] < 0x80 || s[2] > 0xBF {
		return 0, false
	}
	return 0xD000 | uint16(s[1]&0x3F)<<6 | uint16(s[2]&0x3F), true
}

// AppendNumber appends f as JSON.stringify writes it: the shortest digits that
// read back as f, no exponent between 1e-6 and 1e21, no negative zero, and null
// for a number that is not finite.
func AppendNumber(dst []byte, f float64) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(dst, "null"...)
	}
	abs := math.Abs(f)
	if abs < 1<<53 && f == math.Trunc(f) {
		return strconv.AppendInt(dst, int64(f), 10)
	}
	if abs >= 1e-6 && abs < 1e21 {
		return strconv.AppendFloat(dst, f, 'f', -1, 64)
	}
	dst = strconv.AppendFloat(dst, f, 'e', -1, 64)
	// Go pads the exponent to two digits, but JavaScript does not.
	if n := len(dst); dst[n-2] == '0' && (dst[n-3] == '-' || dst[n-3] == '+') {
		dst[n-2] = dst[n-1]
		dst = dst[:n-1]
	}
	return dst
}

// FormatTime writes t as Date.prototype.toISOString does: UTC, milliseconds
// (further digits are cut), and six digits with a sign for years outside 0 to
// 9999.
func FormatTime(t time.Time) string {
	t = t.UTC()
	const afterYear = "-01-02T15:04:05.000Z"
	year := t.Year()
	if 0 <= year && year <= 9999 {
		return t.Format("2006" + afterYear)
	}
	sign := byte('+')
	if year < 0 {
		sign, year = '-', -year
	}
	text := make([]byte, 0, len("+002006")+len(afterYear))
	text = append(text, sign)
	for limit := 100000; year < limit && limit > 1; limit /= 10 {
		text = append(text, '0')
	}
	text = strconv.AppendInt(text, int64(year), 10)
	return string(t.AppendFormat(text, afterYear))
}
