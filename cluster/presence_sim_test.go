package cluster

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

var presenceSeeds = flag.Int("presence.seeds", 300, "the number of schedules of the simulation of presence")

// simNode is a node of the simulation.
type simNode struct {
	core    *presenceCore
	name    string
	start   int                    // counts its instances
	told    map[leaveKey]bool      // who is there, by the news
	leaves  map[leaveKey]time.Time // the last leave that it has seen
	running []simHook
}

type simHook struct {
	key   leaveKey
	began time.Time
}

// simMessage is on its way.
type simMessage struct {
	to   string // an instance
	data []byte
	at   time.Time
}

// presenceSim is nodes with a network that loses, delays and repeats messages,
// and what they should know.
type presenceSim struct {
	t        *testing.T
	rnd      *rand.Rand
	now      time.Time
	nodes    []*simNode
	dead     map[string]bool // nodes that have not started again
	cut      map[[2]string]bool
	faulty   bool
	net      []simMessage
	lastGone map[leaveKey]time.Time // when the last row of a user was removed
	ran      map[leaveKey]time.Time // the beginning of the latest hook that ended
	log      []string
}

const (
	simDebounce = 2 * time.Second
	simLate     = 3 * time.Second // how late a message may be
)

func (s *presenceSim) note(format string, args ...any) {
	s.log = append(s.log, fmt.Sprintf("%v ", s.now.Sub(time.Unix(0, 0)))+fmt.Sprintf(format, args...))
}

func (s *presenceSim) startNode(n *simNode) {
	n.start++
	n.core = newPresenceCore(n.name, fmt.Sprint(n.name, n.start), simDebounce, true)
	n.core.maxPart = 50 // two rows
	n.told, n.leaves = make(map[leaveKey]bool), make(map[leaveKey]time.Time)
	n.running = nil
	delete(s.dead, n.name)
	s.note("start %s", n.core.instance)
	s.membership()
}

// alive returns the instances that a node takes for alive.
func (s *presenceSim) alive(n *simNode) map[string]bool {
	all := make(map[string]bool)
	for _, other := range s.nodes {
		if !s.dead[other.name] && !s.cut[[2]string{n.name, other.name}] {
			all[other.core.instance] = true
		}
	}
	return all
}

// membership tells all nodes which are alive.
func (s *presenceSim) membership() {
	for _, n := range s.nodes {
		if n.core != nil && !s.dead[n.name] {
			n.core.keep(s.alive(n), s.now)
			n.core.beat()
			s.step(n)
		}
	}
}

// step does for a node what Presence.step does.
func (s *presenceSim) step(n *simNode) {
	c := n.core
	c.expire(s.now)
	c.flush()
	for _, o := range c.out {
		for _, other := range s.nodes {
			if other == n || other.core == nil || s.dead[other.name] || o.to != "" && o.to != other.core.instance || s.cut[[2]string{n.name, other.name}] {
				continue
			}
			for copies := 1; copies > 0; copies-- {
				m := simMessage{to: other.core.instance, data: o.data, at: s.now}
				if s.faulty {
					switch s.rnd.IntN(20) {
					case 0, 1:
						continue
					case 2:
						m.at = s.now.Add(time.Duration(s.rnd.Int64N(int64(simLate))))
					case 3:
						copies++
					}
				}
				s.net = append(s.net, m)
			}
		}
	}
	for _, e := range c.news {
		if n.told[e.leaveKey] == e.joined {
			s.fail("%s reports of %v again: joined is %v", c.instance, e.leaveKey, e.joined)
		}
		n.told[e.leaveKey] = e.joined
		s.note("%s sees %v: %v", c.instance, e.leaveKey, e.joined)
		if !e.joined {
			n.leaves[e.leaveKey] = s.now
		}
	}
	for _, leave := range c.runs {
		s.note("%s runs %v", c.instance, leave.key())
		n.running = append(n.running, simHook{leave.key(), s.now})
	}
	c.out, c.news, c.runs = nil, nil, nil
}

func (s *presenceSim) fail(format string, args ...any) {
	s.t.Helper()
	for _, line := range s.log {
		s.t.Log(line)
	}
	s.t.Fatalf(format, args...)
}

// deliver delivers the messages that are due.
func (s *presenceSim) deliver() {
	due := s.net
	s.net = nil
	for _, m := range due {
		if m.at.After(s.now) {
			s.net = append(s.net, m)
			continue
		}
		for _, n := range s.nodes {
			if n.core == nil || s.dead[n.name] || n.core.instance != m.to {
				continue
			}
			msg, err := decodePresence(m.data)
			if err != nil {
				s.fail("%v", err)
			}
			n.core.receive(msg, s.now)
			s.step(n)
		}
	}
}

