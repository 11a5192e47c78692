package cluster

import (
	"context"
	"errors"
	"sync"
	"testing"
)

// Those who want the same thing go one after the other, others at once, and nothing is kept
// of what nobody wants.
func TestTurns(t *testing.T) {
	var all turns
	done, err := all.take(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	other, err := all.take(t.Context(), "b")
	if err != nil {
		t.Fatal(err)
	}
	other()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := all.take(gone, "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("somebody who has gone: %v", err)
	}
	var waits sync.WaitGroup
	has := 1 // who has a
	for range 10 {
		waits.Go(func() {
			done, err := all.take(t.Context(), "a")
			if err != nil {
				t.Error(err)
				return
			}
			if has++; has != 1 { // the race detector looks, too
				t.Errorf("%d have it", has)
			}
			has--
			done()
		})
	}
	has--
	done()
	waits.Wait()
	if len(all.all) != 0 {
		t.Errorf("%d are kept", len(all.all))
	}
}
