package auth

import (
	"slices"

	"github.com/socketcluster-go/socketcluster/wire"
)

// OwnKeys refuses tokens under keys of others with [ErrForeignToken]. Such keys
// come from another [KeySource] than the one that signs, or demand another
// issuer than the key that signs. Use it before you sign the claims of a token
// again: otherwise you would vouch for the claims of others.
func OwnKeys() VerifyOption {
	return func(o *VerifyOptions) { o.OwnKeys = true }
}

// ErrForeignToken is the error of [OwnKeys] for a valid token of somebody else.
var ErrForeignToken = &wire.Error{
	Name:    wire.NameAuthToken,
	Message: "The token is of another issuer",
	Fields:  []wire.Field{{Key: "isBadToken", Value: false}},
}

// owns reports whether k, by which a token was verified, belongs to the source
// and the issuer that sign.
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

// ownSource returns the source among several that signs.
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
