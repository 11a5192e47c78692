package jsclient

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/wire"
)

// outcome is what jsonwebtoken makes of one case of many.
type outcome[T any] struct {
	Value T        `json:"value"`
	Error *jsError `json:"error"`
}

// signCase is one call of sign, in both languages. The claims have an iat, so
// that both sides have the same to sign.
type signCase struct {
	name   string
	claims string // JSON; the default is issued
	there  options
	here   []auth.SignOption
	fails  string // the message of the error, "" if there is none

	// differs is what is done here where docs/PROTOCOL.md lists a difference:
	// the message of the error, or the payload. fails then speaks of there.
	differs string
}

const issued = `{"username":"älice","iat":1700000000}`

type signOpts = []auth.SignOption

var signCases = []signCase{
	{name: "JWT-5 no option"},
	{name: "JWT-5 without iat", claims: `{"a":1}`, there: options{"noTimestamp": true}, here: signOpts{auth.NoTimestamp()}},
	{name: "JWT-5 noTimestamp takes an iat away", there: options{"noTimestamp": true, "expiresIn": 60}, here: signOpts{auth.NoTimestamp(), auth.ExpiresIn(time.Minute)}},
	{name: "JWT-4 expiresIn: seconds", there: options{"expiresIn": 60}, here: signOpts{auth.ExpiresIn(time.Minute)}},
	{name: "JWT-4 expiresIn: zero", there: options{"expiresIn": 0}, here: signOpts{auth.ExpiresIn(time.Duration(0))}},
	{name: "JWT-4 expiresIn: in the past", there: options{"expiresIn": -60}, here: signOpts{auth.ExpiresIn(-time.Minute)}},
	{name: "JWT-4 expiresIn: text", there: options{"expiresIn": "2 days"}, here: signOpts{auth.ExpiresIn("2 days")}},
	{name: "JWT-4 expiresIn: text without a unit", there: options{"expiresIn": "1500"}, here: signOpts{auth.ExpiresIn("1500")}},
	{name: "JWT-4 notBefore: seconds", there: options{"notBefore": 5}, here: signOpts{auth.NotBefore(5 * time.Second)}},
	{name: "JWT-4 notBefore: text", there: options{"notBefore": "-1.5h"}, here: signOpts{auth.NotBefore("-1.5h")}},
	{name: "JWT-4 audience: text", there: options{"audience": "a"}, here: signOpts{auth.Audience("a")}},
	{name: "JWT-4 audience: array", there: options{"audience": []string{"a", "b"}}, here: signOpts{auth.Audience("a", "b")}},
	{name: "JWT-4 issuer", there: options{"issuer": "https://a.example/"}, here: signOpts{auth.Issuer("https://a.example/")}},
	{name: "JWT-4 subject", there: options{"subject": "<&> \u2028"}, here: signOpts{auth.Subject("<&> \u2028")}},
	{name: "JWT-4 jwtid", there: options{"jwtid": "1"}, here: signOpts{auth.JWTID("1")}},
	{name: "JWT-3 keyid", there: options{"keyid": "k1"}, here: signOpts{auth.KeyID("k1")}},
	{name: "JWT-3 header", there: options{"header": options{"cty": "x", "x": []int{1}}}, here: signOpts{auth.HeaderField("cty", "x"), auth.HeaderField("x", []int{1})}},
	{name: "JWT-3 header: typ", there: options{"header": options{"typ": "at+jwt"}}, here: signOpts{auth.HeaderField("typ", "at+jwt")}},
	{name: "JWT-3 header: kid wins over keyid", there: options{"keyid": "a", "header": options{"kid": "b"}}, here: signOpts{auth.KeyID("a"), auth.HeaderField("kid", "b")}},
	{
		name:  "JWT-5 all at once",
		there: options{"expiresIn": "1h", "notBefore": 1, "audience": []string{"a", "b"}, "issuer": "i", "subject": "s", "jwtid": "1", "keyid": "k"},
		here: signOpts{auth.KeyID("k"), auth.JWTID("1"), auth.Subject("s"), auth.Issuer("i"), auth.Audience("a", "b"),
			auth.NotBefore(time.Second), auth.ExpiresIn("1h")},
	},
	{name: "JWT-21 fractions", claims: `{"iat":1700000000.123456,"nbf":1700000001.5,"exp":1700000002.25}`},
	{name: "JWT-21 a fraction in iat, expiresIn", claims: `{"iat":1700000000.123456}`, there: options{"expiresIn": 60, "notBefore": 1}, here: signOpts{auth.ExpiresIn(time.Minute), auth.NotBefore(time.Second)}},
	{name: "JWT-8 a fraction in iat, expiresIn of a text", claims: `{"iat":1700000000.75}`, there: options{"expiresIn": "1500 ms"}, here: signOpts{auth.ExpiresIn("1500 ms")}},
	{name: "JWT-3 header: kid is a number", there: options{"header": options{"kid": 7}}, here: signOpts{auth.HeaderField("kid", 7)}},
	{name: "JWT-26 a large exp", claims: `{"iat":1,"exp":3160000000000000}`},

	// JWT-2: the messages of what cannot be signed.
	{name: "JWT-2 exp twice", claims: `{"iat":1,"exp":2}`, there: options{"expiresIn": 1}, here: signOpts{auth.ExpiresIn(time.Second)},
		fails: `Bad "options.expiresIn" option the payload already has an "exp" property.`},
	{name: "JWT-2 nbf twice", claims: `{"iat":1,"nbf":2}`, there: options{"notBefore": 1}, here: signOpts{auth.NotBefore(time.Second)},
		fails: `Bad "options.notBefore" option the payload already has an "nbf" property.`},
	{name: "JWT-2 aud twice", claims: `{"iat":1,"aud":"a"}`, there: options{"audience": "a"}, here: signOpts{auth.Audience("a")},
		fails: `Bad "options.audience" option. The payload already has an "aud" property.`},
	{name: "JWT-2 iss twice", claims: `{"iat":1,"iss":"a"}`, there: options{"issuer": "a"}, here: signOpts{auth.Issuer("a")},
		fails: `Bad "options.issuer" option. The payload already has an "iss" property.`},
	{name: "JWT-2 sub twice", claims: `{"iat":1,"sub":"a"}`, there: options{"subject": "a"}, here: signOpts{auth.Subject("a")},
		fails: `Bad "options.subject" option. The payload already has an "sub" property.`},
	{name: "JWT-2 jti twice", claims: `{"iat":1,"jti":"a"}`, there: options{"jwtid": "a"}, here: signOpts{auth.JWTID("a")},
		fails: `Bad "options.jwtid" option. The payload already has an "jti" property.`},
	{name: "JWT-2 iat is text", claims: `{"iat":"1"}`, fails: `"iat" should be a number of seconds`},
	{name: "JWT-2 exp is text", claims: `{"exp":"1"}`, fails: `"exp" should be a number of seconds`},
	{name: "JWT-2 nbf is null", claims: `{"nbf":null}`, fails: `"nbf" should be a number of seconds`},
	{name: "JWT-2 claims are an array", claims: `[1]`, fails: `Expected "payload" to be a plain object.`},
	{name: "JWT-2 claims are null", claims: `null`, fails: `Expected "payload" to be a plain object.`},
	{name: "JWT-2 expiresIn cannot be read", there: options{"expiresIn": "1 month"}, here: signOpts{auth.ExpiresIn("1 month")},
		fails: `"expiresIn" should be a number of seconds or string representing a timespan eg: "1d", "20h", 60`},
	{name: "JWT-2 notBefore cannot be read", there: options{"notBefore": "soon"}, here: signOpts{auth.NotBefore("soon")},
		fails: `"notBefore" should be a number of seconds or string representing a timespan eg: "1d", "20h", 60`},
	{name: "JWT-4 expiresIn is empty", there: options{"expiresIn": ""}, here: signOpts{auth.ExpiresIn("")},
		fails: `"expiresIn" should be a number of seconds or string representing a timespan`},
	{name: "JWT-4 notBefore is empty", there: options{"notBefore": ""}, here: signOpts{auth.NotBefore("")},
		fails: `"notBefore" should be a number of seconds or string representing a timespan`},

	// What docs/PROTOCOL.md lists as different.
	{name: "JWT-3 header: crit", there: options{"header": options{"crit": []string{"x"}}}, here: signOpts{auth.HeaderField("crit", []string{"x"})},
		differs: `"crit" is not allowed in "header"`},
	{name: "JWT-23 an own claim in two spellings", claims: `{"iat":1,"user":"mallory","USER":"alice"}`, differs: `"payload" has a name in two spellings`},
	{name: "JWT-23 sid in other letters", claims: `{"iat":1,"SID":"s"}`, differs: `"payload" spells a registered claim in other letters`},
	{name: "JWT-7 claims are text", claims: `"text"`, differs: `Expected "payload" to be a plain object.`},
	{name: "JWT-4 expiresIn with a fraction", claims: `{"iat":1}`, there: options{"expiresIn": 1.5}, here: signOpts{auth.ExpiresIn(1500 * time.Millisecond)},
		fails: `"expiresIn" should be a number of seconds or string representing a timespan`, differs: `{"iat":1,"exp":2}`},
	{name: "JWT-4 audience: array of one", claims: `{"iat":1}`, there: options{"audience": []string{"a"}}, here: signOpts{auth.Audience("a")},
		differs: `{"iat":1,"aud":"a"}`},
	{name: "JWT-4 empty texts", claims: `{"iat":1}`, there: options{"issuer": "", "subject": "", "jwtid": "", "audience": []string{}},
		here: signOpts{auth.Issuer(""), auth.Subject(""), auth.JWTID(""), auth.Audience()}, differs: `{"iat":1}`},
}

