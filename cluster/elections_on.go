//go:build socketcluster_elections

package cluster

import (
	"encoding/json"
	"log/slog"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
)

// A node looks after the groups so often, and leads a stream for so long without a
// majority: others elect another leader at once.
const (
	lookEvery = 40 * time.Millisecond
	aloneTime = 250 * time.Millisecond
)

// A group must have been without its leader for so long. The nodes that could lead it take
// turns, so that they do not take votes from each other.
const (
	lostTime = 50 * time.Millisecond
	lostTurn = 300 * time.Millisecond
)

// A node does not ask for votes again within so long, as they may be under way, and waits for so
// long for the agreement of others.
const (
	campaignPause = time.Second / 2
	agreeTimeout  = 200 * time.Millisecond
)

// elections holds elections in groups that have lost their leader, in place of waiting
// for the timers of NATS. A node asks for votes only if a majority of the copies, its
// own included, agrees that the leader is gone. Otherwise a node that has lost a route
// would depose a leader that others reach.
type elections struct {
	l    *leadership
	lost times                // since when groups are without a leader
	next map[string]time.Time // when the node may ask for votes again
}

func (e *elections) open(l *leadership) error {
	e.l, e.next = l, make(map[string]time.Time)
	_, err := l.n.nc.Subscribe(l.n.subject("n.leaderless"), e.answer)
	return err
}

// answer answers which of some groups are without a leader.
func (e *elections) answer(msg *nats.Msg) {
	var asked []string
	if json.Unmarshal(msg.Data, &asked) != nil {
		return
	}
	reach, a := e.l.reach(), agreement{Node: e.l.n.o.Name}
	for _, g := range e.l.groups() {
		if slices.Contains(asked, g.name) && e.l.leaderless(&g, reach) {
			a.Groups = append(a.Groups, g.name)
		}
	}
	text, err := json.Marshal(a)
	if err == nil {
		err = msg.Respond(text)
	}
	if err != nil {
		e.l.n.o.Logger.Debug("cluster: an answer is lost", slog.Any("error", err))
	}
}

// agreement says which groups are without a leader, as a node sees it.
type agreement struct {
	Node   string   `json:"node"`
	Groups []string `json:"groups"`
}

// look asks for votes where it is time to.
func (e *elections) look(groups []group, reach map[string]bool) {
	now, lost := time.Now(), make(times)
	var due []group
	for _, g := range groups {
		if !g.fit || 1+g.reached(reach) < g.quorum || !e.l.leaderless(&g, reach) {
			continue
		}
		if lost.since(e.lost, g.name, now) >= lostTime+e.turn(&g, reach)*lostTurn && now.After(e.next[g.name]) {
			due = append(due, g)
		}
	}
	e.lost = lost
	if len(due) == 0 {
		return
	}
	for _, g := range e.agreed(due, reach) {
		e.next[g.name] = now.Add(campaignPause)
		if err := campaign(e.l.n.engine.srv, g.name); err != nil {
			e.l.n.o.Logger.Warn("cluster: the node cannot ask for votes", slog.String("group", g.name), slog.Any("error", err))
			continue
		}
		e.l.n.o.Logger.Info("cluster: the node asks for votes, as the leader is gone", slog.String("group", g.name), slog.String("leader", g.leader), slog.Duration("after", now.Sub(lost[g.name])))
	}
}

// turn returns how many nodes come before this one.
func (e *elections) turn(g *group, reach map[string]bool) (n time.Duration) {
	for _, name := range g.others {
		if reach[name] && name < e.l.n.o.Name {
			n++
		}
	}
	return n
}

// agreed asks the other nodes which of some groups are without a leader, and returns those
// of which a majority of the copies says so.
func (e *elections) agreed(due []group, reach map[string]bool) (all []group) {
	names := make([]string, len(due))
	for i := range due {
		names[i] = due[i].name
	}
	text, err := json.Marshal(names)
	if err != nil || len(reach) == 0 {
		return nil // nobody can agree
	}
	votes, answers := make(map[string]int), 0
	e.l.n.gather("n.leaderless", text, agreeTimeout, func(msg *nats.Msg) (enough bool) {
		var a agreement
		_ = json.Unmarshal(msg.Data, &a) // otherwise it is of nobody
		for i := range due {
			if slices.Contains(due[i].others, a.Node) && slices.Contains(a.Groups, due[i].name) {
				votes[due[i].name]++
			}
		}
		answers++
		return answers == len(reach)
	})
	return slices.DeleteFunc(due, func(g group) bool { return 1+votes[g.name] < g.quorum })
}
