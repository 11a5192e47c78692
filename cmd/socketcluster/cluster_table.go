package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/socketcluster-go/socketcluster/cluster"
)

// nodeRow is what the streams say of a node.
type nodeRow struct {
	state         string
	leads, copies int
	lag           uint64 // of the copy that is furthest behind
}

// nodeRows returns the nodes that are alive, and those with copies. With an outside NATS, its servers
// have the copies.
func nodeRows(s cluster.Stats) map[string]*nodeRow {
	rows := make(map[string]*nodeRow)
	row := func(name string) *nodeRow {
		if rows[name] == nil {
			rows[name] = &nodeRow{state: "away"}
		}
		return rows[name]
	}
	for _, name := range s.Nodes {
		row(name).state = "alive"
	}
	for _, name := range s.Witnesses {
		row(name).state = "witness"
	}
	for _, name := range s.Electors {
		row(name) // also one that is away, and has no copies
	}
	for _, stream := range s.Streams {
		for _, one := range stream.Copies {
			r := row(one.Node)
			if r.copies++; r.state == "away" && one.Alive {
				r.state = "NATS server"
			}
			r.lag = max(r.lag, one.Lag)
			if one.Node == stream.Leader {
				r.leads++
			}
		}
	}
	return rows
}

// ills returns what is wrong.
func ills(s cluster.Stats) (all []string) {
	if s.CutOff {
		all = append(all, "node "+s.Node+" is cut off from the revocations of others, and accepts no token")
	}
	if s.RevocationLimit > 0 && s.Revocations >= s.RevocationLimit*9/10 {
		all = append(all, fmt.Sprintf("there are %d revocations; with %d, there is no room for more", s.Revocations, s.RevocationLimit))
	}
	if len(s.Unlike) > 0 {
		all = append(all, "these nodes have other history rules than node "+s.Node+": "+strings.Join(s.Unlike, ", "))
	}
	var waiting []string
	away := make(map[string]int)
	for _, stream := range s.Streams {
		if stream.Leader == "" {
			waiting = append(waiting, stream.Name)
		}
		for _, one := range stream.Copies {
			if !one.Alive {
				away[one.Node]++
			}
		}
	}
	if len(waiting) > 0 {
		all = append(all, "these streams have no leader, and wait: "+strings.Join(waiting, ", "))
	}
	for _, name := range s.Electors {
		if !slices.Contains(s.Nodes, name) && away[name] == 0 {
			all = append(all, fmt.Sprintf("node %s is away, and counts among the %d that elect; if it is gone for good: socketcluster cluster remove %s", name, len(s.Electors), name))
		}
	}
	if len(s.Twins) > 0 {
		all = append(all, "several nodes have these names: "+strings.Join(s.Twins, ", "))
	}
	for _, name := range slices.Sorted(maps.Keys(away)) {
		all = append(all, fmt.Sprintf("node %s is away, with copies of streams: %d", name, away[name]))
	}
	return all
}

// printCluster prints figures for people.
func printCluster(w io.Writer, s cluster.Stats) {
	fmt.Fprintf(w, "Cluster %s, as node %s sees it\n\n", s.Cluster, s.Node)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NODE\tSTATE\tLEADS\tCOPIES\tBEHIND")
	rows := nodeRows(s)
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		r := rows[name]
		fmt.Fprintf(table, "%s\t%s\t%d\t%d\t%d\n", name, r.state, r.leads, r.copies, r.lag)
	}
	if len(s.Streams) > 0 {
		fmt.Fprintln(table, "\nSTREAM\tLEADER\tPOSITION\tMESSAGES\tBYTES\tCOPIES")
	}
	for _, stream := range s.Streams {
		if stream.Leader == "" {
			fmt.Fprintf(table, "%s\tnone\t-\t-\t-\t-\n", stream.Name)
			continue
		}
		fmt.Fprintf(table, "%s\t%s\t%d\t%s\t%d\t%s\n", stream.Name, stream.Leader, stream.Position, ofLimit(stream.Messages, stream.MaxMessages), stream.Bytes, copiesText(stream.Copies))
	}
	_ = table.Flush() // as for all that is printed
	fmt.Fprintf(w, "\nNode %s: %d channels, %s revocations; since its start %d gaps read, %d lost, %d messages dropped\n",
		s.Node, s.Channels, ofLimit(uint64(s.Revocations), uint64(s.RevocationLimit)), s.Gaps, s.Losses, s.Dropped)
	if p := s.Present; p.Users > 0 {
		fmt.Fprintf(w, "Presence: %d users in %d channels; node %s has %d sockets in them\n", p.Users, p.Channels, s.Node, p.Sockets)
	}
	for _, ill := range ills(s) {
		fmt.Fprintf(w, "WRONG: %s\n", ill)
	}
}

// ofLimit prints a number, and the largest one if there is one.
func ofLimit(n, limit uint64) string {
	if limit == 0 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%d of %d", n, limit)
}

// copiesText lists copies, with what is to be known of those that are not current.
func copiesText(copies []cluster.CopyStats) string {
	all := make([]string, len(copies))
	for i, one := range copies {
		all[i] = one.Node
		switch {
		case !one.Alive:
			all[i] += " (away)"
		case !one.Current:
			all[i] += fmt.Sprintf(" (%d behind)", one.Lag)
		}
	}
	return strings.Join(all, " ")
}