// JWT-2 to JWT-5, JWT-26: each sign option does the same on both sides, with
// every algorithm: the same header and payload byte for byte, which the other
// side verifies, or an error with the same message.
func TestSignOptionsInterop(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	overAlgorithms(t, func(t *testing.T, s signer) {
		var calls [][]any
		for i := range signCases {
			c := &signCases[i]
			if c.claims == "" {
				c.claims = issued
			}
			if c.there == nil {
				c.there = options{}
			}
			calls = append(calls, []any{json.RawMessage(c.claims), c.there})
		}
		there := decode[[]outcome[string]](t, n.do(t, "signEach", calls, s.keys.private, s.algorithm))
		var signedHere [][]any
		for i, c := range signCases {
			t.Run(c.name, func(t *testing.T) {
				if token := c.compare(t, s, there[i]); token != nil {
					signedHere = append(signedHere, []any{token.Signed(), options{"ignoreExpiration": true, "ignoreNotBefore": true}})
				}
			})
		}
		for i, o := range decode[[]outcome[json.RawMessage]](t, n.do(t, "verifyEach", signedHere, s.keys.public, s.algorithm)) {
			if o.Error != nil {
				t.Errorf("jsonwebtoken refuses %s: %v", signedHere[i][0], o.Error)
			}
		}
	})
}

