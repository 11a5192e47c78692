package cluster

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/logtest"
	"github.com/socketcluster-go/socketcluster/internal/sctest"
)

// Nodes with other secrets say what to set, instead of what NATS says of it.
func TestWrongSecret(t *testing.T) {
	testUnlike(t, func(o *Options) { o.Secret = strings.Repeat(o.Listen, 2) }, "the same Options.Secret", "Plaintext")
}

// Nodes with one name say what to set, and not what comes of it.
func TestTwin(t *testing.T) {
	testUnlike(t, func(o *Options) { o.Name = "a" }, "give each its own Options.Name", "Parse Error")
}

// A node that starts before the others makes no alarm of it.
func TestFirstOfNodes(t *testing.T) {
	t.Parallel()
	var logs logtest.Buffer
	addrs := []string{sctest.FreeAddr(t), sctest.FreeAddr(t)}
	n, err := Start(t.Context(), Options{Name: "a", Listen: addrs[0], Routes: addrs, Secret: strings.Repeat("s", minSecret), Logger: logs.Logger()})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	text := ""
	for begun := time.Now(); !strings.Contains(text, "level=INFO msg=\"nats: "+natsNobody); time.Sleep(time.Millisecond) {
		if text += logs.Take(); strings.Contains(text, "level=ERROR") || time.Since(begun) > time.Minute {
			t.Fatalf("the node logs %s", text)
		}
	}
}

// testUnlike starts two nodes that do not fit together. Both must log what to set, and not
// something else.
func testUnlike(t *testing.T, change func(o *Options), want, never string) {
	t.Helper()
	var logs [2]logtest.Buffer
	addrs := []string{sctest.FreeAddr(t), sctest.FreeAddr(t)}
	for i, addr := range addrs {
		o := Options{Name: string(rune('a' + i)), Listen: addr, Routes: addrs, Secret: strings.Repeat("s", minSecret), Logger: logs[i].Logger()}
		change(&o)
		n, err := Start(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		defer n.Close()
	}
	for i := range logs {
		text := ""
		for begun := time.Now(); !strings.Contains(text, want); time.Sleep(time.Millisecond) {
			if text += logs[i].Take(); time.Since(begun) > time.Minute {
				t.Fatalf("node %d logs %s", i, text)
			}
		}
		if strings.Contains(text, never) {
			t.Errorf("node %d logs %s", i, text)
		}
	}
}

// A wrong secret is logged once a minute, as is another node of this name. Other errors are
// logged each time.
func TestRefusedPause(t *testing.T) {
	t.Run("secret", func(t *testing.T) {
		testRefusedPause(t, "authentication error - User \"route\"", "Route Error 'Authorization Violation'")
	})
	t.Run("name", func(t *testing.T) {
		testRefusedPause(t, "Remote server has a duplicate name: \"b\"", "processRemoteSub Parse Error: 'R x'")
	})
}

func testRefusedPause(t *testing.T, texts ...string) {
	synctest.Test(t, func(t *testing.T) {
		var logs logtest.Buffer
		l := &natsLog{Logger: logs.Logger()}
		count := func() int { return strings.Count(logs.Take(), "level=ERROR") }
		refuse := func() {
			for i, text := range texts {
				l.Errorf("127.0.0.1:1 - rid:%d - %s", i, text)
			}
		}
		refuse()
		if n := count(); n != 1 {
			t.Errorf("%d records at first", n)
		}
		time.Sleep(time.Minute - 1)
		refuse()
		if n := count(); n != 0 {
			t.Errorf("%d records within a minute", n)
		}
		time.Sleep(time.Nanosecond)
		refuse()
		if n := count(); n != 1 {
			t.Errorf("%d records after a minute", n)
		}
		l.Errorf("127.0.0.1:1 - cid:3 - authentication error")
		l.Errorf("127.0.0.1:1 - rid:4 - Slow Consumer")
		if n := count(); n != 2 {
			t.Errorf("%d records of other errors", n)
		}
	})
}

// Nodes with empty stores wait for as many as Size says, whatever their Routes list: two that
// have lost theirs must not begin anew beside one that still has everything.
func TestSize(t *testing.T) {
	t.Parallel()
	addrs := []string{sctest.FreeAddr(t), sctest.FreeAddr(t), sctest.FreeAddr(t)}
	var nodes []*Node
	begin := func(i int) {
		t.Helper()
		n, err := Start(t.Context(), Options{
			Name: string(rune('a' + i)), Listen: addrs[i], Routes: []string{addrs[(i+1)%3]}, Size: 3,
			Secret: "the secret of the tests", StoreDir: t.TempDir(), Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(n.Close)
		nodes = append(nodes, n)
	}
	ready := func(n *Node, patience time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		return n.Ready(ctx)
	}
	begin(0)
	begin(1)
	for len(nodes[0].Nodes()) < 2 {
		time.Sleep(time.Millisecond)
	}
	if err := ready(nodes[0], 10*time.Second); err == nil {
		t.Error("two of three begin without the third")
	}
	begin(2)
	for _, n := range nodes {
		if err := ready(n, time.Minute); err != nil {
			t.Errorf("%s: %v", n.Name(), err)
		}
	}
}
