package login

import (
	"container/list"
	"slices"
)

// maxAddresses is how many addresses of one user are known: of several devices,
// some of which move.
const maxAddresses = 16

// known is the set of addresses that users have logged in from. A user has few
// of them, and those who have most make room for others, so that nobody can have
// another's addresses forgotten by logging in from many places.
type known struct {
	limit int // of addresses, of all users together
	count int
	users map[uint64]*list.Element // of one of byCount
	// byCount has the users by their number of addresses. The next one who is to
	// make room is at the front, who has just logged in at the back.
	byCount [maxAddresses + 1]list.List
}

type knownUser struct {
	key       uint64
	addresses []uint64 // the one of the last login is last
}

func newKnown(limit int) known {
	return known{limit: limit, users: make(map[uint64]*list.Element)}
}

func (k *known) has(user, address uint64) bool {
	e := k.users[user]
	return e != nil && slices.Contains(e.Value.(*knownUser).addresses, address)
}

// add makes an address known, in place of another if there is no room: of one of
// this user's own, if that has most with it, or else of the user who has most.
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

// take takes a user out, perhaps a new one, to be put back.
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

// most is how many addresses the user has who has most.
func (k *known) most() int {
	n := maxAddresses
	for n > 0 && k.byCount[n].Len() == 0 {
		n--
	}
	return n
}

// forget makes room: the first of those who have most addresses loses the oldest
// one. There must be somebody.
func (k *known) forget() {
	e := k.byCount[k.most()].Front()
	u := k.take(e.Value.(*knownUser).key)
	u.addresses = slices.Delete(u.addresses, 0, 1)
	k.count--
	if len(u.addresses) > 0 {
		k.users[u.key] = k.byCount[len(u.addresses)].PushFront(u)
	}
}
