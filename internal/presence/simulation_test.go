package presence

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

var seeds = flag.Int("seeds", 600, "the number of schedules of the simulation of presence")

// simNode is a node of the simulation.
type simNode struct {
	core    *State
	name    string
	start   int               // counts its instances
	told    map[Who]bool      // who is there, by the news
	leaves  map[Who]time.Time // the last leave that it has seen
	running []simHook
	heard   map[string]time.Time // when its last message to an instance arrives
}

type simHook struct {
	key   Who
	began time.Time
}

// simMessage is on its way.
type simMessage struct {
	to   string // an instance
	data []byte
	at   time.Time
}

// simGone is the removal of the last row of a user.
type simGone struct {
	at   time.Time
	calm bool // all nodes had been there for long, and heard each other
}

// simulation is nodes with a network that loses, delays and repeats messages,
// and what they should know.
type simulation struct {
	t        *testing.T
	rnd      *rand.Rand
	now      time.Time
	nodes    []*simNode
	dead     map[string]bool // nodes that have not started again
	cut      map[[2]string]bool
	trouble  time.Time // when a node was last dead, back or cut off
	faulty   bool      // messages are lost, late and repeated
	calm     bool      // no node dies or is cut off
	net      []simMessage
	lastGone map[Who]simGone
	ran      map[Who]time.Time // the beginning of the latest hook that ended
	log      []string
}

const (
	simDebounce = 2 * time.Second
	simLate     = 3 * time.Second        // how late a message may be if there are faults
	simLatency  = 200 * time.Millisecond // how late one may be without
)

func (s *simulation) note(format string, args ...any) {
	s.log = append(s.log, fmt.Sprintf("%v ", s.now.Sub(time.Unix(0, 0)))+fmt.Sprintf(format, args...))
}

func (s *simulation) startNode(n *simNode) {
	n.start++
	n.core = newState(n.name, fmt.Sprint(n.name, n.start), simDebounce, true)
	n.core.maxPart = 50 // two rows
	n.told, n.leaves = make(map[Who]bool), make(map[Who]time.Time)
	n.running, n.heard = nil, make(map[string]time.Time)
	delete(s.dead, n.name)
	s.note("start %s", n.core.o.Instance)
	s.membership()
}

// alive returns the instances that a node takes for alive.
func (s *simulation) alive(n *simNode) map[string]bool {
	all := make(map[string]bool)
	for _, other := range s.nodes {
		if !s.dead[other.name] && !s.cut[[2]string{n.name, other.name}] {
			all[other.core.o.Instance] = true
		}
	}
	return all
}

// membership tells all nodes which are alive.
func (s *simulation) membership() {
	s.trouble = s.now
	for _, n := range s.nodes {
		if n.core != nil && !s.dead[n.name] {
			n.core.Follow(s.alive(n), s.now)
			n.core.Beat()
			s.step(n)
		}
	}
}

