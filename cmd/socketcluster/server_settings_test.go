package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"
	"github.com/gobwas/ws/wsutil"

	"github.com/socketcluster-go/socketcluster"
)

// upgrade opens a WebSocket as a page of an origin, "" for a client that is no
// page.
func (w *world) upgrade(path, origin string) (net.Conn, ws.Handshake, error) {
	w.t.Helper()
	dialer := ws.Dialer{NetDial: func(ctx context.Context, _, _ string) (net.Conn, error) { return w.listen.Dial(ctx) }}
	dialer.Extensions = append(dialer.Extensions, wsflate.DefaultParameters.Option())
	if origin != "" {
		dialer.Header = ws.HandshakeHeaderHTTP{"Origin": {origin}}
	}
	conn, _, handshake, err := dialer.Dial(context.Background(), "ws://server"+path)
	if err == nil {
		w.t.Cleanup(func() { conn.Close() })
	}
	return conn, handshake, err
}

// The settings of the server reach it.
func TestServerSettings(t *testing.T) {
	clearSettings(t)
	args := []string{
		"-compression-level=1", "-protocol1-path=/", "-ping-interval=17s", "-origins=a.com:443", "-allow-missing-origin", "-limits-connections=2",
	}
	inBubble(t, args, func(t *testing.T, w *world) {
		_, handshake, err := w.upgrade(socketcluster.DefaultPath, "https://a.com")
		if err != nil || len(handshake.Extensions) != 1 {
			t.Errorf("compression: %v, %v", handshake.Extensions, err)
		}
		var status ws.StatusError
		if _, _, err := w.upgrade(socketcluster.DefaultPath, "https://b.com"); !errors.As(err, &status) || status != http.StatusForbidden {
			t.Errorf("another origin: %v", err)
		}
		old, _, err := w.upgrade("/", "")
		if err != nil {
			t.Fatalf("at the path for old clients: %v", err)
		}
		if _, _, err := w.upgrade("/", ""); !errors.As(err, &status) || status != http.StatusServiceUnavailable {
			t.Errorf("beyond the limit: %v", err)
		}
		_ = wsutil.WriteClientText(old, []byte(`{"event":"#handshake","data":{},"cid":1}`)) // reading finds out
		begin := time.Now()
		for _, want := range []string{`{"rid":1,`, "#1"} {
			if text, err := wsutil.ReadServerText(old); !strings.HasPrefix(string(text), want) {
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
		o, err := parseOptions([]string{"-auth-key-file=" + file, "-limits-token-size=" + size}, io.Discard)
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
