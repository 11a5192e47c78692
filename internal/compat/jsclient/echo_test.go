package jsclient

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
)

// startEcho serves echo, and hands out what is transmitted as note.
func startEcho(t *testing.T, setup func(*socketcluster.Server)) (*server, <-chan string) {
	t.Helper()
	return startEchoWith(t, socketcluster.Config{Auth: auth.Options{Key: key}}, setup)
}

func startEchoWith(t *testing.T, cfg socketcluster.Config, setup func(*socketcluster.Server)) (*server, <-chan string) {
	t.Helper()
	notes := make(chan string, 16)
	srv := startServer(t, cfg, func(srv *socketcluster.Server) {
		srv.Handle("echo", socketcluster.Func(func(_ context.Context, in json.RawMessage) (json.RawMessage, error) {
			return in, nil
		}))
		srv.Receive("note", socketcluster.Recv(func(_ context.Context, in string) error {
			notes <- in
			return nil
		}))
		setup(srv)
	})
	return srv, notes
}

// changeData replaces "before" by "after" in the data of actions of a type.
func changeData[A socketcluster.Action](srv *socketcluster.Server, data func(A) *json.RawMessage) {
	socketcluster.Use(srv, func(_ context.Context, a A) error {
		if d := data(a); string(*d) == `"before"` {
			*d = json.RawMessage(`"after"`)
		}
		return nil
	})
}

func wantEcho(t *testing.T, c *client, text, want string) {
	t.Helper()
	if got := decode[string](t, c.do(t, "invoke", "echo", text)); got != want {
		t.Errorf("echo of %q is %q, want %q", text, got, want)
	}
}

func wantNotes(t *testing.T, notes <-chan string, want ...string) {
	t.Helper()
	for _, w := range want {
		select {
		case got := <-notes:
			if got != w {
				t.Errorf("the receiver got %q, want %q", got, w)
			}
		case <-time.After(hangLimit):
			t.Fatalf("the receiver got nothing, want %q", w)
		}
	}
}

// wantPublication publishes to a channel that the client is subscribed to.
func wantPublication(t *testing.T, c *client, text, want string) {
	t.Helper()
	c.do(t, "subscribe", "news")
	next := c.start(t, "nextPublication", "news")
	c.do(t, "publish", "news", text)
	if raw, err := next(); err != nil || decode[string](t, raw) != want {
		t.Errorf("the subscriber got %s, %v, want %q", raw, err, want)
	}
}

// upgradeStatus asks for a WebSocket and returns what was answered instead.
func upgradeStatus(t *testing.T, srv *server) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.http.URL+socketcluster.DefaultPath, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket",
		"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
	} {
		r.Header.Set(name, value)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}
