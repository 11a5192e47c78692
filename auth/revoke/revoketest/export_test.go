package revoketest

import (
	"testing"
	"testing/synctest"

	"github.com/socketcluster-go/socketcluster/auth/revoke"
)

// InBubble is TestStore with each check in a synctest bubble, so that time is
// exact.
func InBubble(t *testing.T, newStore func(t *testing.T) revoke.Store) {
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { c.run(&kit{T: t, store: newStore(t)}) })
		})
	}
}

// Names are those of the checks.
func Names() []string {
	var all []string
	for _, c := range checks {
		all = append(all, c.name)
	}
	return all
}
