package cluster

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// The routes are counted each beat, and each routePoll for routePolls after NATS has said
// something of one, so that the end of a node whose connections have closed is noticed at
// once.
const (
	routePoll  = 20 * time.Millisecond
	routePolls = time.Second
)

// members knows which nodes are alive.
type members struct {
	n        *Node
	instance string
	history  string // the digest of the history rules
	subs     []*nats.Subscription
	stop     chan struct{}
	stopped  sync.WaitGroup

	mu       sync.Mutex
	roster   roster
	watchers watchers // see watch

	saying sync.Mutex // nothing may be said after the farewell
	left   bool       // it has been said

	sync rounds
}

// join makes the node known to others.
func join(n *Node, history string) (*members, error) {
	instance := rand.Text()
	m := &members{n: n, instance: instance, history: history, stop: make(chan struct{}), roster: roster{name: n.o.Name, instance: instance, began: time.Now()}}
	m.sync.ask = m.askSync
	for subject, handle := range map[string]nats.MsgHandler{"n.beat": m.heard, "n.sync": m.answer} {
		sub, err := n.nc.Subscribe(n.subject(subject), handle)
		if err != nil {
			return nil, fmt.Errorf("cluster: %w", err)
		}
		m.subs = append(m.subs, sub)
	}
	m.say(false)
	m.stopped.Go(m.run)
	return m, nil
}

// run tells others that the node lives, and forgets those that do not.
func (m *members) run() {
	beats, silences := time.NewTicker(beat), time.NewTicker(beat/4)
	defer beats.Stop()
	defer silences.Stop()
	var changed <-chan struct{}
	hasRoutes := m.n.engine.srv != nil && m.n.o.Listen != ""
	if hasRoutes {
		changed = m.n.engine.log.routes()
	}
	poll := time.NewTimer(routePoll)
	defer poll.Stop()
	var routes routes
	look := func() {
		if !hasRoutes {
			return
		}
		if names, more := routes.look(m.n.engine.srv); names != nil {
			m.bury("its route has ended", func(r *roster) []string { return r.routeless(names, time.Now()) })
			if more {
				m.say(false) // so that it knows this one at once
			}
		}
	}
	for calm := time.Now().Add(routePolls); ; {
		select {
		case <-beats.C:
			m.say(false)
			routes.count = -1 // in any case, as one that is gone may have been heard late
			look()
		case <-silences.C:
			m.bury("nothing was heard of it", func(r *roster) []string { return r.silent(time.Now()) })
		case <-changed:
			calm = time.Now().Add(routePolls)
			poll.Reset(routePoll)
		case <-poll.C:
			look()
			if time.Now().Before(calm) {
				poll.Reset(routePoll)
			}
		case <-m.stop:
			return
		}
	}
}

// routes are those of a NATS server.
type routes struct {
	count int // -1: look in any case
	names map[string]bool
}

// look returns the names of the nodes to which there are routes, if they may have
// changed, and whether there are more than before.
func (r *routes) look(srv *server.Server) (names map[string]bool, more bool) {
	count := srv.NumRoutes()
	if count == r.count {
		return nil, false
	}
	all, err := srv.Routez(nil)
	if err != nil {
		return nil, false // never, without options
	}
	names = make(map[string]bool)
	for _, route := range all.Routes {
		names[route.RemoteName] = true
		more = more || !r.names[route.RemoteName]
	}
	r.count, r.names = count, names
	return names, more
}

// leave tells others that the node ends.
func (m *members) leave() {
	close(m.stop)
	m.stopped.Wait()
	m.say(true)
	_ = m.n.nc.FlushTimeout(time.Second) // otherwise the others notice later
}

func (m *members) say(leaving bool) {
	m.saying.Lock()
	defer m.saying.Unlock()
	if m.left {
		return
	}
	m.left = leaving
	m.mu.Lock()
	b := beatMessage{
		Node: m.n.o.Name, Instance: m.instance, Leaving: leaving, History: m.history, Witness: m.n.o.Witness,
		Sees: len(m.roster.others) + 1, Leads: m.roster.led, Lost: m.roster.missing(time.Now()),
	}
	m.mu.Unlock()
	text, err := json.Marshal(b)
	if err == nil {
		err = m.n.nc.Publish(m.n.subject("n.beat"), text)
	}
	if err != nil {
		m.n.o.Logger.Warn("cluster: the node cannot tell others that it lives", slog.Any("error", err))
	}
}

