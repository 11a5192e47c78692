package cluster

import (
	"encoding/json"
	"time"
)

// maxPart is about the size of the largest message about presence, in bytes. A
// row is smaller than that, see maxRow.
const maxPart = 256 << 10

// presenceCore is the state of presence on a node. It knows neither NATS nor the
// clock: it is told what happens, and collects what is to be sent and reported.
// It is not safe for concurrent use.
//
// Each node numbers the changes of its own rows and tells them to all others. A
// node that has missed one, or hears in a beat that it has other rows than it
// should, asks for all of them.
type presenceCore struct {
	node, instance string
	maxPart        int // about the size of the largest message, in bytes
	own            rowSet
	changes        []change        // of own, which have not been told yet
	seq            uint64          // of the last delta that was told
	alive          map[string]bool // the instances that are, this one included
	remotes        map[string]*remote
	table          table
	hooks          hookBook

	out  []outgoing
	news []news
	runs []Leave // hooks to run
}

// outgoing is a message to one instance, or to all if to is empty.
type outgoing struct {
	to   string
	data []byte
}

func newPresenceCore(node, instance string, debounce time.Duration, hooks bool) *presenceCore {
	return &presenceCore{
		node: node, instance: instance, maxPart: maxPart, remotes: make(map[string]*remote),
		table: table{debounce: debounce},
		hooks: hookBook{on: hooks, self: instance},
	}
}

func (c *presenceCore) send(to string, m *presenceMessage) {
	m.node, m.instance = c.node, c.instance
	c.out = append(c.out, outgoing{to, m.encode()})
}

// enter adds a row of this node, or changes it.
func (c *presenceCore) enter(r row, now time.Time) {
	old, replaced, changed := c.own.put(r)
	if !changed {
		return
	}
	c.changes = append(c.changes, change{row: r})
	c.put(c.instance, c.node, old, replaced, r, now)
}

// exit removes a row of this node, if there is one.
func (c *presenceCore) exit(key rowKey, now time.Time) {
	if old, removed := c.own.remove(key); removed {
		c.changes = append(c.changes, change{row: row{rowKey: key}, gone: true})
		c.table.remove(c.instance, old, now)
	}
}

// put puts a row in the table, in place of an old one of the same socket.
func (c *presenceCore) put(instance, node string, old row, replaced bool, r row, now time.Time) {
	if c.table.put(instance, node, r) {
		c.news = append(c.news, news{leaveKey{r.channel, r.user}, true, r.info})
	}
	if replaced && old.user != r.user {
		c.table.remove(instance, old, now)
	}
}

// flush tells the changes of own rows.
func (c *presenceCore) flush() {
	for len(c.changes) > 0 {
		n := c.partLength(c.changes)
		c.seq++
		c.send("", &presenceMessage{kind: deltaMessage, seq: c.seq, changes: c.changes[:n]})
		c.changes = c.changes[n:]
	}
	c.changes = nil
}

// partLength returns how many of the changes fit into a message.
func (c *presenceCore) partLength(changes []change) int {
	size := 0
	for i := range changes {
		if size += changes[i].size(); size > c.maxPart && i > 0 {
			return i
		}
	}
	return len(changes)
}

// beat tells all nodes what the rows of this one are, in short.
func (c *presenceCore) beat() {
	c.flush()
	c.send("", &presenceMessage{kind: beatMessageKind, seq: c.seq, count: uint64(len(c.own.rows)), digest: c.own.digest})
}

// snapshot tells one node all rows of this one.
func (c *presenceCore) snapshot(to string) {
	c.flush()
	all := make([]change, 0, len(c.own.rows))
	for _, r := range c.own.rows {
		all = append(all, change{row: r})
	}
	for part := uint64(0); ; part++ {
		n := c.partLength(all)
		c.send(to, &presenceMessage{kind: snapshotMessage, seq: c.seq, count: part, last: n == len(all), changes: all[:n]})
		if all = all[n:]; len(all) == 0 {
			return
		}
	}
}

