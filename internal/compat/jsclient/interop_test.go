package jsclient

import (
	"bytes"
	"crypto/elliptic"
	"maps"
	"reflect"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
)

// algorithms are those that jsonwebtoken and the auth engine both have.
var algorithms = []string{
	"HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512",
}

// signer is an engine and what jsonwebtoken needs to do the same.
type signer struct {
	engine    *auth.JWT
	algorithm string
	keys      keyPair
}

// overAlgorithms runs a test with each algorithm. The engines sign nothing
// that they are not asked for, as jsonwebtoken does, which has no default
// expiry.
func overAlgorithms(t *testing.T, test func(t *testing.T, s signer)) {
	curves := map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()}
	for _, algorithm := range algorithms {
		o := auth.Options{Algorithm: algorithm, DefaultExpiry: -1}
		var keys keyPair
		switch algorithm[:2] {
		case "HS":
			o.Key, keys = key, keyPair{key, key}
		case "RS", "PS":
			keys = rsaPair()
		default:
			keys = ecPair(curves[algorithm])
		}
		if o.Key == "" {
			o.PrivateKey, o.PublicKey = []byte(keys.private), []byte(keys.public)
		}
		t.Run(algorithm, func(t *testing.T) { test(t, signer{newJWT(t, o), algorithm, keys}) })
	}
}

// JWT-1: tokens pass between jsonwebtoken and the auth engine in both
// directions, with every algorithm that both have.
func TestJSONWebTokenInterop(t *testing.T) {
	n := startNode(t)
	overAlgorithms(t, func(t *testing.T, s signer) { testInterop(t, n, s.engine, s.algorithm, s.keys) })
}

func testInterop(t *testing.T, n *node, engine *auth.JWT, algorithm string, pair keyPair) {
	data := map[string]any{"username": "älice \u2028 <&>", "roles": map[string]any{"admin": true}, "n": 1.5}
	exact := options{"algorithms": []string{algorithm}}

	t.Run("signed here", func(t *testing.T) {
		token, err := engine.Sign(t.Context(), data, auth.ExpiresIn(time.Hour), auth.NotBefore("-5s"), auth.Audience("a", "b"),
			auth.Issuer("go"), auth.Subject("s"), auth.JWTID("1"), auth.KeyID("k1"))
		if err != nil {
			t.Fatal(err)
		}
		got := decode[map[string]any](t, n.do(t, "verify", token.Signed(), pair.public,
			options{"algorithms": []string{algorithm}, "audience": "b", "issuer": "go", "subject": "s", "jwtid": "1"}))
		want := decode[map[string]any](t, token.Payload())
		if !reflect.DeepEqual(got, want) || got["exp"].(float64) != got["iat"].(float64)+3600 || got["username"] != data["username"] {
			t.Errorf("jsonwebtoken reads %v, want %v", got, want)
		}
		header := decode[map[string]any](t, n.do(t, "header", token.Signed()))
		if !maps.Equal(header, map[string]any{"alg": algorithm, "typ": "JWT", "kid": "k1"}) {
			t.Errorf("header %v", header)
		}
		_, err = n.try(t, "verify", tampered(token.Signed()), pair.public, exact)
		wantJSError(t, err, "JsonWebTokenError", "invalid signature")
	})

	t.Run("signed there", func(t *testing.T) {
		signed := decode[string](t, n.do(t, "sign", data, pair.private,
			options{"algorithm": algorithm, "expiresIn": "1h", "keyid": "k2", "jwtid": "2", "audience": "c"}))
		token, err := engine.Verify(t.Context(), signed, auth.WithAudience("c"), auth.WithJWTID("2"))
		if err != nil {
			t.Fatal(err)
		}
		got := decode[map[string]any](t, token.Payload())
		want := decode[map[string]any](t, n.do(t, "verify", signed, pair.public, exact))
		if !reflect.DeepEqual(got, want) || got["username"] != data["username"] {
			t.Errorf("the engine reads %v, want %v", got, want)
		}
		if token.Algorithm() != algorithm || token.KeyID() != "k2" {
			t.Errorf("algorithm %s, kid %s", token.Algorithm(), token.KeyID())
		}
		if _, err := engine.Verify(t.Context(), tampered(signed)); err == nil || err.Error() != "AuthTokenInvalidError: invalid signature" {
			t.Errorf("tampered: %v", err)
		}
	})
}

// tampered changes a letter in the middle of the signature.
func tampered(signed string) string {
	text := []byte(signed)
	i := (bytes.LastIndexByte(text, '.') + len(text)) / 2
	if text[i] == 'A' {
		text[i] = 'B'
	} else {
		text[i] = 'A'
	}
	return string(text)
}
