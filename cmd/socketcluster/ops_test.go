package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Machines see the metrics, that the process works, and whether it takes clients.
func TestOps(t *testing.T) {
	d, err := clusterDemo(t)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	site := httptest.NewServer(d.opsHandler(ctx, slog.New(slog.DiscardHandler)))
	defer site.Close()
	get := func(path string) (status int, text string) {
		t.Helper()
		resp, err := http.Get(site.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
	status, text := get("/metrics")
	for _, name := range []string{"socketcluster_connections{", "go_goroutines", "process_resident_memory_bytes"} {
		if status != http.StatusOK || !strings.Contains(text, "\n"+name) {
			t.Errorf("status %d, and no %s", status, name)
		}
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if status, text := get(path); status != http.StatusOK || text != "ok\n" {
			t.Errorf("%s: %d %q", path, status, text)
		}
	}
	stop()
	if status, text := get("/readyz"); status != http.StatusServiceUnavailable || text != "shutting down\n" {
		t.Errorf("after the end: %d %q", status, text)
	}
	if status, _ := get("/healthz"); status != http.StatusOK {
		t.Errorf("after the end: %d", status)
	}
	if _, err := d.serveOps(ctx, "nonsense", slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "the setting metrics-addr") {
		t.Error(err)
	}
	end, err := d.serveOps(ctx, "127.0.0.1:0", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	end()
}
