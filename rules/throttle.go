package rules

import (
	"sync/atomic"
	"time"
)

// loggedPerSecond is how many denials are logged at level Info in a second.
// Clients decide how many there are, and must not fill a disk.
const loggedPerSecond = 20

// throttle counts what happens in a second.
type throttle struct {
	second atomic.Int64
	count  atomic.Int64
}

// allow reports whether the limit of this second has not been reached. It may
// err by a few when a second begins.
func (t *throttle) allow() bool {
	if now := time.Now().Unix(); t.second.Swap(now) != now {
		t.count.Store(0)
	}
	return t.count.Add(1) <= loggedPerSecond
}
