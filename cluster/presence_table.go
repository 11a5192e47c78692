package cluster

import (
	"encoding/json"
	"slices"
	"time"
)

// table has the rows of all nodes by channel and user. A user whose last row has
// been removed stays for a while, so that one who comes back soon has never left.
type table struct {
	debounce time.Duration
	channels map[string]map[string]*present
	absences []absence // in the order of their ends
}

// present is a user in a channel.
type present struct {
	sockets []presentSocket // in the order in which they came
	info    json.RawMessage // of the latest row
	left    uint64          // counts how often the last row was removed
}

// presentSocket is a row of a user.
type presentSocket struct {
	instance, node, socket string
	info                   json.RawMessage
}

// absence is a user without rows, who leaves at a time unless there are some
// again.
type absence struct {
	leaveKey
	at   time.Time
	left uint64 // what present.left was
}

// news is a join or a leave.
type news struct {
	leaveKey
	joined bool
	info   json.RawMessage // of the latest row
}

// put adds a row, in place of one of the same socket. It reports whether the user
// joins the channel by that.
func (t *table) put(instance, node string, r row) (joined bool) {
	users := t.channels[r.channel]
	if users == nil {
		if t.channels == nil {
			t.channels = make(map[string]map[string]*present)
		}
		users = make(map[string]*present)
		t.channels[r.channel] = users
	}
	p := users[r.user]
	if joined = p == nil; joined {
		p = new(present)
		users[r.user] = p
	}
	p.info = r.info
	s := presentSocket{instance, node, r.socket, r.info}
	if i := p.index(instance, r.socket); i >= 0 {
		p.sockets[i] = s
	} else {
		p.sockets = append(p.sockets, s)
	}
	return joined
}

func (p *present) index(instance, socket string) int {
	return slices.IndexFunc(p.sockets, func(s presentSocket) bool { return s.socket == socket && s.instance == instance })
}

// remove removes a row.
func (t *table) remove(instance string, r row, now time.Time) {
	p := t.channels[r.channel][r.user]
	if p == nil {
		return
	}
	i := p.index(instance, r.socket)
	if i < 0 {
		return
	}
	p.sockets = slices.Delete(p.sockets, i, i+1)
	if len(p.sockets) == 0 {
		p.sockets = nil
		p.left++
		t.absences = append(t.absences, absence{leaveKey{r.channel, r.user}, now.Add(t.debounce), p.left})
	}
}

// next returns when expire has something to do.
func (t *table) next() (at time.Time, ok bool) {
	if len(t.absences) == 0 {
		return at, false
	}
	return t.absences[0].at, true
}

// expire removes the users who have been absent for long enough, and calls left
// for each.
func (t *table) expire(now time.Time, left func(leaveKey, json.RawMessage)) {
	n := 0
	for ; n < len(t.absences) && !t.absences[n].at.After(now); n++ {
		a := &t.absences[n]
		users := t.channels[a.channel]
		p := users[a.user]
		if p == nil || len(p.sockets) > 0 || p.left != a.left {
			continue
		}
		delete(users, a.user)
		if len(users) == 0 {
			delete(t.channels, a.channel)
		}
		left(a.leaveKey, p.info)
	}
	t.absences = slices.Delete(t.absences, 0, n)
	if len(t.absences) == 0 {
		t.absences = nil
	}
}
