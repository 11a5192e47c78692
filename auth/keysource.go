package auth

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/socketcluster-go/socketcluster/wire"
)

// maxKeyID bounds a kid, because every token carries it. Identifiers in use are
// UUIDs and thumbprints of 43 letters.
const maxKeyID = 256

// A RingKey is one of several keys: a key with the name under which tokens refer
// to it, pinned to one algorithm.
type RingKey struct {
	// ID is the kid in the header of tokens. Empty: the key of tokens without
	// a kid.
	ID string

	// Algorithm is the only one with which the key is used: one of HS, RS, PS
	// and ES with 256, 384 or 512, or EdDSA (Ed25519), which JavaScript servers
	// do not know. Empty: HS256, RS256, the ES algorithm of the curve, or
	// EdDSA.
	Algorithm string

	Key Key

	// Until is the instant from which the key is refused; zero: none. A key
	// with an end verifies, but does not sign.
	Until time.Time

	// Tokens under this key must have this issuer and name one of this
	// audience, unless these fields are empty. A key of somebody else needs
	// both: otherwise a token that was issued for another service, or in the
	// name of another issuer, would be accepted here. Tokens that are signed
	// with the key get both claims, unless they have others.
	Issuer   string
	Audience []string

	// Check, if set, is called for each token under this key that has passed
	// all other checks, and refuses it by returning an error, which should be a
	// *wire.Error as for [Engine].Verify. It is for issuers that sign more than
	// login tokens with one key, such as OpenID providers.
	Check func(*Token) error
}

// A KeySource supplies a [JWT] with keys that change at run time (see
// [Options].Keys): a [KeyRing], [KeyFiles], a client of package auth/jwks, or
// several of them as [KeySources].
//
// All methods may be called from many goroutines at once. What they return is
// shared and never changed.
type KeySource interface {
	// Signing returns the key that signs now, or false if there is none. It
	// does not block.
	Signing() (RingKey, bool)

	// Verification returns the keys for tokens with this kid; "" stands for
	// tokens without one. It does not block, because it is called for each
	// token.
	Verification(kid string) []RingKey

	// Refresh is called when no key has the kid of a token, and may look for
	// newer keys until ctx is done. Strangers choose the kid, so an
	// implementation must limit the work that Refresh does. Nil means that the
	// keys are current, so the token is bad. An error means that they may be
	// out of date.
	Refresh(ctx context.Context, kid string) error
}

// ErrKeysUnavailable is the error for a token whose key may exist but is not
// available at the moment. The client is not authenticated, but keeps its
// token.
var ErrKeysUnavailable = &wire.Error{
	Name:    wire.NameAuthToken,
	Message: "The key of the token is not available",
	Fields:  []wire.Field{{Key: "isBadToken", Value: false}},
}

// checked returns the key with its algorithm filled in. The error is an
// *OptionError that names the kid.
func (k RingKey) checked() (RingKey, error) {
	a, reason := k.usable()
	if reason != "" {
		return RingKey{}, keyError(k.ID, reason)
	}
	k.Algorithm = a.name
	k.Audience = slices.Clone(k.Audience)
	return k, nil
}

// usable returns the algorithm to which the key is pinned, or the reason why
// the key must not be used.
func (k *RingKey) usable() (*algorithm, string) {
	switch {
	case k.Key.IsZero():
		return nil, "has no key"
	case len(k.ID) > maxKeyID:
		return nil, fmt.Sprintf("has a kid of %d bytes, at most %d are possible", len(k.ID), maxKeyID)
	case !utf8.ValidString(k.ID):
		return nil, "has a kid that is not UTF-8"
	}
	if reason := k.Key.weakness(false); reason != "" {
		return nil, reason
	}
	if k.Algorithm == "" {
		return pinnedByDefault(k.Key), ""
	}
	a := algorithmIn(ringAlgorithms, k.Algorithm)
	if a == nil {
		return nil, unknownAlgorithm(k.Algorithm, ringAlgorithms)
	}
	return a, a.mismatch(k.Key, "the key")
}

func pinnedByDefault(k Key) *algorithm {
	if k.family() == familyEd {
		return edDSA
	}
	return defaultAlgorithm(k)
}

// live reports whether the key may be used at an instant.
func (k *RingKey) live(at time.Time) bool { return k.Until.IsZero() || at.Before(k.Until) }

// checkClaims applies what the key demands of tokens.
func (k *RingKey) checkClaims(claims members) error {
	var o VerifyOptions
	if k.Issuer != "" {
		o.Issuer = []string{k.Issuer}
	}
	if len(k.Audience) > 0 {
		o.Audience = k.Audience
	}
	return checkNames(claims, &o)
}

// keyError names a key in an error. A stranger may have chosen the kid, so it
// is quoted and cut.
func keyError(kid, reason string) *OptionError {
	if kid == "" {
		return &OptionError{Field: "key without kid", Reason: reason}
	}
	return &OptionError{Field: fmt.Sprintf("key %.64q", kid), Reason: reason}
}

// KeySources combines sources. The first one that can sign does, and tokens are
// verified with the keys of all.
type KeySources []KeySource

var _ KeySource = KeySources(nil)

// Signing implements [KeySource].
func (s KeySources) Signing() (RingKey, bool) {
	for _, source := range s {
		if k, ok := source.Signing(); ok {
			return k, true
		}
	}
	return RingKey{}, false
}

// Verification implements [KeySource]. Several sources may have keys with the
// same kid; each is tried.
func (s KeySources) Verification(kid string) []RingKey {
	var all []RingKey
	for _, source := range s {
		switch keys := source.Verification(kid); {
		case len(keys) == 0:
		case len(all) == 0:
			all = keys[:len(keys):len(keys)] // append must not write into the source
		default:
			all = append(all, keys...)
		}
	}
	return all
}

// Refresh implements [KeySource]. It asks all sources concurrently and returns
// as soon as one has the key.
func (s KeySources) Refresh(ctx context.Context, kid string) error {
	if len(s) == 1 {
		return s[0].Refresh(ctx, kid)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answers := make(chan error, len(s))
	for _, source := range s {
		go func() { answers <- source.Refresh(ctx, kid) }()
	}
	var errs []error
	for range s {
		errs = append(errs, <-answers)
		if len(s.Verification(kid)) > 0 {
			return nil
		}
	}
	return errors.Join(errs...)
}

const nilSource = "is or holds a nil pointer; was the error checked when it was made?"

// isNil reports whether a call of the source would panic.
func isNil(s KeySource) bool {
	if all, ok := s.(KeySources); ok {
		return slices.ContainsFunc(all, isNil)
	}
	v := reflect.ValueOf(s)
	return !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil()
}
