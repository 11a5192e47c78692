package auth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"math"
	"math/big"
	"strings"
)

// jwkKey reads the members that are the key itself. Its errors name members,
// never their values.
func jwkKey(ms members) (Key, error) {
	f := jwkFields{members: ms}
	kty, _ := text(ms.get("kty"))
	var key Key
	var err error
	switch kty {
	case "oct":
		key = HMACKey(f.bytes("k"))
	case "RSA":
		key, err = f.rsa()
	case "EC":
		key, err = f.ec()
	case "OKP":
		key, err = f.okp()
	default:
		return Key{}, fmt.Errorf("has the key type %.32q, which cannot be used", kty)
	}
	if f.err != nil {
		return Key{}, f.err
	}
	if err != nil {
		return Key{}, errors.New(strings.TrimPrefix(err.Error(), "auth: "))
	}
	return key, nil
}

// jwkFields reads base64url members and keeps the first error.
type jwkFields struct {
	members
	err error
}

func (f *jwkFields) has(name string) bool { return f.get(name) != nil }

// bytes reads a required member.
func (f *jwkFields) bytes(name string) []byte {
	s, ok := text(f.get(name))
	b, canonical := decodePart(s)
	if (!ok || !canonical || len(b) == 0) && f.err == nil {
		f.err = fmt.Errorf("has no member %s in base64url", name)
	}
	return b
}

// sized reads a member whose length is fixed (RFC 7518 section 6.2, RFC 8037).
func (f *jwkFields) sized(name string, size int) []byte {
	b := f.bytes(name)
	if len(b) != size && f.err == nil {
		f.err = fmt.Errorf("has a member %s of %d bytes, its curve has %d", name, len(b), size)
	}
	return b
}

func (f *jwkFields) number(name string) *big.Int {
	b := f.bytes(name)
	// The time of arithmetic grows with the length of the number.
	if len(b) > maxRSABits/8+1 && f.err == nil {
		f.err = fmt.Errorf("has a member %s that is too large", name)
	}
	if f.err != nil {
		return new(big.Int)
	}
	return new(big.Int).SetBytes(b)
}

func (f *jwkFields) rsa() (Key, error) {
	n, e := f.number("n"), f.number("e")
	if f.err != nil {
		return Key{}, f.err
	}
	// RFC 8017 section 3.1, within the limits of crypto/rsa.
	switch {
	case n.Bit(0) == 0:
		return Key{}, errors.New("has an even modulus")
	case e.Bit(0) == 0 || e.Cmp(big.NewInt(3)) < 0 || e.Cmp(big.NewInt(math.MaxInt32)) > 0:
		return Key{}, errors.New("has an exponent that is not odd and from 3 to 2^31-1")
	}
	public := &rsa.PublicKey{N: n, E: int(e.Int64())}
	key, err := newRSAKey(nil, public) // before the costly checks of a private key
	if err != nil || !f.has("d") {
		return key, err
	}
	if f.has("oth") {
		return Key{}, errors.New("has more than two primes")
	}
	private := &rsa.PrivateKey{PublicKey: *public, D: f.number("d"), Primes: []*big.Int{f.number("p"), f.number("q")}}
	if f.err != nil {
		return Key{}, f.err
	}
	if err := private.Validate(); err != nil {
		return Key{}, errors.New("has a private part that does not fit the public one")
	}
	private.Precompute()
	return newRSAKey(private, &private.PublicKey)
}

func (f *jwkFields) ec() (Key, error) {
	crv, _ := text(f.get("crv"))
	var curve elliptic.Curve
	switch crv {
	case "P-256":
		curve = elliptic.P256()
	case "P-384":
		curve = elliptic.P384()
	case "P-521":
		curve = elliptic.P521()
	default:
		return Key{}, fmt.Errorf("has the curve %.32q, which cannot be used", crv)
	}
	size := (curve.Params().BitSize + 7) / 8
	x, y := f.sized("x", size), f.sized("y", size)
	if f.err != nil {
		return Key{}, f.err
	}
	point := append(append([]byte{4}, x...), y...) // SEC 1 section 2.3.3, uncompressed
	public, err := ecdsa.ParseUncompressedPublicKey(curve, point)
	if err != nil {
		return Key{}, errors.New("is not a point of its curve")
	}
	if !f.has("d") {
		return newECKey(nil, public)
	}
	d := f.sized("d", size)
	if f.err != nil {
		return Key{}, f.err
	}
	private, err := ecdsa.ParseRawPrivateKey(curve, d)
	if err != nil || !private.PublicKey.Equal(public) {
		return Key{}, errors.New("has a private part that does not fit the public one")
	}
	return newECKey(private, public)
}

func (f *jwkFields) okp() (Key, error) {
	if crv, _ := text(f.get("crv")); crv != "Ed25519" {
		return Key{}, fmt.Errorf("has the curve %.32q, which cannot be used", crv)
	}
	public := ed25519.PublicKey(f.sized("x", ed25519.PublicKeySize))
	if !f.has("d") {
		return newKey(public)
	}
	seed := f.sized("d", ed25519.SeedSize)
	if f.err != nil {
		return Key{}, f.err
	}
	private := ed25519.NewKeyFromSeed(seed)
	if !public.Equal(private.Public()) {
		return Key{}, errors.New("has a private part that does not fit the public one")
	}
	return newKey(private)
}
