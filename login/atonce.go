package login

import "time"

// crowdedFor is the time that an attempt should wait if too many of its user
// are being checked: longer than a check usually takes.
const crowdedFor = time.Second

// atOnce counts the attempts of each user that are being checked. Buckets do
// not bound them, because successes give their tokens back: one account could
// keep all password checks busy from many addresses. Attempts from known
// addresses are counted separately, because strangers who fail on purpose must
// not lock out the user.
type atOnce struct {
	limit int // of each kind
	busy  map[atOnceKey]int
}

type atOnceKey struct {
	user  uint64
	known bool
}

func newAtOnce(limit int) atOnce { return atOnce{limit, make(map[atOnceKey]int)} }

// enter returns false if too many are being checked.
func (a *atOnce) enter(user uint64, known bool) bool {
	key := atOnceKey{user, known}
	if a.busy[key] >= a.limit {
		return false
	}
	a.busy[key]++
	return true
}

// exit undoes enter.
func (a *atOnce) exit(user uint64, known bool) {
	key := atOnceKey{user, known}
	if a.busy[key]--; a.busy[key] == 0 {
		delete(a.busy, key)
	}
}