// receive handles a message of another node. Those that are not known to be alive
// are not listened to, so that one which is gone leaves nothing behind. It is
// noticed by its beats when it is back.
func (c *presenceCore) receive(m *presenceMessage, now time.Time) {
	if !c.alive[m.instance] {
		return
	}
	switch m.kind {
	case askMessage:
		c.snapshot(m.instance)
		return
	case claimMessage:
		c.hooks.claimed(m.leaves, m.instance, now)
		return
	case doneMessage:
		c.hooks.done(m.leaves, m.instance)
		return
	}
	r := c.remotes[m.instance]
	if r == nil {
		r = &remote{node: m.node}
		c.remotes[m.instance] = r
	}
	switch m.kind {
	case deltaMessage:
		if r.delta(m.seq) {
			for i := range m.changes {
				c.apply(m.instance, r, &m.changes[i], now)
			}
		}
	case beatMessageKind:
		r.beat(m.seq, m.count, m.digest)
	case snapshotMessage:
		if r.snapshot(m, now) {
			c.adopt(m.instance, r, now)
		}
	}
	if r.wants(now) {
		c.send(m.instance, &presenceMessage{kind: askMessage})
	}
}

func (c *presenceCore) apply(instance string, r *remote, ch *change, now time.Time) {
	if ch.gone {
		if old, removed := r.rows.remove(ch.rowKey); removed {
			c.table.remove(instance, old, now)
		}
	} else if old, replaced, changed := r.rows.put(ch.row); changed {
		c.put(instance, r.node, old, replaced, ch.row, now)
	}
}

// adopt makes the rows of a node those of its snapshot.
func (c *presenceCore) adopt(instance string, r *remote, now time.Time) {
	for key, old := range r.rows.rows {
		if _, stays := r.parts.rows[key]; !stays {
			r.rows.remove(key)
			c.table.remove(instance, old, now)
		}
	}
	for _, latest := range r.parts.rows {
		if old, replaced, changed := r.rows.put(latest); changed {
			c.put(instance, r.node, old, replaced, latest, now)
		}
	}
	r.adopt()
}

// keep takes over which instances are alive, and removes the rows of those that
// are not.
func (c *presenceCore) keep(alive map[string]bool, now time.Time) {
	c.alive = alive
	for instance, r := range c.remotes {
		if alive[instance] {
			continue
		}
		delete(c.remotes, instance)
		for _, old := range r.rows.rows {
			c.table.remove(instance, old, now)
		}
	}
}

// expire makes those leave who have been absent for long enough.
func (c *presenceCore) expire(now time.Time) {
	var claims []leaveKey
	c.table.expire(now, func(key leaveKey, info json.RawMessage) {
		c.news = append(c.news, news{leaveKey: key, info: info})
		if leave := (Leave{Channel: key.channel, User: key.user, Info: info}); c.hooks.left(leave, now, c.alive) {
			c.runs = append(c.runs, leave)
			claims = append(claims, key)
		}
	})
	c.claim(claims)
}

// overdue runs the hooks that others should have run.
func (c *presenceCore) overdue(now time.Time) {
	var claims []leaveKey
	for _, leave := range c.hooks.overdue(now, c.alive) {
		c.runs = append(c.runs, leave)
		claims = append(claims, leave.key())
	}
	c.claim(claims)
}

// claim tells the others that this node runs the hooks of leaves.
func (c *presenceCore) claim(leaves []leaveKey) { c.tell(claimMessage, leaves) }

// tell tells all nodes something about hooks.
func (c *presenceCore) tell(kind byte, leaves []leaveKey) {
	for len(leaves) > 0 {
		n, size := 0, 0
		for n < len(leaves) && (n == 0 || size < c.maxPart) {
			size += len(leaves[n].channel) + len(leaves[n].user) + 6
			n++
		}
		c.send("", &presenceMessage{kind: kind, leaves: leaves[:n]})
		leaves = leaves[n:]
	}
}
