package cluster

import (
	"maps"
	"slices"
	"time"
)

// Nodes tell each other each beat that they live. One of which nothing was heard
// for so long is dead.
const (
	beat     = time.Second
	lifespan = 3 * beat
)

// A node that starts again may be heard before others know that it was dead. It counts when
// its former instance was not heard for so long: a beat, and half of one for a late beat. Two
// nodes of one name are a mistake, and so the one that lives goes on undisturbed.
const takeover = beat + beat/2

// lostFor is for how long a node that is gone without a farewell may only be cut off, and still
// have sockets.
const lostFor = time.Minute

// beatMessage is what a node says of itself.
type beatMessage struct {
	Node     string `json:"node"`
	Instance string `json:"instance"` // another one after each start
	Leaving  bool   `json:"leaving,omitempty"`
	History  string `json:"history"`           // the digest of its rules
	Sees     int    `json:"sees"`              // how many nodes are alive, as it sees it
	Leads    int    `json:"leads"`             // how many streams it leads that others have copies of
	Witness  bool   `json:"witness,omitempty"` // it has no server

	Lost map[string]int64 `json:"lost,omitempty"` // the nodes that it misses, and for how many milliseconds
}

// member is another node.
type member struct {
	instance string
	history  string // the digest of its rules
	sees     int    // how many nodes are alive, as it sees it
	led      int    // how many streams it leads
	witness  bool   // it has no server
	heard    time.Time
	rival    bool // another instance was heard since
	rivals   int  // how often that was
}

// roster has the other nodes that are alive. It is not safe for concurrent use.
type roster struct {
	name, instance string // of this node
	began          time.Time
	led            int // how many streams this node leads
	others         map[string]member
	lost           map[string]time.Time // when nodes were gone without a farewell
	twins          map[string]time.Time // when two nodes with a name were last heard
	looked         time.Time            // when silent was called last
}

// hearing is what a beat means.
type hearing uint8

const (
	heardAgain    hearing = iota // nothing has changed
	heardFirst                   // a node has joined
	heardRestart                 // a node has started again
	heardLeaving                 // a node has left
	heardOwnName                 // another node has the name of this one
	heardSameName                // two other nodes have one name
)

// heard takes note of a beat.
func (r *roster) heard(b beatMessage, now time.Time) hearing {
	if b.Node == r.name {
		if b.Leaving || b.Instance == r.instance {
			return heardAgain // this node, or what it was before it started again
		}
		r.twin(b.Node, now)
		return heardOwnName
	}
	was, known := r.others[b.Node]
	switch {
	case b.Leaving:
		delete(r.lost, b.Node)
		if !known || was.instance != b.Instance {
			return heardAgain
		}
		delete(r.others, b.Node)
		return heardLeaving
	case known && b.Instance == was.instance:
		both := was.rival
		was.heard, was.rival, was.sees, was.led, was.witness = now, false, b.Sees, b.Leads, b.Witness
		if both {
			was.rivals++
		}
		r.others[b.Node] = was
		if both && was.rivals > 1 { // a single beat may be a late one
			r.twin(b.Node, now)
			return heardSameName
		}
		return heardAgain
	case known && now.Sub(was.heard) < takeover:
		was.rival = true
		r.others[b.Node] = was
		return heardAgain
	}
	if r.others == nil {
		r.others = make(map[string]member)
	}
	r.others[b.Node] = member{instance: b.Instance, history: b.History, sees: b.Sees, led: b.Leads, witness: b.Witness, heard: now}
	delete(r.lost, b.Node)
	r.learn(b.Lost, now)
	if known {
		return heardRestart
	}
	return heardFirst
}

// twin takes note that two nodes have a name.
func (r *roster) twin(name string, now time.Time) {
	if r.twins == nil {
		r.twins = make(map[string]time.Time)
	}
	r.twins[name] = now
}

// twinsAt returns the names that several nodes have, sorted.
func (r *roster) twinsAt(now time.Time) []string {
	maps.DeleteFunc(r.twins, func(_ string, heard time.Time) bool { return now.Sub(heard) >= lifespan })
	return slices.Sorted(maps.Keys(r.twins))
}

