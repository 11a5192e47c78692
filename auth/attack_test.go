package auth_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/revoke"
)

// JWT-21 rows 3 to 14, JWT-23, JWT-24, QK-19, QK-20, HS-11 rows 4, 5, 6 and 9.
// Unless noted, the signature of what is refused here is good.
func TestVerifyStructure(t *testing.T) {
	good := craft(hs256Header, `{"a":1}`)
	accept(t, plain(t), good)
	parts := strings.Split(good, ".")
	head, body, sig := parts[0], parts[1], parts[2]
	signedAs := func(head, body string) string { return seal(head+"."+body, testKey) }
	deep := func(n int) string {
		return craft(hs256Header, `{"a":`+strings.Repeat("[", n)+strings.Repeat("]", n)+`}`)
	}
	const token, algorithm, signature = "invalid token", "invalid algorithm", "invalid signature"
	const required = "jwt signature is required"
	for _, c := range []struct{ name, signed, want string }{
		{"row 3: empty", "", "jwt must be provided"},
		{"row 4: one part", "x", "jwt malformed"},
		{"row 4: two parts", head + "." + body, "jwt malformed"},
		{"row 4: four parts", good + "." + sig, "jwt malformed"},
		{"row 4: five parts, as of an encrypted token", good + ".a.b", "jwt malformed"},
		{"row 5: only dots", "..", token},
		{"row 5: undecodable", "a.b.c", token},
		{"row 5: empty header", signedAs("", body), token},
		{"row 5: empty payload", signedAs(head, ""), token},
		{"row 5: padding in the signature", good + "=", token},
		{"row 5: padding in the header", signedAs(head+"=", body), token},
		{"row 5: padding in the payload", signedAs(head, body+"="), token},
		{"row 5: newline behind", good + "\n", token},
		{"row 5: newline in front", "\n" + good, token},
		{"row 5: CR LF in the header", signedAs(head[:8]+"\r\n"+head[8:], body), token},
		{"row 5: CR in the payload", signedAs(head, body+"\r"), token},
		{"row 5: LF in the signature", head + "." + body + "." + sig[:9] + "\n" + sig[9:], token},
		{"row 5: space behind", good + " ", token},
		{"row 5: standard base64", head + "." + body + "." + strings.Repeat("+/", 21) + "A", token},
		{"row 5: not ASCII", good + "é", token},
		{"row 5: stray bits in the header", signedAs(strayBits(t, b64(hs256Header+" ")), body), token},
		{"row 5: stray bits in the payload", signedAs(head, strayBits(t, body)), token},
		{"row 5: header not JSON", craft("alg", `{}`), token},
		{"row 5: header is text", craft(`"HS256"`, `{}`), token},
		{"row 5: header is null", craft(`null`, `{}`), token},
		{"row 5: header is a list", craft(`[{"alg":"HS256"}]`, `{}`), token},
		{"row 5: text behind the header", craft(hs256Header+"x", `{}`), token},
		{"row 5: header twice", craft(hs256Header+hs256Header, `{}`), token},
		{"row 6: payload not JSON", craft(hs256Header, "not json"), token},
		{"row 6: payload cut off", craft(hs256Header, `{"a":1`), token},
		{"row 6: text behind the payload", craft(hs256Header, `{"a":1}]`), token},
		{"JWT-24 null payload", craft(hs256Header, `null`), token},
		{"QK-19 text payload", craft(hs256Header, `"alice"`), token},
		{"QK-19 number payload", craft(hs256Header, `5`), token},
		{"QK-19 list payload", craft(hs256Header, `[{"a":1}]`), token},
		{"QK-19 true payload", craft(hs256Header, `true`), token},
		{"payload not UTF-8", craft(hs256Header, "{\"a\":\"\xff\"}"), token},
		{"payload with half a surrogate pair", craft(hs256Header, `{"a":"\ud800"}`), token},
		{"byte order mark", craft(hs256Header, "\ufeff{}"), token},
		{"JWT-23 name twice in the payload", craft(hs256Header, `{"admin":false,"admin":true}`), token},
		{"JWT-23 name twice, once escaped", craft(hs256Header, `{"admin":false,"\u0061dmin":true}`), token},
		{"JWT-23 name twice inside", craft(hs256Header, `{"a":{"b":1,"b":2}}`), token},
		{"JWT-23 name twice in the header", craft(`{"alg":"HS256","alg":"HS256"}`, `{}`), token},
		{"nested 65 deep", deep(64), token},
		{"nested past any decoder", deep(5000), token},
		{"QK-20 crit", craft(`{"alg":"HS256","crit":["exp"],"exp":1}`, `{}`), token},
		{"QK-20 empty crit", craft(`{"alg":"HS256","crit":[]}`, `{}`), token},
		{"QK-20 null crit", craft(`{"alg":"HS256","crit":null}`, `{}`), token},
		{"JWT-23 ALG", craft(`{"ALG":"HS256"}`, `{}`), token},
		{"JWT-23 Alg beside alg", craft(`{"alg":"HS256","Alg":"none"}`, `{}`), token},
		{"JWT-23 Kid", craft(`{"alg":"HS256","Kid":"k"}`, `{}`), token},
		{"JWT-23 kid with a Kelvin sign", craft(`{"alg":"HS256","\u212aid":"k"}`, `{}`), token},
		{"QK-20 Crit", craft(`{"alg":"HS256","Crit":["exp"]}`, `{}`), token},
		{"JWT-23 EXP", craft(hs256Header, `{"EXP":1}`), token},
		{"JWT-23 Exp beside exp", craft(hs256Header, `{"exp":4000000000,"Exp":1}`), token},
		{"JWT-23 nBf", craft(hs256Header, `{"nBf":4000000000}`), token},
		{"JWT-23 Iat", craft(hs256Header, `{"Iat":1}`), token},
		{"JWT-23 ISS", craft(hs256Header, `{"ISS":"i"}`), token},
		{"JWT-23 iss with a long s", craft(hs256Header, `{"i\u017fs":"i"}`), token},
		{"JWT-23 Sub", craft(hs256Header, `{"Sub":"s"}`), token},
		{"JWT-23 Aud", craft(hs256Header, `{"Aud":"a"}`), token},
		{"JWT-23 JTI", craft(hs256Header, `{"JTI":"7"}`), token},
		{"JWT-23 Sid", craft(hs256Header, `{"Sid":"s"}`), token},
		{"JWT-23 sid with a long s", craft(hs256Header, `{"\u017fid":"s"}`), token},
		{"JWT-23 Sid beside sid", craft(hs256Header, `{"sid":"s1","Sid":"s2"}`), token},
		{"JWT-23 own claim in two spellings", craft(hs256Header, `{"username":"mallory","a":1,"USERNAME":"alice"}`), token},
		{"JWT-23 own claim in two spellings, once escaped", craft(hs256Header, `{"admin":false,"\u0041dmin":true}`), token},
		{"JWT-23 own claim, once with a Kelvin sign", craft(hs256Header, `{"token":1,"to\u212aen":2}`), token},
		{"JWT-23 own claim, once with a long s", craft(hs256Header, `{"roles":1,"role\u017f":2}`), token},
		{"JWT-23 own claim in two spellings beyond ASCII", craft(hs256Header, `{"straße":1,"STRAẞE":2}`), token},
		{"JWT-23 two spellings among many names", craft(hs256Header, manyNames(1000, `"N500x":0`)), token},
		{"JWT-23 two spellings, the last of many names", craft(hs256Header, manyNames(1000, `"N999x":0`)), token},
		{"row 7: no signature", head + "." + body + ".", required},
		{"row 7: HS-11 row 9, none without signature", b64(`{"alg":"none"}`) + "." + body + ".", required},
		{"row 10: none with a signature", craft(`{"alg":"none"}`, `{}`), algorithm},
		{"row 10: nOnE", craft(`{"alg":"nOnE"}`, `{}`), algorithm},
		{"row 10: lower case", craft(`{"alg":"hs256"}`, `{}`), algorithm},
		{"row 10: missing", craft(`{"typ":"JWT"}`, `{}`), algorithm},
		{"row 10: empty", craft(`{"alg":""}`, `{}`), algorithm},
		{"row 10: list", craft(`{"alg":["HS256"]}`, `{}`), algorithm},
		{"row 10: null", craft(`{"alg":null}`, `{}`), algorithm},
		{"row 10: other family", craft(`{"alg":"RS256"}`, `{}`), algorithm},
		{"row 14: other hash", craft(`{"alg":"HS512"}`, `{}`), signature},
		{"row 14: other key", seal(head+"."+body, strings.ToUpper(testKey)), signature},
		{"row 14: other payload", head + "." + b64(`{"a":2}`) + "." + sig, signature},
		{"row 14: signature cut off", head + "." + body + "." + sig[:40], signature},
		{"row 14: signature of one letter", head + "." + body + ".A", signature},
		{"row 14: signature prolonged", good + "AAAA", signature},
		{"row 14: JWT-23 stray bits in the signature", head + "." + body + "." + strayBits(t, sig), signature},
	} {
		t.Run("JWT-21 "+c.name, func(t *testing.T) {
			refuse(t, plain(t), c.signed, invalid(c.want))
		})
	}
	t.Run("JWT-21 row 8: no key", func(t *testing.T) {
		refuse(t, new(auth.JWT), good, invalid("secret or public key must be provided"))
	})
	t.Run("nested 64 deep", func(t *testing.T) { accept(t, plain(t), deep(63)) })
	t.Run("own claims in any case", func(t *testing.T) {
		accept(t, plain(t), craft(`{"alg":"HS256","X":1,"x":2}`, `{"Name":1,"names":2,"EXPIRES":3,"user-id":4,"user_id":5}`))
		accept(t, plain(t), craft(hs256Header, `{"user":{"name":1,"Name":2}}`))
		accept(t, plain(t), craft(hs256Header, manyNames(1000, `"N500":0`)))
	})
	t.Run("spaces in JSON", func(t *testing.T) { accept(t, plain(t), craft(" {\"alg\" :\r\n\"HS256\"}\n", "\t{ \"exp\" : 4e9 } ")) })
	t.Run("escaped names", func(t *testing.T) {
		refuse(t, plain(t), craft(`{"\u0061lg":"HS256"}`, `{"\u0065xp":1}`), expired("jwt expired", `"1970-01-01T00:00:01.000Z"`))
	})
}