// advance lets time pass, with a beat of each node each second.
func (s *presenceSim) advance(d time.Duration) {
	for end := s.now.Add(d); s.now.Before(end); {
		before := s.now.Unix()
		s.now = s.now.Add(min(100*time.Millisecond, end.Sub(s.now)))
		for _, n := range s.nodes {
			if n.core == nil || s.dead[n.name] {
				continue
			}
			if s.now.Unix() != before {
				n.core.beat()
				n.core.overdue(s.now)
			}
			s.step(n)
		}
		for len(s.net) > 0 {
			length := len(s.net)
			s.deliver()
			if len(s.net) >= length {
				break // they are late
			}
		}
	}
}

// rows returns the rows that there are, of all nodes.
func (s *presenceSim) rows() map[leaveKey]int {
	all := make(map[leaveKey]int)
	for _, n := range s.nodes {
		if n.core != nil && !s.dead[n.name] {
			for _, r := range n.core.own.rows {
				all[leaveKey{r.channel, r.user}]++
			}
		}
	}
	return all
}

// change does something that changes rows, and takes note of who is gone by it.
func (s *presenceSim) change(do func()) {
	before := s.rows()
	do()
	after := s.rows()
	for key := range before {
		if after[key] == 0 {
			s.lastGone[key] = s.now
		}
	}
}

func (s *presenceSim) act() {
	n := s.nodes[s.rnd.IntN(len(s.nodes))]
	r := row{rowKey{[]string{"x", "y"}[s.rnd.IntN(2)], fmt.Sprint(n.name, s.rnd.IntN(4))}, []string{"alice", "bob", "carol"}[s.rnd.IntN(3)], nil}
	dead := s.dead[n.name]
	switch k := s.rnd.IntN(100); {
	case k < 30 && !dead:
		s.note("%s: enter %v", n.core.instance, r)
		s.change(func() { n.core.enter(r, s.now) })
		s.step(n)
	case k < 60 && !dead:
		s.note("%s: exit %v", n.core.instance, r.rowKey)
		s.change(func() { n.core.exit(r.rowKey, s.now) })
		s.step(n)
	case k < 63 && !dead && len(s.dead) < len(s.nodes)-1:
		s.note("%s dies", n.core.instance)
		s.change(func() { s.dead[n.name] = true })
		s.membership()
	case k < 68 && dead:
		s.startNode(n)
	case k < 70:
		other := s.nodes[s.rnd.IntN(len(s.nodes))]
		if other != n {
			cut := !s.cut[[2]string{n.name, other.name}]
			s.note("%s and %s are cut: %v", n.name, other.name, cut)
			s.cut[[2]string{n.name, other.name}], s.cut[[2]string{other.name, n.name}] = cut, cut
			s.membership()
		}
	case k < 80:
		s.finish(n)
	default:
		s.advance(time.Duration(s.rnd.IntN(1000)) * time.Millisecond)
	}
}

// finish ends a hook that a node runs.
func (s *presenceSim) finish(n *simNode) {
	if s.dead[n.name] || len(n.running) == 0 {
		return
	}
	h := n.running[0]
	n.running = n.running[1:]
	if h.began.After(s.ran[h.key]) {
		s.ran[h.key] = h.began
	}
	s.note("%s has run %v", n.core.instance, h.key)
	if slices.ContainsFunc(n.running, func(other simHook) bool { return other.key == h.key }) {
		return
	}
	n.core.tell(doneMessage, []leaveKey{h.key})
	s.step(n)
}

