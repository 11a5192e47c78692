package casefold_test

import (
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"

	"github.com/socketcluster-go/socketcluster/internal/casefold"
)

// All characters that differ only in case become one.
func TestRune(t *testing.T) {
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if other := unicode.SimpleFold(r); casefold.Rune(other) != casefold.Rune(r) {
			t.Errorf("%q and %q stay apart", r, other)
		}
		if folded := casefold.Rune(r); !strings.EqualFold(string(folded), string(r)) {
			t.Errorf("%q becomes %q", r, folded)
		}
	}
}

func TestString(t *testing.T) {
	text := rapid.StringOfN(rapid.SampledFrom([]rune("aAkK\u212asS\u017fßẞéÉσΣς-_\ufffd")), 0, 4, -1)
	rapid.Check(t, func(t *rapid.T) {
		a, b := text.Draw(t, "a"), text.Draw(t, "b")
		if got, want := casefold.String(a) == casefold.String(b), strings.EqualFold(a, b); got != want {
			t.Fatalf("%q and %q: equal %v, want %v", a, b, got, want)
		}
	})
}
