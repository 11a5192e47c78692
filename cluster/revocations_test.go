package cluster_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/revoke"
	"github.com/socketcluster-go/socketcluster/auth/revoke/revoketest"
	"github.com/socketcluster-go/socketcluster/cluster"
	"github.com/socketcluster-go/socketcluster/internal/logtest"
	"github.com/socketcluster-go/socketcluster/internal/sctest"
)

// revocations loads those of a node.
func revocations(t testing.TB, node *cluster.Node, o cluster.RevocationOptions) *cluster.Revocations {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	rv, err := node.Revocations(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	return rv
}

// all loads those of several nodes.
func all(t testing.TB, nodes []*cluster.Node, o cluster.RevocationOptions) (stores []*cluster.Revocations) {
	t.Helper()
	stores = make([]*cluster.Revocations, len(nodes))
	var loads sync.WaitGroup
	for i, node := range nodes {
		loads.Go(func() { stores[i] = revocations(t, node, o) })
	}
	loads.Wait()
	return stores
}

// A node that is alone keeps revocations in memory.
func TestRevocationsInMemory(t *testing.T) {
	t.Parallel()
	revoketest.TestStore(t, func(t *testing.T) revoke.Store {
		return revocations(t, startNode(t, cluster.Options{Name: "a"}), cluster.RevocationOptions{})
	})
}

func TestRevocationsOfOneNode(t *testing.T) {
	t.Parallel()
	revoketest.TestStore(t, func(t *testing.T) revoke.Store {
		nodes, _ := startStored(t, 1, nil)
		return revocations(t, nodes[0], cluster.RevocationOptions{})
	})
}

// outside starts NATS servers with storage, and returns their addresses.
func outside(t testing.TB, n int) (urls []string) {
	t.Helper()
	for _, srv := range outsideServers(t, n) {
		urls = append(urls, srv.ClientURL())
	}
	return urls
}

// outsideServers starts NATS servers with storage.
func outsideServers(t testing.TB, n int) (all []*server.Server) {
	t.Helper()
	routes := make([]*url.URL, n)
	for i := range routes {
		routes[i] = &url.URL{Scheme: "nats", Host: sctest.FreeAddr(t)}
	}
	for i := range n {
		port, err := strconv.Atoi(routes[i].Port())
		if err != nil {
			t.Fatal(err)
		}
		o := &server.Options{
			ServerName: fmt.Sprint("nats", i), Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true,
			JetStream: true, StoreDir: t.TempDir(),
		}
		if n > 1 {
			o.Cluster, o.Routes = server.ClusterOpts{Name: "outside", Host: "127.0.0.1", Port: port}, routes
		}
		srv, err := server.NewServer(o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			srv.Shutdown()
			srv.WaitForShutdown()
		})
		srv.Start()
		if !srv.ReadyForConnections(10 * time.Second) {
			t.Fatal("NATS does not start")
		}
		all = append(all, srv)
	}
	return all
}

// The checks share an outside NATS, which takes seconds to start; each has subjects of
// its own.
func TestRevocationsOfThreeNodes(t *testing.T) {
	t.Parallel()
	urls := outside(t, 3)
	checks := 0
	revoketest.TestStore(t, func(t *testing.T) revoke.Store {
		checks++
		var nodes []*cluster.Node
		for i, url := range urls {
			node := startNode(t, cluster.Options{Name: fmt.Sprint("n", i), URL: url, Prefix: fmt.Sprint("sc", checks)})
			nodes = append(nodes, node)
		}
		return all(t, nodes, cluster.RevocationOptions{})[1]
	})
}

// guarded starts the servers of nodes with the revocations of the cluster.
func guarded(t testing.TB, nodes []*cluster.Node, o cluster.RevocationOptions) (stations []*station) {
	t.Helper()
	stores := all(t, nodes, o)
	for i, node := range nodes {
		stations = append(stations, openStation(t, node, func(cfg *socketcluster.Config) { cfg.Revocations = stores[i] }))
	}
	return stations
}

// status is the answer to a handshake.
type status struct {
	IsAuthenticated bool
	AuthError       *struct {
		Name       string
		IsBadToken bool
	}
}