// compare signs here and compares with what came from there. It returns the
// token, if there is one.
func (c *signCase) compare(t *testing.T, s signer, there outcome[string]) *auth.Token {
	t.Helper()
	switch {
	case c.fails == "" && there.Error != nil:
		t.Errorf("jsonwebtoken: %v", there.Error)
	case c.fails != "":
		wantJSError(t, there.Error, "Error", c.fails)
	}
	token, err := s.engine.Sign(t.Context(), json.RawMessage(c.claims), c.here...)
	if strings.HasPrefix(c.differs, "{") {
		if err != nil || string(token.Payload()) != c.differs {
			t.Fatalf("signed %v, %v; want %s", token, err, c.differs)
		}
		return token
	}
	if message := cmp.Or(c.differs, c.fails); message != "" {
		var e *wire.Error
		if !errors.As(err, &e) || e.Name != "" || e.Message != message {
			t.Errorf("got %v, want %q", err, message)
		}
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	if here, there := readable(t, token.Signed()), readable(t, there.Value); here != there {
		t.Errorf("signed here  %s\nsigned there %s", here, there)
	}
	opts := []auth.VerifyOption{auth.IgnoreExpiration(), auth.IgnoreNotBefore()}
	if _, err := s.engine.Verify(t.Context(), there.Value, opts...); err != nil {
		t.Errorf("the engine refuses a token of jsonwebtoken: %v", err)
	}
	return token
}

// readable is the header and the payload of a token as they were signed.
func readable(t *testing.T, signed string) string {
	t.Helper()
	parts := strings.Split(signed, ".")
	for i := range parts {
		text, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			t.Fatalf("%s: %v", signed, err)
		}
		parts[i] = string(text)
	}
	return strings.Join(parts[:2], " ")
}

// JWT-3: alg in the header option would choose the algorithm in JavaScript.
func TestHeaderOptionDoesNotChooseTheAlgorithm(t *testing.T) {
	n := startNode(t)
	header := decode[map[string]any](t, n.do(t, "header",
		decode[string](t, n.do(t, "sign", options{}, key, options{"header": options{"alg": "HS512"}}))))
	if header["alg"] != "HS512" {
		t.Errorf("jsonwebtoken: %v", header)
	}
	_, err := newJWT(t, auth.Options{Key: key}).Sign(t.Context(), options{}, auth.HeaderField("alg", "HS512"))
	if err == nil || err.Error() != `Error: "alg" is not allowed in "header"` {
		t.Errorf("here: %v", err)
	}
}
