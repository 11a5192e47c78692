package cluster_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/cluster"
	"github.com/socketcluster-go/socketcluster/internal/logtest"
	"github.com/socketcluster-go/socketcluster/internal/sctest"
	"github.com/socketcluster-go/socketcluster/wire"
)

// site is a node with a server.
type site struct {
	t        testing.TB
	node     *cluster.Node
	srv      *socketcluster.Server
	presence *cluster.Presence
	addr     string
}

// debounce is that of the tests.
const debounce = 200 * time.Millisecond

// newServer makes a server of a node. Its procedures login and logout change the
// user of a socket, and presence is the handler.
func newServer(node *cluster.Node, o cluster.PresenceOptions) (*socketcluster.Server, *cluster.Presence, error) {
	srv, err := socketcluster.New(socketcluster.Config{
		Auth: auth.Options{Key: "test-key-0123456789-0123456789-01"}, Broker: node.Broker(), Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, nil, err
	}
	p, err := cluster.NewPresence(node, srv, o)
	if err != nil {
		return nil, nil, errors.Join(err, srv.Close())
	}
	srv.Handle("presence", p.Handler())
	srv.Handle("login", socketcluster.Proc(func(ctx context.Context, user string) error {
		return socketcluster.FromContext(ctx).SetAuthToken(ctx, map[string]string{"username": user})
	}))
	srv.Handle("logout", socketcluster.Proc(func(ctx context.Context, _ socketcluster.None) error {
		socketcluster.FromContext(ctx).Deauthenticate(ctx)
		return nil
	}))
	return srv, p, nil
}

func newSite(t testing.TB, node *cluster.Node, o cluster.PresenceOptions) *site {
	t.Helper()
	if o.Debounce == 0 {
		o.Debounce = debounce
	}
	srv, p, err := newServer(node, o)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(srv)
	t.Cleanup(func() {
		srv.Close()
		web.Close()
	})
	return &site{t, node, srv, p, strings.TrimPrefix(web.URL, "http://")}
}

func newSites(t testing.TB, n int, o cluster.PresenceOptions) []*site {
	t.Helper()
	var all []*site
	for _, node := range start(t, n) {
		all = append(all, newSite(t, node, o))
	}
	return all
}

// connect connects a client that logs in, unless user is empty, and subscribes.
func connect(t testing.TB, addr, user string, channels ...string) *sctest.Client {
	t.Helper()
	c := sctest.Connect(t, sctest.TCP(addr), "").Follow()
	if user != "" {
		if _, err := c.Call("login", user); err != nil {
			t.Fatal(err)
		}
	}
	for _, channel := range channels {
		if err := c.Subscribe(channel); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// here returns who is in a channel, with the numbers of their sockets.
func (s *site) here(channel string) (all []string) {
	for _, u := range s.presence.Here(channel) {
		all = append(all, fmt.Sprint(u.User, len(u.Sockets)))
	}
	return all
}

// awaitHere waits until a channel has these users on all sites.
func awaitHere(t testing.TB, sites []*site, channel string, want ...string) {
	t.Helper()
	for _, s := range sites {
		await(t, fmt.Sprintf("%v on %s; there are %v", want, s.node.Name(), s.here(channel)), func() bool { return slices.Equal(s.here(channel), want) })
	}
}

// watcher keeps joins and leaves.
type watcher struct {
	mu  sync.Mutex
	all []string
}

func (s *site) watch(channel string) *watcher {
	s.t.Helper()
	sub, err := s.srv.Exchange().Subscribe(s.t.Context(), socketcluster.PresenceChannel(channel))
	if err != nil {
		s.t.Fatal(err)
	}
	w := new(watcher)
	go func() {
		for e, err := range socketcluster.Messages[cluster.PresenceEvent](sub) {
			text := e.Type + " " + e.User + string(e.Info)
			if err != nil {
				text = err.Error()
			}
			w.mu.Lock()
			w.all = append(w.all, text)
			w.mu.Unlock()
		}
	}()
	return w
}

func (w *watcher) got() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.all)
}

func (w *watcher) await(t testing.TB, want ...string) {
	t.Helper()
	await(t, fmt.Sprint(want), func() bool { return len(w.got()) >= len(want) })
	if got := w.got(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// hooks counts the leaves whose hooks have run.
type hooks struct {
	mu  sync.Mutex
	all []string
}

func (h *hooks) run(_ context.Context, l cluster.Leave) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, l.Channel+" "+l.User)
}

func (h *hooks) got() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Sorted(slices.Values(h.all))
}

