package cluster

import (
	"cmp"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// leadership looks after the Raft groups of the NATS server in the process: those of the
// streams, and that of the cluster itself.
type leadership struct {
	n         *Node
	stop      chan struct{}
	over      sync.WaitGroup
	elections elections
	alone     times // since when the node leads a group without a majority
	balance   balance
}

// group is a Raft group as this node sees it.
type group struct {
	name   string
	stream bool     // it is that of a stream
	leader string   // the name of a node, "" if none is known
	others []string // the other nodes that have a copy
	quorum int      // how many copies make a majority
	fit    bool     // this node may become the leader
}

// The accounts of NATS with the groups of streams, and with that of the cluster.
const (
	streamAccount  = server.DEFAULT_GLOBAL_ACCOUNT
	clusterAccount = server.DEFAULT_SYSTEM_ACCOUNT
)

// newLeadership returns nil if the node shares no storage with others.
func newLeadership(n *Node) (*leadership, error) {
	if n.o.StoreDir == "" || n.o.Listen == "" {
		return nil, nil
	}
	l := &leadership{n: n, stop: make(chan struct{})}
	if err := l.elections.open(l); err != nil {
		return nil, err
	}
	l.over.Go(l.run)
	return l, nil
}

// calmEvery is how often a node looks after the groups while all have a leader that it
// reaches. When NATS says something of a route, it looks each lookEvery for calmEvery.
const calmEvery = time.Second

func (l *leadership) run() {
	timer := time.NewTimer(lookEvery)
	defer timer.Stop()
	routes := l.n.engine.log.routes()
	for calm := time.Now(); ; {
		select {
		case <-routes:
			calm = time.Now().Add(calmEvery)
			timer.Reset(lookEvery)
		case <-timer.C:
			groups, reach := l.groups(), l.reach()
			l.standAside(groups, reach, time.Now())
			l.elections.look(groups, reach)
			quiet := l.calm(groups, reach)
			l.share(groups, quiet, time.Now())
			if time.Now().After(calm) && quiet {
				timer.Reset(calmEvery)
			} else {
				timer.Reset(lookEvery)
			}
		case <-l.stop:
			return
		}
	}
}

// calm reports whether all groups have a leader that this node reaches, or that reaches a
// majority if it is this one.
func (l *leadership) calm(groups []group, reach map[string]bool) bool {
	for i := range groups {
		g := &groups[i]
		if l.leaderless(g, reach) || g.leader == l.n.o.Name && 1+g.reached(reach) < g.quorum {
			return false
		}
	}
	return true
}

// leaderless reports whether the node knows of no leader that it reaches.
func (l *leadership) leaderless(g *group, reach map[string]bool) bool {
	return g.leader == "" || g.leader != l.n.o.Name && !reach[g.leader]
}

// reach returns the names of the nodes to which there are routes.
func (l *leadership) reach() map[string]bool {
	all := routes{count: -1}
	names, _ := all.look(l.n.engine.srv)
	return names
}

func (l *leadership) groups() (all []group) {
	for _, account := range []string{streamAccount, clusterAccount} {
		status := l.n.engine.srv.Raftz(&server.RaftzOptions{AccountFilter: account})
		if status == nil {
			continue
		}
		for name, info := range (*status)[account] {
			g := group{name: name, stream: account == streamAccount, quorum: info.QuorumNeeded, fit: !info.Observer && !info.Paused && !info.CatchingUp}
			for id, peer := range info.Peers {
				g.others = append(g.others, cmp.Or(peer.Name, id))
				if id == info.Leader {
					g.leader = peer.Name
				}
			}
			if info.State == server.Leader.String() {
				g.leader = l.n.o.Name
			}
			all = append(all, g)
		}
	}
	return all
}

// electors returns the nodes that elect who may start and change streams, this one included,
// sorted. One whose name is not known is shown by its ID.
func (l *leadership) electors() []string {
	if l == nil {
		return nil
	}
	for _, g := range l.groups() {
		if !g.stream {
			return slices.Sorted(slices.Values(append(g.others, l.n.o.Name)))
		}
	}
	return nil
}

// reached returns how many of the other copies of a group this node reaches.
func (g *group) reached(reach map[string]bool) (n int) {
	for _, name := range g.others {
		if reach[name] {
			n++
		}
	}
	return n
}

// standAside ends the leadership of streams of which the node does not reach a
// majority. Otherwise it would take in what is published when it is back, until it
// hears of the next leader. NATS takes such entries out of a copy again one by one, each
// in a second or more, and until then the copy does not count.
func (l *leadership) standAside(groups []group, reach map[string]bool, now time.Time) {
	alone := make(times)
	for _, g := range groups {
		if !g.stream || g.leader != l.n.o.Name || 1+g.reached(reach) >= g.quorum {
			continue
		}
		if alone.since(l.alone, g.name, now) >= aloneTime {
			l.stepDown(g.name)
		}
	}
	l.alone = alone
}

// times are since when groups are in a state, those that are when one looks.
type times map[string]time.Time

// since takes note of a group, and returns for how long it has been so. before are the times
// of the last look.
func (t times) since(before times, group string, now time.Time) time.Duration {
	begun, known := before[group]
	if !known {
		begun = now
	}
	t[group] = begun
	return now.Sub(begun)
}

// stepDown ends the leadership of the stream of a group.
func (l *leadership) stepDown(name string) {
	srv := l.n.engine.srv
	info, err := srv.Jsz(&server.JSzOptions{Account: streamAccount, Streams: true, RaftGroups: true})
	if err != nil {
		return // the server ends
	}
	for _, account := range info.AccountDetails {
		for _, s := range account.Streams {
			if s.RaftGroup == name && srv.JetStreamStepdownStream(streamAccount, s.Name) == nil {
				l.n.o.Logger.Warn("cluster: the node leads a stream no longer, as it does not reach a majority of its copies", slog.String("stream", s.Name))
			}
		}
	}
}

// A node that ends waits for other leaders for handOverTimeout. They are there after
// some hundredths of a second.
const (
	handOverTimeout = time.Second
	handOverPause   = 5 * time.Millisecond
)

// handOver ends the leadership of all groups, and waits until others lead those of which
// there is a majority without this node. The NATS server must end then.
func (l *leadership) handOver() {
	if l == nil {
		return
	}
	close(l.stop)
	l.over.Wait()
	pending := make(map[string]bool)
	reach := l.reach()
	for _, g := range l.groups() {
		if g.leader == l.n.o.Name && g.reached(reach) >= g.quorum {
			pending[g.name] = true
		}
	}
	if len(pending) == 0 {
		return
	}
	l.over.Go(l.n.engine.srv.LameDuckShutdown) // hands over first; it would then wait for a second
	for begun := time.Now(); len(pending) > 0 && time.Since(begun) < handOverTimeout; time.Sleep(handOverPause) {
		for _, g := range l.groups() {
			if g.leader != "" && g.leader != l.n.o.Name {
				delete(pending, g.name)
			}
		}
	}
}

// end waits for what handOver began. The NATS server must have ended.
func (l *leadership) end() {
	if l != nil {
		l.over.Wait()
	}
}
