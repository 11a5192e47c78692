package simulation_test

import (
	"flag"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

var (
	simulateSeed     = flag.Uint64("simulate.seed", 0, "the seed of the only schedule to simulate")
	simulateSeeds    = flag.Uint64("simulate.seeds", 150, "how many schedules to simulate")
	simulateFailures = flag.Uint64("simulate.failures", 5, "after how many failed schedules to stop")
)

// TestSimulation runs whole servers under schedules of traffic and of changes of
// rights, and checks what came of each. See CONTRIBUTING, which lists by which
// seed it finds that a guard is missing.
//
// A schedule is made from its seed: who does what, and when. Logins, logouts,
// expiry, renewal, changed claims, rotated keys, revocations and reconnects meet
// publications, calls and transmissions; middleware and handlers are slow or never
// return, and clients do not read. Everything runs in a bubble of testing/synctest,
// so that seconds cost nothing. The order of goroutines is not the seed's: a
// schedule that has failed may have to be run several times to fail again.
//
// For the checks, see checker. It observes the server from outside: at the
// bytes that it writes, when each Write began, and at what middleware,
// handlers, the broker and the engine see. A publication may be in a Write that
// began before the right was lost, as those bytes are the kernel's.
//
// Not checked: several servers, TLS, real kernels and proxies, tokens that come
// with the upgrade request, Compat.KeepSubscriptions, and servers without
// middleware.
func TestSimulation(t *testing.T) {
	if *simulateSeed != 0 {
		simulate(t, *simulateSeed)
		return
	}
	var next, failed atomic.Uint64
	for range runtime.GOMAXPROCS(0) {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			for seed := next.Add(1); seed <= *simulateSeeds && failed.Load() < *simulateFailures; seed = next.Add(1) {
				if !simulate(t, seed) {
					failed.Add(1)
				}
			}
		})
	}
}

// simulate runs one schedule. It reports false if something was wrong.
func simulate(t *testing.T, seed uint64) (ok bool) {
	var faults []string
	var settings string
	synctest.Test(t, func(t *testing.T) {
		w := newSimWorld(seed)
		w.run()
		synctest.Wait()
		faults, settings = w.check(), w.settings
	})
	if len(faults) > 0 {
		t.Errorf("seed %d (%s):\n%s\nTo run it again: go test ./internal/simulation -run 'TestSimulation$' -simulate.seed=%d -count=100",
			seed, settings, strings.Join(faults[:min(len(faults), 8)], "\n"), seed)
	}
	return len(faults) == 0
}
