package auth

import (
	"crypto/rsa"
	"fmt"
	"slices"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// family is the kind of key that an algorithm needs. A key has exactly one
// family, which pins what it can be used for.
type family uint8

const (
	familyNone family = iota
	familyHMAC
	familyRSA
	familyEC
	familyEd
)

// String returns the name that JavaScript gives to the key type.
func (f family) String() string {
	switch f {
	case familyHMAC:
		return "secret"
	case familyRSA:
		return "rsa"
	case familyEC:
		return "ec"
	case familyEd:
		return "ed25519"
	}
	return "none"
}

// An algorithm is one signature scheme of RFC 7518 section 3.1. The unsecured
// scheme "none" is not among them and cannot be configured (JWT-1).
type algorithm struct {
	name   string
	family family
	curve  string // OpenSSL name of the curve, EC only
	method jwt.SigningMethod
}

// algorithms is the list of JWT-1, in JavaScript's order.
var algorithms = []*algorithm{
	{name: "HS256", family: familyHMAC, method: jwt.SigningMethodHS256},
	{name: "HS384", family: familyHMAC, method: jwt.SigningMethodHS384},
	{name: "HS512", family: familyHMAC, method: jwt.SigningMethodHS512},
	{name: "RS256", family: familyRSA, method: jwt.SigningMethodRS256},
	{name: "PS256", family: familyRSA, method: strictPSS(jwt.SigningMethodPS256)},
	{name: "RS384", family: familyRSA, method: jwt.SigningMethodRS384},
	{name: "PS384", family: familyRSA, method: strictPSS(jwt.SigningMethodPS384)},
	{name: "RS512", family: familyRSA, method: jwt.SigningMethodRS512},
	{name: "PS512", family: familyRSA, method: strictPSS(jwt.SigningMethodPS512)},
	{name: "ES256", family: familyEC, curve: "prime256v1", method: jwt.SigningMethodES256},
	{name: "ES384", family: familyEC, curve: "secp384r1", method: jwt.SigningMethodES384},
	{name: "ES512", family: familyEC, curve: "secp521r1", method: jwt.SigningMethodES512},
}

// edDSA is RFC 8037 with Ed25519. JavaScript peers cannot verify it, so only a
// [RingKey] can use it, where it is chosen key by key (JWT-1).
var edDSA = &algorithm{name: "EdDSA", family: familyEd, method: jwt.SigningMethodEdDSA}

// strictPSS pins the salt to the length of the digest for verification too:
// the library would accept any length there (RFC 7518 section 3.5, JWT-1).
func strictPSS(m *jwt.SigningMethodRSAPSS) *jwt.SigningMethodRSAPSS {
	return &jwt.SigningMethodRSAPSS{
		SigningMethodRSA: m.SigningMethodRSA,
		Options:          &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash},
	}
}

// ringAlgorithms are the algorithms to which a key of a ring can be pinned.
var ringAlgorithms = append(slices.Clone(algorithms), edDSA)

// algorithmIn returns the algorithm of that name, or nil.
func algorithmIn(list []*algorithm, name string) *algorithm {
	for _, a := range list {
		if a.name == name {
			return a
		}
	}
	return nil
}

// unknownAlgorithm explains to a Go developer that an algorithm is not one of
// the known ones.
func unknownAlgorithm(name string, known []*algorithm) string {
	return fmt.Sprintf("%q is not an algorithm that can be used here; %s", name, useOneOf(known))
}

func useOneOf(list []*algorithm) string {
	if len(list) == 1 {
		return "use " + list[0].name
	}
	var names []string
	for _, a := range list {
		names = append(names, a.name)
	}
	return "use one of " + strings.Join(names, ", ")
}

// fits reports whether k can be used with a.
func (a *algorithm) fits(k Key) bool { return k.family() == a.family && k.curve() == a.curve }

// mismatch explains to a Go developer why k, the value of that field, cannot be
// used with a. It returns "" if it can.
func (a *algorithm) mismatch(k Key, field string) string {
	if a.fits(k) {
		return ""
	}
	return fmt.Sprintf("%q does not fit %s (%v); %s", a.name, field, k, useOneOf(fitting(ringAlgorithms, k)))
}

// fitting returns the algorithms of the list that k can be used with.
func fitting(list []*algorithm, k Key) []*algorithm {
	var fit []*algorithm
	for _, a := range list {
		if a.fits(k) {
			fit = append(fit, a)
		}
	}
	return fit
}
