package load

import (
	"context"
	"time"
)

// pace calls do n times, at a rate per second, each when it is due or as soon as
// possible afterwards. It passes the time when it was due. It ends with ctx.
func pace(ctx context.Context, rate float64, n int, do func(i int, due time.Time)) {
	start := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for i := range n {
		due := start.Add(time.Duration(float64(i) / rate * float64(time.Second)))
		if wait := time.Until(due); wait > 0 {
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-ctx.Done():
				return
			}
		}
		if ctx.Err() != nil {
			return
		}
		do(i, due)
	}
}