// handshake makes a handshake with a token.
func (s *station) handshake(t testing.TB, signed string) (got status) {
	t.Helper()
	conn, err := sctest.TCP(s.addr)(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c, err := sctest.Open(conn, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	answer, err := c.Handshake(signed)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(answer, &got); err != nil {
		t.Fatal(err)
	}
	return got
}

// refused checks that a token is refused as revoked.
func (s *station) refused(t testing.TB, signed string) {
	t.Helper()
	if got := s.handshake(t, signed); got.IsAuthenticated || got.AuthError == nil || !got.AuthError.IsBadToken {
		t.Errorf("node %s accepts a revoked token: %+v", s.node.Name(), got)
	}
}

func TestEverywhere(t *testing.T) {
	t.Parallel()
	nodes, _ := startStored(t, 3, nil)
	stations := guarded(t, nodes, cluster.RevocationOptions{})
	t.Run("Revoke", func(t *testing.T) { revokeEverywhere(t, stations) })
	t.Run("UpdateClaims", func(t *testing.T) { updateClaimsAnywhere(t, stations) })
}

// When Revoke has returned, the logins have ended on all nodes, and the tokens are
// refused everywhere.
func revokeEverywhere(t *testing.T, stations []*station) {
	var told [3]atomic.Int32
	for i, s := range stations {
		defer s.revocations(t).Watch(func(revoke.Revocation) { told[i].Add(1) })()
	}
	const rounds = 20
	for i := range rounds {
		alice := user{Sub: fmt.Sprint("alice", i), SID: fmt.Sprint("s", i)}
		var clients []*client
		var tokens []string
		for _, s := range stations {
			tokens = append(tokens, s.token(t, alice))
			clients = append(clients, s.connectWith(t, tokens[len(tokens)-1]))
		}
		bob := stations[1].connect(t, user{Sub: "bob"})
		r := revoke.Revocation{Subject: alice.Sub, Until: time.Now().Add(time.Hour)}
		if i%2 == 1 {
			r = revoke.Revocation{Session: alice.SID, Disconnect: true}
		}
		if err := stations[i%3].Revoke(soon(t), r); err != nil {
			t.Fatal(err)
		}
		for j, c := range clients {
			if c.socket.AuthToken() != nil {
				t.Errorf("%d: node %d: the login goes on", i, j)
			}
			if r.Disconnect && c.socket.State() != socketcluster.Closed {
				t.Errorf("%d: node %d: the socket is %v", i, j, c.socket.State())
			}
			for _, token := range tokens {
				stations[j].refused(t, token)
			}
		}
		if bob.socket.AuthToken() == nil {
			t.Error("bob is logged out")
		}
	}
	for i := range told {
		if n := told[i].Load(); n != rounds {
			t.Errorf("the watchers of node %d have been told %d times of %d revocations", i, n, rounds)
		}
	}
}

// Claims change on all nodes. Sockets of one session on several nodes stay logged in,
// and no earlier token is accepted any more.
func updateClaimsAnywhere(t *testing.T, stations []*station) {
	old := stations[0].token(t, user{Username: "alice", SID: "tabs", Role: "admin"})
	tabs := []*client{stations[0].connectWith(t, old), stations[1].connectWith(t, old), stations[1].connectWith(t, old)}
	other := stations[2].token(t, user{Username: "alice", Role: "admin"}) // it has only a jti
	tabs = append(tabs, stations[2].connectWith(t, other), stations[0].connectWith(t, other))
	bob := stations[2].connect(t, user{Username: "bob", Role: "admin"})
	roles := func(want, bobs string) {
		t.Helper()
		for i, c := range append(tabs, bob) {
			if i == len(tabs) {
				want = bobs
			}
			if claims, ok := socketcluster.Claims[user](c.socket); !ok || claims.Role != want || claims.Username == "" {
				t.Errorf("client %d has the claims %+v, want the role %q", i, claims, want)
			}
		}
	}
	signed := []string{old, other}
	for _, step := range []struct {
		target cluster.Target
		role   any
		want   int
		roles  [2]string
	}{
		{cluster.User("alice"), "reader", 5, [2]string{"reader", "admin"}},
		{cluster.User("alice"), nil, 5, [2]string{"", "admin"}},
		{cluster.Socket(bob.socket.ID()), "writer", 1, [2]string{"", "writer"}},
	} {
		for _, c := range tabs[:4] {
			signed = append(signed, c.socket.AuthToken().Signed())
		}
		n, err := stations[2].node.To(step.target).UpdateClaims(soon(t), map[string]any{"role": step.role})
		if n != step.want || err != nil {
			t.Fatalf("%v: updated %d, %v; want %d", step.target, n, err, step.want)
		}
		roles(step.roles[0], step.roles[1])
	}
	signed = signed[:len(signed)-4] // those before the change of bob's are still good
	for _, token := range signed {
		for _, s := range stations {
			s.refused(t, token)
		}
	}
	for _, c := range append(tabs, bob) {
		if got := stations[0].handshake(t, c.socket.AuthToken().Signed()); !got.IsAuthenticated {
			t.Errorf("a new token is refused: %+v", got.AuthError)
		}
	}
	to := stations[0].node.To(cluster.User("carol"))
	if n, err := to.UpdateClaims(soon(t), map[string]any{"role": "x"}); n != 0 || !errors.Is(err, cluster.ErrNobody) {
		t.Errorf("nobody: %d, %v", n, err)
	}
	anonymous := stations[1].connect(t, nil)
	_, err := stations[0].node.To(cluster.Socket(anonymous.socket.ID())).UpdateClaims(soon(t), map[string]any{"role": "x"})
	wantError(t, err, "node b: socket "+anonymous.socket.ID(), "not logged in")
}

// wantRevoked checks whether a token is revoked.
func wantRevoked(t testing.TB, store revoke.Store, jti string, want bool) {
	t.Helper()
	token, err := auth.NewToken("signed", fmt.Appendf(nil, `{"jti":%q}`, jti))
	if err != nil {
		t.Fatal(err)
	}
	if _, got := store.Check(token); got != want {
		t.Errorf("%s is revoked: %v, want %v", jti, got, want)
	}
}

// What no node could ever put in force is refused, and so is a cluster that could not keep it.
func TestRevocationsRefused(t *testing.T) {
	t.Parallel()
	urls := outside(t, 1)
	store := revocations(t, startNode(t, cluster.Options{Name: "a", URL: urls[0]}), cluster.RevocationOptions{})
	for _, r := range []revoke.Revocation{{JTI: "\xff"}, {Session: "\xff"}, {Subject: "\xff"}, {Subject: "a", Claim: "\xff"}} {
		wantError(t, store.Add(soon(t), r), "not UTF-8")
	}
	_, err := startNode(t, cluster.Options{Name: "b", URL: urls[0]}).Revocations(t.Context(), cluster.RevocationOptions{CutOff: time.Second})
	wantError(t, err, "CutOff is 1s; it must be at least 2s")
	alone := startNode(t, cluster.Options{Name: "c", Listen: sctest.FreeAddr(t), Secret: secret})
	if _, err := alone.Revocations(t.Context(), cluster.RevocationOptions{}); !errors.Is(err, cluster.ErrNoStorage) {
		t.Errorf("a node of a cluster without storage: %v", err)
	}
}

func jetStream(t testing.TB, url string) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// A stream that somebody removes comes back. What was in force stays so, and the log
// says that it is nowhere else. Messages have the TTL that they need.
func TestRevocationsRemoved(t *testing.T) {
	urls := outside(t, 1)
	var log logtest.Buffer
	node, err := cluster.Start(t.Context(), cluster.Options{Name: "a", URL: urls[0], Logger: log.Logger()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(node.Close)
	store := revocations(t, node, cluster.RevocationOptions{})
	for i := range 5 {
		if err := store.Add(soon(t), revoke.Revocation{JTI: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	js := jetStream(t, urls[0])
	if err := js.DeleteStream(t.Context(), "sc-revocations"); err != nil {
		t.Fatal(err)
	}
	if err := store.Add(soon(t), revoke.Revocation{JTI: "later", Until: time.Now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	text := ""
	await(t, "the log", func() bool {
		text += log.Take()
		return strings.Contains(text, "the stream of revocations has begun anew")
	})
	for _, jti := range []string{"0", "4", "later"} {
		wantRevoked(t, store, jti, true)
	}
	stream, err := js.Stream(t.Context(), "sc-revocations")
	if err != nil {
		t.Fatal(err)
	}
	last, err := stream.GetLastMsgForSubject(t.Context(), "sc.rv.r.*")
	if err != nil {
		t.Fatal(err)
	}
	ttl, err := time.ParseDuration(last.Header.Get("Nats-TTL"))
	if err != nil || ttl < time.Hour+50*time.Second || ttl > time.Hour+2*time.Minute {
		t.Errorf("the TTL is %v, %v", ttl, err)
	}
	other := revocations(t, startNode(t, cluster.Options{Name: "b", URL: urls[0]}), cluster.RevocationOptions{})
	wantRevoked(t, other, "later", true)
	wantRevoked(t, other, "4", false)
}
