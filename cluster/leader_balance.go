package cluster

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// balanceRest is for how long all streams must have had the same leaders, and the same nodes must
// have been there, before a node hands one over. So there is one move at a time in the cluster, and
// each node knows what all others lead.
const balanceRest = 5 * time.Second

// balance gives each node its share of the streams to lead. NATS moves none back to a node
// that has started again.
type balance struct {
	leads map[string]int // how many streams each node leads
	since time.Time      // since when that is so, all groups have a leader, and all nodes see each other
	rest  time.Duration  // how long to wait after a move that has changed nothing; 0 for balanceRest
}

// maxBalanceRest is the longest time between two moves that change nothing.
const maxBalanceRest = 5 * time.Minute

// ledStream is a stream that this node leads.
type ledStream struct {
	name    string
	current []string // the other nodes whose copies have all that this one has
}

// look takes note of how many streams each node leads, and whether all groups have a leader. It
// reports whether it is time for a move.
func (b *balance) look(leads map[string]int, calm bool, now time.Time) bool {
	if !calm || !maps.Equal(leads, b.leads) {
		b.leads, b.since, b.rest = leads, now, 0
	}
	return now.Sub(b.since) >= max(balanceRest, b.rest)
}

// moved takes note of a move. If it changes nothing, the next one has more time.
func (b *balance) moved(now time.Time) {
	b.since, b.rest = now, min(2*max(balanceRest, b.rest), maxBalanceRest)
}

// turn reports whether a node may have to hand something over: it is the one that leads most, by name
// among equals, and another one leads at least two fewer.
func (b *balance) turn(node string) bool {
	least := b.leads[node]
	for name, count := range b.leads {
		if count > b.leads[node] || count == b.leads[node] && name < node {
			return false
		}
		least = min(least, count)
	}
	return least+1 < b.leads[node]
}

// move returns which of the streams that a node leads it should hand over, and the node that should
// lead it. ok is false if there is none.
func (b *balance) move(node string, led []ledStream) (stream, to string, ok bool) {
	for _, s := range led {
		for _, name := range s.current {
			count, alive := b.leads[name]
			if alive && count+1 < b.leads[node] && (!ok || count < b.leads[to]) {
				stream, to, ok = s.name, name, true
			}
		}
	}
	return stream, to, ok
}

// share hands a stream over to a node that leads fewer, if it is time to.
func (l *leadership) share(groups []group, calm bool, now time.Time) {
	count := 0
	for i := range groups {
		if groups[i].stream && groups[i].leader == l.n.o.Name {
			count++
		}
	}
	l.n.members.lead(count)
	leads, agreed := l.n.members.leads()
	// A node that not all others reach must not lead: those would elect another one, again and again.
	if !l.balance.look(leads, calm && agreed, now) || !l.balance.turn(l.n.o.Name) || l.n.shut.Load() {
		return // a node that ends hands over all that it leads
	}
	// Only the leader of a stream knows which copies are current.
	stream, to, ok := l.balance.move(l.n.o.Name, l.led())
	if !ok {
		return
	}
	l.balance.moved(now)
	l.over.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), streamTimeout) // it ends with the connection, too
		defer cancel()
		if err := l.n.askStepDown(ctx, stream, to); err != nil {
			l.n.o.Logger.Warn("cluster: the node cannot hand a stream over", slog.String("stream", stream), slog.String("to", to), slog.Any("error", err))
			return
		}
		l.n.o.Logger.Info("cluster: the node hands a stream over to one that leads fewer", slog.String("stream", stream), slog.String("to", to))
	})
}

// led returns the streams that the node leads and others have copies of, sorted by name.
func (l *leadership) led() (all []ledStream) {
	for _, s := range l.n.engine.led() {
		if s.Cluster == nil {
			continue
		}
		led := ledStream{name: s.Name}
		for _, peer := range s.Cluster.Replicas {
			if peer.Current && !peer.Offline {
				led.current = append(led.current, peer.Name)
			}
		}
		slices.Sort(led.current)
		all = append(all, led)
	}
	slices.SortFunc(all, func(a, b ledStream) int { return strings.Compare(a.name, b.name) })
	return all
}

// askStepDown asks the leader of a stream to let another node lead it: that called to if it can, or with
// "" one whose copy is current, if there is one.
func (n *Node) askStepDown(ctx context.Context, stream, to string) (err error) {
	var request []byte
	if to != "" {
		request, err = json.Marshal(server.JSApiLeaderStepdownRequest{Placement: &server.Placement{Preferred: to}})
	}
	if err != nil {
		return err
	}
	msg, err := n.nc.RequestWithContext(ctx, apiPrefix+"STREAM.LEADER.STEPDOWN."+stream, request)
	if err != nil {
		return err
	}
	var answer struct {
		Error *apiError `json:"error"`
	}
	switch err := json.Unmarshal(msg.Data, &answer); {
	case err != nil:
		return err
	case answer.Error != nil:
		return answer.Error
	}
	return nil
}
