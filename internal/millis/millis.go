// Package millis refuses durations that were meant to be in another unit.
//
// A number without a unit is a valid time.Duration and counts nanoseconds, but
// somebody who knows the options of JavaScript means milliseconds or seconds.
// No setting of this module makes sense below a millisecond.
package millis

import (
	"fmt"
	"time"
)

// Reason reports why a setting cannot have this value, or returns "". The
// caller decides about zero and negative values.
func Reason(d time.Duration) string {
	if d <= 0 || d >= time.Millisecond {
		return ""
	}
	return fmt.Sprintf("is %v, as a number without a unit counts nanoseconds; write %d*time.Millisecond or %[2]d*time.Second", d, int64(d))
}
