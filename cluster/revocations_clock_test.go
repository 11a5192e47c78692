package cluster

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/logtest"
)

// A suspended machine stops the clock of the process. The time passes nevertheless.
func TestPassed(t *testing.T) {
	from := time.Now()
	if got := passed(from, from.Add(time.Second)); got != time.Second {
		t.Errorf("got %v", got)
	}
	if got := passed(from, from.Round(0).Add(time.Minute)); got != time.Minute {
		t.Errorf("after a suspension: %v", got)
	}
}

// A cut is reported when it begins and when it ends, however short it is, and also while
// nothing answers to this node.
func TestReportsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logtest.Buffer
		ctx, cancel := context.WithCancel(t.Context())
		rv := &Revocations{cutOff: 3 * time.Second, stream: "revocations", log: log.Logger(), ctx: ctx, cancel: cancel, confirmed: time.Now()}
		rv.over.Go(rv.keepReporting)
		defer rv.end()
		const cut, again = "is cut off", "again: it accepts tokens"
		wait := func(d time.Duration, want ...string) {
			t.Helper()
			time.Sleep(d)
			synctest.Wait()
			got := strings.Split(strings.TrimSpace(log.Take()), "\n")
			if got[0] == "" {
				got = nil
			}
			if !slices.EqualFunc(got, want, strings.Contains) {
				t.Errorf("the log says %q; want %q", got, want)
			}
		}
		wait(2900 * time.Millisecond)
		wait(110*time.Millisecond, cut)
		wait(time.Minute)
		rv.confirm(kept{at: time.Now()})
		wait(0, again)
		time.Sleep(3 * time.Second)
		// The timer waits for a millisecond more.
		time.Sleep(time.Microsecond)
		rv.confirm(kept{at: time.Now()})
		wait(0, cut, again)
		wait(time.Second)
	})
}
