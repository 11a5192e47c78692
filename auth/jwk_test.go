package auth_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/socketcluster-go/socketcluster/auth"
)

func b64bytes(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// jwkOf writes a key as a JWK, its private members included if it has any.
// changes are further members, or others in place of its own; nil removes one.
func jwkOf(t testing.TB, key any, changes map[string]any) string {
	t.Helper()
	m := map[string]any{}
	switch k := key.(type) {
	case *rsa.PrivateKey:
		m["kty"], m["n"], m["e"] = "RSA", b64bytes(k.N.Bytes()), b64bytes(big.NewInt(int64(k.E)).Bytes())
		m["d"], m["p"], m["q"] = b64bytes(k.D.Bytes()), b64bytes(k.Primes[0].Bytes()), b64bytes(k.Primes[1].Bytes())
	case *ecdsa.PrivateKey:
		point, err := k.PublicKey.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		d, err := k.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		size := len(point) / 2
		m["kty"], m["crv"], m["x"], m["y"], m["d"] = "EC", k.Params().Name, b64bytes(point[1:1+size]), b64bytes(point[1+size:]), b64bytes(d)
	case ed25519.PrivateKey:
		m["kty"], m["crv"], m["x"], m["d"] = "OKP", "Ed25519", b64bytes(k.Public().(ed25519.PublicKey)), b64bytes(k.Seed())
	case string:
		m["kty"], m["k"] = "oct", b64(k)
	default:
		t.Fatalf("no JWK for %T", key)
	}
	for name, v := range changes {
		if v == nil {
			delete(m, name)
		} else {
			m[name] = v
		}
	}
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var onlyPublic = map[string]any{"d": nil, "p": nil, "q": nil}

func parseJWK(t testing.TB, text string) auth.RingKey {
	t.Helper()
	k, err := auth.ParseJWK([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return k
}

// RFC 7517, RFC 7518 section 6, RFC 8037: a private JWK signs what the public one
// and the key in PEM verify.
func TestParseJWK(t *testing.T) {
	for _, c := range []struct {
		want string
		key  any
	}{
		{"RS256", rsaKey()}, {"ES256", ecKey(256)}, {"ES384", ecKey(384)}, {"ES512", ecKey(512)}, {"EdDSA", edKey()},
	} {
		t.Run(c.want, func(t *testing.T) {
			private := parseJWK(t, jwkOf(t, c.key, map[string]any{"kid": "k", "use": "sig"}))
			public := parseJWK(t, jwkOf(t, c.key, onlyPublic))
			public.ID = "k"
			if private.ID != "k" || private.Algorithm != c.want || public.Algorithm != c.want {
				t.Errorf("read as %q %s, public %s", private.ID, private.Algorithm, public.Algorithm)
			}
			if !private.Key.CanSign() || public.Key.CanSign() {
				t.Errorf("read as %v and %v", private.Key, public.Key)
			}
			signed := sign(t, ringJWT(t, private), `{}`).Signed()
			accept(t, ringJWT(t, private), signed)
			accept(t, ringJWT(t, public), signed)
			accept(t, ringJWT(t, auth.RingKey{ID: "k", Key: parsePEM(t, privatePEM(c.key))}), signed)
		})
	}
	t.Run("oct", func(t *testing.T) {
		k := parseJWK(t, jwkOf(t, testKey, map[string]any{"alg": "HS384", "key_ops": []string{"verify"}}))
		accept(t, ringJWT(t, k), sign(t, newJWT(t, auth.Options{Key: testKey, Algorithm: "HS384"}), `{}`).Signed())
	})
	t.Run("pinned to alg", func(t *testing.T) {
		k := parseJWK(t, jwkOf(t, rsaKey(), map[string]any{"alg": "PS512", "kid": "é", "x5t": "ignored", "key_ops": []string{"sign"}}))
		if k.Algorithm != "PS512" || k.ID != "é" {
			t.Errorf("got %q %s", k.ID, k.Algorithm)
		}
	})
	// RFC 7515 appendix A.1: the key and the token of the RFC.
	t.Run("RFC 7515 A.1", func(t *testing.T) {
		k := parseJWK(t, `{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}`)
		tok := accept(t, ringJWT(t, k), "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", at(1300819379))
		if iss, _ := tok.Claim("iss"); iss != "joe" {
			t.Errorf("got %s", tok.Payload())
		}
	})
}

// Keys that must not be used. The error names the kid and keeps the key to itself.
func TestParseJWKRefuses(t *testing.T) {
	type m = map[string]any
	short, zero := b64("short"), b64bytes(make([]byte, 32))
	otherX := b64bytes(edKey().Public().(ed25519.PublicKey)[:31]) // a byte short
	even := b64bytes(new(big.Int).Sub(rsaKey().N, big.NewInt(1)).Bytes())
	huge := make([]byte, 2049)
	huge[0], huge[2048] = 1, 1
	otherD := b64bytes(new(big.Int).Add(rsaKey().D, big.NewInt(2)).Bytes())
	for _, c := range []struct {
		name, want string
		key        any
		changes    m
	}{
		{"QK-20 secret of 31 bytes", "has 31 bytes, at least 32", testKey[1:], nil},
		{"QK-20 RSA of 1024 bits", "minimum key size of 2048 bits, this one has 1024", smallRSA(), nil},
		{"QK-20 public RSA of 1024 bits", "minimum key size of 2048 bits", smallRSA(), onlyPublic},
		{"RSA of 16385 bits", "at most 16384 bits", rsaKey(), m{"d": nil, "n": b64bytes(huge)}},
		{"JWT-1 none", `the algorithm "none"`, testKey, m{"alg": "none"}},
		{"JWT-1 ES256K", `the algorithm "ES256K"`, ecKey(256), m{"alg": "ES256K"}},
		{"an algorithm for encryption", `the algorithm "RSA-OAEP"`, rsaKey(), m{"alg": "RSA-OAEP"}},
		{"alg of another kind", `"HS256" does not fit the key (rsa private key)`, rsaKey(), m{"alg": "HS256"}},
		{"alg of another curve", `"ES384" does not fit the key (ec private key); use ES256`, ecKey(256), m{"alg": "ES384"}},
		{"use enc", "is not for signatures", rsaKey(), m{"use": "enc"}},
		{"use list", "is not for signatures", rsaKey(), m{"use": []string{"sig"}}},
		{"key_ops encrypt", "is not for signatures", rsaKey(), m{"key_ops": []string{"encrypt", "wrapKey"}}},
		{"no kty", `the key type ""`, rsaKey(), m{"kty": nil}},
		{"unknown kty", `the key type "AKP"`, rsaKey(), m{"kty": "AKP"}},
		{"kty in other letters", `the key type "rsa"`, rsaKey(), m{"kty": "rsa"}},
		{"KTY", `the key type ""`, rsaKey(), m{"kty": nil, "KTY": "RSA"}},
		{"P-224", `the curve "P-224"`, ecKey(256), m{"crv": "P-224"}},
		{"secp256k1", `the curve "secp256k1"`, ecKey(256), m{"crv": "secp256k1"}},
		{"X25519", `the curve "X25519"`, edKey(), m{"crv": "X25519"}},
		{"point off the curve", "not a point", ecKey(256), m{"y": zero}},
		{"point at infinity", "not a point", ecKey(256), m{"x": zero, "y": zero}},
		{"short coordinate", "member x of 5 bytes, its curve has 32", ecKey(256), m{"x": short}},
		{"coordinate of another curve", "its curve has 48", ecKey(256), m{"crv": "P-384"}},
		{"no y", "no member y", ecKey(256), m{"y": nil}},
		{"EC private part of another key", "does not fit", ecKey(256), m{"d": b64bytes(append(make([]byte, 31), 5))}},
		{"EC private part zero", "does not fit", ecKey(256), m{"d": zero}},
		{"EC private part short", "member d of 5 bytes", ecKey(256), m{"d": short}},
		{"Ed25519 of 31 bytes", "member x of 31 bytes", edKey(), m{"x": otherX}},
		{"Ed25519 private part of another key", "does not fit", edKey(), m{"d": zero}},
		{"Ed25519 private part short", "member d of 5 bytes", edKey(), m{"d": short}},
		{"RSA without n", "no member n", rsaKey(), m{"n": nil}},
		{"RSA with exponent 1", "has an exponent", rsaKey(), m{"e": "AQ"}},
		{"RSA with an even exponent", "has an exponent", rsaKey(), m{"e": "BA"}},
		{"RSA with an exponent of 2^32+1", "has an exponent", rsaKey(), m{"e": "AQAAAAE"}},
		{"RSA with an even modulus", "has an even modulus", rsaKey(), m{"n": even}},
		{"RSA with a huge member", "member e that is too large", rsaKey(), m{"e": b64bytes(make([]byte, 5000))}},
		{"RSA private part without primes", "no member p", rsaKey(), m{"p": nil, "q": nil}},
		{"RSA private part of another key", "does not fit", rsaKey(), m{"d": otherD}},
		{"RSA primes of zero", "does not fit", rsaKey(), m{"p": "AA", "q": "AA"}},
		{"RSA with three primes", "more than two primes", rsaKey(), m{"oth": []any{}}},
		{"padding", "no member k in base64url", testKey, m{"k": b64(testKey) + "="}},
		{"standard base64", "no member k in base64url", testKey, m{"k": "+/+/"}},
		{"stray bits", "no member k in base64url", testKey, m{"k": b64(testKey)[:42] + "Z"}},
		{"number for text", "no member k in base64url", testKey, m{"k": 5}},
		{"empty secret", "no member k in base64url", testKey, m{"k": ""}},
		{"PEM text as secret", "is a PEM text", string(publicPEM(&rsaKey().PublicKey)), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			changes := m{"kid": "my key"}
			for name, v := range c.changes {
				changes[name] = v
			}
			text := jwkOf(t, c.key, changes)
			k, err := auth.ParseJWK([]byte(text))
			wantOption(t, err, `key "my key"`, c.want)
			if !k.Key.IsZero() {
				t.Errorf("a key came with the error: %v", k)
			}
			var members map[string]any
			if err := json.Unmarshal([]byte(text), &members); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"k", "d", "p", "q", "n", "x"} {
				if s, _ := members[name].(string); len(s) > 4 && strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), s) {
					t.Errorf("the error holds %s: %v", name, err)
				}
			}
		})
	}
	for name, text := range map[string]string{
		"nothing":       ``,
		"no object":     `[]`,
		"member twice":  `{"kty":"oct","kty":"oct","k":"` + b64(testKey) + `"}`,
		"kid is a list": `{"kty":"oct","kid":[5],"k":"` + b64(testKey) + `"}`,
		"alg is null":   `{"kty":"oct","alg":null,"k":"` + b64(testKey) + `"}`,
		"text behind":   jwkOf(t, testKey, nil) + "x",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := auth.ParseJWK([]byte(text))
			wantOption(t, err, "JWK", "")
		})
	}
}

