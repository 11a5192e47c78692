package rfc6455

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/internal/compat/proc"
	"github.com/socketcluster-go/socketcluster/internal/ws/rfc6455"
)

// echoServer serves rfc6455.Echo; the address begins with ws or wss.
func echoServer(t *testing.T, secure bool) (*httptest.Server, string) {
	t.Helper()
	srv := httptest.NewUnstartedServer(rfc6455.Echo)
	if secure {
		srv.StartTLS()
	} else {
		srv.Start()
	}
	t.Cleanup(srv.Close)
	return srv, "ws" + strings.TrimPrefix(srv.URL, "http")
}

// startServer serves SocketCluster and one page.
func startServer(t *testing.T, c socketcluster.Compression) *httptest.Server {
	t.Helper()
	srv, err := socketcluster.New(socketcluster.Config{
		Auth: auth.Options{Key: "the auth key of the compatibility tests"}, Logger: slog.New(slog.DiscardHandler), Compression: c,
	})
	if err != nil {
		t.Fatal(err)
	}
	srv.Handle("echo", socketcluster.Func(func(_ context.Context, in json.RawMessage) (json.RawMessage, error) {
		return in, nil
	}))
	mux := http.NewServeMux()
	mux.Handle(socketcluster.DefaultPath, srv)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write([]byte("<!DOCTYPE html><link rel=icon href=data:,><title>compression</title>"))
	})
	web := httptest.NewServer(mux)
	t.Cleanup(func() {
		_ = srv.Close()
		web.Close()
	})
	return web
}

// runNode runs a script with in as its standard input, and decodes its output.
func runNode(t *testing.T, script string, in, out any) {
	t.Helper()
	input, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	cmd := proc.Node(t, "rfc6455/js/"+script)
	cmd.Stdin = bytes.NewReader(input)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	output, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, &stderr)
	}
	if err := json.Unmarshal(output, out); err != nil {
		t.Fatalf("%s: %v: %s\n%s", script, err, output, &stderr)
	}
}
