package jsclient

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/socketcluster-go/socketcluster/auth"
)

func encoded(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// seal adds a good signature to whatever it is given.
func (s signer) seal(t *testing.T, signing string) string {
	t.Helper()
	var private any
	var err error
	switch s.algorithm[:2] {
	case "HS":
		private = []byte(s.keys.private)
	case "ES":
		private, err = jwt.ParseECPrivateKeyFromPEM([]byte(s.keys.private))
	default:
		private, err = jwt.ParseRSAPrivateKeyFromPEM([]byte(s.keys.private))
	}
	if err != nil {
		t.Fatal(err)
	}
	signature, err := jwt.GetSigningMethod(s.algorithm).Sign(signing, private)
	if err != nil {
		t.Fatal(err)
	}
	return signing + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// formCase is a text that may be a token. refused is the message of both
// sides, "" if it is good, or of the engine if jsonwebtoken does something else that
// docs/PROTOCOL.md lists: there.
type formCase struct {
	name, token, refused string
	there                *failure // good there: the zero value
}

// formCases are texts that are wrong before anybody looks at their claims.
func (s signer) formCases(t *testing.T) []formCase {
	header, claims := encoded(`{"alg":"`+s.algorithm+`","typ":"JWT"}`), encoded(`{"a":1}`)
	good := s.seal(t, header+"."+claims)
	of := func(header, claims string) string { return s.seal(t, encoded(header)+"."+encoded(claims)) }
	alg := func(name string) string { return of(`{"alg":`+name+`,"typ":"JWT"}`, `{}`) }
	beside := func(more string) string { return of(`{"alg":"`+s.algorithm+`",`+more+`}`, `{}`) }
	other := map[bool]string{true: `"HS384"`, false: `"HS256"`}[s.algorithm == "HS256"]
	accepted := differently(failure{})
	cases := []formCase{
		{name: "JWT-21 row 3", refused: "jwt must be provided"},
		{name: "JWT-21 row 4: no dot", token: "abc", refused: "jwt malformed"},
		{name: "JWT-21 row 4: one dot", token: header + "." + claims, refused: "jwt malformed"},
		{name: "JWT-21 row 4: three dots", token: good + ".", refused: "jwt malformed"},
		{name: "JWT-21 row 5: nothing between dots", token: "..", refused: "invalid token"},
		{name: "JWT-21 row 5: no payload", token: header + ".." + "abc", refused: "invalid token"},
		{name: "JWT-21 row 5: a letter outside base64url", token: header + "." + claims + ".a+b", refused: "invalid token"},
		{name: "JWT-21 row 5: padding", token: good + "=", refused: "invalid token"},
		{name: "JWT-21 row 5: a blank in front", token: " " + good, refused: "invalid token"},
		{name: "JWT-21 row 5: the header is no JSON", token: encoded("{") + "." + claims + ".abc", refused: "invalid token"},
		{name: "JWT-21 row 5: the header is null", token: encoded("null") + "." + claims + ".abc", refused: "invalid token"},
		{name: "JWT-21 row 7", token: header + "." + claims + ".", refused: "jwt signature is required"},
		{name: "JWT-21 row 10: no alg", token: of(`{"typ":"JWT"}`, `{}`), refused: "invalid algorithm"},
		{name: "JWT-21 row 10: none", token: alg(`"none"`), refused: "invalid algorithm"},
		{name: "JWT-21 row 10: lower case", token: alg(strings.ToLower(`"` + s.algorithm + `"`)), refused: "invalid algorithm"},
		{name: "JWT-21 row 10: another", token: alg(other), refused: "invalid algorithm"},
		{name: "JWT-21 row 10: a list", token: alg(`["` + s.algorithm + `"]`), refused: "invalid algorithm"},
		{name: "JWT-21 row 14", token: tampered(good), refused: "invalid signature"},
		{name: "JWT-21 row 14: other claims", token: header + "." + encoded(`{"a":2}`) + good[strings.LastIndexByte(good, '.'):], refused: "invalid signature"},
		{name: "JWT-23 the same name twice", token: of(`{"alg":"`+s.algorithm+`","typ":"JWT"}`, `{"a":1,"a":2}`), refused: "invalid token", there: accepted},
		{name: "JWT-23 crit", token: of(`{"alg":"`+s.algorithm+`","crit":["x"]}`, `{}`), refused: "invalid token", there: accepted},
		{name: "JWT-23 keys in the header", token: beside(`"jwk":{"kty":"oct","k":"AA"},"jku":"https://a.example/","x5u":"https://a.example/","x5c":["AA"],"x5t":5`)},
		{name: "JWT-23 kid is a number", token: beside(`"kid":1`)},
		{name: "JWT-23 kid is null", token: beside(`"kid":null`)},
		{name: "JWT-23 kid is an object", token: beside(`"kid":{"a":1}`)},
		{name: "JWT-23 typ of another kind", token: beside(`"typ":"at+jwt","cty":"JWT"`)},
		{name: "JWT-23 typ is a number", token: beside(`"typ":1`)},
		{name: "JWT-23 unknown members", token: beside(`"b64":false,"x":[{}]`)},
		{name: "JWT-21 aud is a number", token: of(`{"alg":"`+s.algorithm+`"}`, `{"aud":5,"iss":[1],"sub":{},"jti":7}`)},
		{name: "JWT-24 the payload is a list", token: of(`{"alg":"`+s.algorithm+`","typ":"JWT"}`, `[1]`), refused: "invalid token", there: accepted},
	}
	if s.algorithm[:2] == "ES" {
		size := len(decodedSignature(t, good))
		short := good[:strings.LastIndexByte(good, '.')+1] + strings.Repeat("A", 8)
		there := failure{"TypeError", fmt.Sprintf(`"%s" signatures must be "%d" bytes, saw "6"`, s.algorithm, size), nil}
		cases = append(cases, formCase{name: "JWT-21 row 13", token: short, refused: "invalid signature", there: &there})
	}
	return cases
}

func decodedSignature(t *testing.T, token string) []byte {
	t.Helper()
	signature, err := base64.RawURLEncoding.DecodeString(token[strings.LastIndexByte(token, '.')+1:])
	if err != nil {
		t.Fatal(err)
	}
	return signature
}

// JWT-21 rows 3 to 14, JWT-23, JWT-24: what is no token, or has no good
// signature, is refused with the same message on both sides.
func TestTokenFormsInterop(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	overAlgorithms(t, func(t *testing.T, s signer) {
		cases := s.formCases(t)
		var calls [][]any
		for _, c := range cases {
			calls = append(calls, []any{c.token, options{}})
		}
		there := decode[[]outcome[json.RawMessage]](t, n.do(t, "verifyEach", calls, s.keys.public, s.algorithm))
		for i, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				want := failure{}
				if c.refused != "" {
					want = invalid(c.refused)
				}
				_, err := s.engine.Verify(t.Context(), c.token)
				want.checkHere(t, err)
				if c.there != nil {
					want = *c.there
				}
				want.checkThere(t, there[i])
			})
		}
	})
}

// JWT-21 row 8 and JWT-2: an engine without a key says so in the same words.
func TestNoKeyInterop(t *testing.T) {
	n := startNode(t)
	good := sign(t, options{"a": 1})
	var engine auth.JWT
	_, err := n.try(t, "verify", good, "", options{})
	wantJSError(t, err, "JsonWebTokenError", "secret or public key must be provided")
	_, err = engine.Verify(t.Context(), good)
	invalid("secret or public key must be provided").checkHere(t, err)

	_, err = n.try(t, "sign", options{}, "", options{})
	wantJSError(t, err, "Error", "secretOrPrivateKey must have a value")
	if _, err = engine.Sign(t.Context(), options{}); err == nil || err.Error() != "Error: secretOrPrivateKey must have a value" {
		t.Errorf("here: %v", err)
	}
}
