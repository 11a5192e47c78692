// Package clustermetrics exports the figures of a node of a cluster to Prometheus.
//
//	registry.MustRegister(metrics.NewCollector(srv), clustermetrics.NewCollector(node))
//
// The figures are those of [cluster.Stats], read at each scrape. A scrape asks the leaders
// of the streams, which takes some milliseconds, or a second if one does not answer. Each
// node has the figures of all streams.
//
// It is a package of its own, so that servers without a cluster need no NATS.
package clustermetrics

import (
	"context"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/socketcluster-go/socketcluster/cluster"
)

// collector implements prometheus.Collector.
type collector struct{ node *cluster.Node }

// NewCollector returns a collector of the figures of a node. Registering those of
// two nodes needs a label of one's own, see [prometheus.WrapRegistererWith].
func NewCollector(node *cluster.Node) prometheus.Collector { return collector{node} }

// The figures. Names follow the conventions of Prometheus: base units, and _total
// for counters.
var (
	nodes        = desc("nodes", "Nodes of the cluster that are alive, as this one sees it.")
	unlike       = desc("unlike_nodes", "Other nodes whose rules of histories are not those of this one.")
	witnesses    = desc("witnesses", "Nodes that have no server: they store, and vote.")
	electorsAway = desc("electors_away", "Nodes with storage that elect who may start and change streams, and are not alive.")
	twins        = desc("twin_names", "Names that several nodes have.")
	channels     = desc("channels", "Channels that have subscribers on this node.")
	gaps         = desc("gaps_total", "How often this node has read what it lacked of a history, or might have lacked.")
	losses       = desc("losses_total", "How often some of that was gone.")
	dropped      = desc("dropped_messages_total", "Messages of other nodes that did not fit into the queues of this one.")
	revocations  = desc("revocations", "Revocations on this node.")
	limit        = desc("revocations_limit", "Revocations with which there is no room for more.")
	cutOff       = desc("cut_off", "1 while this node is cut off from the revocations of others, and accepts no token.")

	presentChannels = desc("presence_channels", "Channels of presence in which somebody is, on any node.")
	presentUsers    = desc("presence_users", "Users in channels of presence, on any node. A user counts once in each channel.")
	presentSockets  = desc("presence_sockets", "Sockets of this node in channels of presence. A socket counts once in each channel.")

	available = desc("stream_available", "1 if the stream has a leader that answers; otherwise it waits.", "stream")
	leads     = desc("stream_leader", "1 if this node leads the stream.", "stream")
	position  = desc("stream_last_sequence", "Sequence of what was stored last in the stream.", "stream")
	messages  = desc("stream_messages", "Messages in the stream.", "stream")
	most      = desc("stream_messages_limit", "Messages with which the stream refuses others, if it has such a limit.", "stream")
	bytes     = desc("stream_bytes", "Bytes of the stream.", "stream")
	alive     = desc("copy_alive", "1 if the node with this copy of the stream is alive, as its leader sees it.", "stream", "node")
	lag       = desc("copy_lag", "Operations that this copy of the stream is behind its leader.", "stream", "node")
)

var all = []*prometheus.Desc{nodes, unlike, witnesses, electorsAway, twins, channels, gaps, losses, dropped, revocations, limit, cutOff, presentChannels, presentUsers, presentSockets, available, leads, position, messages, most, bytes, alive, lag}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("socketcluster_cluster_"+name, help, labels, nil)
}

// Describe implements prometheus.Collector.
func (collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range all {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(to chan<- prometheus.Metric) {
	s := c.node.Stats(context.Background())
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	count := func(d *prometheus.Desc, v uint64) {
		to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v))
	}
	gauge(nodes, float64(len(s.Nodes)))
	gauge(unlike, float64(len(s.Unlike)))
	gauge(witnesses, float64(len(s.Witnesses)))
	away := 0
	for _, name := range s.Electors {
		if !slices.Contains(s.Nodes, name) {
			away++
		}
	}
	gauge(electorsAway, float64(away))
	gauge(twins, float64(len(s.Twins)))
	gauge(channels, float64(s.Channels))
	count(gaps, s.Gaps)
	count(losses, s.Losses)
	count(dropped, s.Dropped)
	gauge(revocations, float64(s.Revocations))
	gauge(limit, float64(s.RevocationLimit))
	gauge(cutOff, truth(s.CutOff))
	gauge(presentChannels, float64(s.Present.Channels))
	gauge(presentUsers, float64(s.Present.Users))
	gauge(presentSockets, float64(s.Present.Sockets))
	for _, stream := range s.Streams {
		gauge(available, truth(stream.Leader != ""), stream.Name)
		gauge(leads, truth(stream.Leader == s.Node), stream.Name)
		if stream.Leader == "" {
			continue // nobody knows
		}
		gauge(position, float64(stream.Position), stream.Name)
		gauge(messages, float64(stream.Messages), stream.Name)
		if stream.MaxMessages > 0 {
			gauge(most, float64(stream.MaxMessages), stream.Name)
		}
		gauge(bytes, float64(stream.Bytes), stream.Name)
		for _, one := range stream.Copies {
			gauge(alive, truth(one.Alive), stream.Name, one.Node)
			gauge(lag, float64(one.Lag), stream.Name, one.Node)
		}
	}
}

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
