package pairs

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"testing"

	"github.com/socketcluster-go/socketcluster/internal/compat/proc"
	"github.com/socketcluster-go/socketcluster/wire"
)

// node is a process with clients of socketcluster-client, js/client.mjs.
type node struct {
	stdin io.WriteCloser
	gone  chan struct{} // closed when the output has ended

	mu      sync.Mutex
	last    int
	pending map[int]chan answer
}

type answer struct {
	ID    int             `json:"id"`
	Value json.RawMessage `json:"value"`
	Error json.RawMessage `json:"error"`
}

// startNode starts a process for the duration of a test.
func startNode(t *testing.T) *node {
	t.Helper()
	cmd := proc.Node(t, "pairs/js/client.mjs")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	n := &node{stdin: stdin, pending: make(map[int]chan answer), gone: make(chan struct{})}
	go n.read(stdout)
	t.Cleanup(func() {
		stdin.Close()
		<-n.gone
		if err := cmd.Wait(); err != nil {
			t.Errorf("node: %v", err)
		}
		if t.Failed() {
			t.Logf("node wrote:\n%s", &stderr)
		}
	})
	return n
}

func (n *node) read(stdout io.Reader) {
	defer close(n.gone)
	lines := bufio.NewReader(stdout)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var a answer
		if err := json.Unmarshal(line, &a); err != nil {
			a.Error = must(marshal(map[string]string{"message": fmt.Sprintf("%v in %q", err, line)}))
		}
		n.mu.Lock()
		answered := n.pending[a.ID]
		delete(n.pending, a.ID)
		n.mu.Unlock()
		if answered != nil {
			answered <- a
		}
	}
}

// npmClient is a client in the process.
type npmClient struct {
	node *node
	ctx  context.Context
	name string
}

// begin begins a step. Steps begin in the order of the calls.
func (c *npmClient) begin(step string, args []json.RawMessage) (wait func() (json.RawMessage, error)) {
	n := c.node
	answered := make(chan answer, 1)
	if args == nil {
		args = []json.RawMessage{}
	}
	n.mu.Lock()
	n.last++
	line, err := marshal(map[string]any{"id": n.last, "client": c.name, "step": step, "args": args})
	n.pending[n.last] = answered
	if err == nil {
		_, err = n.stdin.Write(append(line, '\n'))
	}
	n.mu.Unlock()
	return func() (json.RawMessage, error) {
		if err != nil {
			return nil, err
		}
		select {
		case a := <-answered:
			if a.Error != nil {
				return nil, wire.ParseError(a.Error)
			}
			return a.Value, nil
		case <-n.gone:
			return nil, fmt.Errorf("node has ended during %s", step)
		case <-c.ctx.Done():
			return nil, c.ctx.Err()
		}
	}
}
