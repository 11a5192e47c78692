package login

import (
	"strings"
	"unicode"

	"github.com/socketcluster-go/socketcluster/internal/casefold"
)

// NormalName returns the one spelling of a user name for all that differ only in
// case, as by [strings.EqualFold], or in spaces around them: "alice" for " Alice".
// A [Gate] counts by it. Store users under it, and look them up by it: where
// Alice and alice are two users, one of them can use up the limits of the other,
// or lift them. It is lower case, apart from the few characters whose lower case is
// another name.
//
// Accents, and characters that only look alike, make different names. So the
// column of a database must compare names exactly: a collation that takes more
// spellings for one name lets each of them be tried as a user of its own.
func NormalName(name string) string {
	return strings.Map(func(r rune) rune {
		r = casefold.Rune(r)
		if lower := unicode.ToLower(r); casefold.Rune(lower) == r {
			return lower
		}
		return r
	}, strings.TrimSpace(name))
}
