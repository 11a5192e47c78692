package auth

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/millis"
)

// A KeyRing is a [KeySource] whose keys the program itself adds and removes.
// Readers see one consistent set of keys, and never wait.
//
// To rotate without logging anyone out, [KeyRing.Rotate] signs with a new key
// and accepts the old one for as long as tokens under it may live. If several
// servers accept each other's tokens, add the new key to each of them by
// [KeyRing.Add] before the first one signs with it.
//
// The zero KeyRing has no keys.
type KeyRing struct {
	mu  sync.Mutex // serialises changes
	set atomic.Pointer[ringSet]
}

var _ KeySource = (*KeyRing)(nil)

// ringSet is never changed once it has been stored.
type ringSet struct {
	keys  []RingKey
	index map[string]int // of keys, by ID
	signs bool           // the first key signs
}

// NewKeyRing makes a ring. The first key that can sign and has no end is used
// to sign; all of them verify. No two may have the same ID. The error is an
// [*OptionError] that names the ID.
func NewKeyRing(keys ...RingKey) (*KeyRing, error) {
	list := slices.Clone(keys)
	for i, k := range list {
		var err error
		if list[i], err = k.checked(); err != nil {
			return nil, err
		}
		if slices.ContainsFunc(list[:i], func(other RingKey) bool { return other.ID == k.ID }) {
			return nil, keyError(k.ID, "occurs twice")
		}
	}
	signing := slices.IndexFunc(list, func(k RingKey) bool { return k.Key.CanSign() && k.Until.IsZero() })
	if signing > 0 {
		k := list[signing]
		list = slices.Insert(slices.Delete(list, signing, signing+1), 0, k)
	}
	r := new(KeyRing)
	r.store(list, signing >= 0)
	return r, nil
}

func (r *KeyRing) store(keys []RingKey, signs bool) {
	set := &ringSet{keys: keys, signs: signs, index: make(map[string]int, len(keys))}
	for i, k := range keys {
		set.index[k.ID] = i
	}
	r.set.Store(set)
}

// live returns a copy of the keys that have not ended, for the caller to
// change.
func (r *KeyRing) live(now time.Time) (keys []RingKey, signs bool) {
	set := r.set.Load()
	if set == nil {
		return nil, false
	}
	keys = slices.Clone(set.keys)
	return slices.DeleteFunc(keys, func(k RingKey) bool { return !k.live(now) }), set.signs
}

// Add accepts tokens under one more key, which does not sign until
// [KeyRing.Rotate] names it.
func (r *KeyRing) Add(k RingKey) error {
	k, err := k.checked()
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	keys, signs := r.live(time.Now())
	if indexOf(keys, k.ID) >= 0 {
		return keyError(k.ID, "is in the ring already")
	}
	r.store(append(keys, k), signs)
	return nil
}

// Rotate signs with next from now on, and accepts tokens under the previous key
// for another keep. That should be at least the longest life of a token; 0
// refuses them at once, for a key that has been stolen. next may be in the ring
// already.
func (r *KeyRing) Rotate(next RingKey, keep time.Duration) error {
	next, err := next.checked()
	switch {
	case err != nil:
		return err
	case !next.Key.CanSign():
		return keyError(next.ID, "is a public key, which cannot sign")
	case !next.Until.IsZero():
		return keyError(next.ID, "has an end, so it cannot sign")
	case keep < 0:
		return keyError(next.ID, "cannot take over: the time for which the other key is kept is negative")
	case millis.Reason(keep) != "":
		return keyError(next.ID, "cannot take over: the time for which the other key is kept "+millis.Reason(keep))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	keys, signs := r.live(now)
	if i := indexOf(keys, next.ID); i >= 0 {
		if !keys[i].Key.equal(next.Key) || keys[i].Algorithm != next.Algorithm {
			return keyError(next.ID, "is in the ring already with another key or algorithm")
		}
		if signs && i == 0 {
			signs = false // the key takes over from itself
		}
		keys = slices.Delete(keys, i, i+1)
	}
	if signs {
		keys = retire(keys, 0, now, keep)
	}
	r.store(slices.Insert(keys, 0, next), true)
	return nil
}

// Retire accepts tokens under a key for another keep and no longer; 0 refuses
// them at once. The key that signs cannot be retired.
func (r *KeyRing) Retire(id string, keep time.Duration) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	keys, signs := r.live(now)
	i := indexOf(keys, id)
	switch {
	case i < 0:
		return keyError(id, "is not in the ring")
	case keep < 0:
		return keyError(id, "cannot be retired: the time for which it is kept is negative")
	case millis.Reason(keep) != "":
		return keyError(id, "cannot be retired: the time for which it is kept "+millis.Reason(keep))
	case signs && i == 0:
		return keyError(id, "signs; rotate to another key first")
	}
	r.store(retire(keys, i, now, keep), signs)
	return nil
}

// retire gives a key an end, unless it has an earlier one.
func retire(keys []RingKey, i int, now time.Time, keep time.Duration) []RingKey {
	if keep == 0 {
		return slices.Delete(keys, i, i+1)
	}
	if until := now.Add(keep); keys[i].live(until) {
		keys[i].Until = until
	}
	return keys
}

func indexOf(keys []RingKey, id string) int {
	return slices.IndexFunc(keys, func(k RingKey) bool { return k.ID == id })
}

// Keys returns the keys that have not ended, starting with the one that signs.
// A program that saves them can make the same ring after a restart.
func (r *KeyRing) Keys() []RingKey {
	keys, _ := r.live(time.Now())
	return keys
}

// Signing implements [KeySource].
func (r *KeyRing) Signing() (RingKey, bool) {
	if set := r.set.Load(); set != nil && set.signs {
		return set.keys[0], true
	}
	return RingKey{}, false
}

// Verification implements [KeySource]. The result may contain a key that has
// ended; its Until has passed.
func (r *KeyRing) Verification(kid string) []RingKey {
	set := r.set.Load()
	if set == nil {
		return nil
	}
	i, ok := set.index[kid]
	if !ok {
		return nil
	}
	return set.keys[i : i+1 : i+1]
}

// Refresh implements [KeySource]: the keys of a ring are always current.
func (r *KeyRing) Refresh(context.Context, string) error { return nil }
