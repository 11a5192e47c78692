package revoke

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/internal/claimscan"
)

// DefaultLimit is the default number of revocations that a [Memory] can hold.
// Each takes up to 250 bytes, plus its texts.
const DefaultLimit = 1_000_000

// maxClaims is the number of different claims by which a [Memory] can revoke
// tokens, including jti and sid. Each costs a lookup in every check.
const maxClaims = 8

// Memory is a [Store] in memory, for a single process. Its zero value is ready
// for use. Revocations end with the process, but tokens outlive it if the key
// that signed them does.
//
// Revocations of the same token, session or user are merged into one that
// revokes what each of them does, for as long as the longest of them.
type Memory struct {
	// Limit is the maximum number of revocations; 0 means [DefaultLimit]. When
	// it is reached, [Memory.Add] removes those that have expired. If there are
	// none, it fails with [ErrFull]. It must not change after the first use.
	Limit int

	held     atomic.Int64 // their number, so that Check need not lock if there are none
	mu       sync.RWMutex
	indexes  []index
	expiries expiries

	watchMu  sync.Mutex
	watchers []*func(Revocation)
}

// index has the revocations by one claim.
type index struct {
	claim   string
	entries map[string]*entry
}

// entry is one revocation.
type entry struct {
	claim, value string
	before       time.Time // the last moment that is revoked; zero: any
	until        int64     // the last second for which it is kept
	disconnect   bool
	reason       string
	place        int // in Memory.expiries, -1 if it is kept forever
}

// forever is the until of an entry that is kept forever.
const forever = math.MaxInt64

func newEntry(r *Revocation) *entry {
	e := &entry{before: r.Before, until: forever, disconnect: r.Disconnect, reason: r.Reason, place: -1}
	e.claim, e.value = r.Target()
	if !r.Until.IsZero() {
		e.until = r.Until.Unix()
	}
	return e
}

// revocation is the inverse of newEntry.
func (e *entry) revocation() Revocation {
	r := Revocation{Disconnect: e.disconnect, Reason: e.reason}
	switch e.claim {
	case claimID:
		r.JTI = e.value
	case claimSession:
		r.Session = e.value
	case claimSubject:
		r.Subject = e.value
	default:
		r.Claim, r.Subject = e.claim, e.value
	}
	r.Before = e.before
	if e.until != forever {
		r.Until = time.Unix(e.until, 0).UTC()
	}
	return r
}

// merge makes e revoke what both entries do.
func (e *entry) merge(other *entry) {
	if other.before.IsZero() || !e.before.IsZero() && other.before.After(e.before) {
		e.before = other.before
	}
	e.until = max(e.until, other.until)
	e.disconnect = e.disconnect || other.disconnect
	if other.reason != "" {
		e.reason = other.reason
	}
}

// Add implements [Store]. It fails if the revocation is not valid, or if there
// is no room for it, see [Memory.Limit].
func (m *Memory) Add(_ context.Context, r Revocation) error {
	now := time.Now()
	r, err := r.Normalize(now)
	if err != nil {
		return err
	}
	e := newEntry(&r)
	if now.Unix() > e.until {
		return nil
	}
	if err := m.keep(e, now.Unix()); err != nil {
		return err
	}
	m.watchMu.Lock()
	watchers := m.watchers
	m.watchMu.Unlock()
	for _, fn := range watchers {
		(*fn)(r)
	}
	return nil
}

// Room returns nil if a store of at most limit revocations has room for one, and otherwise
// the error with which Add would fail. limit is in place of [Memory.Limit]: a store that
// many machines share asks before it accepts a revocation, and then adds whatever any of
// them has accepted. A revocation of the same token, session or user as one that is held
// needs no room.
func (m *Memory) Room(r Revocation, limit int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget(time.Now().Unix())
	claim, value := r.Target()
	return m.room(claim, value, limit)
}