// RFC 7517 section 5: an unknown key does not spoil a set.
func TestParseJWKS(t *testing.T) {
	kid := func(id string) map[string]any { return map[string]any{"kid": id} }
	set := `{"keys":[` + strings.Join([]string{
		jwkOf(t, rsaKey(), map[string]any{"kid": "1", "d": nil}),
		jwkOf(t, ecKey(256), kid("2")),
		`{"kty":"AKP","kid":"quantum"}`,
		`{"kty":"RSA","use":"enc","kid":"not ours"}`,
		jwkOf(t, testKey, kid("1")),
		jwkOf(t, "weak", kid("weak")),
		`5`,
		jwkOf(t, testKey, nil),
	}, ",") + `],"more":{"keys":[]}}`
	keys, skipped, err := auth.ParseJWKS([]byte(set))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, k := range keys {
		got = append(got, fmt.Sprintf("%q %s %v", k.ID, k.Algorithm, k.Key))
	}
	if got, want := strings.Join(got, ", "), `"1" RS256 rsa public key, "2" ES256 ec private key, "" HS256 HMAC key`; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	var reasons []string
	for _, err := range skipped {
		reasons = append(reasons, err.Error())
	}
	want := []string{
		`auth: key "quantum": has the key type "AKP", which cannot be used (number 3 of the set)`,
		`auth: key "1": occurs twice; number 5 of the set is not used`,
		`auth: key "weak": has 4 bytes, at least 32 are needed to resist a search (number 6 of the set)`,
		`auth: JWK: is not one JSON object without repeated names (number 7 of the set)`,
	}
	if strings.Join(reasons, "\n") != strings.Join(want, "\n") {
		t.Errorf("skipped\n%s\nwant\n%s", strings.Join(reasons, "\n"), strings.Join(want, "\n"))
	}

	for name, text := range map[string]string{
		"nothing":           ``,
		"no object":         `[]`,
		"no keys":           `{}`,
		"Keys":              `{"Keys":[]}`,
		"keys is an object": `{"keys":{}}`,
		"keys twice":        `{"keys":[],"keys":[]}`,
		"a member twice":    `{"keys":[{"kty":"oct","kty":"oct"}]}`,
		"257 keys":          `{"keys":[` + strings.Repeat("{},", 256) + `{}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			if keys, _, err := auth.ParseJWKS([]byte(text)); err == nil || keys != nil {
				t.Errorf("got %v, %v", keys, err)
			}
		})
	}
	if keys, skipped, err := auth.ParseJWKS([]byte(`{"keys":[]}`)); keys != nil || skipped != nil || err != nil {
		t.Errorf("an empty set is %v, %v, %v", keys, skipped, err)
	}
}

// RFC 7638 section 3.1, RFC 8037 appendix A.3.
func TestThumbprint(t *testing.T) {
	rsaJWK := `{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}`
	for want, text := range map[string]string{
		"NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs": rsaJWK,
		"kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k": `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`,
	} {
		if got := parseJWK(t, text).Key.Thumbprint(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		k := newEC(curve)
		private, public := parsePEM(t, privatePEM(k)), parsePEM(t, publicPEM(&k.PublicKey))
		if p := private.Thumbprint(); len(p) != 43 || p != public.Thumbprint() {
			t.Errorf("%s: %q and %q", curve.Params().Name, p, public.Thumbprint())
		}
	}
	if got := auth.HMACKey([]byte(testKey)).Thumbprint() + (auth.Key{}).Thumbprint(); got != "" {
		t.Errorf("a secret has the thumbprint %s", got)
	}
}

// Keys from a file or an address cause no panic, and accepted keys can be used.
func FuzzParseJWK(f *testing.F) {
	for _, key := range []any{rsaKey(), ecKey(256), ecKey(512), edKey(), testKey} {
		f.Add([]byte(jwkOf(f, key, map[string]any{"kid": "k"})))
		f.Add([]byte(jwkOf(f, key, onlyPublic)))
	}
	f.Add([]byte(`{"kty":"RSA","n":"AQ","e":"AQ","d":"AQ","p":"AQ","q":"AQ"}`))
	f.Add([]byte(`{"kty":"EC","crv":"P-256","x":"","y":null}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		k, err := auth.ParseJWK(text)
		if k.Key.IsZero() != (err != nil) {
			t.Fatalf("%q: %v, %v", text, k, err)
		}
		if err == nil {
			checkUsable(t, k)
		}
	})
}

func FuzzParseJWKS(f *testing.F) {
	f.Add([]byte(`{"keys":[` + jwkOf(f, ecKey(256), onlyPublic) + "," + jwkOf(f, testKey, map[string]any{"kid": "a"}) + `,{},5,null]}`))
	f.Add([]byte(`{"keys":[]}`))
	f.Add([]byte(`{"keys":null}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		keys, _, err := auth.ParseJWKS(text)
		if err != nil && keys != nil {
			t.Fatalf("%q: %v, %v", text, keys, err)
		}
		if _, err := auth.NewKeyRing(keys...); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		for _, k := range keys {
			checkUsable(t, k)
		}
	})
}

func checkUsable(t *testing.T, k auth.RingKey) {
	t.Helper()
	j := ringJWT(t, k)
	if !k.Key.CanSign() {
		header, _ := json.Marshal(map[string]string{"alg": k.Algorithm, "kid": k.ID})
		refuse(t, j, b64(string(header))+"."+b64(`{}`)+".AA", invalid("invalid signature"))
		return
	}
	accept(t, j, sign(t, j, `{}`).Signed())
}
