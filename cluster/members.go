package cluster

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// Nodes tell each other each beat that they live. One of which nothing was heard
// for so long is dead.
const (
	beat     = time.Second
	lifespan = 3 * beat
)

// beatMessage is what a node says of itself.
type beatMessage struct {
	Node     string `json:"node"`
	Instance string `json:"instance"` // another one after each start
	Leaving  bool   `json:"leaving,omitempty"`
}

// member is another node.
type member struct {
	instance string
	heard    time.Time
}

// members knows which nodes are alive.
type members struct {
	n        *Node
	instance string
	subs     []*nats.Subscription
	stop     chan struct{}
	stopped  sync.WaitGroup

	mu     sync.Mutex
	others map[string]member // by name

	sync syncer
}

// join makes the node known to others.
func join(n *Node) (*members, error) {
	m := &members{n: n, instance: rand.Text(), stop: make(chan struct{}), others: make(map[string]member)}
	for subject, handle := range map[string]nats.MsgHandler{"n.beat": m.heard, "n.sync": m.answer} {
		sub, err := n.nc.Subscribe(n.subject(subject), handle)
		if err != nil {
			return nil, fmt.Errorf("cluster: %w", err)
		}
		m.subs = append(m.subs, sub)
	}
	m.sync.m = m
	m.say(false)
	m.stopped.Go(m.run)
	return m, nil
}

// run tells others that the node lives, and forgets those that do not.
func (m *members) run() {
	ticker := time.NewTicker(beat)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			m.say(false)
			m.bury(time.Now())
		case <-m.stop:
			return
		}
	}
}

// leave tells others that the node ends.
func (m *members) leave() {
	close(m.stop)
	m.stopped.Wait()
	m.say(true)
	_ = m.n.nc.FlushTimeout(time.Second) // otherwise the others notice later
}

func (m *members) say(leaving bool) {
	text, err := json.Marshal(beatMessage{m.n.o.Name, m.instance, leaving})
	if err == nil {
		err = m.n.nc.Publish(m.n.subject("n.beat"), text)
	}
	if err != nil {
		m.n.o.Logger.Warn("cluster: the node cannot tell others that it lives", slog.Any("error", err))
	}
}

// heard handles the beat of another node.
func (m *members) heard(msg *nats.Msg) {
	var b beatMessage
	if json.Unmarshal(msg.Data, &b) != nil || b.Node == "" {
		return
	}
	log := m.n.o.Logger.With(slog.String("node", b.Node))
	if b.Node == m.n.o.Name {
		log.Error("cluster: another node has the name of this one: give each its own Options.Name")
		return
	}
	m.mu.Lock()
	was, known := m.others[b.Node]
	if b.Leaving {
		if was.instance == b.Instance {
			delete(m.others, b.Node)
		}
	} else {
		m.others[b.Node] = member{b.Instance, time.Now()}
	}
	m.mu.Unlock()
	switch {
	case b.Leaving:
		log.Info("cluster: a node has left")
	case !known:
		log.Info("cluster: a node has joined")
		m.say(false) // so that it knows this one at once
	case was.instance != b.Instance:
		log.Info("cluster: a node has started again")
	}
}

// bury forgets nodes of which nothing was heard.
func (m *members) bury(now time.Time) {
	m.mu.Lock()
	var dead []string
	for name, other := range m.others {
		if now.Sub(other.heard) > lifespan {
			delete(m.others, name)
			dead = append(dead, name)
		}
	}
	m.mu.Unlock()
	for _, name := range dead {
		m.n.o.Logger.Warn("cluster: a node is gone", slog.String("node", name))
	}
}

// names returns the names of all nodes that are alive, sorted.
func (m *members) names() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := append(slices.Collect(maps.Keys(m.others)), m.n.o.Name)
	slices.Sort(all)
	return all
}

// alive returns the other nodes that are alive.
func (m *members) alive() map[string]bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make(map[string]bool, len(m.others))
	for name := range m.others {
		all[name] = true
	}
	return all
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

// syncer waits until other nodes have what this one has sent. Those who wait at the
// same time share a question.
type syncer struct {
	m *members

	mu      sync.Mutex
	running bool
	next    *round // for those who came after the running question was asked
}

// round is a question to all nodes, and its end.
type round struct{ done chan struct{} }

// wait waits until all nodes that are alive have what was sent before the call, or
// ctx ends. A node that does not answer is not waited for longer than
// syncTimeout: it gets what was sent when it connects again.
func (s *syncer) wait(ctx context.Context) error {
	s.mu.Lock()
	if s.next == nil {
		s.next = &round{make(chan struct{})}
	}
	r := s.next
	if !s.running {
		s.running = true
		go s.run()
	}
	s.mu.Unlock()
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run asks until nobody waits.
func (s *syncer) run() {
	for {
		s.mu.Lock()
		r := s.next
		s.next = nil
		if r == nil {
			s.running = false
		}
		s.mu.Unlock()
		if r == nil {
			return
		}
		s.ask()
		close(r.done)
	}
}

// ask asks all nodes that are alive, and waits for their answers.
func (s *syncer) ask() {
	n := s.m.n
	missing := s.m.alive()
	if len(missing) == 0 && n.engine.srv != nil {
		_ = n.nc.FlushTimeout(syncTimeout) // its own server has it
		return
	}
	inbox := nats.NewInbox()
	sub, err := n.nc.SubscribeSync(inbox)
	if err != nil {
		return
	}
	defer func() { _ = sub.Unsubscribe() }()
	if n.nc.PublishRequest(n.subject("n.sync"), inbox, nil) != nil {
		return
	}
	deadline := time.Now().Add(syncTimeout)
	for len(missing) > 0 {
		msg, err := sub.NextMsg(time.Until(deadline))
		if err != nil {
			return
		}
		delete(missing, string(msg.Data))
	}
}
