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

// errPurpose is the error for a valid key that is not meant for tokens.
var errPurpose = errors.New("is not for signatures")

// ParseJWK reads a JSON Web Key (RFC 7517, RFC 7518 section 6, RFC 8037): RSA,
// EC on P-256, P-384 or P-521, Ed25519 (OKP) or symmetric (oct), public or
// private. Its kid becomes the ID; a whole number becomes text. Its alg, if
// there is one, becomes the algorithm to which it is pinned. A private RSA key
// needs its two primes.
//
// It refuses members that contradict each other, weak keys (HMAC under 32
// bytes, RSA under 2048 bits), keys for encryption, and repeated names. The
// error is an [*OptionError] that names the kid and contains nothing of the
// key.
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

// ParseJWKS reads a JWK Set (RFC 7517 section 5). A set is shared between
// readers that support different kinds of keys, so a key that cannot be used
// does not spoil the others: skipped has an error for each such key, like those
// of [ParseJWK]. Keys for other purposes than signatures are silently ignored.
// Of several keys with the same kid, the first is used.
func ParseJWKS(text []byte) (keys []RingKey, skipped []error, err error) {
	set, ok := parseObject(text)
	if !ok {
		return nil, nil, errors.New("auth: a JWK Set must be one JSON object without repeated names")
	}
	var list []json.RawMessage
	if raw := set.get("keys"); len(raw) == 0 || raw[0] != '[' || json.Unmarshal(raw, &list) != nil {
		return nil, nil, errors.New("auth: a JWK Set must have an array of keys")
	}
	if len(list) > maxSetKeys {
		return nil, nil, fmt.Errorf("auth: a JWK Set may have at most %d keys, this one has %d", maxSetKeys, len(list))
	}
	seen := map[string]bool{}
	for i, raw := range list {
		k, err := ParseJWK(raw)
		switch {
		case errors.Is(err, errPurpose):
		case err != nil:
			skipped = append(skipped, fmt.Errorf("%w (number %d of the set)", err, i+1))
		case seen[k.ID]:
			skipped = append(skipped, keyError(k.ID, "occurs twice; number "+strconv.Itoa(i+1)+" of the set is not used"))
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
