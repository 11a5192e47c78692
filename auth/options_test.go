package auth_test

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/internal/logtest"
	"github.com/socketcluster-go/socketcluster/wire"
)

func TestOptionErrors(t *testing.T) {
	hmacKey := auth.HMACKey([]byte(testKey))
	private, public := rsaPEM(), publicPEM(&rsaKey().PublicKey)
	otherPublic := []byte(rsaPublicPEM)
	ring := new(auth.KeyRing)
	ec384 := parsePEM(t, ecPEM(384))
	const all = "is not an algorithm that can be used here; use one of HS256, HS384, HS512, RS256, PS256, RS384, PS384, RS512, PS512, ES256, ES384, ES512"
	for _, c := range []struct {
		name          string
		o             auth.Options
		field, reason string
	}{
		{"AUTH-6 no private key", auth.Options{PublicKey: public}, "PrivateKey", "must be set, because PublicKey is set"},
		{"AUTH-6 no public key", auth.Options{PrivateKey: private}, "PublicKey", "must be set, because PrivateKey is set"},
		{"AUTH-6 secret beside a pair", auth.Options{Key: testKey, PrivateKey: private, PublicKey: public}, "Key", "cannot be combined"},
		{"AUTH-6 pair of strangers", auth.Options{PrivateKey: private, PublicKey: otherPublic}, "PublicKey", "does not belong to PrivateKey"},
		{"AUTH-6 pair of different kinds", auth.Options{PrivateKey: private, PublicKey: publicPEM(&ecKey(256).PublicKey)}, "PublicKey", "does not belong to PrivateKey"},
		{"AUTH-6 unreadable private key", auth.Options{PrivateKey: []byte("x"), PublicKey: public}, "PrivateKey", "no key found"},
		{"AUTH-6 unreadable public key", auth.Options{PrivateKey: private, PublicKey: []byte("x")}, "PublicKey", "no key found"},
		{"AUTH-6 public key in the private place", auth.Options{PrivateKey: public, PublicKey: public}, "PrivateKey", "cannot sign"},
		{"QK-20 RSA of 1024 bits", auth.Options{PrivateKey: privatePEM(smallRSA()), PublicKey: public, AllowWeakKey: true}, "PrivateKey", "2048"},
		{"QK-20 secret of 31 bytes", auth.Options{Key: testKey[1:]}, "Key", "has 31 bytes"},
		{"QK-20 secret of 31 bytes for signing", auth.Options{SignatureKey: auth.HMACKey([]byte(testKey[1:]))}, "SignatureKey", "has 31 bytes"},
		{"JWT-2 empty secret", auth.Options{SignatureKey: auth.HMACKey(nil), AllowWeakKey: true}, "SignatureKey", "must not be empty"},
		{"JWT-21 empty secret", auth.Options{VerificationKey: auth.HMACKey(nil), AllowWeakKey: true}, "VerificationKey", "must not be empty"},
		{"JWT-1 none", auth.Options{Key: testKey, Algorithm: "none"}, "Algorithm", `"none" ` + all},
		{"JWT-1 lower case", auth.Options{Key: testKey, Algorithm: "hs256"}, "Algorithm", `"hs256" ` + all},
		{"JWT-1 EdDSA", auth.Options{Key: testKey, Algorithm: "EdDSA"}, "Algorithm", `"EdDSA" ` + all},
		{"JWT-1 ES256K", auth.Options{Key: testKey, Algorithm: "ES256K"}, "Algorithm", `"ES256K" ` + all},
		{"JWT-1 none among the accepted", auth.Options{Key: testKey, VerifyAlgorithms: []string{"HS256", "none"}}, "VerifyAlgorithms", `"none" ` + all},
		{"JWT-1 empty name among the accepted", auth.Options{Key: testKey, VerifyAlgorithms: []string{""}}, "VerifyAlgorithms", `"" ` + all},
		{"JWT-2 HS with a pair", auth.Options{PrivateKey: private, PublicKey: public, Algorithm: "HS256"}, "Algorithm", `"HS256" does not fit PrivateKey (rsa private key); use one of RS256, PS256, RS384, PS384, RS512, PS512`},
		{"JWT-2 RS with a secret", auth.Options{Key: testKey, Algorithm: "RS256"}, "Algorithm", `"RS256" does not fit Key (HMAC key); use one of HS256, HS384, HS512`},
		{"JWT-2 PS with a made-up secret", auth.Options{Algorithm: "PS256"}, "Algorithm", `"PS256" does not fit Key (HMAC key); use one of HS256, HS384, HS512`},
		{"JWT-2 curve", auth.Options{SignatureKey: ec384, Algorithm: "ES256"}, "Algorithm", `"ES256" does not fit SignatureKey (ec private key); use ES384`},
		{"JWT-2 RS with an EC key", auth.Options{SignatureKey: ec384, Algorithm: "RS256"}, "Algorithm", `"RS256" does not fit SignatureKey (ec private key); use ES384`},
		{"JWT-2 ES with an RSA key", auth.Options{PrivateKey: private, PublicKey: public, Algorithm: "ES256"}, "Algorithm", `"ES256" does not fit PrivateKey (rsa private key); use one of RS256`},
		{"nothing accepted fits", auth.Options{Key: testKey, VerifyAlgorithms: []string{"RS256", "ES256"}}, "VerifyAlgorithms", `"RS256" does not fit Key`},
		{"AUTH-7 only accepted algorithm does not fit", auth.Options{SignatureKey: hmacKey, VerificationKey: ec384, Algorithm: "HS256"}, "Algorithm", `"HS256" does not fit VerificationKey (ec private key); use ES384`},
		{"JWT-2 Ed25519", auth.Options{SignatureKey: parsePEM(t, privatePEM(edKey()))}, "SignatureKey", "is an Ed25519 key, which can be used in Options.Keys only"},
		{"JWT-2 Ed25519 for verification", auth.Options{VerificationKey: parsePEM(t, publicPEM(edKey().Public()))}, "VerificationKey", "is an Ed25519 key, which can be used in Options.Keys only"},
		{"JWT-2 Ed25519 pair", auth.Options{PrivateKey: privatePEM(edKey()), PublicKey: publicPEM(edKey().Public())}, "PrivateKey", "is an Ed25519 key, which can be used in Options.Keys only"},
		{"keys beside a secret", auth.Options{Keys: ring, Key: testKey}, "Keys", "beside Key,"},
		{"keys beside a private key", auth.Options{Keys: ring, PrivateKey: private}, "Keys", "beside PrivateKey,"},
		{"keys beside a public key", auth.Options{Keys: ring, PublicKey: public}, "Keys", "beside PublicKey,"},
		{"keys beside a signature key", auth.Options{Keys: ring, SignatureKey: hmacKey}, "Keys", "beside SignatureKey,"},
		{"keys beside a verification key", auth.Options{Keys: ring, VerificationKey: hmacKey}, "Keys", "beside VerificationKey,"},
		{"keys beside an algorithm", auth.Options{Keys: ring, Algorithm: "HS256"}, "Keys", "beside Algorithm,"},
		{"keys beside accepted algorithms", auth.Options{Keys: ring, VerifyAlgorithms: []string{"HS256"}}, "Keys", "beside VerifyAlgorithms,"},
		{"keys beside leave for weak ones", auth.Options{Keys: ring, AllowWeakKey: true}, "Keys", "beside AllowWeakKey,"},
		{"negative size with keys", auth.Options{Keys: ring, MaxTokenSize: -1}, "MaxTokenSize", "negative"},
		{"negative size", auth.Options{MaxTokenSize: -1}, "MaxTokenSize", "negative"},
		{"nanoseconds", auth.Options{Key: testKey, DefaultExpiry: 86_400}, "DefaultExpiry", "whole seconds"},
		{"nanoseconds of tolerance", auth.Options{Key: testKey, ClockTolerance: 2}, "ClockTolerance", "nanoseconds"},
		{"nanoseconds with keys", auth.Options{Keys: ring, DefaultExpiry: 86_400}, "DefaultExpiry", "whole seconds"},
		{"a nil source", auth.Options{Keys: (*auth.KeyRing)(nil)}, "Keys", "nil pointer"},
		{"a nil source among several", auth.Options{Keys: auth.KeySources{ring, (*auth.KeyFiles)(nil)}}, "Keys", "nil pointer"},
		{"no source among several", auth.Options{Keys: auth.KeySources{auth.KeySources{nil}}}, "Keys", "nil pointer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			j, err := auth.NewJWT(c.o)
			if j != nil {
				t.Error("an engine came with the error")
			}
			wantOption(t, err, c.field, c.reason)
			if want := "auth: " + c.field + ": "; !strings.HasPrefix(err.Error(), want) {
				t.Errorf("text %q does not begin with %q", err, want)
			}
			if errors.Is(err, wire.ErrInvalidArguments) {
				t.Error("it matches a foreign name")
			}
		})
	}
}

