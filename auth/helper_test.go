package auth_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/wire"
)

// testKey has exactly the minimum length.
const testKey = "0123456789abcdef0123456789abcdef"

func newJWT(t testing.TB, o auth.Options) *auth.JWT {
	t.Helper()
	j, err := auth.NewJWT(o)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// plain signs and verifies with testKey and adds no exp by itself.
func plain(t testing.TB) *auth.JWT {
	return newJWT(t, auth.Options{Key: testKey, DefaultExpiry: -1})
}

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

const hs256Header = `{"alg":"HS256","typ":"JWT"}`

// seal signs two encoded parts without help from the package under test.
func seal(signing, key string) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(signing))
	return signing + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// craft makes a token of any header and payload with a good HS256 signature.
func craft(header, payload string) string {
	return seal(b64(header)+"."+b64(payload), testKey)
}

// errJSON is the error that the client would receive.
func errJSON(t testing.TB, err error) string {
	t.Helper()
	var w *wire.Error
	if !errors.As(err, &w) {
		t.Fatalf("error is %T %v, want a *wire.Error", err, err)
	}
	return string(w.AppendJSON(nil))
}

func invalid(message string) string {
	return `{"message":` + string(wire.AppendString(nil, message)) + `,"name":"AuthTokenInvalidError","isBadToken":true}`
}

func refuse(t *testing.T, j *auth.JWT, signed, want string, opts ...auth.VerifyOption) {
	t.Helper()
	tok, err := j.Verify(t.Context(), signed, opts...)
	if err == nil {
		t.Fatalf("accepted %q with payload %s, want %s", signed, tok.Payload(), want)
	}
	if got := errJSON(t, err); got != want {
		t.Errorf("refused %q\n got %s\nwant %s", signed, got, want)
	}
}

func accept(t *testing.T, j *auth.JWT, signed string, opts ...auth.VerifyOption) *auth.Token {
	t.Helper()
	tok, err := j.Verify(t.Context(), signed, opts...)
	if err != nil {
		t.Fatalf("refused %q: %v", signed, err)
	}
	return tok
}

func at(sec int64) auth.VerifyOption { return auth.At(time.Unix(sec, 0)) }

var (
	rsaKey   = sync.OnceValue(func() *rsa.PrivateKey { return newRSA(2048) })
	smallRSA = sync.OnceValue(func() *rsa.PrivateKey { return newRSA(1024) })
	rsaPEM   = sync.OnceValue(func() []byte { return privatePEM(rsaKey()) })
)

func newRSA(bits int) *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err)
	}
	return k
}

func newEC(c elliptic.Curve) *ecdsa.PrivateKey {
	k, err := ecdsa.GenerateKey(c, rand.Reader)
	if err != nil {
		panic(err)
	}
	return k
}

func privatePEM(key any) []byte {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func publicPEM(key any) []byte {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		panic(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func parsePEM(t testing.TB, text []byte) auth.Key {
	t.Helper()
	k, err := auth.ParsePEM(text)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

var edKey = sync.OnceValue(func() ed25519.PrivateKey {
	_, k, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	return k
})

func newRing(t testing.TB, keys ...auth.RingKey) *auth.KeyRing {
	t.Helper()
	r, err := auth.NewKeyRing(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func ringJWT(t testing.TB, keys ...auth.RingKey) *auth.JWT {
	t.Helper()
	return newJWT(t, auth.Options{Keys: newRing(t, keys...)})
}

// hmacKey is a symmetric key for the ring that is not like that of another id.
func hmacKey(id string) auth.RingKey {
	return auth.RingKey{ID: id, Key: auth.HMACKey([]byte(testKey + id))}
}

func sign(t testing.TB, j *auth.JWT, claims string, opts ...auth.SignOption) *auth.Token {
	t.Helper()
	tok, err := j.Sign(t.Context(), raw(claims), opts...)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

var ecKeys = map[int]func() *ecdsa.PrivateKey{
	256: sync.OnceValue(func() *ecdsa.PrivateKey { return newEC(elliptic.P256()) }),
	384: sync.OnceValue(func() *ecdsa.PrivateKey { return newEC(elliptic.P384()) }),
	512: sync.OnceValue(func() *ecdsa.PrivateKey { return newEC(elliptic.P521()) }),
}

// ecKey answers the key for the ES algorithm of that number.
func ecKey(bits int) *ecdsa.PrivateKey { return ecKeys[bits]() }

func ecPEM(bits int) []byte { return privatePEM(ecKey(bits)) }

// wantOption checks an error of the configuration.
func wantOption(t *testing.T, err error, field, reason string) {
	t.Helper()
	var o *auth.OptionError
	if !errors.As(err, &o) {
		t.Fatalf("got %T %v, want an *OptionError", err, err)
	}
	if o.Field != field || !strings.Contains(o.Reason, reason) {
		t.Errorf("got %s: %s\nwant %s: …%s…", o.Field, o.Reason, field, reason)
	}
	if !errors.Is(err, wire.ErrInvalidOptions) {
		t.Error("it is not an InvalidOptionsError")
	}
}
