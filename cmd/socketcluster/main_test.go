package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/cmd/socketcluster/users"
	"github.com/socketcluster-go/socketcluster/wire"
)

// The command as a whole, on a port of the machine.
func TestRun(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	stdout, banner := io.Pipe()
	var log bytes.Buffer
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"--addr", "127.0.0.1:0"}, streams{out: banner, err: &log})
		banner.Close()
	}()
	lines := bufio.NewScanner(stdout)
	next := func() string {
		t.Helper()
		if !lines.Scan() {
			t.Fatalf("the banner ended early: %v; log:\n%s", <-ended, &log)
		}
		return lines.Text()
	}
	url, ok := strings.CutPrefix(next(), "SocketCluster for Go: ")
	if !ok {
		t.Fatalf("the banner begins with %q", lines.Text())
	}
	var secrets []string
	for _, name := range []string{"alice", "bob"} {
		password, ok := strings.CutPrefix(next(), "  user "+name+", password ")
		if !ok || len(password) != 12 {
			t.Errorf("the line of %s is %q", name, lines.Text())
		}
		secrets = append(secrets, password)
	}
	body := mustJSON(t, credentials{"alice", secrets[0]})
	resp, err := http.Post(url+"login", jsonType, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("login with the password of the banner: %s", resp.Status)
	}
	http.DefaultClient.CloseIdleConnections()
	stop()
	if err := <-ended; err != nil {
		t.Errorf("run: %v", err)
	}
	text := log.String()
	if !strings.Contains(text, "Options.Key is not set") || !strings.Contains(text, "shutting down") {
		t.Errorf("log:\n%s", text)
	}
	for _, s := range secrets {
		if strings.Contains(text, s) {
			t.Errorf("the log has a password:\n%s", text)
		}
	}
}

func TestRunTellsWhatFailed(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte(strings.Repeat("certainly no database ", 10)), 0o600); err != nil {
		t.Fatal(err)
	}
	_, publicPEM := keyPairPEM(t)
	public := writeFile(t, "public.pem", publicPEM)
	db := filepath.Join(t.TempDir(), "users.db")
	store, err := users.Open(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	for _, c := range []struct{ args, want string }{
		{"--addr " + taken.Addr().String(), "the setting addr: listen tcp " + taken.Addr().String() + ": bind: address already in use"},
		{"--addr " + taken.Addr().String() + " --cluster-listen 127.0.0.1:nonsense", "the setting addr: "}, // before there is a node
		{"serve --addr nonsense", "missing port"},
		{"--rules none.json", "none.json"},
		{"--rules " + text, "not a JSON array of rules"},
		{"--config none.toml", "none.toml"},
		{"--config " + text, "text:1: "},
		{"--auth-key-file none.key", "none.key"},
		{"--auth-key-file " + public, "the demo cannot sign tokens with it"},
		{"--addr nonsense", "missing port"},
		{"--auth-key short", "the setting auth-key"},
		{"--client-js none.js", "none.js"},
		{"--db " + text, "the setting db: users: " + text + " is not a database"},
		{"--db " + db, "the setting db: users: " + db + " is open in another process"},
	} {
		var stdout, stderr bytes.Buffer
		err := run(t.Context(), append(strings.Fields(c.args), "--quiet"), streams{out: &stdout, err: &stderr})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.args, err, c.want)
		}
		if stdout.Len() > 0 {
			t.Errorf("%q printed %s", c.args, &stdout)
		}
	}
}

// Stock clients connect again after 1001. They are notified at once, whatever
// else holds the server up.
func TestShutdownSaysGoodbye(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		w.halfLogin()
		start := time.Now()
		peers := []*peer{w.connect(""), w.login("alice")}
		w.stop()
		for _, p := range peers {
			if code := p.Closed(); code != wire.CloseGoingAway {
				t.Errorf("closed with %d, want 1001", code)
			}
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("the clients were notified after %v", took)
		}
	})
}

// halfLogin sends a login that never ends, and no request after it.
func (w *world) halfLogin() {
	w.t.Helper()
	conn, err := w.listen.Dial(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { conn.Close() })
	if _, err := io.WriteString(conn, "POST /login HTTP/1.1\r\nHost: server\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{"); err != nil {
		w.t.Fatal(err)
	}
	synctest.Wait()
}

// A client that does not answer holds the server up for the time that is set.
func TestShutdownDropsWhoStays(t *testing.T) {
	for _, test := range []struct {
		args []string
		want time.Duration
	}{
		{nil, socketcluster.DefaultShutdownTimeout},
		{[]string{"--shutdown-timeout", "2s"}, 2 * time.Second},
	} {
		inBubble(t, test.args, func(t *testing.T, w *world) {
			w.halfLogin()
			start := time.Now()
			w.stop()
			if err := <-w.ended; err != nil {
				t.Errorf("serve: %v", err)
			}
			w.ended <- nil // inBubble waits for it too
			if took := time.Since(start).Round(time.Second); took != test.want {
				t.Errorf("the shutdown took %v, want %v", took, test.want)
			}
		})
	}
}

func TestSiteURL(t *testing.T) {
	for addr, want := range map[string]string{
		"[::]:8000":      "http://localhost:8000/",
		"0.0.0.0:8000":   "http://localhost:8000/",
		"127.0.0.1:8000": "http://127.0.0.1:8000/",
		"[::1]:8000":     "http://[::1]:8000/",
	} {
		tcp, err := net.ResolveTCPAddr("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		if got := siteURL(tcp); got != want {
			t.Errorf("siteURL(%s) = %s, want %s", addr, got, want)
		}
	}
}
