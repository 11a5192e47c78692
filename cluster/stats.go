package cluster

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Stats are figures of a node, and of the streams of its cluster as the leaders of
// these have them. Counters begin with the node.
type Stats struct {
	Node    string   `json:"node"`
	Cluster string   `json:"cluster"`
	Nodes   []string `json:"nodes"` // that are alive, this one included, sorted

	// Witnesses are those with Options.Witness, sorted.
	Witnesses []string `json:"witnesses"`

	// Electors are the nodes with storage that elect who may start and change streams, alive or
	// not, sorted. When half of them are away, a node that starts waits for storage. Remove takes
	// one out that is gone for good. nil for a node that is alone or has an outside NATS.
	Electors []string `json:"electors"`

	// Twins are names that several nodes have, sorted.
	Twins []string `json:"twins"`

	// Unlike are the other nodes whose Options.History differ from those of this one, sorted.
	Unlike []string `json:"unlike"`

	Channels        int    `json:"channels"`        // with subscribers on this node
	Gaps            uint64 `json:"gaps"`            // how often the node read what it lacked of a history, or might lack
	Losses          uint64 `json:"losses"`          // how often some of that was gone
	Dropped         uint64 `json:"dropped"`         // messages of other nodes that did not fit into the queues of this one
	Revocations     int    `json:"revocations"`     // see Revocations.Len; 0 without
	RevocationLimit int    `json:"revocationLimit"` // with so many there is no room for more (revoke.ErrFull); 0 without
	CutOff          bool   `json:"cutOff"`          // see Revocations.Current; false without

	Present PresenceStats `json:"present"` // all 0 without a Presence

	// Streams are those of histories and of revocations, sorted by name. A node
	// without storage has none.
	Streams []StreamStats `json:"streams"`
}

// PresenceStats are figures of who is in channels, on all nodes as this one knows it.
type PresenceStats struct {
	Channels int `json:"channels"` // in which somebody is
	Users    int `json:"users"`    // a user counts once in each channel
	Sockets  int `json:"sockets"`  // of this node; a socket counts once in each channel
}

// StreamStats are figures of a stream in which nodes store histories, or revocations.
type StreamStats struct {
	Name        string      `json:"name"`
	Leader      string      `json:"leader"`      // the node that leads it; "" if it has none, so that it waits
	Position    uint64      `json:"position"`    // the Seq of what was stored last
	Messages    uint64      `json:"messages"`    // that are there
	MaxMessages uint64      `json:"maxMessages"` // with so many it refuses others; 0 for never
	Bytes       uint64      `json:"bytes"`
	Copies      []CopyStats `json:"copies"` // that of the leader included, sorted by node
}

// CopyStats are figures of a copy of a stream on a node. With an outside NATS, the nodes
// are its servers.
type CopyStats struct {
	Node    string `json:"node"`
	Alive   bool   `json:"alive"`
	Current bool   `json:"current"` // it has all that the leader has
	Lag     uint64 `json:"lag"`     // operations that it is behind the leader
}

// statsTimeout is the time that the leaders of streams have to answer.
const statsTimeout = time.Second

// Stats returns figures of the node and its cluster. It asks the leaders of the streams,
// which takes a second if one does not answer, or until ctx ends.
func (n *Node) Stats(ctx context.Context) Stats {
	s := Stats{Node: n.o.Name, Cluster: n.o.Cluster, Nodes: n.Nodes(), Unlike: n.members.unlike(), Witnesses: n.members.witnesses(), Twins: n.members.twins()}
	if !n.shut.Load() {
		s.Electors = n.leads.electors()
	}
	n.channels.mu.Lock()
	s.Channels = len(n.channels.subs) - len(n.channels.leaving)
	n.channels.mu.Unlock()
	s.Dropped = n.dropped()
	if h := n.history; h != nil {
		s.Gaps, s.Losses = h.gaps.Load(), h.losses.Load()
	}
	if rv := n.revocations.Load(); rv != nil {
		s.Revocations, s.RevocationLimit, s.CutOff = rv.Len(), rv.limit, rv.Current() != nil
	}
	if p := n.presence.Load(); p != nil {
		s.Present = p.stats()
	}
	s.Streams = n.streamStats(ctx)
	if n.o.URL == "" {
		for _, stream := range s.Streams {
			for i := range stream.Copies { // NATS takes longer to see that a node is gone
				c := &stream.Copies[i]
				c.Alive = c.Alive && slices.Contains(s.Nodes, c.Node)
			}
		}
	}
	return s
}

// dropped returns how many messages of other nodes NATS has dropped as a queue was full.
func (n *Node) dropped() uint64 {
	n.channels.mu.Lock()
	count := n.channels.dropped
	for _, sub := range n.channels.subs {
		count += droppedOf(sub)
	}
	n.channels.mu.Unlock()
	if p := n.presence.Load(); p != nil {
		p.mu.Lock()
		for _, sub := range p.subs {
			count += droppedOf(sub)
		}
		p.mu.Unlock()
	}
	if rv := n.revocations.Load(); rv != nil {
		rv.mu.Lock()
		live := rv.loading // from then on, there is a subscription
		rv.mu.Unlock()
		if live {
			count += droppedOf(rv.live)
		}
	}
	return count
}

// droppedOf returns how many messages of a subscription NATS has dropped. It may be nil
// or over.
func droppedOf(sub *nats.Subscription) uint64 {
	if sub == nil {
		return 0
	}
	count, err := sub.Dropped()
	if err != nil {
		return 0
	}
	return uint64(count)
}

// streamStats asks the leaders of all streams.
func (n *Node) streamStats(ctx context.Context) []StreamStats {
	if n.o.URL == "" && n.o.StoreDir == "" {
		return nil
	}
	names := []string{n.o.Prefix + "-revocations"}
	if n.history != nil {
		for _, s := range n.history.shards {
			names = append(names, s.stream)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, statsTimeout)
	defer cancel()
	all := make([]*StreamStats, len(names))
	var wait sync.WaitGroup
	for i, name := range names {
		wait.Go(func() { all[i] = n.statsOf(ctx, name) })
	}
	wait.Wait()
	list := []StreamStats{}
	for _, s := range all {
		if s != nil {
			list = append(list, *s)
		}
	}
	slices.SortFunc(list, func(a, b StreamStats) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// statsOf asks the leader of a stream. It returns nil if there is no such stream.
func (n *Node) statsOf(ctx context.Context, name string) *StreamStats {
	s := &StreamStats{Name: name, Copies: []CopyStats{}}
	stream, err := n.js.Stream(ctx, name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	if err != nil {
		return s
	}
	info := stream.CachedInfo()
	s.Position, s.Messages, s.Bytes = info.State.LastSeq, info.State.Msgs, info.State.Bytes
	s.MaxMessages = uint64(max(0, info.Config.MaxMsgs))
	s.Leader = n.nc.ConnectedServerName() // of one server, which does not say
	if info.Cluster != nil {
		s.Leader = info.Cluster.Leader
		for _, peer := range info.Cluster.Replicas {
			s.Copies = append(s.Copies, CopyStats{peer.Name, !peer.Offline, peer.Current, peer.Lag})
		}
	}
	if s.Leader != "" {
		s.Copies = append(s.Copies, CopyStats{Node: s.Leader, Alive: true, Current: true})
	}
	slices.SortFunc(s.Copies, func(a, b CopyStats) int { return cmp.Compare(a.Node, b.Node) })
	return s
}
