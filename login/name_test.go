package login_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/socketcluster-go/socketcluster/login"
)

func TestNormalName(t *testing.T) {
	for name, want := range map[string]string{
		"alice":        "alice",
		" Alice\t":     "alice",
		"ALICE\u00a0":  "alice",
		"al ice":       "al ice",
		"\u212aarl":    "karl", // a Kelvin sign
		"ÉMILE":        "émile",
		"emile":        "emile",
		"İ":            "İ", // whose lower case is that of I
		"ΟΔΥΣΣΕΥΣ":     "οδυσσευσ",
		"οδυσσευς":     "οδυσσευσ",
		"日本":           "日本",
		"\xff":         "\ufffd",
		"":             "",
		"alice\x00":    "alice\x00",
		"alice@a.com ": "alice@a.com",
	} {
		if got := login.NormalName(name); got != want {
			t.Errorf("%q became %q, want %q", name, got, want)
		}
	}
}

// Two names have one normal form if they differ in case alone, and a normal form
// is its own.
func TestNormalNameProperties(t *testing.T) {
	text := rapid.StringOfN(rapid.SampledFrom([]rune("aAkK\u212asS\u017fßẞéÉσΣςiIİıǅǆǄ-_\ufffd")), 0, 4, -1)
	rapid.Check(t, func(t *rapid.T) {
		a, b := text.Draw(t, "a"), text.Draw(t, "b")
		if got, want := login.NormalName(a) == login.NormalName(b), strings.EqualFold(a, b); got != want {
			t.Fatalf("%q and %q: one name %t, want %t", a, b, got, want)
		}
		if once := login.NormalName(a); login.NormalName(once) != once || login.NormalName(" "+a) != once {
			t.Fatalf("%q becomes %q, and that %q", a, once, login.NormalName(once))
		}
	})
}
