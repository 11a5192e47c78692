package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/wire"
	"github.com/socketcluster-go/socketcluster/wire/minbin"
)

// serveEcho serves a procedure echo, and one that logs in, and shows the header X-Team of the
// upgrade.
func serveEcho(t *testing.T, config socketcluster.Config) (url string) {
	t.Helper()
	config.Auth = auth.Options{Key: "a key for the tests of the command, which is long enough"}
	config.Compat.KeepRequest = true
	srv, err := socketcluster.New(config)
	if err != nil {
		t.Fatal(err)
	}
	srv.Handle("echo", socketcluster.Func(func(_ context.Context, in json.RawMessage) (json.RawMessage, error) { return in, nil }))
	srv.Handle("login", socketcluster.Proc(func(ctx context.Context, name string) error {
		return socketcluster.FromContext(ctx).SetAuthToken(ctx, map[string]string{"username": name})
	}))
	srv.Handle("team", socketcluster.Func(func(ctx context.Context, _ socketcluster.None) (string, error) {
		return socketcluster.FromContext(ctx).Request().Header.Get("X-Team"), nil
	}))
	mux := http.NewServeMux()
	mux.Handle(config.Path, srv)
	hs := httptest.NewServer(mux)
	t.Cleanup(func() {
		srv.Close()
		hs.Close()
	})
	return hs.URL
}

// command runs the command, and returns what it prints and its status.
func command(t *testing.T, input string, args ...string) (out, errOut string, status int) {
	t.Helper()
	var o, e bytes.Buffer
	status = exit(run(t.Context(), args, streams{strings.NewReader(input), &o, &e}), &e)
	return o.String(), e.String(), status
}

