//go:build slow

package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/auth/revoke"
	"github.com/socketcluster-go/socketcluster/cluster"
	"github.com/socketcluster-go/socketcluster/internal/logtest"
	"github.com/socketcluster-go/socketcluster/internal/sctest"
	"github.com/socketcluster-go/socketcluster/wire"
)

// cutOff is the bound in the tests.
const cutOff = 3 * time.Second

// The node that leads the stream of revocations is cut off while others add some. It
// accepts no token once the bound has passed, and again when it has everything that was
// acknowledged meanwhile. Nothing of that is lost.
func TestCutOff(t *testing.T) {
	t.Parallel()
	var logs [3]logtest.Buffer
	nodes, _, cut := startCut(t, 3, func(o *cluster.Options) { o.Logger = logs[o.Name[0]-'a'].Logger() })
	stations := guarded(t, nodes, cluster.RevocationOptions{CutOff: cutOff})
	leader := ""
	await(t, "a leader and three copies", func() bool {
		var copies int
		leader, copies = nodes[0].RevocationsStream(t.Context())
		return leader != "" && copies == 3
	})
	lost := int(leader[0] - 'a')
	others := slices.Delete(slices.Clone(stations), lost, lost+1)
	away := stations[lost]
	defer away.UseInbound(away.revocations(t).Middleware(func(channel string) bool { return channel != "public" }))()

	alice, bob := away.token(t, user{Sub: "alice"}), away.token(t, user{Sub: "bob"})
	c := away.connectWith(t, alice)
	if err := c.Subscribe("private before"); err != nil {
		t.Fatal(err)
	}

	// Revocations come all the time.
	ctx, cancel := context.WithCancel(t.Context())
	var adders sync.WaitGroup
	var mu sync.Mutex
	var acked []string
	for i, s := range others {
		adders.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				r := revoke.Revocation{JTI: fmt.Sprint(i, "-", n), Until: time.Now().Add(time.Hour)}
				if err := s.Revoke(t.Context(), r); err != nil {
					t.Errorf("%s is not revoked: %v", r.JTI, err)
					continue
				}
				mu.Lock()
				acked = append(acked, r.JTI)
				mu.Unlock()
			}
		})
	}
	defer adders.Wait()
	defer cancel()

	begun := time.Now()
	cut.cut(lost)
	if err := others[0].Revoke(t.Context(), revoke.Revocation{Subject: "alice", Until: time.Now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	others[0].refused(t, alice)
	others[1].refused(t, alice)
	revoked := time.Now()
	await(t, "the bound", func() bool { return errors.Is(away.revocations(t).Current(), cluster.ErrCutOff) })
	if took := time.Since(begun); took < cutOff-2*time.Second || time.Since(revoked) > cutOff+time.Second/2 {
		t.Errorf("the node is cut off %v after the cut, %v after the revocation", took, time.Since(revoked))
	}

	// Both tokens may be good.
	for _, token := range []string{alice, bob} {
		if got := away.handshake(t, token); got.IsAuthenticated || got.AuthError == nil || got.AuthError.Name != wire.NameAuthToken || got.AuthError.IsBadToken {
			t.Errorf("a node that is cut off answers %+v", got)
		}
	}
	if c.socket.AuthToken() == nil {
		t.Error("a socket has lost its token because of the cut")
	}
	if err := c.Subscribe("private"); !errors.Is(err, &wire.Error{Name: "CutOffError"}) {
		t.Errorf("a private subscription: %v", err)
	}
	if err := c.Subscribe("public"); err != nil || !c.socket.IsSubscribed("private before") {
		t.Errorf("a public subscription: %v", err)
	}
	remove := away.UseHandshake(away.revocations(t).Middleware(nil))
	if conn, err := sctest.TCP(away.addr)(t.Context()); err != nil {
		t.Fatal(err)
	} else if _, err := sctest.Open(conn, nil); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("an upgrade: %v", err)
	}
	remove()
	short, stop := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer stop()
	if err := away.Revoke(short, revoke.Revocation{JTI: "away"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a node that is cut off revokes: %v", err)
	}

	cut.heal(lost)
	await(t, "the way back", func() bool { return away.revocations(t).Current() == nil })
	if c.socket.AuthToken() != nil {
		t.Error("the node accepts tokens before it has ended the logins that were revoked")
	}
	away.refused(t, alice)
	cancel()
	adders.Wait()
	await(t, "all nodes", func() bool {
		return !slices.ContainsFunc(stations, func(s *station) bool { return s.revocations(t).Current() != nil })
	})
	if got := away.handshake(t, bob); !got.IsAuthenticated {
		t.Errorf("a good token is refused: %+v", got.AuthError)
	}
	t.Log(len(acked), "revocations")
	for _, s := range stations {
		for _, jti := range acked {
			wantRevoked(t, s.revocations(t), jti, true)
		}
		wantRevoked(t, s.revocations(t), "none", false)
	}
	text := ""
	for _, want := range []string{
		`level=ERROR msg="cluster: the node is cut off from the revocations of others: it accepts no token"`,
		`level=WARN msg="cluster: the node has the revocations of others again: it accepts tokens"`,
	} {
		await(t, want, func() bool {
			text += logs[lost].Take()
			return strings.Contains(text, want)
		})
	}
}

// A node that starts again has everything that was acknowledged, also meanwhile,
// before Revocations returns. So have all if all start again.
func TestRevocationsAfterRestart(t *testing.T) {
	t.Parallel()
	nodes, options := startStored(t, 3, nil)
	stores := all(t, nodes, cluster.RevocationOptions{})
	if _, err := nodes[0].Revocations(t.Context(), cluster.RevocationOptions{}); err == nil {
		t.Error("a node has two stores")
	}
	add := func(i int) {
		t.Helper()
		r := revoke.Revocation{JTI: fmt.Sprint(i), Until: time.Now().Add(time.Hour), Reason: "test"}
		if err := stores[i%len(stores)].Add(soon(t), r); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 10 {
		add(i)
	}
	nodes[2].Close()
	if err := stores[2].Add(soon(t), revoke.Revocation{JTI: "late"}); err == nil {
		t.Error("a closed node adds a revocation")
	}
	stores = stores[:2]
	for i := range 10 {
		add(10 + i)
	}
	nodes[2] = startNode(t, options[2])
	again := revocations(t, nodes[2], cluster.RevocationOptions{})
	for i := range 20 {
		wantRevoked(t, again, fmt.Sprint(i), true)
	}
	wantRevoked(t, again, "20", false)
	for _, node := range nodes {
		node.Close()
	}
	var starts sync.WaitGroup
	for i := range nodes {
		starts.Go(func() {
			options[i].Logger = slog.New(slog.DiscardHandler)
			nodes[i], _ = cluster.Start(t.Context(), options[i])
		})
	}
	starts.Wait()
	for _, node := range nodes {
		if node == nil {
			t.Fatal("a node does not start again")
		}
		t.Cleanup(node.Close)
	}
	for _, store := range all(t, nodes, cluster.RevocationOptions{}) {
		for i := range 20 {
			wantRevoked(t, store, fmt.Sprint(i), true)
		}
	}
}
