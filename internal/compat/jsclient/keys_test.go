package jsclient

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"sync"
	"testing"

	"github.com/socketcluster-go/socketcluster/auth"
)

// keyPair is a key pair in PEM.
type keyPair struct{ private, public string }

// rsaPair makes its keys once, as that takes a while.
var rsaPair = sync.OnceValue(func() keyPair {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	return encodePair(k, err)
})

func ecPair(curve elliptic.Curve) keyPair {
	k, err := ecdsa.GenerateKey(curve, rand.Reader)
	return encodePair(k, err)
}

// encodePair panics on an error: no test can go on without its keys.
func encodePair(private crypto.Signer, err error) keyPair {
	if err != nil {
		panic(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		panic(err)
	}
	open, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		panic(err)
	}
	return keyPair{
		private: string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})),
		public:  string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: open})),
	}
}

func parsePEM(t *testing.T, text string) auth.Key {
	t.Helper()
	k, err := auth.ParsePEM([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newJWT(t *testing.T, o auth.Options) *auth.JWT {
	t.Helper()
	engine, err := auth.NewJWT(o)
	if err != nil {
		t.Fatal(err)
	}
	return engine
}

// sign makes a token with the key of most servers here.
func sign(t *testing.T, claims any, opts ...auth.SignOption) string {
	t.Helper()
	return signWith(t, newJWT(t, auth.Options{Key: key}), claims, opts...)
}

func signWith(t *testing.T, engine auth.Engine, claims any, opts ...auth.SignOption) string {
	t.Helper()
	token, err := engine.Sign(t.Context(), claims, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return token.Signed()
}