// manyNames is an object with the names n0x, n1x and so on, and one more member.
func manyNames(n int, member string) string {
	var b strings.Builder
	b.WriteByte('{')
	for i := range n {
		fmt.Fprintf(&b, `"n%dx":0,`, i)
	}
	return b.String() + member + "}"
}

// strayBits answers a second spelling of the same bytes: the last letter of a
// part may carry bits that a lenient decoder ignores.
func strayBits(t *testing.T, part string) string {
	t.Helper()
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	end := len(part) - 1
	other := part[:end] + string(letters[strings.IndexByte(letters, part[end])|1])
	want, _ := base64.RawURLEncoding.DecodeString(part)
	got, err := base64.RawURLEncoding.DecodeString(other)
	if other == part || err != nil || string(got) != string(want) {
		t.Fatalf("%q has no second spelling", part)
	}
	return other
}

// A token that is too long is refused before anything in it is looked at.
func TestVerifySize(t *testing.T) {
	refuse(t, plain(t), strings.Repeat("x", 16<<10+1), invalid("jwt too large"))
	refuse(t, plain(t), strings.Repeat("x", 16<<10), invalid("jwt malformed"))

	signed := craft(hs256Header, `{"a":1}`)
	accept(t, newJWT(t, auth.Options{Key: testKey, MaxTokenSize: len(signed)}), signed)
	refuse(t, newJWT(t, auth.Options{Key: testKey, MaxTokenSize: len(signed) - 1}), signed, invalid("jwt too large"))
}

