package jsclient

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/broker"
	"github.com/socketcluster-go/socketcluster/broker/brokertest"
	"github.com/socketcluster-go/socketcluster/broker/upstream"
	goclient "github.com/socketcluster-go/socketcluster/client"
	"github.com/socketcluster-go/socketcluster/internal/compat/npm"
	"github.com/socketcluster-go/socketcluster/internal/compat/proc"
	"github.com/socketcluster-go/socketcluster/internal/sctest"
)

// A worker is socketcluster-server in a process of its own, with its own broker.
const worker = "bench/js/server.js"

func startWorker(t *testing.T) *proc.Process {
	t.Helper()
	return proc.Start(t, proc.Node(t, worker, "PORT=0", "AUTH_KEY="+key))
}

// launchWorker starts a worker that the test kills.
func launchWorker(t *testing.T, port int) *proc.Process {
	t.Helper()
	p, err := proc.Launch(t.Context(), proc.Node(t, worker, fmt.Sprintf("PORT=%d", port), "AUTH_KEY="+key))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// kill ends a worker as kill -9 does.
func kill(t *testing.T, p *proc.Process) {
	t.Helper()
	if err := syscall.Kill(p.Pid(), syscall.SIGKILL); err != nil {
		t.Error(err)
	}
	<-p.Exited()
}

// newUpstream makes the broker of a node behind a worker.
func newUpstream(t *testing.T, addr string, o upstream.Options) *upstream.Broker {
	t.Helper()
	o.URL = "ws://" + addr
	o.Client.Logger = slog.New(slog.DiscardHandler)
	b, err := upstream.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// loginAtWorker logs a node in at a worker.
func loginAtWorker(ctx context.Context, c *goclient.Client) error {
	_, err := c.Invoke(ctx, "login", map[string]string{"username": "node"}) // the token may follow
	return err
}

func portOf(t *testing.T, addr string) int {
	t.Helper()
	var port int
	if _, err := fmt.Sscanf(addr[strings.LastIndex(addr, ":"):], ":%d", &port); err != nil {
		t.Fatal(err)
	}
	return port
}

// join connects a client to a server, subscribes it and collects what it gets.
func join(t *testing.T, n *node, id, port int, channel string) {
	t.Helper()
	n.do(t, "create", id, options{"port": port}, nil)
	n.do(t, "connect", id)
	n.do(t, "subscribe", id, channel)
	n.do(t, "collect", id, channel)
}

// collected waits until a client has got a number of publications.
func collected(t *testing.T, n *node, id, count int) []any {
	t.Helper()
	return decode[[]any](t, n.do(t, "collected", id, count))
}

// startSharing starts two servers of one process that share a broker.
func startSharing(t *testing.T) (addrs [2]string) {
	t.Helper()
	second := sctest.FreeAddr(t)
	first := proc.Start(t, proc.Node(t, "jsclient/js/sharing.cjs", "AUTH_KEY="+key, fmt.Sprintf("SECOND_PORT=%d", portOf(t, second))))
	return [2]string{first.Addr(), second}
}

// startSCC starts two workers of a cluster of the stock packages.
func startSCC(t *testing.T) (addrs [2]string) {
	t.Helper()
	packages, err := npm.InstallSCC(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	start := func(script string, env ...string) *proc.Process {
		t.Helper()
		env = append([]string{"NODE_PATH=" + filepath.Join(packages, "node_modules"), "PORT=0", "AUTH_KEY=" + key}, env...)
		return proc.Start(t, proc.Node(t, script, env...))
	}
	state := portOf(t, start("bench/js/scc-state.js").Addr())
	start("bench/js/scc-broker.js", "SCC_STATE_SERVER_HOST=127.0.0.1", fmt.Sprintf("SCC_STATE_SERVER_PORT=%d", state),
		fmt.Sprintf("SCC_BROKER_SERVER_PORT=%d", portOf(t, sctest.FreeAddr(t))))
	for i := range addrs {
		addrs[i] = start(worker, fmt.Sprintf("SCC_STATE_PORT=%d", state)).Addr()
	}
	return addrs
}

// Nodes behind workers and the workers share their channels: clients of all of them get each
// publication once and unchanged, those of a publisher in order. All get one order if the
// workers have one broker in a process; several workers of SCC promise none.
func TestBehindNodeWorker(t *testing.T) {
	for name, test := range map[string]struct {
		start    func(*testing.T) [2]string // returns the addresses at which the two nodes connect
		oneOrder bool
	}{
		"one worker": {func(t *testing.T) [2]string {
			addr := startWorker(t).Addr()
			return [2]string{addr, addr}
		}, true},
		"two servers that share a broker": {startSharing, true},
		"two workers of SCC":              {startSCC, false},
	} {
		t.Run(name, func(t *testing.T) { testBehindWorkers(t, test.start(t), test.oneOrder) })
	}
}

func testBehindWorkers(t *testing.T, workers [2]string, oneOrder bool) {
	n := startNode(t)
	a := startServer(t, socketcluster.Config{Broker: newUpstream(t, workers[0], upstream.Options{})}, nil)
	b := startServer(t, socketcluster.Config{Broker: newUpstream(t, workers[1], upstream.Options{})}, nil)
	ports := []int{portOf(t, workers[0]), portOf(t, workers[1]), a.port, a.port, b.port}
	for id, port := range ports {
		join(t, n, id, port, "news")
	}
	begun := awaitPaths(t, n, len(ports))
	since := func(id, count int) []any {
		t.Helper()
		return collected(t, n, id, begun[id]+count)[begun[id]:]
	}
	values := []any{nil, false, 0.0, -1.5, "", "älice \u2028 <&> 😀", []any{}, map[string]any{"a": []any{1.0, nil}}}
	sent := map[string]int{}
	for id := range ports {
		for _, v := range values {
			n.do(t, "publish", id, "news", v)
			sent[fmt.Sprintf("%#v", v)]++
		}
	}
	count := len(ports) * len(values)
	for id := range ports {
		got := since(id, count)
		seen := map[string]int{}
		for i, v := range got {
			seen[fmt.Sprintf("%#v", v)]++
			if oneOrder && !reflect.DeepEqual(v, values[i%len(values)]) {
				t.Fatalf("client %d has got %v as number %d, want %v", id, v, i, values[i%len(values)])
			}
		}
		if !reflect.DeepEqual(seen, sent) {
			t.Fatalf("client %d has got %v, want %v", id, seen, sent)
		}
	}

	// All publish at the same time.
	const each = 100
	var waits []func() (json.RawMessage, error)
	for i := range each {
		for id := range ports {
			waits = append(waits, n.start(t, "publish", id, "news", id*each+i))
		}
	}
	for _, wait := range waits {
		if _, err := wait(); err != nil {
			t.Fatal(err)
		}
	}
	first := since(0, count+len(waits))
	for id := range ports {
		got := since(id, len(first))
		if len(got) != count+len(waits) {
			t.Fatalf("client %d has got %d publications, want %d", id, len(got), count+len(waits))
		}
		next := make([]int, len(ports))
		for _, v := range got[count:] {
			number := int(v.(float64))
			if from := number / each; number%each != next[from] {
				t.Fatalf("client %d has got number %d of client %d, want number %d", id, number%each, from, next[from])
			} else {
				next[from]++
			}
		}
		if oneOrder && !reflect.DeepEqual(got, first) {
			t.Errorf("client %d has got another order than client 0", id)
		}
	}
}

// awaitPaths waits until what the first two clients publish, one at each worker, reaches all
// clients: a worker of SCC does not wait for the subscription at its broker. It returns how
// many publications each client has got by then.
func awaitPaths(t *testing.T, n *node, clients int) (counts []int) {
	t.Helper()
	has := func(id int, text string) bool {
		for _, v := range decode[[]any](t, n.do(t, "collected", id)) {
			if v == text {
				return true
			}
		}
		return false
	}
	for publisher := range 2 {
		for end, round := time.Now().Add(hangLimit), 0; ; round++ {
			probe := fmt.Sprintf("probe %d of %d", round, publisher)
			n.do(t, "publish", publisher, "news", probe)
			reached := 0
			for id := range clients {
				for until := time.Now().Add(time.Second); !has(id, probe) && time.Now().Before(until); time.Sleep(5 * time.Millisecond) {
				}
				if has(id, probe) {
					reached++
				}
			}
			if reached == clients {
				break // earlier probes have come before
			}
			if time.Now().After(end) {
				t.Fatalf("what client %d publishes reaches %d of %d clients", publisher, reached, clients)
			}
		}
	}
	for id := range clients {
		counts = append(counts, len(decode[[]any](t, n.do(t, "collected", id))))
	}
	return counts
}

// The node has a login of its own at the worker. What the worker refuses, the client of
// the node learns.
func TestLoginAtNodeWorker(t *testing.T) {
	w := startWorker(t)
	n := startNode(t)
	stranger := startServer(t, socketcluster.Config{Broker: newUpstream(t, w.Addr(), upstream.Options{})}, nil)
	known := startServer(t, socketcluster.Config{Broker: newUpstream(t, w.Addr(), upstream.Options{Login: loginAtWorker})}, nil)
	join(t, n, 1, stranger.port, "news")
	_, err := n.try(t, "publish", 1, "private.a", 1)
	wantJSError(t, err, "PublishError", "Private channels need an auth token")
	_, err = n.try(t, "subscribe", 1, "private.a", nil)
	wantJSError(t, err, "BrokerError", "Failed to subscribe socket to the private.a channel")
	join(t, n, 2, known.port, "private.a")
	n.do(t, "publish", 2, "private.a", 1)
	collected(t, n, 2, 1)
}

// A worker takes an expired token away when the node sends something. The node logs in again.
func TestTokenExpiresAtNodeWorker(t *testing.T) {
	w := startWorker(t)
	engine := newJWT(t, auth.Options{Key: key})
	logins := make(chan struct{}, 100)
	b := newUpstream(t, w.Addr(), upstream.Options{Login: func(ctx context.Context, c *goclient.Client) error {
		// A second of it may be over when it is signed, as claims count whole ones.
		token, err := engine.Sign(ctx, map[string]string{"username": "node"}, auth.ExpiresIn(3*time.Second))
		if err != nil {
			return err
		}
		logins <- struct{}{}
		return c.Authenticate(ctx, token.Signed())
	}})
	a := startServer(t, socketcluster.Config{Broker: b}, nil)
	next(t, logins)
	refused := 0
	for end := time.Now().Add(hangLimit); len(logins) == 0; {
		if err := a.Exchange().Publish(t.Context(), "private.a", 1); err != nil {
			refused++
		}
		if time.Now().After(end) {
			t.Fatalf("no second login; %d publications were refused", refused)
		}
	}
	for end := time.Now().Add(hangLimit); ; {
		err := a.Exchange().Publish(t.Context(), "private.a", 1)
		if err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// When the process of the worker is killed, clients of the node stay connected and
// subscribed, publications wait, and all goes on when it is back.
func TestNodeWorkerKilled(t *testing.T) {
	n := startNode(t)
	w := launchWorker(t, 0)
	port := portOf(t, w.Addr())
	gaps := make(chan upstream.Gap, 100)
	a := startServer(t, socketcluster.Config{Broker: newUpstream(t, w.Addr(), upstream.Options{
		Login: loginAtWorker,
		OnGap: func(g upstream.Gap) { gaps <- g },
	})}, nil)
	join(t, n, 1, a.port, "private.a")
	lost := watchLost(t, a.port, "private.a")
	n.do(t, "publish", 1, "private.a", "before")
	collected(t, n, 1, 1)

	kill(t, w)
	begun := next(t, gaps)
	if begun.Channel != "" || begun.Cause == nil || !begun.To.IsZero() {
		t.Errorf("gap: %+v", begun)
	}
	wait := n.start(t, "publish", 1, "private.a", "waited")
	w = launchWorker(t, port)
	defer func() { kill(t, w) }()
	if _, err := wait(); err != nil {
		t.Fatal(err)
	}
	if ended := next(t, gaps); ended.Channel != "" || ended.To.IsZero() || !ended.From.Equal(begun.From) {
		t.Errorf("gap: %+v", ended)
	}
	if e := next(t, lost); e.Channel != "private.a" || e.From != 0 || e.To != 0 || e.Position != "" {
		t.Errorf("lost: %+v", e)
	}
	n.do(t, "create", 2, options{"port": port}, nil)
	n.do(t, "connect", 2)
	n.do(t, "invoke", 2, "login", map[string]string{"username": "alice"})
	n.do(t, "publish", 2, "private.a", "after")
	if got := collected(t, n, 1, 3); !reflect.DeepEqual(got, []any{"before", "waited", "after"}) {
		t.Errorf("the client of the node has got %v", got)
	}
}

// watchLost subscribes a Go client to a channel, and returns what it is told to be lost.
func watchLost(t *testing.T, port int, channel string) <-chan goclient.LostEvent {
	t.Helper()
	c, err := goclient.Dial(t.Context(), fmt.Sprintf("ws://127.0.0.1:%d", port), goclient.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	lost := make(chan goclient.LostEvent, 100)
	goclient.On(c, func(e goclient.LostEvent) { lost <- e })
	if _, err := c.Subscribe(context.Background(), channel); err != nil {
		t.Fatal(err)
	}
	return lost
}

func next[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(hangLimit):
		t.Fatal("nothing comes")
		panic("unreachable")
	}
}

// Two nodes behind a worker keep the promises of a broker.
func TestUpstreamContract(t *testing.T) {
	w := startWorker(t)
	brokertest.TestBroker(t, func(t *testing.T) []broker.Broker {
		return []broker.Broker{newUpstream(t, w.Addr(), upstream.Options{}), newUpstream(t, w.Addr(), upstream.Options{})}
	})
}
