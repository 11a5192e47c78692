package auth

import (
	"context"
	"slices"
	"time"
)

// checkWithSource finds the keys of a token by its kid and answers the one that
// has signed it.
func (j *JWT) checkWithSource(ctx context.Context, p *parts, at time.Time) (RingKey, error) {
	// Nobody is asked for the key of what no key could make good.
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

// keysFor answers keys of which at least one may be used.
func (j *JWT) keysFor(ctx context.Context, kid string, at time.Time) ([]RingKey, error) {
	live := func(k RingKey) bool { return k.live(at) }
	if keys := j.source.Verification(kid); slices.ContainsFunc(keys, live) {
		return keys, nil
	}
	err := j.source.Refresh(ctx, kid)
	// Also after a failure: another token may have brought the key meanwhile.
	if keys := j.source.Verification(kid); slices.ContainsFunc(keys, live) {
		return keys, nil
	}
	if err != nil {
		return nil, ErrKeysUnavailable
	}
	return nil, invalidError(unknownKeyID)
}

const unknownKeyID = "unknown kid"
