package presence

import (
	"encoding/json"
	"iter"
	"maps"
	"time"
)

// maxPart is about the size of the largest message, in bytes. A row is smaller than
// that, see [MaxRow].
const maxPart = 256 << 10

// Options of a [State]. All nodes need the same ones, except Node and Instance.
type Options struct {
	Node     string        // the name of the node
	Instance string        // another one after each start of the node
	Debounce time.Duration // for which a user must have no socket in a channel to have left it
	Hooks    bool          // leaves have hooks
	Beat     time.Duration // between two calls of State.Beat
	Lifespan time.Duration // for which a node is taken for alive after its last beat
}

// State is the state of presence on a node.
type State struct {
	o       Options
	maxPart int // about the size of the largest message, in bytes
	own     rowSet
	changes []change        // of own, which have not been told yet
	seq     uint64          // of the last delta that was told
	alive   map[string]bool // the instances that are, this one included
	remotes map[string]*remote
	table   table
	hooks   hookBook
	work    Work // that Step returns
}

// Work is what a node must do.
type Work struct {
	Messages []Message // to be sent, in this order
	News     []News    // to be reported, in this order
	Hooks    []Leave   // whose hooks are to be run; State.Ran must follow
}

// Message is a message to one instance, or to all others if To is empty.
type Message struct {
	To   string
	Data []byte
}

// New returns the state of a node that knows of no other one.
func New(o Options) *State {
	return &State{
		o: o, maxPart: maxPart, remotes: make(map[string]*remote),
		table: table{debounce: o.Debounce},
		hooks: hookBook{on: o.Hooks, self: o.Instance, earlyFor: o.Lifespan + 2*o.Beat, fresh: o.Debounce / 2},
	}
}

// Step makes those leave who have been absent for long enough, and returns what is to be
// done since the last call. At next, if ok, there will be more.
func (s *State) Step(now time.Time) (w Work, next time.Time, ok bool) {
	s.expire(now)
	s.flush()
	w, s.work = s.work, Work{}
	next, ok = s.table.next()
	return w, next, ok
}

func (s *State) send(to string, m *message) {
	m.node, m.instance = s.o.Node, s.o.Instance
	s.work.Messages = append(s.work.Messages, Message{to, m.encode()})
}

// Enter adds a row of this node, or changes it.
func (s *State) Enter(r Row, now time.Time) {
	old, replaced, changed := s.own.put(r)
	if !changed {
		return
	}
	s.changes = append(s.changes, change{Row: r})
	s.put(s.o.Instance, s.o.Node, old, replaced, r, now)
}

// Exit removes a row of this node, if there is one.
func (s *State) Exit(key Key, now time.Time) {
	if old, removed := s.own.remove(key); removed {
		s.changes = append(s.changes, change{Row: Row{Key: key}, gone: true})
		s.remove(s.o.Instance, old, now)
	}
}

// put puts a row in the table, in place of an old one of the same socket.
func (s *State) put(instance, node string, old Row, replaced bool, r Row, now time.Time) {
	if s.table.put(instance, node, r) {
		s.work.News = append(s.work.News, News{r.Who(), true, r.Info})
	}
	s.hear(r.Who(), now)
	if replaced && old.User != r.User {
		s.remove(instance, old, now)
	}
}

// remove removes a row that the node has said it has no more.
func (s *State) remove(instance string, r Row, now time.Time) {
	s.table.remove(instance, r, now)
	s.hear(r.Who(), now)
}

// hear takes note that a node has said something about a user.
func (s *State) hear(key Who, now time.Time) {
	s.table.hear(key, now)
	s.hooks.heard(key)
}

// flush tells the changes of own rows.
func (s *State) flush() {
	for len(s.changes) > 0 {
		n := s.partLength(s.changes)
		s.seq++
		s.send("", &message{kind: kindDelta, seq: s.seq, changes: s.changes[:n]})
		s.changes = s.changes[n:]
	}
	s.changes = nil
}

// partLength returns how many of the changes fit into a message.
func (s *State) partLength(changes []change) int {
	size := 0
	for i := range changes {
		if size += changes[i].size(); size > s.maxPart && i > 0 {
			return i
		}
	}
	return len(changes)
}

// Beat tells all nodes what the rows of this one are, in short.
func (s *State) Beat() {
	s.flush()
	s.send("", &message{kind: kindBeat, seq: s.seq, count: uint64(len(s.own.rows)), digest: s.own.digest})
}

// snapshot tells one node all rows of this one.
func (s *State) snapshot(to string) {
	s.flush()
	all := make([]change, 0, len(s.own.rows))
	for _, r := range s.own.rows {
		all = append(all, change{Row: r})
	}
	for part := uint64(0); ; part++ {
		n := s.partLength(all)
		s.send(to, &message{kind: kindSnapshot, seq: s.seq, count: part, last: n == len(all), changes: all[:n]})
		if all = all[n:]; len(all) == 0 {
			return
		}
	}
}

