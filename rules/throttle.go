package rules

import (
	"sync/atomic"
	"time"
)

// loggedPerSecond is the maximum number of denials that are logged at level
// Info in a second. Clients determine how many denials there are, and must not
// be able to fill a disk.
const loggedPerSecond = 20

// throttle counts events within a second.
type throttle struct {
	second atomic.Int64
	count  atomic.Int64
}

// allow reports whether the limit of this second has not been reached. It may
// be off by a few when a second begins.
func (t *throttle) allow() bool {
	if now := time.Now().Unix(); t.second.Swap(now) != now {
		t.count.Store(0)
	}
	return t.count.Add(1) <= loggedPerSecond
}
