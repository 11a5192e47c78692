package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/compat/chaos/judge"
)

// fault is one kind of fault. run brings it about on a node, and ends when the nodes
// run again as far as the fault was concerned.
type fault struct {
	name string
	run  func(ctx context.Context, r *round, n *node) error
}

// faults is all kinds. A schedule has them in turns, each time in another order.
var faults = []fault{
	{judge.Kill, kill},
	{judge.KillAll, killAll},
	{judge.Pause, pauseNode},
	{judge.Cut, cutOff},
	{judge.Flap, flap},
	{judge.Restart, restart},
	{judge.Fill, fillDisk},
}

func faultNames() (names []string) {
	for _, f := range faults {
		names = append(names, f.name)
	}
	return names
}

// chooseFaults returns the faults in a list of names, all if it is empty.
func chooseFaults(list string) ([]fault, error) {
	if list == "" {
		return faults, nil
	}
	var chosen []fault
	for name := range strings.SplitSeq(list, ",") {
		i := slices.Index(faultNames(), name)
		if i < 0 {
			return nil, fmt.Errorf("there is no fault %q", name)
		}
		chosen = append(chosen, faults[i])
	}
	return chosen, nil
}

// between returns a random time.
func (r *round) between(from, to time.Duration) time.Duration {
	return from + time.Duration(r.rng.Int64N(int64(to-from)))
}

// healthyWait is the longest time that a cluster may take until it is healthy again.
const healthyWait = 90 * time.Second

// schedule brings about one fault after the other until ctx ends, with the cluster
// healthy between them.
func (r *round) schedule(ctx context.Context) error {
	var turn []fault
	for count := 0; ; count++ {
		if pause(ctx, r.between(time.Second, 4*time.Second)) != nil {
			return nil
		}
		if len(turn) == 0 {
			turn = r.shuffled()
		}
		f, n := turn[0], r.site.nodes[r.rng.IntN(len(r.site.nodes))]
		turn = turn[1:]
		r.progress("%v: %s, node %s", r.diary.now().Round(time.Second), f.name, n.name)
		r.diary.add(judge.Event{Kind: judge.Fault, Node: n.name, What: f.name})
		// A fault that has begun ends in order, also if the time is over.
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), healthyWait)
		err := f.run(limited, r, n)
		for _, n := range r.site.nodes {
			if err == nil {
				err = n.healthy(limited)
			}
		}
		cancel()
		if err != nil {
			return fmt.Errorf("fault %d (%s of node %s): %w", count+1, f.name, n.name, err)
		}
		r.diary.add(judge.Event{Kind: judge.Over, What: f.name})
	}
}

// shuffled returns all faults in a random order.
func (r *round) shuffled() []fault {
	all := slices.Clone(r.faults)
	r.rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// boot starts a node and notes when it is healthy.
func boot(ctx context.Context, r *round, n *node) error {
	begun := time.Now()
	if err := n.start(ctx); err != nil {
		return err
	}
	n.set(judge.Up)
	if err := n.healthy(ctx); err != nil {
		return err
	}
	r.diary.add(judge.Event{Kind: judge.Healthy, Node: n.name, Took: time.Since(begun)})
	return nil
}

func kill(ctx context.Context, r *round, n *node) error {
	n.set(judge.Down)
	n.kill()
	if err := pause(ctx, r.between(0, 14*time.Second)); err != nil {
		return err
	}
	return boot(ctx, r, n)
}

// killAll kills all nodes. It says nothing of the loss of power: the files are those that
// the kernel has.
func killAll(ctx context.Context, r *round, _ *node) error {
	for _, n := range r.site.nodes {
		n.set(judge.Down)
		n.kill()
	}
	if err := pause(ctx, r.between(0, 3*time.Second)); err != nil {
		return err
	}
	return errors.Join(each(r.site.nodes, func(n *node) error { return boot(ctx, r, n) })...)
}

// each calls fn for all nodes at the same time.
func each(nodes []*node, fn func(*node) error) []error {
	errs := make([]error, len(nodes))
	var over sync.WaitGroup
	for i, n := range nodes {
		over.Go(func() { errs[i] = fn(n) })
	}
	over.Wait()
	return errs
}

func pauseNode(ctx context.Context, r *round, n *node) error {
	n.set(judge.Paused)
	n.signal(syscall.SIGSTOP)
	err := pause(ctx, r.between(time.Second, 12*time.Second))
	n.signal(syscall.SIGCONT)
	n.set(judge.Up)
	return err
}

func cutOff(ctx context.Context, r *round, n *node) error {
	how := []mode{refused, silent}[r.rng.IntN(2)]
	n.set(judge.CutOff)
	r.site.cables.cut(n.name, how)
	err := pause(ctx, r.between(time.Second, 20*time.Second))
	r.site.cables.heal(n.name)
	n.set(judge.Up)
	return err
}

func flap(ctx context.Context, r *round, n *node) error {
	n.set(judge.CutOff)
	defer n.set(judge.Up)
	for range 1 + r.rng.IntN(5) {
		r.site.cables.flap(n.name)
		if err := pause(ctx, r.between(0, 1500*time.Millisecond)); err != nil {
			return err
		}
	}
	return nil
}

// restart restarts all nodes in good order, one after the other.
func restart(ctx context.Context, r *round, first *node) error {
	i := slices.Index(r.site.nodes, first)
	for k := range r.site.nodes {
		n := r.site.nodes[(i+k)%len(r.site.nodes)]
		n.set(judge.Stopping)
		err := n.stop()
		n.set(judge.Down)
		if err == nil {
			err = boot(ctx, r, n)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// fillDisk fills the disk of a node, frees it, and starts the node again: NATS does not
// use a store again that it could not write.
func fillDisk(ctx context.Context, r *round, n *node) error {
	n.set(judge.Full)
	if err := n.fill(); err != nil {
		return err
	}
	err := pause(ctx, r.between(time.Second, 8*time.Second))
	if err := n.free(); err != nil {
		return err
	}
	if err != nil {
		return err
	}
	n.set(judge.Stopping)
	err = n.stop()
	n.set(judge.Down)
	if err != nil {
		return err
	}
	return boot(ctx, r, n)
}

// source returns a source of random numbers for something in the run of a seed.
func source(seed uint64, name string) *rand.Rand {
	h := uint64(14695981039346656037) // FNV-1a
	for _, b := range []byte(name) {
		h = (h ^ uint64(b)) * 1099511628211
	}
	return rand.New(rand.NewPCG(seed, h))
}