// room is Room. The caller holds mu.
func (m *Memory) room(claim, value string, limit int) error {
	switch at := m.indexOf(claim); {
	case at >= 0 && m.indexes[at].entries[value] != nil:
		return nil
	case m.held.Load() >= int64(limit):
		return ErrFull
	case at < 0 && len(m.indexes) == maxClaims:
		return fmt.Errorf("revoke: tokens are revoked by %d claims already; there is no room for %q", maxClaims, claim)
	}
	return nil
}

// indexOf returns the place of the index of a claim, or -1. The caller holds mu.
func (m *Memory) indexOf(claim string) int {
	return slices.IndexFunc(m.indexes, func(x index) bool { return x.claim == claim })
}

func (m *Memory) keep(e *entry, now int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget(now)
	limit := m.Limit
	if limit == 0 {
		limit = DefaultLimit
	}
	if err := m.room(e.claim, e.value, limit); err != nil {
		return err
	}
	at := m.indexOf(e.claim)
	if at < 0 {
		at = len(m.indexes)
		m.indexes = append(m.indexes, index{e.claim, make(map[string]*entry)})
	}
	if known := m.indexes[at].entries[e.value]; known != nil {
		known.merge(e)
		e = known
	} else {
		m.indexes[at].entries[e.value] = e
		m.held.Add(1)
	}
	m.expiries.update(e)
	return nil
}

// forget removes entries that are no longer needed. The caller holds mu.
func (m *Memory) forget(now int64) {
	for {
		e := m.expiries.popBefore(now)
		if e == nil {
			return
		}
		at := m.indexOf(e.claim)
		delete(m.indexes[at].entries, e.value)
		m.held.Add(-1)
		if len(m.indexes[at].entries) == 0 {
			m.indexes = slices.Delete(m.indexes, at, at+1)
		}
	}
}

// Check implements [Store].
func (m *Memory) Check(token *auth.Token) (Revocation, bool) {
	if m.held.Load() == 0 || token == nil {
		return Revocation{}, false
	}
	s := claimscan.Scan(token.Payload())
	var at times
	var found [maxClaims]*entry
	n := 0
	m.mu.RLock()
	defer m.mu.RUnlock()
	for name, value := range s.Members() {
		at.see(name, value)
		for i := range m.indexes {
			if x := &m.indexes[i]; x.claim == string(name) && n < maxClaims {
				if text, ok := claimscan.TextOf(value); ok {
					if e := x.entries[string(text)]; e != nil {
						found[n] = e
						n++
					}
				}
			}
		}
	}
	if n == 0 {
		return Revocation{}, false
	}
	var best *entry
	now := time.Now()
	for _, e := range found[:n] {
		if at.upTo(e.before, e.claim, now) && now.Unix() <= e.until && (best == nil || e.disconnect) {
			best = e
		}
	}
	if best == nil {
		return Revocation{}, false
	}
	return best.revocation(), true
}

// Held returns what the store holds of the token, session or user of a revocation, merged
// into one. ok is false if that is nothing.
func (m *Memory) Held(r Revocation) (held Revocation, ok bool) {
	claim, value := r.Target()
	m.mu.RLock()
	defer m.mu.RUnlock()
	at := m.indexOf(claim)
	if at < 0 {
		return Revocation{}, false
	}
	e := m.indexes[at].entries[value]
	if e == nil || time.Now().Unix() > e.until {
		return Revocation{}, false
	}
	return e.revocation(), true
}

// Len returns the number of revocations in the store. It removes those that are no longer
// needed.
func (m *Memory) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget(time.Now().Unix())
	return int(m.held.Load())
}

// Watch implements [Store].
func (m *Memory) Watch(fn func(Revocation)) (stop func()) {
	if fn == nil {
		panic("revoke: Watch with a nil function")
	}
	m.watchMu.Lock()
	defer m.watchMu.Unlock()
	m.watchers = append(slices.Clip(m.watchers), &fn)
	return func() {
		m.watchMu.Lock()
		defer m.watchMu.Unlock()
		m.watchers = slices.DeleteFunc(slices.Clone(m.watchers), func(w *func(Revocation)) bool { return w == &fn })
	}
}