// learn takes over which nodes another one misses that were gone before this one began. Of
// others it knows itself.
func (r *roster) learn(lost map[string]int64, now time.Time) {
	for name, ms := range lost {
		since := now.Add(-time.Duration(ms) * time.Millisecond)
		if _, alive := r.others[name]; !alive && name != r.name && since.Before(r.began) {
			r.miss(name, since)
		}
	}
}

// silent removes the nodes of which nothing was heard, and returns their names.
// It is called several times in a beat. If that was much longer ago, this process
// stood still: then nobody could be heard, and all get a new lifespan.
func (r *roster) silent(now time.Time) (gone []string) {
	stood := !r.looked.IsZero() && now.Sub(r.looked) > 2*beat
	r.looked = now
	for name, other := range r.others {
		switch {
		case stood:
			other.heard = now
			r.others[name] = other
		case now.Sub(other.heard) >= lifespan:
			r.lose(name, now)
			gone = append(gone, name)
		}
	}
	slices.Sort(gone)
	return gone
}

// routeless removes the nodes to which there is no route, and returns their
// names.
func (r *roster) routeless(routes map[string]bool, now time.Time) (gone []string) {
	for name := range r.others {
		if !routes[name] {
			r.lose(name, now)
			gone = append(gone, name)
		}
	}
	slices.Sort(gone)
	return gone
}

// lose removes a node that may only be cut off.
func (r *roster) lose(name string, now time.Time) {
	delete(r.others, name)
	r.miss(name, now)
}

// miss takes note that a node has been gone since a time, and may only be cut off.
func (r *roster) miss(name string, since time.Time) {
	if r.lost == nil {
		r.lost = make(map[string]time.Time)
	}
	r.lost[name] = since
}

// unlike returns the nodes whose history rules have another digest than that of this one,
// sorted.
func (r *roster) unlike(history string) []string {
	return r.which(func(other member) bool { return other.history != history })
}

// witnesses returns the nodes without a server, this one not included, sorted.
func (r *roster) witnesses() []string {
	return r.which(func(other member) bool { return other.witness })
}

// which returns the other nodes of which something is true, sorted.
func (r *roster) which(is func(member) bool) (names []string) {
	for name, other := range r.others {
		if is(other) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// missed returns the nodes that have been lost within lostFor and have not come back.
func (r *roster) missed(now time.Time) (names []string) {
	r.forget(now)
	return slices.Collect(maps.Keys(r.lost))
}

// missing returns the same for other nodes.
func (r *roster) missing(now time.Time) map[string]int64 {
	r.forget(now)
	all := make(map[string]int64, len(r.lost))
	for name, since := range r.lost {
		all[name] = now.Sub(since).Milliseconds()
	}
	return all
}

// forget forgets the nodes that have been lost for too long.
func (r *roster) forget(now time.Time) {
	maps.DeleteFunc(r.lost, func(_ string, since time.Time) bool { return now.Sub(since) >= lostFor })
}

// names returns the names of all nodes that are alive, sorted.
func (r *roster) names() []string {
	return slices.Sorted(maps.Keys(r.alive(true)))
}

// alive returns the names of the nodes that are alive.
func (r *roster) alive(self bool) map[string]bool {
	all := make(map[string]bool, len(r.others)+1)
	for name := range r.others {
		all[name] = true
	}
	if self {
		all[r.name] = true
	}
	return all
}

// leads returns how many streams each node leads that is alive.
func (r *roster) leads() map[string]int {
	all := make(map[string]int, len(r.others)+1)
	for name, other := range r.others {
		all[name] = other.led
	}
	all[r.name] = r.led
	return all
}

// agreed reports whether all nodes see as many as this one.
func (r *roster) agreed() bool {
	for _, other := range r.others {
		if other.sees != len(r.others)+1 {
			return false
		}
	}
	return true
}

// instances returns the instances of the nodes that are alive, this one included.
func (r *roster) instances() map[string]bool {
	all := map[string]bool{r.instance: true}
	for _, other := range r.others {
		all[other.instance] = true
	}
	return all
}