// step does what a node must do.
func (s *simulation) step(n *simNode) {
	c := n.core
	work, _, _ := c.Step(s.now)
	for _, o := range work.Messages {
		for _, other := range s.nodes {
			if other == n || other.core == nil || s.dead[other.name] || o.To != "" && o.To != other.core.o.Instance || s.cut[[2]string{n.name, other.name}] {
				continue
			}
			for copies := 1; copies > 0; copies-- {
				m := simMessage{to: other.core.o.Instance, data: o.Data, at: s.now}
				if s.faulty {
					switch s.rnd.IntN(20) {
					case 0, 1:
						continue
					case 2:
						m.at = s.now.Add(time.Duration(s.rnd.Int64N(int64(simLate))))
					case 3:
						copies++
					}
				} else { // what one node tells another stays in order
					m.at = later(n.heard[m.to], s.now.Add(time.Duration(s.rnd.Int64N(int64(simLatency)))))
					n.heard[m.to] = m.at
				}
				s.net = append(s.net, m)
			}
		}
	}
	for _, e := range work.News {
		if n.told[e.Who] == e.Joined {
			s.fail("%s reports of %v again: joined is %v", c.o.Instance, e.Who, e.Joined)
		}
		n.told[e.Who] = e.Joined
		s.note("%s sees %v: %v", c.o.Instance, e.Who, e.Joined)
		if !e.Joined {
			n.leaves[e.Who] = s.now
		}
	}
	for _, leave := range work.Hooks {
		s.note("%s runs %v", c.o.Instance, leave.Who())
		n.running = append(n.running, simHook{leave.Who(), s.now})
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (s *simulation) fail(format string, args ...any) {
	s.t.Helper()
	for _, line := range s.log {
		s.t.Log(line)
	}
	s.t.Fatalf(format, args...)
}

// deliver delivers the messages that are due.
func (s *simulation) deliver() {
	due := s.net
	s.net = nil
	for _, m := range due {
		if m.at.After(s.now) {
			s.net = append(s.net, m)
			continue
		}
		for _, n := range s.nodes {
			if n.core == nil || s.dead[n.name] || n.core.o.Instance != m.to {
				continue
			}
			msg, err := decode(m.data)
			if err != nil {
				s.fail("%v", err)
			}
			n.core.receive(msg, s.now)
			s.step(n)
		}
	}
}

// advance lets time pass, with a beat of each node each second.
func (s *simulation) advance(d time.Duration) {
	for end := s.now.Add(d); s.now.Before(end); {
		before := s.now.Unix()
		s.now = s.now.Add(min(50*time.Millisecond, end.Sub(s.now)))
		for _, n := range s.nodes {
			if n.core == nil || s.dead[n.name] {
				continue
			}
			if s.now.Unix() != before {
				n.core.Beat()
				n.core.Overdue(s.now)
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
func (s *simulation) rows() map[Who]int {
	all := make(map[Who]int)
	for _, n := range s.nodes {
		if n.core != nil && !s.dead[n.name] {
			for _, r := range n.core.own.rows {
				all[Who{r.Channel, r.User}]++
			}
		}
	}
	return all
}

// change does something that changes rows, and takes note of who is gone by it.
func (s *simulation) change(do func()) {
	before := s.rows()
	do()
	after := s.rows()
	for key := range before {
		if after[key] == 0 {
			s.lastGone[key] = simGone{s.now, len(s.cut) == 0 && s.now.Sub(s.trouble) > hookEarly+simLate}
		}
	}
}

// any returns one of the nodes.
func (s *simulation) any() *simNode { return s.nodes[s.rnd.IntN(len(s.nodes))] }

// leave makes a user be in a channel, and removes all rows of the user.
func (s *simulation) leave(key Who) {
	n := s.any()
	s.enter(n, Row{Key{key.Channel, n.name}, key.User, nil})
	s.advance(time.Duration(s.rnd.Int64N(int64(beat))))
	for _, n := range s.nodes {
		for _, r := range n.core.own.rows {
			if r.Who() == key {
				s.exit(n, r.Key)
			}
		}
	}
}

func (s *simulation) enter(n *simNode, r Row) {
	s.note("%s: enter %v", n.core.o.Instance, r)
	s.change(func() { n.core.Enter(r, s.now) })
	s.step(n)
}

func (s *simulation) exit(n *simNode, key Key) {
	s.note("%s: exit %v", n.core.o.Instance, key)
	s.change(func() { n.core.Exit(key, s.now) })
	s.step(n)
}

func (s *simulation) act() {
	n := s.any()
	r := Row{Key{[]string{"x", "y"}[s.rnd.IntN(2)], fmt.Sprint(n.name, s.rnd.IntN(4))}, []string{"alice", "bob", "carol"}[s.rnd.IntN(3)], nil}
	dead := s.dead[n.name]
	switch k := s.rnd.IntN(100); {
	case k < 30 && !dead:
		s.enter(n, r)
	case k < 60 && !dead:
		s.exit(n, r.Key)
	case k < 63 && !s.calm && !dead && len(s.dead) < len(s.nodes)-1:
		s.die(n)
	case k < 68 && dead:
		s.startNode(n)
	case k < 70 && !s.calm:
		if other := s.any(); other != n {
			s.toggle(n, other)
		}
	case k < 80:
		s.finish(n)
	case k < 84:
		s.comeBack(n)
	default:
		s.advance(time.Duration(s.rnd.IntN(1000)) * time.Millisecond)
	}
}

func (s *simulation) die(n *simNode) {
	s.note("%s dies", n.core.o.Instance)
	s.trouble = s.now
	s.change(func() { s.dead[n.name] = true })
	s.membership()
}

// toggle cuts two nodes off from each other, or connects them again.
func (s *simulation) toggle(n, other *simNode) {
	one, two := [2]string{n.name, other.name}, [2]string{other.name, n.name}
	cut := !s.cut[one]
	s.note("%s and %s are cut: %v", n.name, other.name, cut)
	if cut {
		s.cut[one], s.cut[two] = true, true
	} else {
		delete(s.cut, one)
		delete(s.cut, two)
	}
	s.membership()
}

// comeBack makes a user visit a node at the moment at which the user leaves, so that some
// nodes see a leave and others do not.
func (s *simulation) comeBack(n *simNode) {
	key := Who{"x", "alice"}
	last, gone := s.lastGone[key]
	if s.rows()[key] > 0 || !gone || s.dead[n.name] || s.now.Sub(last.at) > simDebounce {
		return
	}
	s.advance(last.at.Add(simDebounce + time.Duration(s.rnd.Int64N(int64(simLatency)))).Sub(s.now))
	r := Row{Key{key.Channel, n.name}, key.User, nil}
	s.enter(n, r)
	s.advance(time.Duration(s.rnd.Int64N(int64(simLatency))))
	s.exit(n, r.Key)
	s.advance(simLatency)
}

// finish ends a hook that a node runs.
func (s *simulation) finish(n *simNode) {
	if s.dead[n.name] || len(n.running) == 0 {
		return
	}
	h := n.running[0]
	n.running = n.running[1:]
	if h.began.After(s.ran[h.key]) {
		s.ran[h.key] = h.began
	}
	s.note("%s has run %v", n.core.o.Instance, h.key)
	if slices.ContainsFunc(n.running, func(other simHook) bool { return other.key == h.key }) {
		return
	}
	n.core.Ran([]Who{h.key})
	s.step(n)
}

// check lets the network heal, and compares what the nodes know with what is.
func (s *simulation) check() {
	faulty := s.faulty
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
			s.fail("%s knows %d other nodes, of %v", n.core.o.Instance, len(n.core.remotes), s.alive(n))
		}
		got := make(map[Who]int)
		for channel, users := range n.core.table.channels {
			for user, p := range users {
				got[Who{channel, user}] = len(p.Sockets)
			}
		}
		if !maps.Equal(got, want) {
			s.fail("%s sees %v, want %v", n.core.o.Instance, got, want)
		}
		for key, here := range n.told {
			if here != (want[key] > 0) {
				s.fail("%s was told of %v: %v", n.core.o.Instance, key, here)
			}
		}
		for key, left := range n.leaves {
			// A node may take a user for gone before others do. In a calm cluster, none does, and
			// one that sees the last leave sees it a debounce after the user was gone.
			slack, after := hookEarly+simLate, time.Duration(0)
			gone, was := s.lastGone[key]
			if gone.calm && !faulty {
				slack, after = 0, simDebounce
			}
			if was && want[key] == 0 && !left.Before(gone.at.Add(after)) && s.ran[key].Before(gone.at.Add(-slack)) {
				s.fail("the hook of %v has not run: gone at %v, last run at %v; %s has seen it", key, gone.at, s.ran[key], n.core.o.Instance)
			}
		}
		if len(n.core.hooks.waiting) > 0 || len(n.core.hooks.early) > 0 {
			s.fail("%s still waits for hooks: %v, %v", n.core.o.Instance, n.core.hooks.waiting, n.core.hooks.early)
		}
	}
}

// The times of a node of a cluster.
const (
	beat      = time.Second
	lifespan  = 3 * beat
	hookEarly = lifespan + 2*beat
	askEvery  = beat / asksInBeat
)

func newState(node, instance string, debounce time.Duration, hooks bool) *State {
	return New(Options{Node: node, Instance: instance, Debounce: debounce, Hooks: hooks, Beat: beat, Lifespan: lifespan})
}

func newSimulation(t *testing.T, seed, nodes int) *simulation {
	s := &simulation{
		t: t, rnd: rand.New(rand.NewPCG(uint64(seed), 1)), now: time.Unix(0, 0),
		dead: make(map[string]bool), cut: make(map[[2]string]bool),
		lastGone: make(map[Who]simGone), ran: make(map[Who]time.Time),
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
// turns; and the hook of a leave runs. A part of the schedules is without all that until a
// node dies in the end, so that a hook must have run after the user was gone.
func TestSimulation(t *testing.T) {
	for seed := range *seeds {
		s := newSimulation(t, seed, 2+seed%3)
		s.calm = seed%4 == 1
		s.faulty = seed%4 > 1
		for range 200 {
			s.act()
		}
		if s.calm {
			s.leave(Who{"x", "alice"})
			s.comeBack(s.any())
			s.die(s.any())
		}
		if t.Run(fmt.Sprint(seed), func(t *testing.T) { s.t = t; s.check() }); t.Failed() {
			return
		}
	}
}

// Without faults, each leave has one hook, all nodes have their share, and a node
// whose hooks take long is waited for.
func TestHooksOnce(t *testing.T) {
	s := newSimulation(t, 0, 3)
	s.advance(time.Second)
	const users = 60
	enter := func(n *simNode, i int) {
		n.core.Enter(Row{Key: Key{"x", fmt.Sprint(n.name, i)}, User: fmt.Sprint(i)}, s.now)
	}
	ran := func(nodes ...*simNode) (all []string) {
		for _, n := range nodes {
			for _, h := range n.running {
				all = append(all, h.key.User)
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
		a.core.Exit(Key{"x", fmt.Sprint("a", users+i)}, s.now)
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
