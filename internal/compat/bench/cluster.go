//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// clusterScenario is one kind of load on a cluster. run gets a fresh one, and returns
// its figures, which are the same in each round but for their values.
type clusterScenario struct {
	name string
	js   bool     // it is measured with the JavaScript packages, too
	env  []string // further environment of the nodes
	run  func(context.Context, *nodes, clusterLoad) ([]figure, error)
}

// clusterLoad is the load of each clusterScenario.
type clusterLoad struct {
	load
	inFlight     int        // publications that may be on their way, where it is not one
	subjects     int        // channels to which a node subscribes
	subscribers  int        // connections that have them
	followed     int        // channels with history to which a node subscribes
	members      int        // sockets with presence
	rooms        int        // their channels
	clients      int        // of the node that dies
	histories    int        // the channels to which they subscribe
	publications float64    // in a second, to those channels together
	victims      int        // users who are revoked one after the other
	revocations  int        // that a node loads when it starts
	revokers     int        // connections that add them
	ownDelay     [2]float64 // of clients who return, in seconds
}

func defaultClusterLoad(l load) clusterLoad {
	return clusterLoad{
		load:         l,
		inFlight:     64,
		subjects:     100_000,
		subscribers:  100,
		followed:     10_000,
		members:      10_000,
		rooms:        1000,
		clients:      2000,
		histories:    200,
		publications: 200,
		victims:      500,
		revocations:  100_000,
		revokers:     64,
		ownDelay:     [2]float64{10, 20},
	}
}

var clusterScenarios = []clusterScenario{
	{name: "rest", run: runRest},
	{name: "cross", js: true, run: runCross},
	{name: "history", run: runHistory},
	{name: "subscribe", run: runSubscribe},
	{name: "subject", env: []string{tightHeap}, run: runSubjects},
	{name: "followed", env: []string{rarePings}, run: runFollowed},
	{name: "presence", env: []string{rarePings}, run: runPresence},
	{name: "presence-memory", env: []string{rarePings, tightHeap}, run: runPresenceMemory},
	{name: "return", run: runReturnAtOnce},
	{name: "return-delayed", run: runReturnDelayed},
	{name: "revoke", run: runRevoke},
	{name: "revocations", run: runRevocations},
}

const (
	// tightHeap makes resident memory follow what is in use: nobody measures CPU time
	// at the same time.
	tightHeap = "GOGC=10"

	// rarePings keeps pings, in milliseconds, out of what is measured.
	rarePings = "PING_INTERVAL=25000"
)

// runCluster measures the scenarios that match, each on clusters of its own, and
// writes the report to out.
func runCluster(ctx context.Context, re *regexp.Regexp, targets []target, l clusterLoad, rounds int, asJSON bool, out, log io.Writer) error {
	selected, err := matching(re, clusterScenarios, func(s clusterScenario) string { return s.name })
	if err != nil {
		return err
	}
	rep := clusterReport{Machine: describeMachine(ctx), Rounds: rounds}
	failure := rep.measure(ctx, selected, targets, l, log)
	if failure == nil && len(rep.Results) == 0 {
		return errors.New("none of these servers has these scenarios of a cluster")
	}
	rep.summarize() // what was measured before a failure counts, as a run takes long
	if asJSON {
		return errors.Join(failure, writeJSON(out, rep))
	}
	return errors.Join(failure, rep.writeMarkdown(out))
}

// measure measures each scenario in all rounds.
func (r *clusterReport) measure(ctx context.Context, selected []clusterScenario, targets []target, l clusterLoad, log io.Writer) error {
	for _, s := range selected {
		for round := range r.Rounds {
			for _, t := range targets {
				if t.cluster == nil || t.name != "go" && !s.js {
					continue
				}
				fmt.Fprintf(log, "%s, round %d of %d, %s\n", s.name, round+1, r.Rounds, t.name)
				figures, err := measureCluster(ctx, s, t, l)
				if err != nil {
					return fmt.Errorf("%s: %s: %w", s.name, t.name, err)
				}
				r.add(s.name, t.name, figures)
			}
		}
	}
	return nil
}

// shownLogs is how much of the output of a process is shown after a failure, in bytes.
const shownLogs = 2000

func measureCluster(ctx context.Context, s clusterScenario, t target, l clusterLoad) ([]figure, error) {
	n, err := t.cluster(ctx, l, s.env...)
	if err != nil {
		return nil, err
	}
	figures, err := s.run(ctx, n, l)
	if stopErr := n.stop(); err == nil {
		err = stopErr
	}
	if err != nil {
		var logs strings.Builder
		for _, p := range n.processes() {
			text := p.Logs()
			fmt.Fprintf(&logs, "\nthe last output of a process:\n%s", text[max(0, len(text)-shownLogs):])
		}
		return nil, fmt.Errorf("%w%s", err, logs.String())
	}
	return figures, nil
}
