package auth_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/wire"
)

// FuzzVerify feeds tokens as they are, and parts that are then well signed, so
// that the code behind the signature is reached as well. Nothing may panic; what
// is accepted must be the only spelling of what it says; what is refused must be
// an error that is fit for the client.
func FuzzVerify(f *testing.F) {
	good := craft(hs256Header, `{"username":"alice","iat":1700000000,"exp":4000000000}`)
	for _, token := range []string{
		good, good + "=", good + "\n", good + ".", "", ".", "..", "a.b.c", strings.Repeat(".", 99),
		b64(`{"alg":"none"}`) + "." + b64(`{}`) + ".",
		craft(hs256Header, `null`), craft(hs256Header, `{"exp":1e999}`), craft(hs256Header, `{"exp":-0,"nbf":3.16e15}`),
		craft(`{"alg":"HS256","crit":["x"]}`, `{}`), craft(`{"alg":"HS256","alg":"HS256"}`, `{}`),
		craft(hs256Header, `{"iat":1.5}`), craft(hs256Header, `{"a":1,"A":2}`), craft(hs256Header, `{"roles":1,"role\u017f":2}`),
		craft(`{"alg":"HS384","kid":"k"}`, `{"a":{"a":[{}]}}`),
	} {
		f.Add(token)
	}
	for _, v := range jsVectors {
		f.Add(v.token)
	}
	j := newJWT(f, auth.Options{Key: testKey})
	check := func(t *testing.T, signed string) {
		tok, err := j.Verify(t.Context(), signed, at(now))
		if err != nil {
			var w *wire.Error
			if !errors.As(err, &w) || !json.Valid(w.AppendJSON(nil)) {
				t.Fatalf("%q: error %#v", signed, err)
			}
			if bad, ok := w.Field("isBadToken"); !ok || bad == errors.Is(err, wire.ErrAuthTokenNotBefore) {
				t.Fatalf("%q: isBadToken is %v in %v", signed, bad, err)
			}
			return
		}
		if tok.Algorithm() == "HS256" {
			head, _, _ := strings.Cut(signed, ".")
			if again := seal(head+"."+b64(string(tok.Payload())), testKey); again != signed {
				t.Fatalf("accepted %q, which is signed again as %q", signed, again)
			}
		}
		var claims map[string]json.RawMessage
		if err := tok.Claims(&claims); err != nil || claims == nil || !utf8.Valid(tok.Payload()) {
			t.Fatalf("%q: payload %q, %v", signed, tok.Payload(), err)
		}
		spellings := map[string]string{}
		for name := range claims {
			folded := strings.Map(func(r rune) rune { return unicode.ToLower(unicode.ToUpper(r)) }, name)
			if other, twice := spellings[folded]; twice && strings.EqualFold(name, other) {
				t.Fatalf("%q: accepted with %q and %q", signed, name, other)
			}
			spellings[folded] = name
		}
		if exp, ok := tok.ExpiresAt(); ok && exp.Unix() < now {
			t.Fatalf("%q: accepted after %v", signed, exp)
		}
	}
	f.Fuzz(func(t *testing.T, token string) {
		check(t, token)
		if head, rest, ok := strings.Cut(token, "."); ok {
			body, _, _ := strings.Cut(rest, ".")
			check(t, seal(head+"."+body, testKey))
		}
		check(t, craft(hs256Header, token))
		check(t, craft(token, `{}`))
	})
}

// FuzzSign: whatever raw claims are signed can be verified and say the same.
func FuzzSign(f *testing.F) {
	for _, claims := range []string{
		`{}`, `{"username":"alice"}`, `{"a":1,"a":2}`, `{"iat":1e21,"exp":1e300}`, `{"iat":-0}`, `{"exp":null}`,
		`{"\u0065xp":5}`, `{"é":"\ud800"}`, ` {"a" : [1, {}]} `, `[]`, `null`, `{"a":`, "{\"a\":\"\xff\"}",
	} {
		f.Add([]byte(claims))
	}
	j := newJWT(f, auth.Options{Key: testKey})
	f.Fuzz(func(t *testing.T, claims []byte) {
		tok, err := j.Sign(t.Context(), raw(claims), auth.NoTimestamp())
		if err != nil {
			return
		}
		back, err := j.Verify(t.Context(), tok.Signed(), auth.IgnoreExpiration(), auth.IgnoreNotBefore())
		if err != nil {
			t.Fatalf("%q was signed as %s and refused: %v", claims, tok.Signed(), err)
		}
		if string(back.Payload()) != string(tok.Payload()) {
			t.Fatalf("%q was signed as %s and read as %s", claims, tok.Payload(), back.Payload())
		}
	})
}

// FuzzParseTimespan: no text panics, and a unit only scales.
func FuzzParseTimespan(f *testing.F) {
	for _, text := range []string{"", "60", "30m", "-1.5 hours", ".5s", "1.s", "1e3", "300y", strings.Repeat("9", 100)} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := auth.ParseTimespan(text)
		if err != nil && d != 0 {
			t.Fatalf("%q: %v with %v", text, d, err)
		}
		if upper, err2 := auth.ParseTimespan(strings.ToUpper(text)); err == nil && (err2 != nil || upper != d) {
			t.Fatalf("%q: %v, in upper case %v, %v", text, d, upper, err2)
		}
	})
}

// FuzzParsePEM: keys come from files, which hold anything.
func FuzzParsePEM(f *testing.F) {
	f.Add([]byte(nil))
	for _, v := range jsVectors {
		f.Add([]byte(v.publicKey))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		k, err := auth.ParsePEM(text)
		if k.IsZero() != (err != nil) {
			t.Fatalf("%q: %v, %v", text, k, err)
		}
	})
}