// Receive handles a message of another node. Those that are not known to be alive
// are not listened to, so that one which is gone leaves nothing behind. It is
// noticed by its beats when it is back. Receive fails, and changes nothing, if the
// bytes are no message. It keeps nothing of data.
func (s *State) Receive(data []byte, now time.Time) error {
	m, err := decode(data)
	if err == nil {
		s.receive(m, now)
	}
	return err
}

func (s *State) receive(m *message, now time.Time) {
	if !s.alive[m.instance] {
		return
	}
	switch m.kind {
	case kindAsk:
		s.snapshot(m.instance)
		return
	case kindClaim:
		s.hooks.claimed(m.leaves, m.instance, now, s.table.heard)
		return
	case kindDone:
		s.hooks.done(m.leaves, m.instance)
		return
	}
	r := s.remotes[m.instance]
	if r == nil {
		r = &remote{node: m.node}
		s.remotes[m.instance] = r
	}
	switch m.kind {
	case kindDelta:
		if r.delta(m.seq) {
			for i := range m.changes {
				s.apply(m.instance, r, &m.changes[i], now)
			}
		}
	case kindBeat:
		r.beat(m.seq, m.count, m.digest)
	case kindSnapshot:
		if r.snapshot(m, now) {
			s.adopt(m.instance, r, now)
		}
	}
	if r.wants(now, s.o.Beat/asksInBeat) {
		s.send(m.instance, &message{kind: kindAsk})
	}
}

func (s *State) apply(instance string, r *remote, ch *change, now time.Time) {
	if ch.gone {
		if old, removed := r.rows.remove(ch.Key); removed {
			s.remove(instance, old, now)
		}
	} else if old, replaced, changed := r.rows.put(ch.Row); changed {
		s.put(instance, r.node, old, replaced, ch.Row, now)
	}
}

// adopt makes the rows of a node those of its snapshot.
func (s *State) adopt(instance string, r *remote, now time.Time) {
	for key, old := range r.rows.rows {
		if _, stays := r.parts.rows[key]; !stays {
			r.rows.remove(key)
			s.remove(instance, old, now)
		}
	}
	for _, latest := range r.parts.rows {
		if old, replaced, changed := r.rows.put(latest); changed {
			s.put(instance, r.node, old, replaced, latest, now)
		}
	}
	r.adopt()
}

// Follow takes over which instances are alive, this one included, and removes the rows of
// those that are not. It keeps the map.
func (s *State) Follow(alive map[string]bool, now time.Time) {
	s.alive = alive
	for instance, r := range s.remotes {
		if alive[instance] {
			continue
		}
		delete(s.remotes, instance)
		for _, old := range r.rows.rows {
			s.table.remove(instance, old, now)
		}
	}
}

// expire makes those leave who have been absent for long enough.
func (s *State) expire(now time.Time) {
	var claims []Who
	s.table.expire(now, func(key Who, info json.RawMessage) {
		s.work.News = append(s.work.News, News{Who: key, Info: info})
		if leave := (Leave{Channel: key.Channel, User: key.User, Info: info}); s.hooks.left(leave, now, s.alive) {
			s.work.Hooks = append(s.work.Hooks, leave)
			claims = append(claims, key)
		}
	})
	s.claim(claims)
}

// Overdue runs the hooks that others should have run.
func (s *State) Overdue(now time.Time) {
	var claims []Who
	for _, leave := range s.hooks.overdue(now, s.alive) {
		s.work.Hooks = append(s.work.Hooks, leave)
		claims = append(claims, leave.Who())
	}
	s.claim(claims)
}

// Ran tells the others that this node has run the hooks of leaves.
func (s *State) Ran(leaves []Who) { s.tell(kindDone, leaves) }

// Waiting returns of how many leaves another node should run the hook.
func (s *State) Waiting() int { return len(s.hooks.waiting) }

// claim tells the others that this node runs the hooks of leaves.
func (s *State) claim(leaves []Who) { s.tell(kindClaim, leaves) }

// tell tells all nodes something about hooks.
func (s *State) tell(kind byte, leaves []Who) {
	for len(leaves) > 0 {
		n, size := 0, 0
		for n < len(leaves) && (n == 0 || size < s.maxPart) {
			size += len(leaves[n].Channel) + len(leaves[n].User) + 6
			n++
		}
		s.send("", &message{kind: kind, leaves: leaves[:n]})
		leaves = leaves[n:]
	}
}

// Users yields who is in a channel, in no particular order.
func (s *State) Users(channel string) iter.Seq2[string, *User] {
	return maps.All(s.table.channels[channel])
}

// User returns a user in a channel, or nil. It is as it is now until the state changes.
func (s *State) User(channel, user string) *User { return s.table.channels[channel][user] }

// NumUsers returns the number of users in a channel.
func (s *State) NumUsers(channel string) int { return len(s.table.channels[channel]) }

// NumRows returns the number of rows of this node.
func (s *State) NumRows() int { return len(s.own.rows) }

// Channels yields the channels with users, in no particular order.
func (s *State) Channels() iter.Seq[string] { return maps.Keys(s.table.channels) }
