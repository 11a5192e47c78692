package rfc6455

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/socketcluster-go/socketcluster/internal/ws/rfc6455"
)

// patience is far above what a loaded machine needs.
const patience = time.Minute

// TestCoder: coder/websocket agrees with the server, in all its modes.
func TestCoder(t *testing.T) {
	for _, secure := range []bool{false, true} {
		for name, mode := range map[string]websocket.CompressionMode{
			"plain": websocket.CompressionDisabled, "deflate": websocket.CompressionNoContextTakeover, "deflate with context": websocket.CompressionContextTakeover,
		} {
			t.Run(fmt.Sprintf("%s, TLS %v", name, secure), func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				srv, url := echoServer(t, secure)
				dial := func() *websocket.Conn {
					c, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{
						HTTPClient: srv.Client(), CompressionMode: mode, CompressionThreshold: 1,
					})
					if err != nil {
						t.Fatal(err)
					}
					c.SetReadLimit(-1)
					return c
				}
				exchangeAll(ctx, t, dial())
				for _, code := range rfc6455.ValidCloseCodes {
					if err := dial().Close(websocket.StatusCode(code), "bye"); err != nil {
						t.Errorf("close with %d: %v", code, err)
					}
				}
			})
		}
	}
}

// exchangeAll sends every message, whole and in parts, with pings between.
func exchangeAll(ctx context.Context, t *testing.T, c *websocket.Conn) {
	defer c.CloseNow()
	for _, m := range rfc6455.Messages() {
		kind := websocket.MessageText
		if m.Binary {
			kind = websocket.MessageBinary
		}
		check := func(how string, err error) {
			t.Helper()
			if err != nil {
				t.Fatalf("%s %s: %v", m.Name, how, err)
			}
			got, data, err := c.Read(ctx)
			if err != nil {
				t.Fatalf("%s %s: %v", m.Name, how, err)
			}
			if got != kind || string(data) != m.Payload {
				t.Errorf("%s %s: got a %v of %d bytes", m.Name, how, got, len(data))
			}
		}
		check("whole", c.Write(ctx, kind, []byte(m.Payload)))
		check("in parts", writeParts(ctx, c, kind, m.Payload))
	}
	ctx = c.CloseRead(ctx)
	for range 3 {
		if err := c.Ping(ctx); err != nil {
			t.Errorf("ping: %v", err)
		}
	}
}

func writeParts(ctx context.Context, c *websocket.Conn, kind websocket.MessageType, payload string) error {
	w, err := c.Writer(ctx, kind)
	if err != nil {
		return err
	}
	for _, part := range []string{payload[:len(payload)/2], payload[len(payload)/2:]} {
		if _, err := w.Write([]byte(part)); err != nil {
			return err
		}
	}
	return w.Close()
}