// JWT-20: a public key is no secret, although everybody has its text.
func TestKeyConfusion(t *testing.T) {
	public := publicPEM(&rsaKey().PublicKey)
	forged := func(key []byte) string {
		return seal(b64(hs256Header)+"."+b64(`{"username":"admin"}`), string(key))
	}
	for name, o := range map[string]auth.Options{
		"derived":      {PrivateKey: rsaPEM(), PublicKey: public},
		"RS256":        {PrivateKey: rsaPEM(), PublicKey: public, Algorithm: "RS256"},
		"HS256 listed": {PrivateKey: rsaPEM(), PublicKey: public, VerifyAlgorithms: []string{"RS256", "HS256"}},
	} {
		t.Run("JWT-20 "+name, func(t *testing.T) {
			j := newJWT(t, o)
			refuse(t, j, forged(public), invalid("invalid algorithm"))
			refuse(t, j, forged([]byte(strings.TrimSpace(string(public)))), invalid("invalid algorithm"))
			refuse(t, j, forged(nil), invalid("invalid algorithm"))
			none := b64(`{"alg":"none"}`) + "." + b64(`{"username":"admin"}`) + "."
			refuse(t, j, none, invalid("jwt signature is required"))
			refuse(t, j, none+"AA", invalid("invalid algorithm"))
		})
	}
	t.Run("JWT-20 PEM text as secret", func(t *testing.T) {
		for _, text := range [][]byte{public, rsaPEM(), []byte("\n" + string(public))} {
			_, err := auth.NewJWT(auth.Options{Key: string(text)})
			wantOption(t, err, "Key", "is a PEM text")
			_, err = auth.NewJWT(auth.Options{VerificationKey: auth.HMACKey(text), AllowWeakKey: true})
			wantOption(t, err, "VerificationKey", "is a PEM text")
		}
	})
}