// A single node has presence too: a socket is seen with its user, from its
// subscription and login to the end of either.
func TestPresenceAlone(t *testing.T) {
	var ran hooks
	s := newSite(t, startNode(t, cluster.Options{Name: "a"}), cluster.PresenceOptions{
		OnLeave:  ran.run,
		Channels: func(channel string) bool { return channel != "quiet" },
		Info: func(s *socketcluster.Socket, channel string) any {
			if channel == "plain" {
				return nil
			}
			return len(channel)
		},
	})
	all := []*site{s}
	joins := s.watch("room")
	alice := connect(t, s.addr, "alice", "room", "plain", "quiet")
	awaitHere(t, all, "room", "alice1")
	if got := slices.Sorted(s.presence.Channels()); !slices.Equal(got, []string{"plain", "room"}) {
		t.Errorf("channels with users: %v", got)
	}
	u, ok := s.presence.User("room", "alice")
	if !ok || len(u.Sockets) != 1 || u.Sockets[0].Node != "a" || s.srv.Client(u.Sockets[0].ID) == nil || string(u.Info) != "4" {
		t.Errorf("alice is %+v, %v", u, ok)
	}
	if _, ok := s.presence.User("room", "bob"); ok || s.presence.NumUsers("room") != 1 || s.presence.NumUsers("quiet") != 0 {
		t.Error("somebody is there who is not")
	}
	guest := connect(t, s.addr, "", "room")
	if _, err := guest.Call("login", "bob"); err != nil {
		t.Fatal(err)
	}
	awaitHere(t, all, "room", "alice1", "bob1")
	joins.await(t, "join alice4", "join bob4")
	if _, err := guest.Call("login", "carol"); err != nil { // the same socket
		t.Fatal(err)
	}
	awaitHere(t, all, "room", "alice1", "bob0", "carol1")
	joins.await(t, "join alice4", "join bob4", "join carol4", "leave bob4")
	if _, err := guest.Call("logout", nil); err != nil {
		t.Fatal(err)
	}
	alice.Close()
	awaitHere(t, all, "room")
	await(t, "the hooks", func() bool { return len(ran.got()) == 4 })
	if got, want := ran.got(), []string{"plain alice", "room alice", "room bob", "room carol"}; !slices.Equal(got, want) {
		t.Errorf("hooks have run for %v, want %v", got, want)
	}
}