// check lets the network heal, and compares what the nodes know with what is.
func (s *presenceSim) check() {
	s.faulty = false
	clear(s.cut)
	s.note("all is well")
	s.membership()
	s.advance(simLate + 3*beat + simDebounce) // late messages, then what they have broken
	for range 2 {
		for _, n := range s.nodes {
			for len(n.running) > 0 && !s.dead[n.name] {
				s.finish(n)
			}
		}
		s.advance(hookEarly + 5*time.Second)
	}
	s.advance(hookLate) // what has lost the end of a hook forgets it
	want := s.rows()
	for _, n := range s.nodes {
		if s.dead[n.name] {
			continue
		}
		if len(n.core.remotes) != len(s.alive(n))-1 {
			s.fail("%s knows %d other nodes, of %v", n.core.instance, len(n.core.remotes), s.alive(n))
		}
		got := make(map[leaveKey]int)
		for channel, users := range n.core.table.channels {
			for user, p := range users {
				got[leaveKey{channel, user}] = len(p.sockets)
			}
		}
		if !maps.Equal(got, want) {
			s.fail("%s sees %v, want %v", n.core.instance, got, want)
		}
		for key, here := range n.told {
			if here != (want[key] > 0) {
				s.fail("%s was told of %v: %v", n.core.instance, key, here)
			}
		}
		for key, left := range n.leaves {
			gone, was := s.lastGone[key]
			if was && want[key] == 0 && left.After(gone) && s.ran[key].Before(gone.Add(-hookEarly-simLate)) {
				s.fail("the hook of %v has not run: gone at %v, last run at %v; %s has seen it", key, gone, s.ran[key], n.core.instance)
			}
		}
		if len(n.core.hooks.waiting) > 0 || len(n.core.hooks.early) > 0 {
			s.fail("%s still waits for hooks: %v, %v", n.core.instance, n.core.hooks.waiting, n.core.hooks.early)
		}
	}
}

func newPresenceSim(t *testing.T, seed, nodes int) *presenceSim {
	s := &presenceSim{
		t: t, rnd: rand.New(rand.NewPCG(uint64(seed), 1)), now: time.Unix(0, 0),
		dead: make(map[string]bool), cut: make(map[[2]string]bool),
		lastGone: make(map[leaveKey]time.Time), ran: make(map[leaveKey]time.Time),
	}
	for _, name := range []string{"a", "b", "c", "d"}[:nodes] {
		n := &simNode{name: name}
		s.nodes = append(s.nodes, n)
		s.startNode(n)
	}
	return s
}

// Whatever is lost, late or repeated, and whichever nodes die or are cut off, all
// nodes end with the same rows, those that there are; joins and leaves take
// turns; and the hook of a leave runs.
func TestPresenceSimulation(t *testing.T) {
	for seed := range *presenceSeeds {
		s := newPresenceSim(t, seed, 2+seed%3)
		s.faulty = seed%4 != 0
		for range 200 {
			s.act()
		}
		if t.Run(fmt.Sprint(seed), func(t *testing.T) { s.t = t; s.check() }); t.Failed() {
			return
		}
	}
}

// Without faults, each leave has one hook, all nodes have their share, and a node
// whose hooks take long is waited for.
func TestHooksOnce(t *testing.T) {
	s := newPresenceSim(t, 0, 3)
	s.advance(time.Second)
	const users = 60
	enter := func(n *simNode, i int) {
		n.core.enter(row{rowKey: rowKey{"x", fmt.Sprint(n.name, i)}, user: fmt.Sprint(i)}, s.now)
	}
	ran := func(nodes ...*simNode) (all []string) {
		for _, n := range nodes {
			for _, h := range n.running {
				all = append(all, h.key.user)
			}
			n.running = nil
		}
		slices.Sort(all)
		if len(slices.Compact(slices.Clone(all))) < len(all) {
			t.Errorf("hooks have run twice: %v", all)
		}
		return all
	}
	a, b, c := s.nodes[0], s.nodes[1], s.nodes[2]
	for i := range users { // each has two sockets on two nodes
		enter(a, i)
		enter(b, i)
	}
	s.advance(10 * time.Second)
	s.dead["a"] = true
	s.membership()
	s.advance(10 * time.Second)
	if got := ran(b, c); len(got) > 0 {
		t.Errorf("hooks run for users who are still on b: %v", got)
	}
	s.dead["b"] = true
	s.startNode(a) // it does not know of the users
	s.advance(10 * time.Second)
	if got := ran(c); len(got) != users {
		t.Errorf("c has run %d hooks, want %d", len(got), users)
	}
	s.startNode(b)
	for i := range users {
		enter(a, users+i)
	}
	s.advance(time.Second)
	for i := range users {
		a.core.exit(rowKey{"x", fmt.Sprint("a", users+i)}, s.now)
	}
	s.advance(10 * time.Second)
	for _, n := range s.nodes {
		if share := len(n.running); share < users/6 {
			t.Errorf("%s has run %d of %d hooks", n.name, share, users)
		}
	}
	if got := ran(a, b, c); len(got) != users {
		t.Errorf("%d hooks have run, want %d", len(got), users)
	}
}
