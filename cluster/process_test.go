package cluster_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/cluster"
	"github.com/socketcluster-go/socketcluster/internal/sctest"
)

// processVar is the variable of the environment with the processOptions of a
// process that is a node.
const processVar = "CLUSTER_TEST_PROCESS"

type processOptions struct {
	Name, Listen string
	Routes       []string
}

// runProcess is a node with a server, until its standard input ends. It prints
// the address of the server.
func runProcess(text string) {
	var o processOptions
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		log.Fatal(err)
	}
	node, err := cluster.Start(context.Background(), cluster.Options{
		Name: o.Name, Listen: o.Listen, Routes: o.Routes, Secret: secret, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		log.Fatal(err)
	}
	srv, _, err := newServer(node, cluster.PresenceOptions{Debounce: debounce})
	if err != nil {
		log.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go func() { log.Fatal(http.Serve(l, srv)) }()
	fmt.Println(l.Addr())
	_, _ = io.Copy(io.Discard, os.Stdin) // until the test ends, whichever way
}

// process is a node in a process of its own.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	addr string // of its server
}

func startProcess(t *testing.T, o processOptions) *process {
	t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), processVar+"="+string(text))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		in.Close()
		_ = cmd.Wait()
	})
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the process has not started: %v", err)
	}
	return &process{t, cmd, strings.TrimSpace(addr)}
}

func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// The rows of a process that is killed are gone within 3 seconds, and its users
// have left by then. One that is stopped is gone too, and when it goes on, all is
// as it is: what has ended meanwhile is no ghost on either side.
func TestPresenceProcess(t *testing.T) {
	t.Parallel()
	addrs := []string{sctest.FreeAddr(t), sctest.FreeAddr(t)}
	s := newSite(t, startNode(t, cluster.Options{Name: "a", Listen: addrs[0], Routes: addrs, Secret: secret}), cluster.PresenceOptions{})
	joins := s.watch("room")
	carol := connect(t, s.addr, "carol", "room")
	other := processOptions{"b", addrs[1], addrs}

	killed := startProcess(t, other)
	await(t, "the process", func() bool { return len(s.node.Nodes()) == 2 })
	connect(t, killed.addr, "alice", "room")
	awaitHere(t, []*site{s}, "room", "alice1", "carol1")
	begun := time.Now()
	killed.signal(syscall.SIGKILL)
	awaitHere(t, []*site{s}, "room", "carol1")
	if took := time.Since(begun); took > 3*time.Second {
		t.Errorf("alice has left after %v", took)
	} else {
		t.Logf("alice has left after %v, of which %v are the debounce", took, debounce)
	}

	stopped := startProcess(t, other)
	await(t, "the process", func() bool { return len(s.node.Nodes()) == 2 })
	bob := connect(t, stopped.addr, "bob", "room")
	dave := connect(t, stopped.addr, "dave", "room")
	awaitHere(t, []*site{s}, "room", "bob1", "carol1", "dave1")
	begun = time.Now()
	stopped.signal(syscall.SIGSTOP)
	awaitHere(t, []*site{s}, "room", "carol1")
	t.Logf("the users of a stopped process have left after %v", time.Since(begun))
	dave.Close()
	carol.Close()
	connect(t, s.addr, "erin", "room")
	awaitHere(t, []*site{s}, "room", "erin1")
	begun = time.Now()
	stopped.signal(syscall.SIGCONT)
	awaitHere(t, []*site{s}, "room", "bob1", "erin1")
	t.Logf("it is back after %v", time.Since(begun))
	const want = `{"users":[{"user":"bob","sockets":1},{"user":"erin","sockets":1}],"total":2,"more":false}`
	await(t, "what the process sees", func() bool {
		got, err := bob.Call("presence", json.RawMessage(`{"channel":"room"}`))
		return err == nil && string(got) == want
	})
	here := make(map[string]bool)
	for _, e := range joins.got() {
		kind, user, _ := strings.Cut(e, " ")
		if here[user] == (kind == "join") {
			t.Errorf("%s comes twice: %v", e, joins.got())
		}
		here[user] = kind == "join"
	}
}
