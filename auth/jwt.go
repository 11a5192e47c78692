package auth

import (
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/millis"
)

// JWT is the default [Engine]: JSON Web Tokens in the compact form of RFC 7515,
// as the JavaScript server issues them. With keys of its own it needs no I/O and
// ignores the context of its calls; with a [KeySource], Verify may wait for it
// when it meets a kid that no key has.
//
// All methods may be called from many goroutines at once. The zero JWT has no
// key and refuses everything; use [NewJWT].
type JWT struct {
	algorithm     *algorithm   // nil: derived from the signature key
	accept        []*algorithm // nil: by algorithm, else all that fit the key
	defaultExpiry time.Duration
	maxTokenSize  int
	allowWeakKey  bool
	tokenIDs      bool
	generatedKey  string
	warn          func()    // once: tokens are signed with a random key
	source        KeySource // takes the place of keys

	clockTolerance time.Duration

	mu   sync.Mutex // serialises the setters
	keys atomic.Pointer[keyState]
}

var _ Engine = (*JWT)(nil)

// keyState is replaced as a whole, so that a token is signed or verified with
// keys and algorithms that belong together.
type keyState struct {
	signature    Key
	signWith     *algorithm
	verification Key
	accepted     []*algorithm // all of them fit the verification key
	random       bool         // signature was made up by NewJWT
}

// NewJWT checks the options and makes the engine. The error is an
// [*OptionError].
func NewJWT(o Options) (*JWT, error) {
	j := &JWT{
		defaultExpiry: o.DefaultExpiry,
		maxTokenSize:  o.MaxTokenSize,
		allowWeakKey:  o.AllowWeakKey,
		tokenIDs:      o.TokenIDs,

		clockTolerance: o.ClockTolerance,
	}
	if j.defaultExpiry == 0 {
		j.defaultExpiry = defaultExpiry
	}
	if j.maxTokenSize == 0 {
		j.maxTokenSize = defaultMaxTokenSize
	}
	if j.maxTokenSize < 0 {
		return nil, &OptionError{Field: "MaxTokenSize", Reason: "must not be negative"}
	}
	if d := j.clockTolerance; d < 0 || d > MaxClockTolerance {
		return nil, &OptionError{Field: "ClockTolerance", Reason: fmt.Sprintf("is %v; it must be from 0 to %v", d, MaxClockTolerance)}
	}
	if reason := millis.Reason(j.clockTolerance); reason != "" {
		return nil, &OptionError{Field: "ClockTolerance", Reason: reason}
	}
	if j.defaultExpiry > 0 && j.defaultExpiry < time.Second {
		return nil, &OptionError{Field: "DefaultExpiry", Reason: fmt.Sprintf("is %v; tokens live for whole seconds", j.defaultExpiry)}
	}
	if o.Keys != nil {
		if isNil(o.Keys) {
			return nil, &OptionError{Field: "Keys", Reason: nilSource}
		}
		if field := o.besideKeys(); field != "" {
			return nil, &OptionError{Field: "Keys", Reason: "is set beside " + field + ", which it would ignore"}
		}
		j.source = o.Keys
		return j, nil
	}
	if o.Algorithm != "" {
		if j.algorithm = algorithmIn(algorithms, o.Algorithm); j.algorithm == nil {
			return nil, &OptionError{Field: "Algorithm", Reason: unknownAlgorithm(o.Algorithm, algorithms)}
		}
	}
	for _, name := range o.VerifyAlgorithms {
		a := algorithmIn(algorithms, name)
		if a == nil {
			return nil, &OptionError{Field: "VerifyAlgorithms", Reason: unknownAlgorithm(name, algorithms)}
		}
		j.accept = append(j.accept, a)
	}

	signature, verification, generated, err := o.keys()
	if err != nil {
		return nil, err
	}
	j.generatedKey = generated
	log := o.Logger
	if log == nil {
		log = slog.Default()
	}
	j.warn = sync.OnceFunc(func() {
		log.Warn("Options.Key is not set: tokens are signed with a random key and die with this process")
	})
	var ks keyState
	if !signature.IsZero() {
		if err := j.useSignature(&ks, signature); err != nil {
			return nil, err
		}
	}
	if err := j.useVerification(&ks, verification); err != nil {
		return nil, err
	}
	ks.random = generated != ""
	j.keys.Store(&ks)
	return j, nil
}

