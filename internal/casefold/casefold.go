// Package casefold gives names that differ only in case one spelling.
//
// The functions do not block, and are safe for concurrent use.
package casefold

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// String answers the same text for all texts that [strings.EqualFold] takes for
// equal, as encoding/json does with names.
func String(s string) string { return strings.Map(Rune, s) }

// Rune returns the smallest of the characters that differ only in case.
func Rune(r rune) rune {
	if r < utf8.RuneSelf {
		if 'a' <= r && r <= 'z' {
			r -= 'a' - 'A'
		}
		return r
	}
	least := r
	for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
		least = min(least, other)
	}
	return least
}
