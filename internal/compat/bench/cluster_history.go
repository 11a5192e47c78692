//go:build linux

package main

import (
	"context"
	"fmt"
	"time"
)

// Channels of the contract server whose names begin like this have a history, if the rest
// has no dot.
const historyPrefix = "history."

// The limits of a publication with three copies.
const (
	maxAckMedian  = 1.5 // ms
	maxAckLongest = 5   // ms
	maxStoreCost  = 200 // CPU µs
)

// runHistory compares acknowledged publications with and without a history.
func runHistory(ctx context.Context, n *nodes, l clusterLoad) ([]figure, error) {
	var figures []figure
	for _, load := range []struct {
		inFlight int
		heard    bool
		what     string
	}{
		{1, false, "an acknowledged publication, 1 in flight"},
		{l.inFlight, false, fmt.Sprintf("an acknowledged publication, %d in flight", l.inFlight)},
		{l.inFlight, true, fmt.Sprintf("the same %d with a subscriber each on another node", l.inFlight)},
	} {
		for _, kind := range []struct{ name, prefix string }{{"plain", "plain."}, {"with history", historyPrefix}} {
			cost, took, err := acknowledged(ctx, n, l, fmt.Sprintf("%s%t-", kind.prefix, load.heard), load.inFlight, load.heard)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", kind.name, err)
			}
			what := load.what + ", " + kind.name
			median := figure{title: what + ", p50", unit: millisecondUnit, value: milliseconds(took.percentile(50))}
			longest := figure{title: what + ", p99", unit: millisecondUnit, value: milliseconds(took.percentile(99))}
			total := figure{title: what + ", all nodes", unit: cpuTimeUnit, value: cost.Cost}
			switch {
			case kind.prefix != historyPrefix:
			case load.inFlight == 1:
				median.limit, longest.limit = maxAckMedian, maxAckLongest
			case !load.heard:
				total.limit = maxStoreCost
			}
			figures = append(figures, median, longest, total)
		}
	}
	return figures, nil
}

// acknowledged lets as many clients publish as publications are in flight, on
// load.inFlight channels together. Each waits for its acknowledgement. Clients are on all
// nodes in turn; the subscribers of their channels, if there are any, are on the next node.
func acknowledged(ctx context.Context, n *nodes, l clusterLoad, prefix string, clients int, heard bool) (sample, *latencies, error) {
	took := new(latencies)
	for at := range n.servers {
		var own [][]string // the channels of each client of this node
		for i := at; i < clients; i += len(n.servers) {
			var channels []string
			for k := i; k < l.inFlight; k += clients {
				channels = append(channels, fmt.Sprint(prefix, k))
			}
			own = append(own, channels)
		}
		if heard {
			subscribers, err := openFleet(ctx, n.servers[(at+1)%len(n.servers)].endpoint, len(own),
				func(k int, c *conn) error { return subscribed(own[k]...)(k, c) }, discard)
			if err != nil {
				return sample{}, nil, err
			}
			defer subscribers.abandon()
			ctx = subscribers.ctx
		}
		publishers, err := openFleet(ctx, n.servers[at].endpoint, len(own), anonymous, func(k int, c *conn) error {
			return acknowledge(c, own[k], took)
		})
		if err != nil {
			return sample{}, nil, err
		}
		defer publishers.abandon()
		ctx = publishers.ctx
	}
	cost, err := sampleLatencies(ctx, n, l.load, took)
	return cost, took, err
}

// acknowledge publishes one message after the other, on channels in turn, until the
// connection closes.
func acknowledge(c *conn, channels []string, took *latencies) error {
	var frame, message []byte
	for i := 0; ; i++ {
		c.id++
		message = c.proto.appendPublish(message[:0], c.id, channels[i%len(channels)], payload)
		frame = appendFrame(frame[:0], opText, message)
		begun := time.Now()
		if _, err := c.net.Write(frame); err != nil {
			return err
		}
		got, err := c.next()
		if err != nil {
			return err
		}
		if c.proto.kind(got) != answer {
			return fmt.Errorf("unexpected answer %q", got)
		}
		took.add(time.Since(begun))
	}
}
