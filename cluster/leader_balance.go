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
	since time.Time      // since when that is so, and all groups have a leader
}

// ledStream is a stream that this node leads.
type ledStream struct {
	name    string
	current []string // the other nodes whose copies have all that this one has
}

// look takes note of how many streams each node leads, and whether all groups have a leader. It
// reports whether it is time for a move.
func (b *balance) look(leads map[string]int, calm bool, now time.Time) bool {
	if !calm || !maps.Equal(leads, b.leads) {
		b.leads, b.since = leads, now
	}
	return now.Sub(b.since) >= balanceRest
}

// move returns the stream that the node should hand over, and the node that should lead it. ok is
// false if the share of the node is not too large, or another node comes before it: the one that leads
// most, by name among equals.
func (b *balance) move(node string, led []ledStream) (stream, to string, ok bool) {
	for name, count := range b.leads {
		if count > b.leads[node] || count == b.leads[node] && name < node {
			return "", "", false
		}
	}
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
	if !l.balance.look(l.n.members.leads(), calm, now) || l.n.shut.Load() {
		return // a node that ends hands over all that it leads
	}
	// Only the leader of a stream knows which copies are current.
	stream, to, ok := l.balance.move(l.n.o.Name, l.led())
	if !ok {
		return
	}
	l.balance.since = now // if it fails, not again at once
	l.over.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), streamTimeout) // it ends with the connection, too
		defer cancel()
		if err := l.n.askStepDown(ctx, stream, to); err != nil {
			l.n.o.Logger.Warn("cluster: the node cannot hand a stream over", slog.String("stream", stream), slog.String("to", to), slog.Any("error", err))
			return
		}
		l.n.o.Logger.Info("cluster: another node leads a stream now, as it led fewer", slog.String("stream", stream), slog.String("leader", to))
	})
}

// led returns the streams that the node leads and others have copies of, sorted by name.
func (l *leadership) led() (all []ledStream) {
	account, err := l.n.engine.srv.JszAccount(&server.JSzOptions{Account: streamAccount, Streams: true, StreamLeaderOnly: true})
	if err != nil {
		return nil // the server ends
	}
	for _, s := range account.Streams {
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

// askStepDown asks the leader of a stream to let another node lead it, that called to if it can.
func (n *Node) askStepDown(ctx context.Context, stream, to string) error {
	request, err := json.Marshal(server.JSApiLeaderStepdownRequest{Placement: &server.Placement{Preferred: to}})
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
