package auth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"math/big"
)

// Thumbprint returns the SHA-256 thumbprint of RFC 7638 in base64url, a good ID
// for a key that has none. It is the same for a private key and its public key.
// For a symmetric key it is "", because a thumbprint would help to guess the
// key.
func (k Key) Thumbprint() string {
	if k.IsZero() {
		return ""
	}
	// These are the members that RFC 7638 section 3.2 demands, ordered by name.
	var text string
	switch public := k.material().public.(type) {
	case *rsa.PublicKey:
		e := big.NewInt(int64(public.E)).Bytes()
		text = `{"e":"` + base64url.EncodeToString(e) + `","kty":"RSA","n":"` + base64url.EncodeToString(public.N.Bytes()) + `"}`
	case *ecdsa.PublicKey:
		point, err := public.Bytes() // one byte, then x and y of equal length
		if err != nil {
			return ""
		}
		size := len(point) / 2
		x, y := base64url.EncodeToString(point[1:1+size]), base64url.EncodeToString(point[1+size:])
		text = `{"crv":"` + public.Params().Name + `","kty":"EC","x":"` + x + `","y":"` + y + `"}`
	case ed25519.PublicKey:
		text = `{"crv":"Ed25519","kty":"OKP","x":"` + base64url.EncodeToString(public) + `"}`
	default:
		return ""
	}
	sum := sha256.Sum256([]byte(text))
	return base64url.EncodeToString(sum[:])
}