// AUTH-5: the key is the text itself.
func TestKeyText(t *testing.T) {
	hexText := strings.Repeat("0f", 32)
	j := newJWT(t, auth.Options{Key: hexText})
	signing := b64(hs256Header) + "." + b64(`{}`)
	accept(t, j, seal(signing, hexText))
	refuse(t, j, seal(signing, strings.Repeat("\x0f", 32)), invalid("invalid signature"))
	if j.GeneratedKey() != "" {
		t.Errorf("a generated key is reported: %s", j.GeneratedKey())
	}
}

// AUTH-5, QK-48: without a key, 32 random bytes as 64 hex characters.
func TestGeneratedKey(t *testing.T) {
	j, other := newJWT(t, auth.Options{}), newJWT(t, auth.Options{})
	key := j.GeneratedKey()
	if b, err := hex.DecodeString(key); err != nil || len(b) != 32 || key != strings.ToLower(key) {
		t.Fatalf("got %q, %v", key, err)
	}
	if key == other.GeneratedKey() {
		t.Error("two servers made up the same key")
	}
	tok, err := j.Sign(t.Context(), raw(`{"username":"bob"}`))
	if err != nil {
		t.Fatal(err)
	}
	accept(t, j, tok.Signed())
	accept(t, newJWT(t, auth.Options{Key: key}), tok.Signed())
	refuse(t, other, tok.Signed(), invalid("invalid signature"))
}

