package jsclient

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/compat/proc"
)

// hangLimit ends a test in which something does not happen at all. It is far
// above what a loaded machine needs.
const hangLimit = 25 * time.Second

// node is a running driver.
type node struct {
	stdin io.WriteCloser

	mu      sync.Mutex
	last    int
	pending map[int]chan reply
	clients int
	gone    chan struct{} // closed when the output has ended
}

type reply struct {
	ID    int             `json:"id"`
	Value json.RawMessage `json:"value"`
	Error *jsError        `json:"error"`
}

// jsError is an error as the JavaScript side has seen it.
type jsError struct {
	Name    string
	Message string
	Fields  map[string]any // what it has besides
}

func (e *jsError) Error() string { return fmt.Sprintf("%s: %s %v", e.Name, e.Message, e.Fields) }

// UnmarshalJSON implements json.Unmarshaler.
func (e *jsError) UnmarshalJSON(text []byte) error {
	if err := json.Unmarshal(text, &e.Fields); err != nil {
		return err
	}
	e.Name, _ = e.Fields["name"].(string)
	e.Message, _ = e.Fields["message"].(string)
	delete(e.Fields, "name")
	delete(e.Fields, "message")
	return nil
}

// startNode starts a driver for the duration of a test. env is added to its
// environment.
func startNode(t *testing.T, env ...string) *node {
	t.Helper()
	cmd := proc.Node(t, "jsclient/js/driver.mjs", env...)
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
	n := &node{stdin: stdin, pending: make(map[int]chan reply), gone: make(chan struct{})}
	go n.read(stdout)
	t.Cleanup(func() { n.stop(t, cmd, &stderr) })
	return n
}

// stop ends the driver by ending its input.
func (n *node) stop(t *testing.T, cmd *exec.Cmd, stderr *bytes.Buffer) {
	n.stdin.Close()
	select {
	case <-n.gone:
	case <-time.After(hangLimit):
		t.Error("node does not end")
		cmd.Process.Kill()
		<-n.gone
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("node: %v", err)
	}
	if t.Failed() && stderr.Len() > 0 {
		t.Logf("node wrote:\n%s", stderr)
	}
}

func (n *node) read(stdout io.Reader) {
	defer close(n.gone)
	lines := bufio.NewReader(stdout)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var r reply
		if err := json.Unmarshal(line, &r); err != nil {
			r.Error = &jsError{Name: "DriverError", Message: fmt.Sprintf("%v in %q", err, line)}
		}
		n.mu.Lock()
		answered := n.pending[r.ID]
		delete(n.pending, r.ID)
		n.mu.Unlock()
		if answered != nil {
			answered <- r
		}
	}
}

// start begins a step. The returned function waits for its end.
func (n *node) start(t *testing.T, step string, args ...any) (wait func() (json.RawMessage, error)) {
	t.Helper()
	if args == nil {
		args = []any{}
	}
	answered := make(chan reply, 1)
	n.mu.Lock()
	n.last++
	line, err := json.Marshal(map[string]any{"id": n.last, "step": step, "args": args})
	n.pending[n.last] = answered
	if err == nil {
		_, err = n.stdin.Write(append(line, '\n'))
	}
	n.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	return func() (json.RawMessage, error) {
		t.Helper()
		select {
		case r := <-answered:
			if r.Error != nil {
				return nil, r.Error
			}
			return r.Value, nil
		case <-n.gone:
			t.Fatalf("node has ended during %s%v", step, args)
		case <-time.After(hangLimit):
			t.Fatalf("no end of %s%v", step, args)
		}
		return nil, nil
	}
}

// try runs a step that may fail.
func (n *node) try(t *testing.T, step string, args ...any) (json.RawMessage, error) {
	t.Helper()
	return n.start(t, step, args...)()
}

// do runs a step that must not fail.
func (n *node) do(t *testing.T, step string, args ...any) json.RawMessage {
	t.Helper()
	value, err := n.try(t, step, args...)
	if err != nil {
		t.Fatalf("%s: %v", step, err)
	}
	return value
}

// decode reads the value of a step.
func decode[T any](t *testing.T, raw json.RawMessage) T {
	t.Helper()
	var v T
	if raw == nil {
		return v
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	return v
}

// wantJSError checks what a step has failed with.
func wantJSError(t *testing.T, err error, name, message string) *jsError {
	t.Helper()
	var e *jsError
	if !errors.As(err, &e) || e == nil {
		t.Fatalf("got %v, want %s: %s", err, name, message)
	}
	if e.Name != name || e.Message != message {
		t.Errorf("got %s: %q, want %s: %q", e.Name, e.Message, name, message)
	}
	return e
}