// The client runs scripts, and its status tells whether they have succeeded.
func TestClientCommand(t *testing.T) {
	url := serveEcho(t, socketcluster.Config{Path: socketcluster.DefaultPath})
	script := filepath.Join(t.TempDir(), "test.sc")
	if err := os.WriteFile(script, []byte("invoke team\nexpect answer \"red\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	headers := filepath.Join(t.TempDir(), "headers")
	if err := os.WriteFile(headers, []byte("X-Other: 1\n\nX-Team: red\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		input  string
		args   []string
		status int
		want   string
	}{
		{"invoke echo {\"a\":1}\nexpect answer {\"a\":1}", []string{"client", url}, 0, `→ {"a":1}`},
		{"invoke echo 1", []string{"client", url, "--json"}, 0, `{"type":"answer","data":1}`},
		{"", []string{"client", url, "--file", script, "--header", "X-Team: red"}, 0, `"red"`},
		{"", []string{"client", url, "--file", script, "--header", "@" + headers}, 0, `"red"`},
		{"", []string{"client", url, "--header", "@" + headers + "x"}, 2, "no such file"},
		{"", []string{"client", url, "--file", script}, 1, script + `:2: the answer was ""`},
		{"", []string{"client", url, "--file", script + "x"}, 2, "no such file"},
		{"", []string{"client", "ws://127.0.0.1:1"}, 1, "connection refused"},
		{"", []string{"client", url, "--header", "X"}, 2, `--header "X" is not of the form`},
		{"", []string{"client", url, "--timeout", "0s"}, 2, "--timeout must be more than 0"},
		{"", []string{"client", url, "--within", "0s"}, 2, "--within must be more than 0"},
		{"", []string{"client", "localhost:8000"}, 2, "must begin with ws:// or wss://"},
		{"", []string{"client", "127.0.0.1:8000"}, 2, "must begin with ws:// or wss://"},
		{"", []string{"client", url, url}, 2, "accepts at most 1 arg(s)"},
	} {
		out, errOut, status := command(t, test.input, test.args...)
		if status != test.status || !strings.Contains(out+errOut, test.want) {
			t.Errorf("%v: status %d\n%s%s\nwant %d, %s", test.args, status, out, errOut, test.status, test.want)
		}
	}
}

// A token in a file outlives the command.
func TestClientCommandKeepsItsToken(t *testing.T) {
	url := serveEcho(t, socketcluster.Config{Path: socketcluster.DefaultPath})
	store := filepath.Join(t.TempDir(), "tokens.json")
	if out, errOut, status := command(t, "login login \"alice\"\ntoken store", "client", url, "--token-store", store); status != 0 || !strings.Contains(out, store) {
		t.Fatalf("status %d\n%s%s", status, out, errOut)
	}
	out, errOut, status := command(t, "expect event authenticate {\"username\":\"alice\"}\nlogout", "client", url, "--token-store", store)
	if status != 0 {
		t.Errorf("status %d\n%s%s", status, out, errOut)
	}
	if out, errOut, status := command(t, "expect event connect {\"isAuthenticated\":false}", "client", url, "--token-store", store); status != 0 {
		t.Errorf("status %d\n%s%s", status, out, errOut)
	}
}

// The client speaks both versions of the protocol, and the binary codec.
func TestClientCommandForms(t *testing.T) {
	for flag, config := range map[string]socketcluster.Config{
		"--protocol-1": {Path: "/socketcluster/", ProtocolVersion: wire.Version1},
		"--min-bin":    {Path: "/socketcluster/", Codec: minbin.Codec{}},
		"--compress":   {Path: "/socketcluster/", Compression: socketcluster.Compression{Level: 1}},
	} {
		text := strings.Repeat("x", 2000)
		if out, errOut, status := command(t, `invoke echo "`+text+`"`, "client", serveEcho(t, config), flag); status != 0 || !strings.Contains(out, text) {
			t.Errorf("%s: status %d\n%s%s", flag, status, out, errOut)
		}
	}
}

// An interrupted load test prints its report, and has the status of an interruption. An
// interruption before the first connection is the earliest.
func TestBenchInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	url := serveEcho(t, socketcluster.Config{Path: socketcluster.DefaultPath})
	report := filepath.Join(t.TempDir(), "report.json")
	var o, e bytes.Buffer
	status := exit(run(ctx, []string{"bench", url, "--call", "none", "--report", report}, streams{strings.NewReader(""), &o, &e}), &e)
	if status != 130 || !strings.Contains(o.String(), "100 connections, interrupted") || !strings.Contains(o.String(), "connect") || e.Len() > 0 {
		t.Errorf("status %d\n%s%s", status, &o, &e)
	}
	if _, _, status := command(t, "", "bench", "compare", report, report); status != 0 {
		t.Errorf("comparing it: %d", status)
	}
}

// The load test writes a report, and compares two.
func TestBenchCommand(t *testing.T) {
	url := serveEcho(t, socketcluster.Config{Path: socketcluster.DefaultPath})
	report := filepath.Join(t.TempDir(), "report.json")
	out, errOut, status := command(t, "", "bench", url, "--connections", "3", "--login", "login", "--login-data", `"alice"`,
		"--call", "echo", "--call-rate", "100", "--channel", "news", "--publish-rate", "50", "--duration", "200ms", "--storm", "--report", report, "--quiet")
	if status != 0 || errOut != "" {
		t.Fatalf("status %d\n%s%s", status, out, errOut)
	}
	for _, name := range []string{"connect", "login", "subscribe", "call", "publish", "delivery", "storm"} {
		if !strings.Contains(out, name) {
			t.Errorf("the table has no %s:\n%s", name, out)
		}
	}
	if out, errOut, status := command(t, "", "bench", "compare", report, report); status != 0 || !strings.Contains(out, "1.00") {
		t.Errorf("status %d\n%s%s", status, out, errOut)
	}
	for _, test := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{"bench", url, "--call", "none", "--duration", "100ms", "--connections", "1"}, 1, "UnknownProcedureError"},
		{[]string{"bench"}, 2, "the URL of the server is missing"},
		{[]string{"bench", "ws://127.0.0.1:1"}, 2, "connection refused"},
		{[]string{"bench", url, "--call", "echo", "--call-data", "{"}, 2, "--call-data is not JSON"},
		{[]string{"bench", url, "--publish-rate", "5"}, 2, "--publish-rate does nothing without --channel"},
		{[]string{"bench", url, "--login", "login", "--login-data", "@none.json"}, 2, "no such file"},
		{[]string{"bench", url, "--login", "login", "--login-data", "@/dev/null"}, 2, "--login-data is not JSON"},
		{[]string{"bench", url, "--call", "echo", "--call-data", "1 2"}, 2, "--call-data is more than one JSON text"},
		{[]string{"bench", url, "--connect-rate", "0"}, 2, "--connect-rate must be more than 0"},
		{[]string{"bench", url, "--call", "echo", "--call-rate", "0.0"}, 2, "--call-rate must be more than 0"},
		{[]string{"bench", url, "--duration", "0s"}, 2, "--duration must be more than 0"},
		{[]string{"bench", url, "--connections", "0"}, 2, "--connections must be more than 0"},
		{[]string{"bench", url, "--connections", "-1"}, 2, "connections is -1"},
		{[]string{"bench", "compare", report}, 2, "accepts 2 arg(s)"},
		{[]string{"bench", "compare", report, "none.json"}, 2, "no such file"},
		{[]string{"bench", url, "--call", "echo", "--duration", "100ms", "--connections", "1", "--report", filepath.Join(report, "x")}, 2, "p99.9"}, // the table is there
	} {
		out, errOut, status := command(t, "", test.args...)
		if status != test.status || !strings.Contains(out+errOut, test.want) {
			t.Errorf("%v: status %d\n%s%s\nwant %d, %s", test.args, status, out, errOut, test.status, test.want)
		}
	}
}