// GeneratedKey answers the key that was made up because none was configured,
// "" otherwise. Tokens under such a key do not survive a restart and are
// foreign to every other process, so the log is warned of the first one.
func (j *JWT) GeneratedKey() string { return j.generatedKey }

// SetSignatureKey signs later tokens with k. The verification key
// stays as it is: to rotate, set both. Tokens under the former key are refused
// from then on; a [KeyRing] rotates without that. It is an error when the keys
// come from a [KeySource].
func (j *JWT) SetSignatureKey(k Key) error {
	return j.setKey("SignatureKey", func(ks *keyState) error {
		return j.useSignature(ks, namedKey{k, "SignatureKey"})
	})
}

// SetVerificationKey verifies later tokens with k. Connections that are
// authenticated already stay so. It is an error when the keys come from
// a [KeySource].
func (j *JWT) SetVerificationKey(k Key) error {
	return j.setKey("VerificationKey", func(ks *keyState) error {
		return j.useVerification(ks, namedKey{k, "VerificationKey"})
	})
}

func (j *JWT) setKey(field string, change func(*keyState) error) error {
	if j.source != nil {
		return &OptionError{Field: field, Reason: "cannot be set, because the keys come from Options.Keys"}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	ks := j.keyState()
	if err := change(&ks); err != nil {
		return err
	}
	j.keys.Store(&ks)
	return nil
}

func (j *JWT) keyState() keyState {
	if ks := j.keys.Load(); ks != nil {
		return *ks
	}
	return keyState{}
}

func (j *JWT) useSignature(ks *keyState, k namedKey) error {
	if err := j.checkKey(k); err != nil {
		return err
	}
	if k.signing() == nil {
		return &OptionError{Field: k.field, Reason: "is a public key, which cannot sign"}
	}
	a := j.algorithm
	if a == nil {
		a = defaultAlgorithm(k.Key)
	}
	if reason := a.mismatch(k.Key, k.field); reason != "" {
		return &OptionError{Field: "Algorithm", Reason: reason}
	}
	ks.signature, ks.signWith, ks.random = k.Key, a, false
	return nil
}

func (j *JWT) useVerification(ks *keyState, k namedKey) error {
	if err := j.checkKey(k); err != nil {
		return err
	}
	list, field := algorithms, "VerifyAlgorithms"
	switch {
	case j.accept != nil:
		list = j.accept
	case j.algorithm != nil:
		list, field = []*algorithm{j.algorithm}, "Algorithm"
	}
	accepted := fitting(list, k.Key)
	if len(accepted) == 0 {
		return &OptionError{Field: field, Reason: list[0].mismatch(k.Key, k.field)}
	}
	ks.verification, ks.accepted = k.Key, accepted
	return nil
}

func (j *JWT) checkKey(k namedKey) error {
	if k.IsZero() {
		return &OptionError{Field: k.field, Reason: "is the zero Key; make one with HMACKey, ParsePEM or ParseJWK"}
	}
	if k.family() == familyEd {
		return &OptionError{Field: k.field, Reason: "is an Ed25519 key, which can be used in Options.Keys only"}
	}
	if reason := k.weakness(j.allowWeakKey); reason != "" {
		if k.weakness(true) == "" {
			reason += " (AllowWeakKey lifts this)"
		}
		return &OptionError{Field: k.field, Reason: reason}
	}
	return nil
}

// defaultAlgorithm is the first one of JWT-1 that fits: HS256, RS256, or the
// one for the curve (QK-22).
func defaultAlgorithm(k Key) *algorithm { return fitting(algorithms, k)[0] }
