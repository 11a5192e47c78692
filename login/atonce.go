package login

import "time"

// crowdedFor is how long an attempt should wait if too many of its user are being
// checked: longer than a check takes as a rule.
const crowdedFor = time.Second

// atOnce counts the attempts of each user that are being checked, those from
// addresses that are known apart from the others. Buckets do not bound them:
// successes give their tokens back, so that one account could keep everything
// busy that checks passwords, from many addresses. Apart, as strangers who fail on
// purpose must not keep the user out.
type atOnce struct {
	limit int // of each kind
	busy  map[atOnceKey]int
}

type atOnceKey struct {
	user  uint64
	known bool
}

func newAtOnce(limit int) atOnce { return atOnce{limit, make(map[atOnceKey]int)} }

// enter reports false if too many are being checked.
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
