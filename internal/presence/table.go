package presence

import (
	"encoding/json"
	"slices"
	"time"
)

// table has the rows of all nodes by channel and user. A user whose last row has
// been removed stays for a while, so that one who comes back soon has never left.
type table struct {
	debounce time.Duration
	channels map[string]map[string]*User
	absences []absence // in the order of their ends
}

// User is what is known of a user in a channel.
type User struct {
	Sockets []Socket        // in the order in which they came; none while the user may come back within the debounce
	Info    json.RawMessage // of the latest row; nil if there was none
	heard   time.Time       // when a node last said that it has a row of the user, or has none any more
	left    uint64          // counts how often the last row was removed
}

// Socket is a row of a user.
type Socket struct {
	Instance, Node, ID string
	Info               json.RawMessage
}

// absence is a user without rows, who leaves at a time unless there are some
// again.
type absence struct {
	Who
	at   time.Time
	left uint64 // what User.left was
}

// News is a join or a leave.
type News struct {
	Who
	Joined bool
	Info   json.RawMessage // of the latest row
}

// hear takes note that a node has said something about a user.
func (t *table) hear(key Who, now time.Time) {
	if p := t.channels[key.Channel][key.User]; p != nil {
		p.heard = now
	}
}

// heard returns when a node last said something about a user, zero if the user is not there.
func (t *table) heard(key Who) time.Time {
	if p := t.channels[key.Channel][key.User]; p != nil {
		return p.heard
	}
	return time.Time{}
}

// put adds a row, in place of one of the same socket. It reports whether the user
// joins the channel by that.
func (t *table) put(instance, node string, r Row) (joined bool) {
	users := t.channels[r.Channel]
	if users == nil {
		if t.channels == nil {
			t.channels = make(map[string]map[string]*User)
		}
		users = make(map[string]*User)
		t.channels[r.Channel] = users
	}
	p := users[r.User]
	if joined = p == nil; joined {
		p = new(User)
		users[r.User] = p
	}
	p.Info = r.Info
	s := Socket{instance, node, r.Socket, r.Info}
	if i := p.index(instance, r.Socket); i >= 0 {
		p.Sockets[i] = s
	} else {
		p.Sockets = append(p.Sockets, s)
	}
	return joined
}

func (p *User) index(instance, socket string) int {
	return slices.IndexFunc(p.Sockets, func(s Socket) bool { return s.ID == socket && s.Instance == instance })
}

// remove removes a row.
func (t *table) remove(instance string, r Row, now time.Time) {
	p := t.channels[r.Channel][r.User]
	if p == nil {
		return
	}
	i := p.index(instance, r.Socket)
	if i < 0 {
		return
	}
	p.Sockets = slices.Delete(p.Sockets, i, i+1)
	if len(p.Sockets) == 0 {
		p.Sockets = nil
		p.left++
		t.absences = append(t.absences, absence{Who{r.Channel, r.User}, now.Add(t.debounce), p.left})
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
func (t *table) expire(now time.Time, left func(Who, json.RawMessage)) {
	n := 0
	for ; n < len(t.absences) && !t.absences[n].at.After(now); n++ {
		a := &t.absences[n]
		users := t.channels[a.Channel]
		p := users[a.User]
		if p == nil || len(p.Sockets) > 0 || p.left != a.left {
			continue
		}
		delete(users, a.User)
		if len(users) == 0 {
			delete(t.channels, a.Channel)
		}
		left(a.Who, p.Info)
	}
	t.absences = slices.Delete(t.absences, 0, n)
	if len(t.absences) == 0 {
		t.absences = nil
	}
}
