package auth_test

import (
	"crypto/ecdh"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
)

func pemBlock(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// AUTH-6: all the forms in which tools write keys.
func TestParsePEM(t *testing.T) {
	ecDER, err := x509.MarshalECPrivateKey(ecKey(256))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "x"}, NotAfter: time.Unix(4e9, 0)}
	certDER, err := x509.CreateCertificate(rand.Reader, template, template, &rsaKey().PublicKey, rsaKey())
	if err != nil {
		t.Fatal(err)
	}
	parameters := "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
	for _, c := range []struct {
		name, want string
		text       []byte
	}{
		{"PKCS 8 RSA", "rsa private key", rsaPEM()},
		{"PKCS 8 EC", "ec private key", ecPEM(512)},
		{"PKCS 1", "rsa private key", pemBlock("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey()))},
		{"SEC 1", "ec private key", pemBlock("EC PRIVATE KEY", ecDER)},
		{"SEC 1 behind parameters", "ec private key", append([]byte(parameters), pemBlock("EC PRIVATE KEY", ecDER)...)},
		{"PKIX RSA", "rsa public key", publicPEM(&rsaKey().PublicKey)},
		{"PKIX EC", "ec public key", publicPEM(&ecKey(384).PublicKey)},
		{"PKCS 1 public", "rsa public key", pemBlock("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&rsaKey().PublicKey))},
		{"certificate", "rsa public key", pemBlock("CERTIFICATE", certDER)},
		{"Ed25519", "ed25519 private key", privatePEM(edKey())},
		{"Ed25519 public", "ed25519 public key", publicPEM(edKey().Public())},
		{"text in front", "ec public key", append([]byte("my key\n"), publicPEM(&ecKey(256).PublicKey)...)},
	} {
		t.Run("AUTH-6 "+c.name, func(t *testing.T) {
			k, err := auth.ParsePEM(c.text)
			if err != nil {
				t.Fatal(err)
			}
			if k.String() != c.want || k.IsZero() {
				t.Errorf("got %v, want %s", k, c.want)
			}
		})
	}

	x25519, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, want string
		text       []byte
	}{
		{"nothing", "no key found", nil},
		{"no PEM", "no key found", []byte("secret")},
		{"only parameters", "no key found", []byte(parameters)},
		{"broken", `"PUBLIC KEY"`, pemBlock("PUBLIC KEY", []byte("x"))},
		{"encrypted", `"ENCRYPTED PRIVATE KEY"`, pemBlock("ENCRYPTED PRIVATE KEY", []byte("x"))},
		{"X25519 (JWT-2)", "a key of the type *ecdh.PublicKey cannot be used", publicPEM(x25519.PublicKey())},
		{"RSA of 1024 bits (QK-20)", "minimum key size of 2048 bits", privatePEM(smallRSA())},
		{"public RSA of 1024 bits (QK-20)", "minimum key size of 2048 bits", publicPEM(&smallRSA().PublicKey)},
		{"P-224", "no algorithm uses the curve P-224", publicPEM(&newEC(elliptic.P224()).PublicKey)},
	} {
		t.Run("refused: "+c.name, func(t *testing.T) {
			k, err := auth.ParsePEM(c.text)
			if err == nil || !strings.Contains(err.Error(), c.want) || !k.IsZero() {
				t.Errorf("got %v, %v; want %s", k, err, c.want)
			}
		})
	}
}

// However a key gets into a log, its secret does not.
func TestKeyIsNotPrinted(t *testing.T) {
	const secret = "correct horse battery staple 32 b"
	type nested struct {
		Key   auth.Key
		inner auth.Key
	}
	key := auth.HMACKey([]byte(secret))
	values := []any{key, &key, nested{key, key}, []auth.Key{key}, map[string]auth.Key{"k": key}}
	for _, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q", "%d"} {
			text := fmt.Sprintf(verb, v)
			if strings.Contains(text, "correct") || strings.Contains(text, fmt.Sprintf("%x", "correct")) || strings.Contains(text, "99 111 114") {
				t.Errorf("%s of %T is %s", verb, v, text)
			}
		}
		if b, err := json.Marshal(v); err != nil || strings.Contains(string(b), "correct") {
			t.Errorf("JSON of %T is %s, %v", v, b, err)
		}
	}
	if got := fmt.Sprintf("%v %#v %v", key, key, auth.Key{}); got != "HMAC key auth.Key(HMAC key) no key" {
		t.Errorf("got %s", got)
	}
}

// A key is immutable, also when its maker reuses the bytes.
func TestHMACKeyIsCopied(t *testing.T) {
	secret := []byte(testKey)
	j := newJWT(t, auth.Options{VerificationKey: auth.HMACKey(secret)})
	clear(secret)
	accept(t, j, craft(hs256Header, `{}`))
}
