package login

import (
	"container/list"
	"slices"
)

// maxAddresses is the maximum number of known addresses of one user, who may
// have several devices, some of which move.
const maxAddresses = 16

// known is the set of addresses from which users have logged in. Users with the
// most addresses make room for others, so nobody can make it forget another's
// addresses by logging in from many places.
type known struct {
	limit int // of addresses, of all users together
	count int
	users map[uint64]*list.Element // of one of byCount
	// byCount has the users by their number of addresses. The next one to make
	// room is at the front; the one who has just logged in is at the back.
	byCount [maxAddresses + 1]list.List
}

type knownUser struct {
	key       uint64
	addresses []uint64 // the one of the latest login is last
}

func newKnown(limit int) known {
	return known{limit: limit, users: make(map[uint64]*list.Element)}
}

func (k *known) has(user, address uint64) bool {
	e := k.users[user]
	return e != nil && slices.Contains(e.Value.(*knownUser).addresses, address)
}

// add makes an address known. If there is no room, it replaces another one: one
// of this user, if this user would have the most, or else one of the user who
// has the most.
func (k *known) add(user, address uint64) {
	u := k.take(user)
	if i := slices.Index(u.addresses, address); i >= 0 {
		u.addresses = slices.Delete(u.addresses, i, i+1)
		k.count--
	}
	own := len(u.addresses)
	if own == maxAddresses || own > 0 && k.count == k.limit && own+1 >= k.most() {
		u.addresses = slices.Delete(u.addresses, 0, 1)
		k.count--
	} else if k.count == k.limit {
		k.forget()
	}
	u.addresses = append(u.addresses, address)
	k.count++
	k.users[user] = k.byCount[len(u.addresses)].PushBack(u)
}

// take removes a user from the lists, or makes a new one. The caller puts it
// back.
func (k *known) take(user uint64) *knownUser {
	e := k.users[user]
	if e == nil {
		return &knownUser{key: user}
	}
	delete(k.users, user)
	u := e.Value.(*knownUser)
	k.byCount[len(u.addresses)].Remove(e)
	return u
}

// most returns the highest number of addresses of a user.
func (k *known) most() int {
	n := maxAddresses
	for n > 0 && k.byCount[n].Len() == 0 {
		n--
	}
	return n
}

// forget makes room: the first of the users with the most addresses loses the
// oldest one. There must be a user.
func (k *known) forget() {
	e := k.byCount[k.most()].Front()
	u := k.take(e.Value.(*knownUser).key)
	u.addresses = slices.Delete(u.addresses, 0, 1)
	k.count--
	if len(u.addresses) > 0 {
		k.users[u.key] = k.byCount[len(u.addresses)].PushFront(u)
	}
}
