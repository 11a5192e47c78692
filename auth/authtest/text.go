package authtest

import (
	"encoding/json"
	"strings"

	"github.com/socketcluster-go/socketcluster/wire"
)

func (k *kit) roundTrip() {
	type claims struct {
		Username string   `json:"username"`
		Channels []string `json:"channels"`
	}
	for what, c := range map[string]any{
		"a map":    map[string]any{"username": "alice", "channels": []string{"a", "é\u2028<&"}},
		"a struct": claims{"alice", []string{"a", "é\u2028<&"}},
		"raw JSON": json.RawMessage(`{"username":"alice","channels":["a","é\u2028<&"]}`),
	} {
		token := k.sign(c)
		back := k.accepts("a token for "+what, token)
		if string(back.Payload()) != string(token.Payload()) {
			k.Errorf("signed %s, read back %s", token.Payload(), back.Payload())
		}
		var got claims
		if err := back.Claims(&got); err != nil || got.Username != "alice" || len(got.Channels) != 2 || got.Channels[1] != "é\u2028<&" {
			k.Errorf("%s was read back as %s (%v)", what, back.Payload(), err)
		}
	}

	given := map[string]any{"username": "alice"}
	k.sign(given)
	if len(given) != 1 {
		k.Errorf("Sign changed the claims of its caller to %v", given)
	}

	// No float64 holds this number.
	back := k.accepts("a token with a large number", k.sign(json.RawMessage(`{"id":9007199254740993}`)))
	if !strings.Contains(string(back.Payload()), "9007199254740993") {
		k.Errorf("the number 9007199254740993 was read back in %s", back.Payload())
	}
}

func (k *kit) badClaims() {
	for what, c := range map[string]any{
		"no claims":            nil,
		"text":                 "alice",
		"a number":             5,
		"a list":               []string{"alice"},
		"null":                 json.RawMessage(`null`),
		"JSON that is cut off": json.RawMessage(`{"username":`),
		"what JSON cannot say": map[string]any{"f": func() {}},
	} {
		k.cannotSign(what, c)
	}
}

func (k *kit) tampering() {
	token := k.sign(map[string]any{"username": "alice"})
	text := token.Signed()
	bad := func(what, signed string) { k.refuses(what, signed, "", true) }
	step := max(1, len(text)/128)
	for i := 0; i < len(text); i += step {
		letter := "A"
		if text[i] == 'A' {
			letter = "B"
		}
		bad("a token with another letter", text[:i]+letter+text[i+1:])
		bad("a token that is cut off", text[:i])
	}
	for _, more := range []string{"A", "=", ".", " ", "\n", "\x00"} {
		bad("a token with more behind it", text+more)
		bad("a token with more in front of it", more+text)
	}
	bad("a token twice", text+text)
	k.accepts("the token itself", token)
}

func (k *kit) foreign() {
	for what, text := range map[string]string{
		"no text":         "",
		"a dot":           ".",
		"two dots":        "..",
		"null":            "null",
		"a JSON object":   `{"username":"alice"}`,
		"what is no text": "\xff\xfe\x00",
		// {"alg":"none"}.{"username":"alice"}.
		"an unsigned JWT": "eyJhbGciOiJub25lIn0.eyJ1c2VybmFtZSI6ImFsaWNlIn0.",
		"a long text":     strings.Repeat("x", 1<<20),
	} {
		k.refuses(what, text, "", true)
	}
	k.refuses("no text", "", wire.NameAuthTokenInvalid, true)
}
