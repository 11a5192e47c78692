package auth

import (
	"context"
	"slices"
	"time"
)

// checkWithSource finds the keys of a token by its kid and returns the one that
// signed it.
func (j *JWT) checkWithSource(ctx context.Context, p *parts, at time.Time) (RingKey, error) {
	// No source is asked for a key if no key could verify the token.
	if algorithmIn(ringAlgorithms, p.header.alg) == nil {
		return RingKey{}, invalidError("invalid algorithm")
	}
	if p.header.namesNoKey {
		return RingKey{}, invalidError(unknownKeyID)
	}
	keys, err := j.keysFor(ctx, p.header.kid, at)
	if err != nil {
		return RingKey{}, err
	}
	verdict := "invalid algorithm"
	for i := range keys {
		k := &keys[i]
		a, reason := k.usable()
		if reason != "" || a.name != p.header.alg || !k.live(at) {
			continue
		}
		if p.signedBy(a, k.Key) {
			return *k, nil
		}
		verdict = "invalid signature"
	}
	return RingKey{}, invalidError(verdict)
}

// keysFor returns keys of which at least one may be used.
func (j *JWT) keysFor(ctx context.Context, kid string, at time.Time) ([]RingKey, error) {
	live := func(k RingKey) bool { return k.live(at) }
	if keys := j.source.Verification(kid); slices.ContainsFunc(keys, live) {
		return keys, nil
	}
	err := j.source.Refresh(ctx, kid)
	// This happens after a failure too: another token may have brought the key
	// meanwhile.
	if keys := j.source.Verification(kid); slices.ContainsFunc(keys, live) {
		return keys, nil
	}
	if err != nil {
		return nil, ErrKeysUnavailable
	}
	return nil, invalidError(unknownKeyID)
}

const unknownKeyID = "unknown kid"
