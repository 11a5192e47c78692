// Package revoketest checks implementations of [revoke.Store], as
// testing/slogtest does for handlers of log/slog:
//
//	func TestMyStore(t *testing.T) {
//		revoketest.TestStore(t, func(t *testing.T) revoke.Store { return newMyStore(t) })
//	}
//
// It tests what the interface promises, and no more. Whether a store outlives
// its process, forgets revocations that have passed, or notifies other machines
// is for its own tests. A store that holds a lock while it calls watchers
// fails, because the watchers call the store. One check waits for a revocation
// to pass, which takes two to three seconds.
package revoketest

import (
	"sync"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/revoke"
)

// TestStore checks that stores keep the promises of [revoke.Store] on which a
// server relies. It calls newStore for each check. The store must be empty, and
// have room for a few hundred revocations. Release its resources by t.Cleanup.
//
// Run it under the race detector.
func TestStore(t *testing.T, newStore func(t *testing.T) revoke.Store) {
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) { c.run(&kit{T: t, store: newStore(t)}) })
	}
}

// checks are what TestStore runs.
var checks = []struct {
	name string
	run  func(*kit)
}{
	{"which tokens are revoked", (*kit).tokens},
	{"session", (*kit).session},
	{"time of login", (*kit).login},
	{"invalid revocations", (*kit).invalid},
	{"several revocations", (*kit).several},
	{"disconnect", (*kit).disconnect},
	{"until", (*kit).until},
	{"passed already", (*kit).passed},
	{"watchers", (*kit).watchers},
	{"normal form", (*kit).normalForm},
	{"stop", (*kit).stop},
	{"context", (*kit).context},
	{"concurrency", (*kit).concurrency},
}

type kit struct {
	*testing.T
	store revoke.Store
}

// token makes a token that counts as verified.
func (k *kit) token(payload string) *auth.Token {
	k.Helper()
	token, err := auth.NewToken("signed", []byte(payload))
	if err != nil {
		k.Fatalf("%s: %v", payload, err)
	}
	return token
}

// add adds a revocation that the store must accept.
func (k *kit) add(r revoke.Revocation) {
	k.Helper()
	if err := k.store.Add(k.Context(), r); err != nil {
		k.Fatalf("Add(%+v): %v", r, err)
	}
}

// revoked checks that a token is revoked, by a revocation that matches it.
func (k *kit) revoked(payload string) revoke.Revocation {
	k.Helper()
	token := k.token(payload)
	r, ok := k.store.Check(token)
	switch {
	case !ok:
		k.Errorf("Check does not find the revocation of %s", payload)
	case !r.Matches(token):
		k.Errorf("Check returns %+v for %s, which that does not revoke", r, payload)
	}
	return r
}

func (k *kit) good(payload string) {
	k.Helper()
	if r, ok := k.store.Check(k.token(payload)); ok {
		k.Errorf("Check returns %+v for %s, which is not revoked", r, payload)
	}
}

// same compares revocations; times may be in different time zones.
func same(a, b revoke.Revocation) bool {
	if !a.Before.Equal(b.Before) || !a.Until.Equal(b.Until) {
		return false
	}
	a.Before, a.Until = b.Before, b.Until
	return a == b
}

// log keeps the revocations that a watcher receives.
type log struct {
	mu       sync.Mutex
	received []revoke.Revocation
}

func (l *log) add(r revoke.Revocation) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.received = append(l.received, r)
}

// all returns the revocations received until now.
func (l *log) all() []revoke.Revocation {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]revoke.Revocation(nil), l.received...)
}

// has reports whether a revocation of the same session or token was received.
func (l *log) has(r revoke.Revocation) bool {
	for _, received := range l.all() {
		if received.JTI == r.JTI && received.Session == r.Session && received.Subject == r.Subject {
			return true
		}
	}
	return false
}

// watch watches until the check ends.
func (k *kit) watch() *log {
	l := new(log)
	k.Cleanup(k.store.Watch(l.add))
	return l
}

// hour is the Until of revocations that no check waits for.
func hour() time.Time { return time.Now().Add(time.Hour) }
