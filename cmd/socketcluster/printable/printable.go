// Package printable makes texts of strangers fit for a terminal.
package printable

import (
	"fmt"
	"strings"
	"unicode"
)

// Text shows control characters as JSON does, except tabs and the ends of lines: what a
// server sends must not reach the terminal as a command of its own.
func Text(text string) string {
	if !strings.ContainsFunc(text, isControl) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if isControl(r) {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// isControl reports whether a terminal may obey a character. Formats of Unicode,
// such as the direction of text, are among them.
func isControl(r rune) bool {
	return r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r))
}
