package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// maxSetKeys bounds the keys of one JWK Set. Issuers publish a handful.
const maxSetKeys = 256

// errPurpose is why a good key is not for tokens.
var errPurpose = errors.New("is not for signatures")

// ParseJWK reads a JSON Web Key (RFC 7517, RFC 7518 section 6, RFC 8037): RSA, EC
// on P-256, P-384 or P-521, Ed25519 (OKP) or symmetric (oct), public or private.
// Its kid becomes the ID, a whole number as its text, and its alg, when there is one, the algorithm that it is
// pinned to. A private RSA key needs its two primes.
//
// What does not fit together, weak keys (HMAC under 32 bytes, RSA under 2048
// bits), keys for encryption, and repeated names are refused. The error is an
// [*OptionError] that names the kid and holds nothing of the key.
func ParseJWK(jwk []byte) (RingKey, error) {
	ms, ok := parseObject(jwk)
	if !ok {
		return RingKey{}, &OptionError{Field: "JWK", Reason: "is not one JSON object without repeated names"}
	}
	var k RingKey
	if raw := ms.get("kid"); raw != nil {
		if k.ID, ok = keyID(raw); !ok {
			return RingKey{}, &OptionError{Field: "JWK", Reason: "has a member kid that is neither text nor a whole number"}
		}
	}
	if raw := ms.get("alg"); raw != nil {
		if k.Algorithm, ok = text(raw); !ok {
			return RingKey{}, &OptionError{Field: "JWK", Reason: "has a member alg that is not text"}
		}
	}
	if !forSignatures(ms) {
		e := keyError(k.ID, errPurpose.Error())
		e.Err = errPurpose
		return RingKey{}, e
	}
	if k.Algorithm != "" && algorithmIn(ringAlgorithms, k.Algorithm) == nil {
		return RingKey{}, keyError(k.ID, fmt.Sprintf("has the algorithm %.32q, which cannot be used", k.Algorithm))
	}
	key, err := jwkKey(ms)
	if err != nil {
		return RingKey{}, keyError(k.ID, err.Error())
	}
	k.Key = key
	return k.checked()
}

// ParseJWKS reads a JWK Set (RFC 7517 section 5). As sets are shared between
// readers that know different kinds of keys, one that cannot be used does not
// spoil the others: skipped tells of those, with errors as of [ParseJWK]. Keys for
// other purposes than signatures are left out without a word. Of keys with the
// same kid the first is used.
func ParseJWKS(text []byte) (keys []RingKey, skipped []error, err error) {
	set, ok := parseObject(text)
	if !ok {
		return nil, nil, errors.New("auth: a JWK Set is one JSON object without repeated names")
	}
	var list []json.RawMessage
	if raw := set.get("keys"); len(raw) == 0 || raw[0] != '[' || json.Unmarshal(raw, &list) != nil {
		return nil, nil, errors.New("auth: a JWK Set has an array of keys")
	}
	if len(list) > maxSetKeys {
		return nil, nil, fmt.Errorf("auth: a JWK Set may have %d keys, this one has %d", maxSetKeys, len(list))
	}
	seen := map[string]bool{}
	for i, raw := range list {
		k, err := ParseJWK(raw)
		switch {
		case errors.Is(err, errPurpose):
		case err != nil:
			skipped = append(skipped, fmt.Errorf("%w (number %d of the set)", err, i+1))
		case seen[k.ID]:
			skipped = append(skipped, keyError(k.ID, "is there twice; number "+strconv.Itoa(i+1)+" of the set is not used"))
		default:
			seen[k.ID] = true
			keys = append(keys, k)
		}
	}
	return keys, skipped, nil
}

// forSignatures applies use and key_ops (RFC 7517 sections 4.2 and 4.3), of which
// both may be missing.
func forSignatures(ms members) bool {
	if raw := ms.get("use"); raw != nil {
		if use, ok := text(raw); !ok || use != "sig" {
			return false
		}
	}
	if raw := ms.get("key_ops"); raw != nil {
		ops := texts(raw)
		return slices.Contains(ops, "verify") || slices.Contains(ops, "sign")
	}
	return true
}
