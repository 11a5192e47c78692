package socketcluster

import (
	"math"
	"net/netip"
	"runtime/debug"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/internal/account"
)

// The defaults are part of what operators rely on: docs/OPERATIONS.md lists them.
func TestDefaultLimits(t *testing.T) {
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(-1))
	want := Limits{
		PendingHandshakes:    10_000,
		MessageSize:          1 << 20,
		HandshakeMessageSize: 64 << 10,
		Fragments:            4096,
		BatchSize:            5000,
		Depth:                1000,
		Channels:             1000,
		ChannelName:          1024,
		SubscriptionData:     16 << 10,
		TokenSize:            16 << 10,
		Inbox:                256,
		InboxBytes:           4 << 20,
		Calls:                256,
		Outbox:               2 << 20,
		OutboxDrain:          30 * time.Second,
		OutboxStall:          10 * time.Second,
		CallRate:             10_000,
		PublishRate:          10_000,
		SubscribeRate:        1000,
		AuthenticateRate:     10,
		ErrorText:            256,
	}
	for _, test := range []struct {
		memory                          int64 // limit of the process
		budget, connections, perAddress int
	}{
		{math.MaxInt64, 512 << 20, 65_536, 10_000},
		{256 << 20, 64 << 20, 8192, 2048},
		{64 << 30, 16 << 30, 250_000, 10_000},
		{1, 1, 1, 1},
	} {
		debug.SetMemoryLimit(test.memory)
		cfg, err := Config{}.withDefaults()
		if err != nil {
			t.Fatal(err)
		}
		want.Budget, want.Connections, want.ConnectionsPerAddress = test.budget, test.connections, test.perAddress
		if diff := cmp.Diff(want, cfg.Limits); diff != "" {
			t.Errorf("with a memory limit of %d: %s", test.memory, diff)
		}
	}
	debug.SetMemoryLimit(math.MaxInt64)
	larger := Limits{MessageSize: 3 << 20, Connections: 100}
	if err := larger.setDefaults(); err != nil || larger.Outbox != 6<<20 || larger.ConnectionsPerAddress != 25 {
		t.Errorf("%+v, %v", larger, err)
	}
}

// All shares fit into the budget, so that those within theirs, who are never
// closed, do not fill it.
func TestSharesFitIntoTheBudget(t *testing.T) {
	for _, l := range []Limits{{}, {Budget: 64 << 20}, {Budget: 64 << 20, Connections: 250_000}, {Budget: 100_000, Connections: 3}} {
		srv, err := New(Config{Auth: auth.Options{Key: "a key of this test that is long enough for anybody"}, Limits: l})
		if err != nil {
			t.Fatal(err)
		}
		l = srv.cfg.Limits
		for _, n := range []int{1, 2, l.Connections/2 + 1, l.Connections} {
			for taken, _ := srv.places.Count(); taken < n; taken++ {
				srv.places.Take(netip.Addr{})
				srv.places.Settle()
			}
			for _, left := range []int{0, l.Budget / 2, l.Budget} {
				orphaned := int64(left) - srv.budget.Orphaned()
				var ledger account.Ledger
				ledger.Init(srv.budget.Shard(0))
				ledger.Add(account.Handlers, int(orphaned))
				ledger.Close()
				if share := srv.share(); share < 1 || share*int64(n) > int64(l.Budget) {
					t.Errorf("%d of %d connections, %d of %d bytes left behind: a share of %d", n, l.Connections, left, l.Budget, share)
				}
			}
		}
		srv.Close()
	}
}