// Clients see who is there, and hear of joins and leaves, if they may.
func TestPresenceRights(t *testing.T) {
	s := newSite(t, startNode(t, cluster.Options{Name: "a"}), cluster.PresenceOptions{
		Info: func(*socketcluster.Socket, string) any { return true },
	})
	want := func(err error, name string) {
		t.Helper()
		var failure *wire.Error
		if name == "" && err == nil || errors.As(err, &failure) && failure.Name == name {
			return
		}
		t.Errorf("got %v, want %s", err, name)
	}
	ask := func(c *sctest.Client, data string) string {
		t.Helper()
		answer, err := c.Call("presence", json.RawMessage(data))
		if err != nil {
			t.Fatal(err)
		}
		return string(answer)
	}
	c := connect(t, s.addr, "alice")
	_, err := c.Call("presence", json.RawMessage(`{"channel":"room"}`))
	want(err, "PresenceError")
	want(c.Subscribe("presence/room"), "PresenceError")
	want(c.Subscribe("room"), "")
	want(c.Subscribe("presence/room"), "")
	want(c.Subscribe("presence/presence/room"), "PresenceError")
	want(c.Publish("presence/room", `{"type":"join","user":"eve"}`), "PresenceError")
	connect(t, s.addr, "bob", "room")
	var e struct {
		Channel string
		Data    cluster.PresenceEvent
	}
	c.Event("#publish", &e)
	if e.Data.User == "alice" { // her own join may come after her subscription
		c.Event("#publish", &e)
	}
	if e.Channel != "presence/room" || e.Data.Type != "join" || e.Data.User != "bob" || string(e.Data.Info) != "true" {
		t.Errorf("the event is %+v", e)
	}
	if got, want := ask(c, `{"channel":"room"}`), `{"users":[{"user":"alice","sockets":1,"info":true},{"user":"bob","sockets":1,"info":true}],"total":2,"more":false}`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got, want := ask(c, `{"channel":"room","limit":1}`), `{"users":[{"user":"alice","sockets":1,"info":true}],"total":2,"more":true}`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got, want := ask(c, `{"channel":"room","limit":1,"after":"alice"}`), `{"users":[{"user":"bob","sockets":1,"info":true}],"total":2,"more":false}`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	_, err = c.Call("presence", json.RawMessage(`{"channel":"room","limit":1001}`))
	want(err, "InvalidArgumentsError")

	// The right ends with the subscription.
	for socket := range s.srv.Clients() {
		_ = socket.KickOut(t.Context(), "room", nil)
	}
	await(t, "the end of the right", func() bool { return !s.srv.Exchange().IsSubscribed("presence/room") })

	open := newSite(t, startNode(t, cluster.Options{Name: "b"}), cluster.PresenceOptions{
		May: func(_ context.Context, s *socketcluster.Socket, channel string) error {
			if channel == "lobby" {
				return nil
			}
			return socketcluster.ErrBlocked
		},
	})
	c = connect(t, open.addr, "", "secret", "presence/lobby")
	if got, want := ask(c, `{"channel":"lobby"}`), `{"users":[],"total":0,"more":false}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if err := c.Subscribe("presence/secret"); err == nil {
		t.Error("a socket without the right hears of joins and leaves")
	}
}

// All nodes see the same. A user with sockets on two nodes leaves with the last
// one, once, and whoever comes back within the debounce has never left.
func TestPresence(t *testing.T) {
	var ran hooks
	sites := newSites(t, 3, cluster.PresenceOptions{OnLeave: ran.run})
	a, b, c := sites[0], sites[1], sites[2]
	var joins []*watcher
	for _, s := range sites {
		joins = append(joins, s.watch("room"))
	}
	first, second := connect(t, a.addr, "alice", "room"), connect(t, b.addr, "alice", "room")
	awaitHere(t, sites, "room", "alice2")
	connect(t, c.addr, "bob", "room")
	awaitHere(t, sites, "room", "alice2", "bob1")
	first.Close()
	awaitHere(t, sites, "room", "alice1", "bob1")
	second.Close()
	awaitHere(t, sites, "room", "alice0", "bob1")
	back := connect(t, c.addr, "alice", "room")
	awaitHere(t, sites, "room", "alice1", "bob1")
	back.Close()
	begun := time.Now()
	awaitHere(t, sites, "room", "bob1")
	if took := time.Since(begun); took < debounce {
		t.Errorf("alice has left after %v", took)
	}
	for _, w := range joins {
		w.await(t, "join alice", "join bob", "leave alice")
	}
	for _, s := range sites { // nobody will run a hook any more
		await(t, "the end of the hook", func() bool { return len(ran.got()) > 0 && s.presence.Waiting() == 0 })
	}
	if got := ran.got(); !slices.Equal(got, []string{"room alice"}) {
		t.Errorf("hooks have run for %v", got)
	}
}

// The rows of a node whose NATS ends without a farewell are gone at once, and so
// are for it those of others. A node of the same name takes its place.
func TestPresenceFailure(t *testing.T) {
	t.Parallel()
	addrs := []string{sctest.FreeAddr(t), sctest.FreeAddr(t)}
	var ran hooks
	var sites []*site
	begin := func(name, addr string) *site {
		t.Helper()
		node := startNode(t, cluster.Options{Name: name, Listen: addr, Routes: addrs, Secret: secret})
		return newSite(t, node, cluster.PresenceOptions{OnLeave: ran.run})
	}
	sites = append(sites, begin("a", addrs[0]), begin("b", addrs[1]))
	a, b := sites[0], sites[1]
	connect(t, a.addr, "alice", "room")
	connect(t, b.addr, "bob", "room")
	awaitHere(t, sites, "room", "alice1", "bob1")
	begun := time.Now()
	b.node.Fail()
	awaitHere(t, sites[:1], "room", "alice1", "bob0")
	if took := time.Since(begun); took > time.Second {
		t.Errorf("the rows of b were gone after %v", took)
	}
	awaitHere(t, sites[:1], "room", "alice1")
	await(t, "the hook", func() bool { return len(ran.got()) > 0 })
	awaitHere(t, sites[1:], "room", "bob1") // alone
	b.srv.Close()
	b.node.Close()
	again := begin("b", addrs[1])
	connect(t, again.addr, "carol", "room")
	awaitHere(t, []*site{a, again}, "room", "alice1", "carol1")
}

// A second process with the name of a node that lives disturbs nobody, and is named in the log.
func TestPresenceSecondOfName(t *testing.T) {
	t.Parallel()
	addrs := []string{sctest.FreeAddr(t), sctest.FreeAddr(t)}
	var log logtest.Buffer
	observer, err := cluster.Start(t.Context(), cluster.Options{Name: "a", Listen: addrs[0], Routes: addrs, Secret: secret, Logger: log.Logger()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(observer.Close)
	a := newSite(t, observer, cluster.PresenceOptions{})
	b := newSite(t, startNode(t, cluster.Options{Name: "b", Listen: addrs[1], Routes: addrs, Secret: secret}), cluster.PresenceOptions{})
	connect(t, b.addr, "bob", "room")
	awaitHere(t, []*site{a, b}, "room", "bob1")
	joins := a.watch("room")
	log.Take()
	second := startNode(t, cluster.Options{Name: "b", Listen: sctest.FreeAddr(t), Routes: addrs[:1], Secret: secret})
	text := ""
	await(t, "a word of the second one", func() bool {
		text += log.Take()
		return strings.Contains(text, "two other nodes have this name")
	})
	second.Fail()
	third := startNode(t, cluster.Options{Name: "c", Listen: sctest.FreeAddr(t), Routes: addrs, Secret: secret})
	await(t, "three nodes", func() bool { return len(third.Nodes()) == 3 && len(observer.Nodes()) == 3 })
	if text += log.Take(); strings.Contains(text, "started again") || strings.Contains(text, "gone") {
		t.Errorf("a logs %s", text)
	}
	connect(t, a.addr, "alice", "room")
	joins.await(t, "join alice") // bob has never left
}

// While two nodes are cut off from each other, each sees the users of the other
// leave. Once they are not, both see what there is, and nobody who has left
// meanwhile.
func TestPresencePartition(t *testing.T) {
	t.Parallel()
	addrs := []string{sctest.FreeAddr(t), sctest.FreeAddr(t)}
	cable := newCable(t, addrs[1])
	begin := func(name, listen string, routes ...string) *site {
		t.Helper()
		return newSite(t, startNode(t, cluster.Options{Name: name, Listen: listen, Routes: routes, Secret: secret}), cluster.PresenceOptions{})
	}
	a, b := begin("a", addrs[0], cable.addr), begin("b", addrs[1])
	both := []*site{a, b}
	alice, bob := connect(t, a.addr, "alice", "room"), connect(t, b.addr, "bob", "room")
	connect(t, a.addr, "carol", "room")
	connect(t, b.addr, "dave", "room")
	awaitHere(t, both, "room", "alice1", "bob1", "carol1", "dave1")
	cable.cut(true)
	awaitHere(t, both[:1], "room", "alice1", "carol1")
	awaitHere(t, both[1:], "room", "bob1", "dave1")
	alice.Close()
	bob.Close()
	connect(t, b.addr, "carol", "room")
	awaitHere(t, both[:1], "room", "carol1")
	awaitHere(t, both[1:], "room", "carol1", "dave1")
	cable.cut(false)
	awaitHere(t, both, "room", "carol2", "dave1")
}

// With an outside NATS there are no routes to look at, so a node that says
// nothing is dead after its lifespan.
func TestPresenceOutside(t *testing.T) {
	t.Parallel()
	outside, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	outside.Start()
	t.Cleanup(func() {
		outside.Shutdown()
		outside.WaitForShutdown()
	})
	if !outside.ReadyForConnections(10 * time.Second) {
		t.Fatal("NATS does not start")
	}
	var sites []*site
	for _, name := range []string{"a", "b"} {
		sites = append(sites, newSite(t, startNode(t, cluster.Options{Name: name, URL: outside.ClientURL()}), cluster.PresenceOptions{}))
	}
	connect(t, sites[0].addr, "alice", "room")
	connect(t, sites[1].addr, "bob", "room")
	awaitHere(t, sites, "room", "alice1", "bob1")
	begun := time.Now()
	sites[1].node.Silence()
	awaitHere(t, sites[:1], "room", "alice1", "bob0")
	if took := time.Since(begun); took < time.Second || took > 4*time.Second {
		t.Errorf("bob's socket was gone after %v", took)
	}
}

// Nodes that see joins and leaves of the same users at the same time agree in the
// end, and joins and leaves take turns everywhere.
func TestPresenceRace(t *testing.T) {
	sites := newSites(t, 3, cluster.PresenceOptions{Debounce: 5 * time.Millisecond})
	var joins []*watcher
	for _, s := range sites {
		joins = append(joins, s.watch("room"))
	}
	var clients sync.WaitGroup
	for i, s := range sites {
		for k := range 4 {
			c := connect(t, s.addr, fmt.Sprint("user", k%2))
			clients.Go(func() {
				rnd := rand.New(rand.NewPCG(uint64(i), uint64(k)))
				for n := range 40 {
					_ = c.Subscribe("room")
					time.Sleep(time.Duration(rnd.IntN(4)) * time.Millisecond)
					if n < 39 || k > 0 { // one of user0 stays
						_, _ = c.Call("#unsubscribe", "room")
					}
					time.Sleep(time.Duration(rnd.IntN(8)) * time.Millisecond)
				}
			})
		}
	}
	clients.Wait()
	awaitHere(t, sites, "room", "user03")
	for i, w := range joins {
		here := make(map[string]bool)
		await(t, "the last leave", func() bool {
			clear(here)
			for _, e := range w.got() {
				kind, user, _ := strings.Cut(e, " ")
				if here[user] == (kind == "join") {
					t.Fatalf("node %d: %s comes twice", i, e)
				}
				here[user] = kind == "join"
			}
			return here["user0"] && !here["user1"]
		})
		if len(w.got()) == 0 { // how many there are depends on the debounce
			t.Errorf("node %d: nobody came", i)
		}
	}
}

// A presence may begin while its node is closed. It ends with the node, or fails.
func TestPresenceOfClosed(t *testing.T) {
	t.Parallel()
	for i := range 20 {
		node := startNode(t, cluster.Options{Name: "a"})
		srv, err := socketcluster.New(socketcluster.Config{Broker: node.Broker(), Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		var over sync.WaitGroup
		over.Go(func() { _, _ = cluster.NewPresence(node, srv, cluster.PresenceOptions{}) })
		for range i * 50 {
			runtime.Gosched()
		}
		node.Close()
		over.Wait()
		srv.Close()
	}
	node := startNode(t, cluster.Options{Name: "a"})
	srv, err := socketcluster.New(socketcluster.Config{Broker: node.Broker(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	node.Close()
	for range 2 { // the first leaves nothing behind
		if _, err := cluster.NewPresence(node, srv, cluster.PresenceOptions{}); err == nil || !strings.Contains(err.Error(), "has been closed") {
			t.Errorf("of a node that has been closed: %v", err)
		}
	}
}

// NewPresence refuses what cannot work.
func TestPresenceOptions(t *testing.T) {
	node := startNode(t, cluster.Options{Name: "a"})
	bare, err := socketcluster.New(socketcluster.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer bare.Close()
	want := func(srv *socketcluster.Server, o cluster.PresenceOptions, want string) {
		t.Helper()
		if _, err := cluster.NewPresence(node, srv, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	want(bare, cluster.PresenceOptions{}, "whose Config.Broker is that of the node")
	s := newSite(t, node, cluster.PresenceOptions{})
	want(s.srv, cluster.PresenceOptions{}, "has a presence already")
	want(s.srv, cluster.PresenceOptions{Debounce: -1}, "must not be negative")
	want(s.srv, cluster.PresenceOptions{Debounce: 2}, "write 2*time.Millisecond")
	connect(t, s.addr, "")
	want(s.srv, cluster.PresenceOptions{}, "has no clients yet")
}

// 10,000 rows reach all nodes, those that come later too, and all their hooks run
// once when their node fails.
func TestPresenceMany(t *testing.T) {
	t.Parallel()
	const rows, users = 10_000, 2_500
	addrs := []string{sctest.FreeAddr(t), sctest.FreeAddr(t), sctest.FreeAddr(t)}
	var ran hooks
	begin := func(i int) *site {
		t.Helper()
		node := startNode(t, cluster.Options{Name: string(rune('a' + i)), Listen: addrs[i], Routes: addrs, Secret: secret})
		return newSite(t, node, cluster.PresenceOptions{OnLeave: ran.run})
	}
	a, b := begin(0), begin(1)
	await(t, "two nodes", func() bool { return len(a.node.Nodes()) == 2 && len(b.node.Nodes()) == 2 })
	count := func(s *site) (n int) {
		for channel := range s.presence.Channels() {
			for _, u := range s.presence.Here(channel) {
				n += len(u.Sockets)
			}
		}
		return n
	}
	begun := time.Now()
	for i := range rows {
		a.presence.Enter(fmt.Sprint("room/", i%100), fmt.Sprint("user", i%users), fmt.Sprint(i))
	}
	await(t, "all rows on b", func() bool { return count(b) == rows })
	t.Logf("deltas: %v", time.Since(begun))
	c := begin(2)
	begun = time.Now()
	await(t, "all rows on c", func() bool { return count(c) == rows })
	t.Logf("snapshot, with the start of a node: %v", time.Since(begun))
	await(t, "three nodes", func() bool { return len(b.node.Nodes()) == 3 })
	a.node.Fail()
	await(t, "the end of all rows", func() bool { return count(b)+count(c) == 0 })
	// a, which is alone now, keeps its users, so b and c run the hooks.
	for _, s := range []*site{b, c} {
		await(t, "the end of the hooks", func() bool { return len(ran.got()) >= users && s.presence.Waiting() == 0 })
	}
	got := ran.got()
	if once := slices.Compact(slices.Clone(got)); len(got) != users || len(once) != users {
		t.Errorf("%d hooks have run, of %d users; want %d", len(got), len(once), users)
	}
}
