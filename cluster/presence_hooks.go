package cluster

import (
	"encoding/json"
	"time"
)

// Leave is a user who has left a channel: the user has had no socket in it, on
// any node, for the time of PresenceOptions.Debounce.
//
// PresenceOptions.OnLeave is called at least once for each leave that a node has
// seen which stays alive, usually exactly once, within some milliseconds of the
// leave. Which node calls it is derived from the names in the leave and the nodes
// that are alive. If that node has died, or did not know of the user, another one
// calls it some seconds later. It is called twice if the node dies while it runs
// the hook, and if nodes do not hear each other: each side of a cluster that is
// cut in two sees the users of the other side leave. It is not called if all
// nodes end at the same time. So a hook must bear to be called twice, and to be
// called for a user who has come back since.
type Leave struct {
	Channel, User string
	Info          json.RawMessage // of the latest of the user's sockets; nil if there was none
}

func (l *Leave) key() leaveKey { return leaveKey{l.Channel, l.User} }

const (
	// hookGrace is the time within which a node must say that it runs a hook,
	// before the next one does.
	hookGrace = time.Second

	// hookEarly is the time for which a node remembers that another one runs a
	// hook of a leave that it has not seen itself. Nodes see the death of one at
	// most lifespan apart.
	hookEarly = lifespan + 2*beat

	// hookLate is the time after which nobody waits for the end of a hook any
	// more.
	hookLate = time.Minute
)

// hookBook decides which node runs the hook of a leave. All nodes see each leave.
// They rank themselves for it in the same way; the first one says that it runs
// the hook, and later that it has. The next one waits for the former, and if it
// does not come, runs the hook itself. So a hook also runs if its node dies, or
// did not know of the user.
type hookBook struct {
	on      bool // there is a hook
	self    string
	waiting map[leaveKey]*awaited
	early   map[leaveKey]*earlyClaim
}

// awaited is a leave whose hook another node should run.
type awaited struct {
	leave Leave
	owner string    // who runs it, "" if nobody has said so
	at    time.Time // without an owner, when this node runs it; with one, when it is forgotten
}

// earlyClaim is a hook that another node runs, or has run, of a leave that this
// one has not seen yet.
type earlyClaim struct {
	owner string // "" when it has run
	at    time.Time
}

// left takes note of a leave, and reports whether this node must run its hook.
func (h *hookBook) left(leave Leave, now time.Time, alive map[string]bool) (run bool) {
	if !h.on {
		return false
	}
	key := leave.key()
	if e := h.early[key]; e != nil {
		delete(h.early, key)
		if now.Sub(e.at) < hookEarly {
			if e.owner != "" {
				h.wait(leave, e.owner, now.Add(hookLate))
			}
			return false
		}
	}
	rank := h.rank(key, alive)
	if rank > 0 {
		h.wait(leave, "", now.Add(time.Duration(rank)*hookGrace))
	}
	return rank == 0
}

func (h *hookBook) wait(leave Leave, owner string, at time.Time) {
	if h.waiting == nil {
		h.waiting = make(map[leaveKey]*awaited)
	}
	h.waiting[leave.key()] = &awaited{leave, owner, at}
}

// rank returns how many of the nodes go before this one for a leave, by
// rendezvous hashing.
func (h *hookBook) rank(key leaveKey, alive map[string]bool) (rank int) {
	weight := func(instance string) uint64 {
		return (&row{rowKey: rowKey{key.channel, instance}, user: key.user}).digest()
	}
	own := weight(h.self)
	for instance := range alive {
		if instance != h.self && weight(instance) > own {
			rank++
		}
	}
	return rank
}

// claimed takes note that another node runs hooks.
func (h *hookBook) claimed(leaves []leaveKey, by string, now time.Time) {
	if !h.on {
		return
	}
	for _, key := range leaves {
		if a := h.waiting[key]; a != nil {
			a.owner, a.at = by, now.Add(hookLate)
			continue
		}
		if h.early == nil {
			h.early = make(map[leaveKey]*earlyClaim)
		}
		h.early[key] = &earlyClaim{by, now}
	}
}

// done takes note that another node has run hooks that it has claimed.
func (h *hookBook) done(leaves []leaveKey, by string) {
	for _, key := range leaves {
		if a := h.waiting[key]; a != nil && a.owner == by {
			delete(h.waiting, key)
		}
		if e := h.early[key]; e != nil && e.owner == by {
			e.owner = ""
		}
	}
}

// overdue returns the leaves whose hooks this node must run, as no other one
// does.
func (h *hookBook) overdue(now time.Time, alive map[string]bool) (run []Leave) {
	for key, e := range h.early {
		if now.Sub(e.at) >= hookEarly {
			delete(h.early, key)
		}
	}
	for key, a := range h.waiting {
		if a.owner != "" && !alive[a.owner] {
			a.owner, a.at = "", now.Add(time.Duration(h.rank(key, alive))*hookGrace)
		}
		if a.at.After(now) {
			continue
		}
		delete(h.waiting, key)
		if a.owner == "" {
			run = append(run, a.leave)
		}
	}
	return run
}