// QK-22: without an algorithm, it follows from the signature key.
func TestDerivedAlgorithm(t *testing.T) {
	for want, o := range map[string]auth.Options{
		"HS256": {Key: testKey},
		"RS256": {PrivateKey: rsaPEM(), PublicKey: publicPEM(&rsaKey().PublicKey)},
		"ES256": {PrivateKey: ecPEM(256), PublicKey: publicPEM(&ecKey(256).PublicKey)},
		"ES384": {PrivateKey: ecPEM(384), PublicKey: publicPEM(&ecKey(384).PublicKey)},
		"ES512": {PrivateKey: ecPEM(512), PublicKey: publicPEM(&ecKey(512).PublicKey)},
	} {
		t.Run("QK-22 "+want, func(t *testing.T) {
			j := newJWT(t, o)
			tok, err := j.Sign(t.Context(), raw(`{}`), auth.ExpiresIn(time.Hour))
			if err != nil {
				t.Fatal(err)
			}
			if tok.Algorithm() != want {
				t.Errorf("signed with %s", tok.Algorithm())
			}
			accept(t, j, tok.Signed())
		})
	}
}

// AUTH-7, JWT-20: which algorithms are accepted.
func TestAcceptedAlgorithms(t *testing.T) {
	all := map[string]string{}
	for _, o := range signers(t) {
		tok, err := newJWT(t, o).Sign(t.Context(), raw(`{}`))
		if err != nil {
			t.Fatal(err)
		}
		all[o.Algorithm] = tok.Signed()
	}
	rsaPair := auth.Options{PrivateKey: rsaPEM(), PublicKey: publicPEM(&rsaKey().PublicKey)}
	for _, c := range []struct {
		name string
		o    auth.Options
		want string
	}{
		{"JWT-20 secret", auth.Options{Key: testKey}, "HS256 HS384 HS512"},
		{"JWT-20 RSA", rsaPair, "RS256 RS384 RS512 PS256 PS384 PS512"},
		{"JWT-20 EC", auth.Options{SignatureKey: parsePEM(t, ecPEM(384))}, "ES384"},
		{"AUTH-7 authAlgorithm is the only one", auth.Options{Key: testKey, Algorithm: "HS384"}, "HS384"},
		{"AUTH-7 authVerifyAlgorithms overrides it", auth.Options{Key: testKey, Algorithm: "HS384", VerifyAlgorithms: []string{"HS256", "HS512"}}, "HS256 HS512"},
		{"AUTH-7 of a list only what fits", auth.Options{Key: testKey, VerifyAlgorithms: []string{"RS256", "HS256", "ES256"}}, "HS256"},
		{"AUTH-9 keys of different kinds", auth.Options{SignatureKey: auth.HMACKey([]byte(testKey)), VerificationKey: parsePEM(t, rsaPair.PublicKey)}, "RS256 RS384 RS512 PS256 PS384 PS512"},
		{"AUTH-9 overriding the secret", auth.Options{Key: testKey, VerificationKey: parsePEM(t, ecPEM(256))}, "ES256"},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := newJWT(t, c.o)
			for name, signed := range all {
				if strings.Contains(c.want, name) {
					accept(t, j, signed)
				} else {
					refuse(t, j, signed, invalid("invalid algorithm"))
				}
			}
		})
	}
}

// QK-48: a warning that tokens are signed with a random key is logged once, for
// the first token.
func TestRandomKeyIsToldOf(t *testing.T) {
	const warning = `level=WARN msg="Options.Key is not set: tokens are signed with a random key and die with this process"`
	for name, c := range map[string]struct {
		o    auth.Options
		set  bool // a key later
		want bool
	}{
		"no key":        {auth.Options{}, false, true},
		"a key later":   {auth.Options{}, true, false},
		"a key":         {auth.Options{Key: testKey}, false, false},
		"keys":          {auth.Options{Keys: newRing(t, hmacKey("1"))}, false, false},
		"a key to sign": {auth.Options{SignatureKey: auth.HMACKey([]byte(testKey))}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			var log logtest.Buffer
			c.o.Logger = log.Logger()
			j := newJWT(t, c.o)
			if c.set {
				if err := j.SetSignatureKey(auth.HMACKey([]byte(testKey))); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := j.Sign(t.Context(), "no claims"); err == nil {
				t.Error("a text was signed")
			}
			if text := log.Take(); text != "" {
				t.Errorf("before a token was signed: %s", text)
			}
			sign(t, j, `{}`)
			if text := log.Take(); strings.Contains(text, warning) != c.want || strings.Count(text, "\n") > 1 || strings.Contains(text, j.GeneratedKey()) && c.want {
				t.Errorf("logged %q, want a warning: %t", text, c.want)
			}
			sign(t, j, `{}`)
			if text := log.Take(); text != "" {
				t.Errorf("for the second token: %s", text)
			}
		})
	}
}