// ownName is what is logged of another node with the name of this one.
const ownName = "cluster: another node has the name of this one: give each its own Options.Name"

// heard handles the beat of another node.
func (m *members) heard(msg *nats.Msg) {
	var b beatMessage
	if json.Unmarshal(msg.Data, &b) != nil || b.Node == "" || b.Instance == "" {
		return
	}
	m.mu.Lock()
	what := m.roster.heard(b, time.Now())
	if what == heardFirst || what == heardRestart || what == heardLeaving {
		m.watchers.wake()
	}
	m.mu.Unlock()
	log := m.n.o.Logger.With(slog.String("node", b.Node))
	if (what == heardFirst || what == heardRestart) && b.History != m.history {
		log.Error("cluster: the history rules of another node differ from those of this one: give all nodes the same Options.History")
	}
	switch what {
	case heardFirst:
		log.Info("cluster: a node has joined")
		m.say(false) // so that it knows this one at once
	case heardRestart:
		log.Info("cluster: a node has started again")
		m.say(false)
	case heardLeaving:
		log.Info("cluster: a node has left")
	case heardOwnName:
		log.Error(ownName)
	case heardSameName:
		log.Error("cluster: two other nodes have this name: give each its own Options.Name")
	}
}

// bury forgets the nodes that dead returns.
func (m *members) bury(why string, dead func(*roster) []string) {
	m.mu.Lock()
	names := dead(&m.roster)
	if len(names) > 0 {
		m.watchers.wake()
	}
	m.mu.Unlock()
	for _, name := range names {
		m.n.o.Logger.Warn("cluster: a node is gone", slog.String("node", name), slog.String("reason", why))
	}
}

// watch returns a channel that gets something after each change of the nodes that
// are alive. Several changes may become one.
func (m *members) watch() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.watchers.add()
}

// names returns the names of all nodes that are alive, sorted.
func (m *members) names() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.roster.names()
}

// alive returns the other nodes that are alive.
func (m *members) alive() map[string]bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.roster.alive(false)
}

// unlike returns the other nodes whose history rules differ from those of this one, sorted.
func (m *members) unlike() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.roster.unlike(m.history)
}

// instances returns the instances of the nodes that are alive, this one included.
func (m *members) instances() map[string]bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.roster.instances()
}

// others returns the other nodes that are alive, with what tells a start of one from the
// next, and those that are missed.
func (m *members) others() (alive map[string]string, missed []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	alive = make(map[string]string, len(m.roster.others))
	for name, other := range m.roster.others {
		alive[name] = other.instance
	}
	return alive, m.roster.missed(time.Now())
}

// twins returns the names that several nodes have, sorted.
func (m *members) twins() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.roster.twinsAt(time.Now())
}

// witnesses returns the nodes that have no server, this one included, sorted.
func (m *members) witnesses() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	names := m.roster.witnesses()
	if m.n.o.Witness {
		names = append(names, m.n.o.Name)
		slices.Sort(names)
	}
	return names
}

// lead takes note of how many streams this node leads, which others are told with the next beat.
func (m *members) lead(count int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.roster.led = count
}

// leads returns how many streams each node leads that is alive, this one included, and whether all of
// them see as many nodes as this one.
func (m *members) leads() (all map[string]int, agreed bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.roster.leads(), m.roster.agreed()
}

// answer answers to a node that wants to know that this one has what it sent
// before.
func (m *members) answer(msg *nats.Msg) {
	if err := msg.Respond([]byte(m.n.o.Name)); err != nil {
		m.n.o.Logger.Debug("cluster: an answer is lost", slog.Any("error", err))
	}
}

// syncTimeout is the time for which a node waits for others to have what it sent.
// One that has just died is among them until it is buried.
const syncTimeout = time.Second

// synced waits until all nodes that are alive have what was sent before the call, or
// ctx ends. A node that does not answer is not waited for longer than syncTimeout:
// it gets what was sent when it connects again.
func (m *members) synced(ctx context.Context) error { return m.sync.wait(ctx, 0) }

// askSync asks all nodes that are alive, and waits for their answers.
func (m *members) askSync(uint64) {
	missing := m.alive()
	if len(missing) == 0 {
		_ = m.n.nc.FlushTimeout(syncTimeout) // its own server has it
		return
	}
	m.n.gather("n.sync", nil, syncTimeout, func(msg *nats.Msg) (enough bool) {
		delete(missing, string(msg.Data))
		return len(missing) == 0
	})
}
