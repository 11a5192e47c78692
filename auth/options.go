package auth

import (
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"time"

	"github.com/socketcluster-go/socketcluster/wire"
)

const (
	// defaultExpiry is authDefaultExpiry of the JavaScript server (AUTH-8).
	defaultExpiry = 24 * time.Hour
	// defaultMaxTokenSize leaves room for a few hundred channel names in a
	// token and is twice what HTTP servers accept in a header.
	defaultMaxTokenSize = 16 << 10
	// generatedKeyBytes is the entropy of a key that nobody configured (AUTH-5).
	generatedKeyBytes = 32
)

// MaxClockTolerance is the largest [Options].ClockTolerance. Package
// auth/revoke accepts the time of a login up to this far in the future.
// Synchronized clocks differ by far less.
const MaxClockTolerance = time.Minute

// Options configures a [JWT]. The zero value signs with a random key, so its
// tokens are lost when the process ends.
type Options struct {
	// Key is the symmetric secret: the bytes of the text, not decoded.
	Key string

	// PrivateKey and PublicKey are a key pair in PEM, instead of Key.
	PrivateKey, PublicKey []byte

	// SignatureKey and VerificationKey replace the keys above. They need not
	// belong together. A signature key alone also verifies. With a verification
	// key alone, nothing can be signed.
	SignatureKey, VerificationKey Key

	// Keys replaces all keys above: any number of keys, which are chosen by the
	// kid of a token and can change at run time. Each key has its own
	// algorithm, so of the other options only DefaultExpiry, ClockTolerance,
	// TokenIDs and MaxTokenSize may be set.
	Keys KeySource

	// Algorithm signs and, unless VerifyAlgorithms is set, is the only one that
	// is accepted. Empty: the signature key determines it (HS256, RS256, or the
	// ES algorithm of the curve), and all algorithms that fit the verification
	// key are accepted.
	Algorithm string

	// VerifyAlgorithms are the accepted algorithms. Those that do not fit the
	// verification key are never accepted, but may be listed for a later key.
	VerifyAlgorithms []string

	// DefaultExpiry limits tokens whose claims have no exp. 0 means 24 hours;
	// negative means tokens that never expire.
	DefaultExpiry time.Duration

	// ClockTolerance is the difference that is allowed between the clocks of
	// issuers and this one, at most a minute, like clockTolerance in
	// JavaScript: a token is accepted this much before its nbf and after its
	// exp. Live connections keep their tokens as long, see [Token.ValidUntil].
	// 0 means none.
	ClockTolerance time.Duration

	// MaxTokenSize is the length in bytes above which a token is refused
	// unread, and is not signed. 0 means 16 KiB.
	MaxTokenSize int

	// AllowWeakKey accepts symmetric keys under 32 bytes. Such a key can be
	// found by trying, and whoever has it can forge any token.
	AllowWeakKey bool

	// TokenIDs gives each token without a jti a random one, which identifies
	// the token and can be revoked. It gives each token without a sid a random
	// one, which renewed tokens keep.
	TokenIDs bool

	// Logger receives a warning when the first token is signed with a random
	// key. Default: slog.Default().
	Logger *slog.Logger
}

// besideKeys names an option that is set beside Keys but would have no effect.
func (o *Options) besideKeys() string {
	switch {
	case o.Key != "":
		return "Key"
	case len(o.PrivateKey) > 0:
		return "PrivateKey"
	case len(o.PublicKey) > 0:
		return "PublicKey"
	case !o.SignatureKey.IsZero():
		return "SignatureKey"
	case !o.VerificationKey.IsZero():
		return "VerificationKey"
	case o.Algorithm != "":
		return "Algorithm"
	case len(o.VerifyAlgorithms) > 0:
		return "VerifyAlgorithms"
	case o.AllowWeakKey:
		return "AllowWeakKey"
	}
	return ""
}

// An OptionError reports an option that cannot be used. It matches
// wire.ErrInvalidOptions.
type OptionError struct {
	Field  string // of Options, such as "Key"; for a key of several, its kid
	Reason string
	Err    error // the cause, may be nil
}

func (e *OptionError) Error() string { return "auth: " + e.Field + ": " + e.Reason }

// Unwrap returns Err.
func (e *OptionError) Unwrap() error { return e.Err }

// Is matches the InvalidOptionsError that JavaScript throws.
func (e *OptionError) Is(target error) bool {
	w, ok := target.(*wire.Error)
	return ok && w.Name == wire.NameInvalidOptions && w.Message == ""
}

// namedKey is a key and the option it came from.
type namedKey struct {
	Key
	field string
}

// keys resolves the options to the two keys. The third result is the text of a
// key that had to be generated.
func (o *Options) keys() (signature, verification namedKey, generated string, err error) {
	switch {
	case len(o.PrivateKey) > 0 || len(o.PublicKey) > 0:
		signature, verification, err = o.keyPair()
	case o.Key != "":
		signature = namedKey{HMACKey([]byte(o.Key)), "Key"}
		verification = signature
	case o.SignatureKey.IsZero() && o.VerificationKey.IsZero():
		var secret [generatedKeyBytes]byte
		rand.Read(secret[:]) // never fails, see its documentation
		generated = hex.EncodeToString(secret[:])
		signature = namedKey{HMACKey([]byte(generated)), "Key"}
		verification = signature
	}
	if err != nil {
		return namedKey{}, namedKey{}, "", err
	}
	if !o.SignatureKey.IsZero() {
		signature = namedKey{o.SignatureKey, "SignatureKey"}
		if verification.IsZero() {
			verification = signature
		}
	}
	if !o.VerificationKey.IsZero() {
		verification = namedKey{o.VerificationKey, "VerificationKey"}
	}
	return signature, verification, generated, nil
}

func (o *Options) keyPair() (private, public namedKey, err error) {
	fail := func(field, reason string, cause error) (namedKey, namedKey, error) {
		return namedKey{}, namedKey{}, &OptionError{Field: field, Reason: reason, Err: cause}
	}
	switch {
	case len(o.PrivateKey) == 0:
		return fail("PrivateKey", "must be set, because PublicKey is set", nil)
	case len(o.PublicKey) == 0:
		return fail("PublicKey", "must be set, because PrivateKey is set", nil)
	case o.Key != "":
		return fail("Key", "cannot be combined with PrivateKey and PublicKey", nil)
	}
	priv, err := ParsePEM(o.PrivateKey)
	if err != nil {
		return fail("PrivateKey", err.Error(), err)
	}
	pub, err := ParsePEM(o.PublicKey)
	if err != nil {
		return fail("PublicKey", err.Error(), err)
	}
	if !priv.samePublic(pub) {
		return fail("PublicKey", "does not belong to PrivateKey", nil)
	}
	return namedKey{priv, "PrivateKey"}, namedKey{pub, "PublicKey"}, nil
}
