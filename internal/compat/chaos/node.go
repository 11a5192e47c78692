package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/compat/chaos/judge"
	"github.com/socketcluster-go/socketcluster/internal/compat/proc"
	"github.com/socketcluster-go/socketcluster/internal/sctest"
)

const authKey = "the key of the chaos checker, 32+"

// node is a contract server that is a node of the cluster.
type node struct {
	name, addr string
	dir        string // its store
	mounted    bool   // dir is a file system of its own
	binary     string
	env        []string
	diary      *diary

	mu      sync.Mutex
	process *proc.Process // nil before the first one
	past    string        // what processes before it have printed
	state   judge.Kind
}

// site is all nodes, and the cables between them.
type site struct {
	nodes  []*node
	cables *cables
}

// newSite prepares three nodes with stores below dir. As root on Linux, each has a file
// system in memory, which can be filled.
func newSite(dir, binary string, d *diary) (*site, error) {
	s := &site{cables: newCables()}
	var listen []string
	for _, name := range []string{"a", "b", "c"} {
		addr, err := sctest.ChooseAddr()
		if err != nil {
			return nil, err
		}
		_, port, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		route, err := sctest.ChooseAddr()
		if err != nil {
			return nil, err
		}
		listen = append(listen, route)
		n := &node{name: name, addr: addr, dir: filepath.Join(dir, name), binary: binary, diary: d}
		if err := os.Mkdir(n.dir, 0o700); err != nil {
			return nil, err
		}
		n.mounted = mount(n.dir)
		// Nodes tell each other where they listen. There would be ways around the cables,
		// were it not an address at which nobody is.
		n.env = []string{
			"CLUSTER_ADVERTISE=127.0.0.1:1",
			"PORT=" + port, "AUTH_KEY=" + authKey, "PING_INTERVAL=1000",
			"NODE_NAME=" + name, "CLUSTER_LISTEN=" + listen[len(listen)-1], "DATA_DIR=" + filepath.Join(n.dir, "store"),
		}
		s.nodes = append(s.nodes, n)
	}
	for i, from := range s.nodes {
		var routes []string
		for j, to := range s.nodes {
			if i == j {
				continue
			}
			addr, err := s.cables.lay(from.name, to.name, listen[j])
			if err != nil {
				return nil, err
			}
			routes = append(routes, addr)
		}
		from.env = append(from.env, "CLUSTER_ROUTES="+strings.Join(routes, ","))
	}
	return s, nil
}

// close kills all nodes.
func (s *site) close() {
	for _, n := range s.nodes {
		n.kill()
	}
	s.cables.close()
	for _, n := range s.nodes {
		if n.mounted {
			unmount(n.dir)
		}
	}
}

// set notes the state of a node.
func (n *node) set(state judge.Kind) {
	n.mu.Lock()
	n.state = state
	n.mu.Unlock()
	n.diary.add(judge.Event{Kind: state, Node: n.name})
}

// is reports whether a node is in a state.
func (n *node) is(state judge.Kind) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.state == state
}

// start starts the process, and returns when it serves.
func (n *node) start(ctx context.Context) error {
	p, err := proc.Launch(ctx, proc.Binary(n.binary, n.env...))
	if err != nil {
		return fmt.Errorf("node %s: %w", n.name, err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.process != nil {
		n.past += n.process.Logs()
	}
	n.process = p
	return nil
}

// logs returns what all processes of the node have printed.
func (n *node) logs() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.process == nil {
		return ""
	}
	return n.past + n.process.Logs()
}

func (n *node) running() *proc.Process {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.process
}

// kill kills the process, if there is one.
func (n *node) kill() {
	p := n.running()
	if p == nil {
		return
	}
	n.signal(syscall.SIGKILL)
	<-p.Exited()
}

func (n *node) signal(s syscall.Signal) { _ = syscall.Kill(n.running().Pid(), s) }

// stop ends the process in good order.
func (n *node) stop() error {
	err := n.running().Stop()
	if err != nil {
		return fmt.Errorf("node %s: %w", n.name, err)
	}
	return nil
}

// fill fills the file system of a node, and free frees it.
func (n *node) fill() error {
	f, err := os.Create(n.filler())
	if err != nil {
		return err
	}
	defer f.Close()
	for chunk := make([]byte, 1<<20); len(chunk) > 0; {
		if _, err := f.Write(chunk); errors.Is(err, syscall.ENOSPC) {
			chunk = chunk[:len(chunk)/2]
		} else if err != nil {
			return err
		}
	}
	return nil
}

func (n *node) free() error { return os.Remove(n.filler()) }

func (n *node) filler() string { return filepath.Join(n.dir, "filler") }

// probes is on how many channels a node is tried, so many that each stream has some.
const probes = 24

// probe publishes by a node on channels with history, and waits until the node delivers
// that.
func (n *node) probe(ctx context.Context) error {
	came := make(chan struct{}, probes)
	c, err := dial(ctx, n, "", func(_ *conn, p sctest.Packet) {
		if p.Event != "#publish" {
			return
		}
		select {
		case came <- struct{}{}:
		default: // those of a probe that was given up come, too
		}
	})
	if err != nil {
		return err
	}
	defer c.close()
	for i := range probes {
		channel := fmt.Sprintf("history.probe-%s-%d", n.name, i)
		if _, err := c.call(ctx, "#subscribe", map[string]any{"channel": channel}, callTimeout); err != nil {
			return err
		}
		if _, err := c.call(ctx, "#publish", map[string]any{"channel": channel, "data": publication{}}, callTimeout); err != nil {
			return err
		}
	}
	for range probes {
		select {
		case <-came:
		case <-c.done:
			return errEnded
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// probeStep is how often a node is asked whether it is healthy.
const probeStep = 50 * time.Millisecond

// healthy waits until a node is healthy.
func (n *node) healthy(ctx context.Context) error {
	last := errors.New("it was not asked")
	for {
		err := n.probe(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil {
			last = err
		}
		if pause(ctx, probeStep) != nil {
			return fmt.Errorf("node %s does not become healthy: %w", n.name, last)
		}
	}
}

// pause waits, or returns an error when ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
