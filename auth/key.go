package auth

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

const (
	// minHMACKey is the length in bytes that RFC 7518 section 3.2 demands of a
	// key for HS256. It is not higher for HS384 and HS512, because no search
	// can cover 256 bits of entropy.
	minHMACKey = 32
	// minRSABits is the size that RFC 7518 section 3.3 demands of an RSA key.
	minRSABits = 2048
	// maxRSABits is the size up to which OpenSSL uses RSA keys. The time of a
	// verification grows with its square.
	maxRSABits = 16384
)

// A Key signs or verifies tokens. [HMACKey], [ParsePEM] and [ParseJWK] make
// one. It is immutable, and never shows its secret when it is printed. The zero
// Key means no key.
type Key struct {
	// This is a function because fmt cannot look into one. It would print the
	// unexported fields of a Key in another struct without calling String.
	material func() *material
}

type material struct {
	family  family
	secret  []byte // HMAC
	macs    macs   // HMAC
	private any    // *rsa.PrivateKey, *ecdsa.PrivateKey or ed25519.PrivateKey; nil in a public key
	public  any    // *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey
	curve   string // OpenSSL name of the curve, EC only
}

// HMACKey makes a symmetric key from the bytes themselves. It does not decode
// hex or base64. It copies the bytes.
func HMACKey(secret []byte) Key {
	return keyOf(&material{family: familyHMAC, secret: bytes.Clone(secret)})
}

func keyOf(m *material) Key { return Key{func() *material { return m }} }

// ParsePEM reads the first key of a PEM text: a private key (PKCS #8, PKCS #1
// or SEC 1), a public key (PKIX or PKCS #1), or the public key of a
// certificate. A private key can also verify.
//
// RSA keys under 2048 bits and keys that no supported algorithm can use are
// refused. Ed25519 keys are for a [RingKey] only.
func ParsePEM(text []byte) (Key, error) {
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return Key{}, errors.New("auth: no key found in the PEM text")
		}
		// openssl ecparam writes the curve in a separate block before the key.
		if block.Type != "EC PARAMETERS" {
			return parseBlock(block)
		}
	}
}

func parseBlock(block *pem.Block) (Key, error) {
	var key any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	case "PUBLIC KEY":
		key, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		key, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		var cert *x509.Certificate
		if cert, err = x509.ParseCertificate(block.Bytes); err == nil {
			key = cert.PublicKey
		}
	default:
		return Key{}, fmt.Errorf("auth: a PEM block of type %q is not a key that can be used", block.Type)
	}
	if err != nil {
		return Key{}, fmt.Errorf("auth: PEM block of type %q: %w", block.Type, err)
	}
	return newKey(key)
}

func newKey(key any) (Key, error) {
	switch k := key.(type) {
	case *rsa.PrivateKey:
		return newRSAKey(k, &k.PublicKey)
	case *rsa.PublicKey:
		return newRSAKey(nil, k)
	case *ecdsa.PrivateKey:
		return newECKey(k, &k.PublicKey)
	case *ecdsa.PublicKey:
		return newECKey(nil, k)
	case ed25519.PrivateKey:
		return keyOf(&material{family: familyEd, private: k, public: k.Public()}), nil
	case ed25519.PublicKey:
		return keyOf(&material{family: familyEd, public: k}), nil
	}
	return Key{}, fmt.Errorf("auth: a key of the type %T cannot be used; it must be an RSA, ECDSA or Ed25519 key", key)
}

func newRSAKey(private *rsa.PrivateKey, public *rsa.PublicKey) (Key, error) {
	if bits := public.N.BitLen(); bits < minRSABits {
		return Key{}, fmt.Errorf("auth: an RSA key has a minimum key size of %d bits, this one has %d", minRSABits, bits)
	}
	if bits := public.N.BitLen(); bits > maxRSABits {
		return Key{}, fmt.Errorf("auth: an RSA key may have at most %d bits, this one has %d", maxRSABits, bits)
	}
	m := &material{family: familyRSA, public: public}
	if private != nil {
		m.private = private
	}
	return keyOf(m), nil
}

func newECKey(private *ecdsa.PrivateKey, public *ecdsa.PublicKey) (Key, error) {
	m := &material{family: familyEC, public: public}
	switch name := public.Curve.Params().Name; name {
	case "P-256":
		m.curve = "prime256v1"
	case "P-384":
		m.curve = "secp384r1"
	case "P-521":
		m.curve = "secp521r1"
	default:
		return Key{}, fmt.Errorf("auth: no algorithm uses the curve %s", name)
	}
	if private != nil {
		m.private = private
	}
	return keyOf(m), nil
}

// IsZero reports whether there is no key.
func (k Key) IsZero() bool { return k.material == nil }

// CanSign reports whether the key can sign: a private key, or a symmetric one.
func (k Key) CanSign() bool { return !k.IsZero() && k.signing() != nil }

// String describes the key without its secret.
func (k Key) String() string {
	switch {
	case k.material == nil:
		return "no key"
	case k.material().family == familyHMAC:
		return "HMAC key"
	case k.material().private != nil:
		return k.material().family.String() + " private key"
	default:
		return k.material().family.String() + " public key"
	}
}

// GoString keeps the secret out of %#v.
func (k Key) GoString() string { return "auth.Key(" + k.String() + ")" }

func (k Key) family() family {
	if k.material == nil {
		return familyNone
	}
	return k.material().family
}

func (k Key) curve() string {
	if k.material == nil {
		return ""
	}
	return k.material().curve
}

// signing returns the value for the signature methods to sign with, or nil if
// this key cannot sign.
func (k Key) signing() any {
	if k.material().family == familyHMAC {
		return k.material().secret
	}
	return k.material().private
}

func (k Key) verifying() any {
	if k.material().family == familyHMAC {
		return k.material().secret
	}
	return k.material().public
}

// samePublic reports whether two asymmetric keys belong to one pair.
func (k Key) samePublic(other Key) bool {
	p, ok := k.material().public.(interface{ Equal(x crypto.PublicKey) bool })
	return ok && p.Equal(other.material().public)
}

// equal reports whether two keys verify the same signatures.
func (k Key) equal(other Key) bool {
	switch {
	case k.family() != other.family():
		return false
	case k.family() == familyHMAC:
		return hmac.Equal(k.material().secret, other.material().secret)
	}
	return k.samePublic(other)
}

// weakness reports why a key must not be used, or returns "". PEM text is never
// accepted as a secret, because it may be a public key (JWT-20).
func (k Key) weakness(allowWeak bool) string {
	if k.material().family != familyHMAC {
		return ""
	}
	switch n := len(k.material().secret); {
	case n == 0:
		return "must not be empty"
	case bytes.Contains(k.material().secret, []byte("-----BEGIN ")):
		return "is a PEM text, which is no secret; a key pair goes into PrivateKey and PublicKey, or through ParsePEM"
	case n < minHMACKey && !allowWeak:
		return fmt.Sprintf("has %d bytes, at least %d are needed to resist a search", n, minHMACKey)
	}
	return ""
}
