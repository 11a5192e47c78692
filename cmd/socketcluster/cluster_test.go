package main

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/internal/logtest"
	"github.com/socketcluster-go/socketcluster/internal/sctest"
)

// clusterKey signs tokens.
const clusterKey = "a key for the tests of the cluster, long enough"

// clusterDemo makes a demo that is not served. Its key is clusterKey, unless the arguments
// name a file.
func clusterDemo(t *testing.T, args ...string) (*demo, error) {
	t.Helper()
	if !slices.Contains(args, "--auth-key-file") {
		args = append([]string{"--auth-key", clusterKey}, args...)
	}
	o, err := parseOptions(args)
	if err != nil {
		return nil, err
	}
	d, err := newDemo(t.Context(), o, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() {
		d.sockets.Close()
		if err := d.close(); err != nil {
			t.Error(err)
		}
	})
	return d, nil
}

// Two processes with the same secret are one server: a publication of one reaches
// the other.
func TestClusterSettings(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("a secret of the nodes\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var addrs []string
	for range 2 {
		addrs = append(addrs, sctest.FreeAddr(t))
	}
	var demos []*demo
	for i, addr := range addrs {
		d, err := clusterDemo(t, "--cluster-listen", addr, "--cluster-routes", strings.Join(addrs, ","), "--cluster-secret-file", secret, "--cluster-node", string(rune('a'+i)))
		if err != nil {
			t.Fatal(err)
		}
		demos = append(demos, d)
	}
	// Subscribe waits for the nodes that its own node has found.
	for begun := time.Now(); len(demos[0].node.Nodes()) < 2 || len(demos[1].node.Nodes()) < 2; time.Sleep(time.Millisecond) {
		if time.Since(begun) > time.Minute {
			t.Fatal("the nodes do not find each other")
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	sub, err := demos[1].sockets.Exchange().Subscribe(ctx, "news")
	if err != nil {
		t.Fatal(err)
	}
	if err := demos[0].sockets.Exchange().Publish(ctx, "news", "hello"); err != nil {
		t.Fatal(err)
	}
	for text, err := range socketcluster.Messages[string](sub) {
		if text != "hello" || err != nil {
			t.Error(text, err)
		}
		return
	}
	t.Error("nothing came")
}

// Installations with prefixes of their own share nothing at an outside NATS.
func TestClusterPrefix(t *testing.T) {
	nats, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nats.Shutdown)
	go nats.Start()
	if !nats.ReadyForConnections(20 * time.Second) {
		t.Fatal("the NATS is not ready")
	}
	start := func(name, prefix string) *demo {
		t.Helper()
		d, err := clusterDemo(t, "--cluster-nats", nats.ClientURL(), "--cluster-node", name, "--cluster-prefix", prefix)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	a, b, other := start("a", ""), start("b", "sc"), start("a", "other")
	for begun := time.Now(); len(a.node.Nodes()) < 2 || len(b.node.Nodes()) < 2; time.Sleep(time.Millisecond) {
		if time.Since(begun) > time.Minute {
			t.Fatal("the nodes do not find each other")
		}
	}
	if nodes := other.node.Nodes(); len(nodes) != 1 {
		t.Errorf("another installation sees %v", nodes)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for d, want := range map[*demo]string{b: "ours", other: "theirs"} {
		sub, err := d.sockets.Exchange().Subscribe(ctx, "news")
		if err != nil {
			t.Fatal(err)
		}
		if err := a.sockets.Exchange().Publish(ctx, "news", "ours"); err != nil {
			t.Fatal(err)
		}
		if err := other.sockets.Exchange().Publish(ctx, "news", "theirs"); err != nil {
			t.Fatal(err)
		}
		for text, err := range socketcluster.Messages[string](sub) {
			if text != want || err != nil {
				t.Errorf("got %s, %v; want %s", text, err, want)
			}
			break
		}
	}
}

// A balancer sends a login to any node: the demo users have the same passwords on all
// that have the key, and other ones without a cluster.
func TestDemoUsersOfNodes(t *testing.T) {
	file := writeFile(t, "auth.key", clusterKey+"\n")
	t.Setenv("SOCKETCLUSTER_CLUSTER_SECRET", "a secret of the nodes")
	accounts := func(args ...string) []account {
		t.Helper()
		d, err := clusterDemo(t, args...)
		if err != nil {
			t.Fatal(err)
		}
		if len(d.accounts) != len(demoUsers) || d.accounts[0].Password == d.accounts[1].Password {
			t.Fatalf("%q: %v", args, d.accounts)
		}
		for _, a := range d.accounts {
			if _, err := d.users.Check(t.Context(), a.Username, a.Password); err != nil || len(a.Password) != demoPasswordSize {
				t.Errorf("%q: %v: %v", args, a, err)
			}
		}
		return d.accounts
	}
	listen := []string{"--cluster-listen", "127.0.0.1:0"}
	node := accounts(listen...)
	if other := accounts(append(listen, "--auth-key-file", file)...); !slices.Equal(node, other) {
		t.Errorf("two nodes with the same key have %v and %v", node, other)
	}
	if other := accounts(append(listen, "--auth-key", "another key for the tests of the cluster")...); slices.Equal(node, other) {
		t.Errorf("two keys make the same %v", other)
	}
	if other := accounts(); slices.Equal(node, other) || slices.Equal(accounts(), other) {
		t.Errorf("without a cluster, the passwords are not random: %v", other)
	}
}

// What a node reports names settings.
func TestClusterLog(t *testing.T) {
	var logs logtest.Buffer
	log := slog.New(settingNames{logs.Logger().Handler()})
	log.With("node", "b").WithGroup("g").Error("give each its own Options.Name, and the same Options.Secret", "a", "Options.Name")
	if text := logs.Take(); !strings.Contains(text, `msg="give each its own cluster-node, and the same cluster-secret-file" node=b g.a=Options.Name`) {
		t.Error(text)
	}
	log.Info("hello")
	if text := logs.Take(); !strings.Contains(text, "msg=hello") {
		t.Error(text)
	}
}

// Settings that make no node say what to set.
func TestClusterMistakes(t *testing.T) {
	dir := t.TempDir()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	text := writeFile(t, "text", "this is no certificate")
	history := writeFile(t, "c.toml", "cluster-node = 'a'\n[[history]]\nchannel = 'a'\nsize = 1\nage = '1h'")
	node := writeFile(t, "node.toml", "\ncluster-node = 'a b'\ncluster-store = '"+dir+"'")
	t.Setenv("SOCKETCLUSTER_CLUSTER_SECRET", "a secret of the nodes")
	listen := []string{"--cluster-listen", "127.0.0.1:0"}
	for want, args := range map[string][]string{
		history + ":2: the setting history needs the setting cluster-store":                            {"--config", history},
		node + `:2: the setting cluster-node is "a b"; it must be`:                                     {"--config", node},
		`the setting cluster-routes: "b" is not an address such as host:6222`:                          append(listen, "--cluster-routes", "b"),
		`the setting cluster-advertise: "foo bar" is not an address such as host:6222`:                 append(listen, "--cluster-advertise", "foo bar"),
		"the setting cluster-advertise needs cluster-listen":                                           {"--cluster-advertise", "a:1"},
		"the setting cluster-store with the setting cluster-listen needs the setting cluster-routes":   append(listen, "--cluster-store", dir),
		"the setting cluster-sync-always needs the setting cluster-store":                              {"--cluster-sync-always"},
		`the setting cluster-user-claim is "\xff"; it must be UTF-8`:                                   {"--presence-channels", "a", "--cluster-user-claim", "\xff"},
		`the setting cluster-listen is "` + taken.Addr().String() + `": `:                              {"--cluster-listen", taken.Addr().String()},
		"the setting cluster-revocations: the node has no storage: it needs the setting cluster-store": append(listen, "--cluster-revocations"),
		"the setting cluster-fail-closed needs cluster-revocations":                                    {"--cluster-fail-closed"},
		"the setting cluster-witness needs cluster-listen and cluster-store":                           append(listen, "--cluster-witness"),
		"the setting cluster-revocations: the setting cluster-cut-off is 1s; it must be at least 2s":   {"--cluster-revocations", "--cluster-cut-off", "1s"},
		"need each other: cluster-key-file is not set":                                                 append(listen, "--cluster-cert-file", text, "--cluster-ca-file", text),
		"the setting cluster-ca-file: open none":                                                       append(listen, "--cluster-ca-file", "none"),
		"the settings cluster-cert-file and cluster-key-file: tls: ":                                   append(listen, "--cluster-cert-file", text, "--cluster-key-file", text, "--cluster-ca-file", text),
		"the setting cluster-cert-file needs cluster-listen":                                           {"--cluster-cert-file", text, "--cluster-key-file", text, "--cluster-ca-file", text},
		`the setting presence-channels: rules: rule 1: presence is "anyone", but only a token`:         {"--presence-channels", "a, b/{c}"},
		"the setting limits-channel-name is 1025; a node carries names of at most 1024 bytes":          append(listen, "--limits-channel-name", "1025"),
	} {
		if _, err := clusterDemo(t, args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	t.Setenv("SOCKETCLUSTER_CLUSTER_SECRET", "")
	for want, args := range map[string][]string{
		"the nodes of a cluster need one key for tokens":  {"--auth-key", "", "--cluster-listen", "127.0.0.1:0"},
		"$SOCKETCLUSTER_CLUSTER_SECRET":                   {"--cluster-listen", "127.0.0.1:0"},
		"the setting cluster-secret-file: open none":      {"--cluster-listen", "127.0.0.1:0", "--cluster-secret-file", "none"},
		"cluster-routes needs cluster-listen":             {"--cluster-routes", "b:6222"},
		"cluster-prefix needs cluster-nats":               {"--cluster-listen", "127.0.0.1:0", "--cluster-prefix", "a"},
		`the setting cluster-prefix is "a.b"; it must be`: {"--cluster-nats", "nats://127.0.0.1:1", "--cluster-prefix", "a.b"},
		"connect to NATS":                                 {"--cluster-nats", "nats://127.0.0.1:1"},
	} {
		if _, err := clusterDemo(t, args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
