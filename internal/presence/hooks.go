package presence

import (
	"encoding/json"
	"time"
)

// Leave is a user who has left a channel: the user has had no socket in it, on
// any node, for the debounce.
type Leave struct {
	Channel, User string
	Info          json.RawMessage // of the latest of the user's sockets; nil if there was none
}

// Who returns who has left.
func (l *Leave) Who() Who { return Who{l.Channel, l.User} }

const (
	// hookGrace is the time within which a node must say that it runs a hook,
	// before the next one does.
	hookGrace = time.Second

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
	on   bool // there is a hook
	self string

	// earlyFor is the time for which a node remembers that another one runs a hook of a
	// leave that it has not seen itself. Nodes see the death of one at most
	// Options.Lifespan apart.
	earlyFor time.Duration

	// fresh is the time after the word of a node about a user within which the claim of
	// another node concerns a leave from before that. A leave comes the debounce after the
	// last word, or later; half of it is for what nodes hear late.
	fresh time.Duration

	waiting map[Who]*awaited
	early   map[Who]*earlyClaim
}

// awaited is a leave whose hook another node should run.
type awaited struct {
	leave Leave
	owner string    // who runs it, "" if nobody has said so
	at    time.Time // without an owner, when this node runs it; with one, when it is forgotten
}

// earlyClaim is a hook that another node runs, or has run, of a leave that this
// one has not seen yet: it is about to see the leave, or will see later that a node is dead.
// It says nothing of a leave that comes after a node has said something about the user.
type earlyClaim struct {
	owner string // "" when it has run
	at    time.Time
}

// left takes note of a leave, and reports whether this node must run its hook.
func (h *hookBook) left(leave Leave, now time.Time, alive map[string]bool) (run bool) {
	if !h.on {
		return false
	}
	key := leave.Who()
	if e := h.early[key]; e != nil {
		delete(h.early, key)
		if now.Sub(e.at) < h.earlyFor {
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
		h.waiting = make(map[Who]*awaited)
	}
	h.waiting[leave.Who()] = &awaited{leave, owner, at}
}

// rank returns how many of the nodes go before this one for a leave, by
// rendezvous hashing.
func (h *hookBook) rank(key Who, alive map[string]bool) (rank int) {
	weight := func(instance string) uint64 {
		return (&Row{Key: Key{key.Channel, instance}, User: key.User}).digest()
	}
	own := weight(h.self)
	for instance := range alive {
		if instance != h.self && weight(instance) > own {
			rank++
		}
	}
	return rank
}

// heard takes note that a node has said something about a user.
func (h *hookBook) heard(key Who) { delete(h.early, key) }

// claimed takes note that another node runs hooks. heard returns when a node last said
// something about a user.
func (h *hookBook) claimed(leaves []Who, by string, now time.Time, heard func(Who) time.Time) {
	if !h.on {
		return
	}
	for _, key := range leaves {
		if a := h.waiting[key]; a != nil {
			a.owner, a.at = by, now.Add(hookLate)
			continue
		}
		if now.Sub(heard(key)) < h.fresh {
			continue // of a leave that this node has not seen, as the user was back in time
		}
		if h.early == nil {
			h.early = make(map[Who]*earlyClaim)
		}
		h.early[key] = &earlyClaim{by, now}
	}
}

// done takes note that another node has run hooks that it has claimed.
func (h *hookBook) done(leaves []Who, by string) {
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
		if now.Sub(e.at) >= h.earlyFor {
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
