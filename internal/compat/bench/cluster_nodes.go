//go:build linux

package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/compat/proc"
	"github.com/socketcluster-go/socketcluster/internal/sctest"
)

// nodes are the processes of a cluster under load.
type nodes struct {
	servers []server        // to which clients connect
	helpers []*proc.Process // others
	start   func(ctx context.Context, i int, env ...string) (*proc.Process, error)
	killed  [clusterSize]bool
	remove  string // a folder
}

const clusterSize = 3

// startNodes starts contract servers as the nodes of a cluster. Each has a store of its
// own.
func startNodes(ctx context.Context, l clusterLoad, env ...string) (*nodes, error) {
	dir, err := os.MkdirTemp("", "bench-cluster-")
	if err != nil {
		return nil, err
	}
	n := &nodes{servers: make([]server, clusterSize), remove: dir}
	routes := make([]string, clusterSize)
	for i := range routes {
		if routes[i], err = sctest.ChooseAddr(); err != nil {
			return nil, errors.Join(err, n.stop())
		}
	}
	n.start = func(ctx context.Context, i int, env ...string) (*proc.Process, error) {
		name := "n" + strconv.Itoa(i)
		return launchContract(ctx, append(env,
			"NODE_NAME="+name, "CLUSTER_LISTEN="+routes[i], "CLUSTER_ROUTES="+strings.Join(routes, ","),
			"DATA_DIR="+filepath.Join(dir, name)))
	}
	// A node listens when it has storage, which takes a majority.
	var starting sync.WaitGroup
	failures := make([]error, clusterSize)
	for i := range n.servers {
		starting.Go(func() { failures[i] = n.launch(ctx, i, env...) })
	}
	starting.Wait()
	if err := errors.Join(failures...); err != nil {
		return nil, errors.Join(err, n.stop())
	}
	if err := n.settle(ctx, l); err != nil {
		return nil, errors.Join(err, n.stop())
	}
	return n, nil
}

// startSingle starts a contract server that is no node of a cluster.
func startSingle(ctx context.Context, env ...string) (*nodes, error) {
	n := &nodes{servers: make([]server, 1)}
	n.start = func(ctx context.Context, _ int, env ...string) (*proc.Process, error) {
		return launchContract(ctx, env)
	}
	return n, n.launch(ctx, 0, env...)
}

func launchContract(ctx context.Context, env []string) (*proc.Process, error) {
	cmd, err := goProgram("./contract")(ctx, append(env, "PORT=0", "AUTH_KEY="+authKey, "PUBLISH_RATE="+strconv.Itoa(publishRate))...)
	if err != nil {
		return nil, err
	}
	return proc.Launch(ctx, cmd)
}

// launch starts a node, or starts it again.
func (n *nodes) launch(ctx context.Context, i int, env ...string) error {
	p, err := n.start(ctx, i, slices.Clone(env)...)
	if err != nil {
		return err
	}
	n.servers[i] = server{p, endpoint{addr: p.Addr(), proto: scProtocol{}}}
	n.killed[i] = false
	return nil
}

// kill ends a node at once, as a fault does.
func (n *nodes) kill(i int) error {
	n.killed[i] = true
	if err := syscall.Kill(n.servers[i].Pid(), syscall.SIGKILL); err != nil {
		return err
	}
	<-n.servers[i].Exited()
	return nil
}

// restart stops a node in good order and starts it again, with further environment. It
// returns how long the start took, until the node accepted clients.
func (n *nodes) restart(ctx context.Context, i int, env ...string) (time.Duration, error) {
	if err := n.servers[i].Stop(); err != nil {
		return 0, err
	}
	begun := time.Now()
	if err := n.launch(ctx, i, env...); err != nil {
		return 0, err
	}
	return time.Since(begun), nil
}

// copyReadings is for how many readings nothing is done after a start: NATS gets ready,
// and streams get the copies that they lack.
const copyReadings = 10

// settle waits until the nodes are at rest.
func (n *nodes) settle(ctx context.Context, l clusterLoad) error {
	if err := sleep(ctx, copyReadings*l.settleEvery); err != nil {
		return err
	}
	for _, p := range n.processes() {
		if err := settledCPU(ctx, p.Pid(), l.settleEvery); err != nil {
			return err
		}
	}
	return nil
}

// processes are those that live.
func (n *nodes) processes() []*proc.Process {
	var all []*proc.Process
	for i, s := range n.servers {
		if s.Process != nil && !n.killed[i] {
			all = append(all, s.Process)
		}
	}
	return append(all, n.helpers...)
}

// cpu is the CPU time of all processes that live.
func (n *nodes) cpu() (sum time.Duration, err error) {
	for _, p := range n.processes() {
		one, err := cpuTime(p.Pid())
		if err != nil {
			return 0, err
		}
		sum += one
	}
	return sum, nil
}

// stop ends all processes, and removes what they have stored.
func (n *nodes) stop() error {
	all := n.processes()
	failures := make([]error, len(all))
	var stopping sync.WaitGroup
	for i, p := range all {
		stopping.Go(func() { failures[i] = p.Stop() })
	}
	stopping.Wait()
	return errors.Join(append(failures, os.RemoveAll(n.remove))...)
}
