package auth

import (
	"slices"

	"github.com/socketcluster-go/socketcluster/wire"
)

// OwnKeys refuses tokens under keys of others with [ErrForeignToken]: those of a
// [KeySource] beside the one that signs, and those that demand another issuer
// than the key that signs. Whoever signs the claims of a token again asks for
// this, as the claims of others would become their own.
func OwnKeys() VerifyOption {
	return func(o *VerifyOptions) { o.OwnKeys = true }
}

// ErrForeignToken is the answer to [OwnKeys] for a good token of somebody else.
var ErrForeignToken = &wire.Error{
	Name:    wire.NameAuthToken,
	Message: "The token is of another issuer",
	Fields:  []wire.Field{{Key: "isBadToken", Value: false}},
}

// owns reports whether a key with which a token was verified is one of those of
// whoever signs.
func (j *JWT) owns(k RingKey) bool {
	if j.source == nil {
		return true
	}
	signing, ok := j.source.Signing()
	if !ok || k.Issuer != signing.Issuer {
		return false
	}
	return slices.ContainsFunc(ownSource(j.source).Verification(k.ID), func(own RingKey) bool {
		return own.Algorithm == k.Algorithm && own.Key.equal(k.Key)
	})
}

// ownSource is the source among several that signs.
func ownSource(source KeySource) KeySource {
	all, ok := source.(KeySources)
	if !ok {
		return source
	}
	for _, s := range all {
		if _, ok := s.Signing(); ok {
			return ownSource(s)
		}
	}
	return KeySources(nil)
}
