// Package casefold returns one spelling for names that differ only in case.
//
// The functions do not block, and are safe for concurrent use.
package casefold

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// String returns the same text for all texts that are equal under
// [strings.EqualFold], which is how encoding/json compares names.
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
