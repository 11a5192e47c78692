package main

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/internal/sctest"
)

// upgrade asks for a WebSocket as a page of an origin, "" for a client that is no
// page.
func (w *world) upgrade(path, origin string) (*sctest.Conn, *http.Response) {
	w.t.Helper()
	conn, err := w.listen.Dial(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { conn.Close() })
	c := sctest.NewConn(conn)
	resp, err := c.Upgrade(func(r *http.Request) {
		r.URL.Path = path
		r.Header.Set("Sec-WebSocket-Extensions", "permessage-deflate")
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return c, resp
}

// The settings of the server reach it.
func TestServerSettings(t *testing.T) {
	clearSettings(t)
	args := []string{
		"--compression-level=1", "--protocol1-path=/", "--ping-interval=17s", "--origins=a.com:443", "--allow-missing-origin", "--limits-connections=2",
	}
	inBubble(t, args, func(t *testing.T, w *world) {
		_, resp := w.upgrade(socketcluster.DefaultPath, "https://a.com")
		if resp.StatusCode != http.StatusSwitchingProtocols || resp.Header.Get("Sec-WebSocket-Extensions") == "" {
			t.Errorf("compression: %v", resp)
		}
		if _, resp := w.upgrade(socketcluster.DefaultPath, "https://b.com"); resp.StatusCode != http.StatusForbidden {
			t.Errorf("another origin: %s", resp.Status)
		}
		old, resp := w.upgrade("/", "")
		if resp.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("at the path for old clients: %s", resp.Status)
		}
		if _, resp := w.upgrade("/", ""); resp.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("beyond the limit: %s", resp.Status)
		}
		if err := old.Send(`{"event":"#handshake","data":{},"cid":1}`); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		for _, want := range []string{`{"rid":1,`, "#1"} {
			if text, err := old.Next(); !strings.HasPrefix(text, want) {
				t.Errorf("got %q, %v; want %s", text, err, want)
			}
		}
		if d := time.Since(begin); d != 17*time.Second {
			t.Errorf("the first ping came after %v", d)
		}
	})
}

// The limit of tokens holds for those under the key of a file too.
func TestTokenSizeWithKeyFile(t *testing.T) {
	clearSettings(t)
	file := writeFile(t, "auth.key", strings.Repeat("k", 32))
	for size, good := range map[string]bool{"0": true, "20": false} {
		o, err := parseOptions([]string{"--auth-key-file=" + file, "--limits-token-size=" + size})
		if err != nil {
			t.Fatal(err)
		}
		d, err := newDemo(context.Background(), o, slog.New(slog.DiscardHandler))
		if (err == nil) != good {
			t.Errorf("size %s: %v", size, err)
		}
		if err == nil {
			d.sockets.Close()
			d.close()
		}
	}
}
