package login

import (
	"strings"
	"unicode"

	"github.com/socketcluster-go/socketcluster/internal/casefold"
)

// NormalName returns one spelling for all user names that differ only in case,
// as defined by [strings.EqualFold], or in surrounding spaces: "alice" for "
// Alice". A [Gate] counts attempts by it. Store users under it, and look them
// up by it: if Alice and alice are two users, each can use up the limits of the
// other, or lift them. It is lower case, except for a few characters whose
// lower case would be another name.
//
// Names with different accents, or with characters that only look alike, are
// different. So the column of a database must compare names exactly: if a
// collation treats more spellings as one name, an attacker can try each of them
// as a user of its own.
func NormalName(name string) string {
	return strings.Map(func(r rune) rune {
		r = casefold.Rune(r)
		if lower := unicode.ToLower(r); casefold.Rune(lower) == r {
			return lower
		}
		return r
	}, strings.TrimSpace(name))
}
