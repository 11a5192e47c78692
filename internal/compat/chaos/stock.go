package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/compat/chaos/judge"
	"github.com/socketcluster-go/socketcluster/internal/compat/proc"
)

// stock is a process of Node.js with stock clients, which publish and recover with the
// module of package browser. They reach the nodes through a balancer.
type stock struct {
	r        *round
	balancer *balancer
	cmd      *exec.Cmd
	in       io.WriteCloser
	over     sync.WaitGroup
	there    atomic.Bool
}

// stockEvent is a line that the process prints: an event, whose time is that of its
// clock, or whether all its subscribers are there.
type stockEvent struct {
	Clock float64      `json:"clock"` // milliseconds since 1970
	There *bool        `json:"there"`
	Took  float64      `json:"tookMs"`
	Event *judge.Event `json:"event"`
}

func startStock(r *round, channels []string) (*stock, error) {
	rng, mu := r.source("balancer"), sync.Mutex{}
	b, err := newBalancer(func() string {
		mu.Lock()
		defer mu.Unlock()
		return r.pick(rng).addr
	})
	if err != nil {
		return nil, err
	}
	s := &stock{r: r, balancer: b}
	list, err := json.Marshal(channels)
	if err == nil {
		s.cmd, err = proc.NodeCommand(context.Background(), "chaos/js/clients.mjs", "ADDR="+b.addr(), "CHANNELS="+string(list))
	}
	var out io.ReadCloser
	if err == nil {
		s.in, err = s.cmd.StdinPipe()
	}
	if err == nil {
		out, err = s.cmd.StdoutPipe()
	}
	if err == nil {
		s.cmd.Stderr = r.log
		err = s.cmd.Start()
	}
	if err != nil {
		b.close()
		return nil, err
	}
	s.over.Go(func() { s.read(out) })
	return s, nil
}

// pick returns a node that a balancer would choose: one that is up.
func (r *round) pick(rng *rand.Rand) *node {
	var up []*node
	for _, n := range r.site.nodes {
		if n.is(judge.Up) || n.is(judge.CutOff) {
			up = append(up, n)
		}
	}
	if len(up) == 0 {
		up = r.site.nodes
	}
	return up[rng.IntN(len(up))]
}

func (s *stock) read(out io.Reader) {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e stockEvent
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			s.r.fail(fmt.Errorf("stock clients print %q: %w", lines.Text(), err))
			continue
		}
		if e.There != nil {
			s.there.Store(*e.There)
		}
		if e.Event != nil {
			e.Event.At = time.Duration(e.Clock*float64(time.Millisecond)) - time.Duration(s.r.diary.begun.UnixNano())
			e.Event.Took = time.Duration(e.Took * float64(time.Millisecond))
			s.r.diary.addAt(*e.Event)
		}
	}
}

// ready reports whether all subscribers are subscribed.
func (s *stock) ready() bool { return s.there.Load() }

// calm makes the clients stop publishing.
func (s *stock) calm() { _, _ = io.WriteString(s.in, "calm\n") }

// close ends the process.
func (s *stock) close() {
	s.in.Close() // ends it
	late := time.AfterFunc(5*time.Second, func() { s.cmd.Process.Kill() })
	s.over.Wait()
	_ = s.cmd.Wait() // it has printed everything
	late.Stop()
	s.balancer.close()
}
