package socketcluster_test

import (
	"flag"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

var (
	simulateSeed     = flag.Uint64("simulate.seed", 0, "the seed of the only schedule to simulate")
	simulateFailures = flag.Uint64("simulate.failures", 5, "after how many failed schedules to stop")
	simulateSeeds    = flag.Uint64("simulate.seeds", 300, "how many schedules to simulate")
)

// TestSimulation runs whole servers under schedules of logins, logouts,
// renewals, revocations and traffic, and checks all that came of them.
func TestSimulation(t *testing.T) {
	if *simulateSeed != 0 {
		simulate(t, *simulateSeed)
		return
	}
	var next, failed atomic.Uint64
	for range 2 {
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

// simulate runs one schedule. It reports what was wrong.
func simulate(t *testing.T, seed uint64) (ok bool) {
	var faults []string
	var settings string
	synctest.Test(t, func(t *testing.T) {
		w := newSimWorld(t, seed)
		w.run()
		synctest.Wait()
		faults, settings = w.check(), w.settings
	})
	if len(faults) > 0 {
		t.Errorf("seed %d (%s):\n%s\nTo run it again: go test -run 'TestSimulation$' -simulate.seed=%d -count=100 .", seed, settings, strings.Join(faults[:min(len(faults), 8)], "\n"), seed)
	}
	return len(faults) == 0
}
