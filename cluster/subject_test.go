package cluster

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestTokens(t *testing.T) {
	for name, token := range map[string]string{
		"":         "=",
		"news":     "news",
		"a.b":      "a=2Eb",
		"*":        "=2A",
		">":        "=3E",
		"$SYS":     "=24SYS",
		"=":        "=3D",
		"a b\n":    "a=20b=0A",
		"é":        "=C3=A9",
		"chat/1-2": "chat/1-2",
		"\x00":     "=00",
	} {
		if got := string(appendToken(nil, name)); got != token {
			t.Errorf("%q has the token %q, want %q", name, got, token)
		}
		if got, ok := parseToken(token); !ok || got != name {
			t.Errorf("%q is the token of %q, %v; want %q", token, got, ok, name)
		}
	}
	for _, token := range []string{"", "a.b", "a b", "=2", "=2e", "=41", "=ZZ", "a=", "é", "==3D"} {
		if name, ok := parseToken(token); ok {
			t.Errorf("%q is the token of %q", token, name)
		}
	}
	for name, fits := range map[string]bool{
		strings.Repeat(".", 1024): true, strings.Repeat("a", 3072): true, strings.Repeat("=", 1023) + "abc": true,
		strings.Repeat(".", 1025): false, strings.Repeat("a", 3073): false, strings.Repeat("=", 1023) + "abcd": false,
	} {
		if err := checkName(name); (err == nil) != fits || fits != (len(appendToken(nil, name)) <= maxToken) {
			t.Errorf("%.10q of %d bytes: %v", name, len(name), err)
		}
	}
}

// Each name has one token, which is one token of a subject, and each token one name.
func TestTokensAreReversible(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := string(rapid.SliceOfN(rapid.Byte(), 0, 50).Draw(t, "name"))
		token := string(appendToken(nil, name))
		if token == "" || strings.ContainsAny(token, ".*>$ \t\r\n") {
			t.Fatalf("%q has the token %q", name, token)
		}
		if got, ok := parseToken(token); !ok || got != name {
			t.Fatalf("%q comes back as %q, %v", name, got, ok)
		}
	})
}

func FuzzParseToken(f *testing.F) {
	for _, token := range []string{"=", "a", "=2E", "=2", "a=C3=A9"} {
		f.Add(token)
	}
	f.Fuzz(func(t *testing.T, token string) {
		if name, ok := parseToken(token); ok && string(appendToken(nil, name)) != token {
			t.Errorf("%q is the token of %q, which has another", token, name)
		}
	})
}
