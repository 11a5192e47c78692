package millis

import (
	"math"
	"strings"
	"testing"
	"time"
)

// A number of milliseconds or seconds without its unit is found out; the
// shortest time that somebody may mean is not.
func TestReason(t *testing.T) {
	for _, d := range []time.Duration{1, 30, 8000, 999_999} {
		if got := Reason(d); !strings.Contains(got, "nanoseconds") {
			t.Errorf("%d: %q", int64(d), got)
		}
	}
	if got, want := Reason(8000), "is 8µs, as a number without a unit counts nanoseconds; write 8000*time.Millisecond or 8000*time.Second"; got != want {
		t.Errorf("got %q\nwant %q", got, want)
	}
	for _, d := range []time.Duration{math.MinInt64, -1, 0, time.Millisecond, math.MaxInt64} {
		if got := Reason(d); got != "" {
			t.Errorf("%v: %q", d, got)
		}
	}
}
