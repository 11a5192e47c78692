// Package keytest makes keys for tests.
package keytest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"testing"

	"github.com/socketcluster-go/socketcluster/auth"
)

// NewEC makes a key pair on P-256, and its public key as a JWK. Both have the
// kid, unless that is empty.
func NewEC(t testing.TB, kid string) (key auth.RingKey, jwk string) {
	t.Helper()
	key, jwk, _ = NewECPair(t, kid)
	return key, jwk
}

// NewECPair is NewEC, but also returns the private part, the member d of a JWK.
func NewECPair(t testing.TB, kid string) (key auth.RingKey, jwk, d string) {
	t.Helper()
	pair, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(pair)
	if err != nil {
		t.Fatal(err)
	}
	private, err := auth.ParsePEM(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	if err != nil {
		t.Fatal(err)
	}
	point, err := pair.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	members := map[string]string{"kty": "EC", "crv": "P-256", "x": b64(point[1:33]), "y": b64(point[33:])}
	if kid != "" {
		members["kid"] = kid
	}
	text, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	scalar, err := pair.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return auth.RingKey{ID: kid, Key: private}, string(text), b64(scalar)
}

// NewEngine makes an engine that signs with one key of a ring.
func NewEngine(t testing.TB, key auth.RingKey, o auth.Options) *auth.JWT {
	t.Helper()
	ring, err := auth.NewKeyRing(key)
	if err != nil {
		t.Fatal(err)
	}
	o.Keys = ring
	engine, err := auth.NewJWT(o)
	if err != nil {
		t.Fatal(err)
	}
	return engine
}