// JWT-1: the salt of PS algorithms is as long as the digest.
func TestPSSSaltLength(t *testing.T) {
	j := newJWT(t, auth.Options{SignatureKey: parsePEM(t, rsaPEM())})
	signing := b64(`{"alg":"PS256"}`) + "." + b64(`{}`)
	digest := sha256.Sum256([]byte(signing))
	for salt, good := range map[int]bool{sha256.Size: true, 0: false, 20: false, 64: false} {
		sig, err := rsa.SignPSS(rand.Reader, rsaKey(), crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: salt})
		if err != nil {
			t.Fatal(err)
		}
		_, err = j.Verify(t.Context(), signing+"."+base64.RawURLEncoding.EncodeToString(sig))
		if (err == nil) != good {
			t.Errorf("salt of %d bytes: %v", salt, err)
		}
	}
}

// JWT-21 row 13: JavaScript reports the wrong length in a text of its engine; a
// stranger learns no more than that the signature is wrong (QK-20).
func TestECSignatureForms(t *testing.T) {
	j := newJWT(t, auth.Options{SignatureKey: parsePEM(t, ecPEM(256))})
	signing := b64(`{"alg":"ES256"}`) + "." + b64(`{}`)
	sig, err := jwt.SigningMethodES256.Sign(signing, ecKey(256))
	if err != nil {
		t.Fatal(err)
	}
	encode := func(b []byte) string { return signing + "." + base64.RawURLEncoding.EncodeToString(b) }
	accept(t, j, encode(sig))
	for name, b := range map[string][]byte{
		"short": sig[:62], "long": append(sig[:64:64], 0, 0), "zero": make([]byte, 64), "one byte": {1},
	} {
		t.Run("JWT-21 row 13: "+name, func(t *testing.T) { refuse(t, j, encode(b), invalid("invalid signature")) })
	}
}

// An ES signature has two spellings. Both are good, as libraries sign either, so
// that nothing may go by the text of a token: what revokes one spelling revokes
// both.
func TestECSignatureHasTwoSpellings(t *testing.T) {
	for _, c := range []struct {
		method *jwt.SigningMethodECDSA
		bits   int
	}{{jwt.SigningMethodES256, 256}, {jwt.SigningMethodES384, 384}, {jwt.SigningMethodES512, 512}} {
		j := newJWT(t, auth.Options{SignatureKey: parsePEM(t, ecPEM(c.bits))})
		signing := b64(`{"alg":"`+c.method.Alg()+`"}`) + "." + b64(`{"jti":"7"}`)
		sig, err := c.method.Sign(signing, ecKey(c.bits))
		if err != nil {
			t.Fatal(err)
		}
		size := len(sig) / 2
		twin := bytes.Clone(sig)
		s := new(big.Int).SetBytes(sig[size:])
		s.Sub(ecKey(c.bits).Params().N, s).FillBytes(twin[size:])
		store := new(revoke.Memory)
		engine := revoke.Engine{Engine: j, Store: store}
		spellings := []string{signing + "." + base64.RawURLEncoding.EncodeToString(sig), signing + "." + base64.RawURLEncoding.EncodeToString(twin)}
		for _, signed := range spellings {
			accept(t, j, signed)
		}
		if r, ok := revoke.ForToken(accept(t, j, spellings[0])); !ok || store.Add(t.Context(), r) != nil {
			t.Fatal("the token cannot be revoked")
		}
		for _, signed := range spellings {
			if _, err := engine.Verify(t.Context(), signed); err == nil {
				t.Errorf("%s: a spelling of a token that is revoked is accepted", c.method.Alg())
			}
		}
	}
}

// Keys that a token brings along are never used, and their addresses never
// visited: such a token is good if a configured key has signed it, and only then.
func TestEmbeddedKeys(t *testing.T) {
	visits := 0
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { visits++ }))
	defer server.Close()
	const other = "ABCDEF0123456789ABCDEF0123456789"
	header := `{"alg":"HS256","jwk":{"kty":"oct","k":"` + b64(other) + `"},"jku":"` + server.URL + `","x5u":"` + server.URL + `","x5c":["AA"],"kid":"../../dev/null"}`
	signing := b64(header) + "." + b64(`{}`)
	ring := ringJWT(t, auth.RingKey{Key: auth.HMACKey([]byte(testKey))}, auth.RingKey{ID: "../../dev/null", Key: auth.HMACKey([]byte(testKey))})
	for _, j := range []*auth.JWT{plain(t), ring} {
		for _, key := range []string{other, ""} {
			refuse(t, j, seal(signing, key), invalid("invalid signature"))
		}
		accept(t, j, seal(signing, testKey))
	}
	if visits != 0 {
		t.Errorf("%d requests were made", visits)
	}
}
