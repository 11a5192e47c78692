package jsclient

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/wire"
)

func TestTLS(t *testing.T) {
	n := startNode(t)
	// An empty configuration makes httptest use its self-signed certificate.
	srv := startOn(t, "127.0.0.1:0", &tls.Config{}, socketcluster.Config{Auth: auth.Options{Key: key}}, serveGuide)

	t.Run("a self-signed certificate that the client accepts", func(t *testing.T) {
		c := n.connected(t, srv, nil, options{"secure": true, "wsOptions": options{"rejectUnauthorized": false}})
		c.login(t, alice)
		c.wantUser(t, alice.Username)
		c.do(t, "subscribe", "news")
		c.do(t, "publish", "news", "over TLS")
	})
	t.Run("one that it does not", func(t *testing.T) {
		c := n.client(t, srv, nil, options{"secure": true})
		c.do(t, "dial")
		if got := decode[closed](t, c.wait(t, "connectAbort")); got.Code != 1006 {
			t.Errorf("connectAbort: %+v", got)
		}
	})
}

// PP-1, PP-8, HS-5
func TestProtocolVersions(t *testing.T) {
	for _, version := range []wire.Version{wire.Version1, wire.Version2} {
		t.Run(fmt.Sprintf("protocolVersion %d", version), func(t *testing.T) {
			n := startNode(t)
			pongs := make(chan struct{}, 1024)
			srv := startServer(t, socketcluster.Config{
				Auth: auth.Options{Key: key}, ProtocolVersion: version, Timeouts: socketcluster.Timeouts{PingInterval: 20 * time.Millisecond},
			}, func(srv *socketcluster.Server) {
				serveGuide(srv)
				socketcluster.Use(srv, func(_ context.Context, a *socketcluster.RawMessage) error {
					if !a.Binary && string(a.Data) == version.Pong() {
						pongs <- struct{}{}
					}
					return nil
				})
			})
			c := n.connected(t, srv, nil, options{"protocolVersion": version})
			for range 3 {
				<-pongs
			}
			c.login(t, alice)
			c.wantUser(t, alice.Username)
			pings := 0
			for _, m := range c.messages(t) {
				if m == version.Ping() {
					pings++
				}
			}
			if pings < 3 {
				t.Errorf("the client has got %d pings, but answered 3", pings)
			}
			if strings.Contains(c.diary(t), "raw") {
				t.Error("the client takes pings for messages")
			}
		})
	}
}

// TR-23, TR-29
func TestBatching(t *testing.T) {
	n := startNode(t)

	t.Run("the client's batches", func(t *testing.T) {
		batches := make(chan []json.RawMessage, 16)
		srv, _ := startEcho(t, func(srv *socketcluster.Server) {
			socketcluster.Use(srv, func(_ context.Context, a *socketcluster.RawMessage) error {
				if bytes.HasPrefix(a.Data, []byte("[")) {
					var batch []json.RawMessage
					if err := json.Unmarshal(a.Data, &batch); err != nil {
						t.Error(err)
					}
					batches <- batch
				}
				return nil
			})
		})
		c := n.connected(t, srv, nil)
		got := decode[[]string](t, c.do(t, "invokeBatched", "echo", []string{"a", "b", "c"}))
		if strings.Join(got, " ") != "a b c" {
			t.Errorf("answers: %s", got)
		}
		if batch := <-batches; len(batch) != 3 {
			t.Errorf("the first batch is %s", batch)
		}
	})

	// TR-30, TR-31
	t.Run("the server's batches", func(t *testing.T) {
		srv := startServer(t, socketcluster.Config{
			Auth: auth.Options{Key: key}, Batching: socketcluster.Batching{OnHandshake: time.Hour, Interval: 10 * time.Millisecond},
		}, serveGuide)
		c := n.connected(t, srv, nil)
		c.login(t, alice)
		c.wantUser(t, alice.Username)
		c.wantOrder(t, `{"rid":1,"data"`, `[{"event":"#setAuthToken"`)
	})
}

// CL-11, CL-26, AUTH-59
func TestReconnectAfterShutdown(t *testing.T) {
	n := startNode(t)
	first := startServer(t, socketcluster.Config{Auth: auth.Options{Key: key}}, serveGuide)
	c := n.connected(t, first, nil, options{
		"autoReconnect": true, "autoReconnectOptions": options{"initialDelay": 20, "randomness": 0, "maxDelay": 50},
	})
	c.login(t, alice)
	c.do(t, "subscribe", "news")
	c.wait(t, "subscribe")
	c.wait(t, "authenticate")
	socket := first.only(t)

	if err := first.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := decode[closed](t, c.wait(t, "disconnect")); got.Code != 1001 || got.Reason != "Socket was disconnected" {
		t.Errorf("disconnect: %+v", got)
	}
	notes := first.events.until(t, socket.ID(), "end")
	if e := find[socketcluster.DisconnectEvent](t, notes); e.Code != wire.CloseGoingAway {
		t.Errorf("the server's disconnect: %+v", e)
	}
	addr := first.http.Listener.Addr().String()
	first.http.Close()

	second := startOn(t, addr, nil, socketcluster.Config{Auth: auth.Options{Key: key}}, serveGuide)
	st := decode[status](t, c.wait(t, "connect"))
	if !st.IsAuthenticated {
		t.Errorf("status: %+v", st)
	}
	c.wait(t, "subscribe")
	if s := second.socket(t, st); s.ID() == socket.ID() || !s.IsSubscribed("news") {
		t.Error("the second server does not have a new socket with the subscription")
	}
	next := c.start(t, "nextPublication", "news")
	c.do(t, "publish", "news", "still here")
	if raw, err := next(); err != nil || decode[string](t, raw) != "still here" {
		t.Errorf("publication: %s, %v", raw, err)
	}
	c.wantUser(t, alice.Username)
}

// CL-11: the clients of a server that shuts down in batches come to another one
// behind the same address, also those that the balancer has sent to the old one
// once more.
func TestReconnectElsewhere(t *testing.T) {
	n := startNode(t)
	b := startBalancer(t)
	first := startServer(t, socketcluster.Config{Auth: auth.Options{Key: key}, DrainRate: 2}, serveGuide)
	second := startServer(t, socketcluster.Config{Auth: auth.Options{Key: key}}, serveGuide)
	b.to.Store(first)
	var clients []*client
	for range 4 {
		c := n.connected(t, first, nil, options{
			"port": b.port, "autoReconnect": true, "autoReconnectOptions": options{"initialDelay": 20, "randomness": 0, "maxDelay": 50},
		})
		c.login(t, alice)
		c.do(t, "subscribe", "news")
		clients = append(clients, c)
	}
	done := make(chan error, 1)
	go func() { done <- first.Shutdown(t.Context()) }()
	for limit := time.Now().Add(hangLimit); first.Stats().Refused.Closed < 2; time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatal("no client has come back to the first server")
		}
	}
	b.to.Store(second)
	for _, c := range clients {
		if got := decode[closed](t, c.wait(t, "disconnect")); got.Code != 1001 {
			t.Errorf("disconnect: %+v", got)
		}
		st := decode[status](t, c.wait(t, "connect"))
		second.events.until(t, st.ID, "subscribe")
		if !st.IsAuthenticated || !second.socket(t, st).IsSubscribed("news") {
			t.Errorf("status on the second server: %+v", st)
		}
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	var next []func() (json.RawMessage, error)
	for _, c := range clients {
		next = append(next, c.start(t, "nextPublication", "news"))
	}
	clients[0].do(t, "publish", "news", "still here")
	for _, wait := range next {
		if raw, err := wait(); err != nil || decode[string](t, raw) != "still here" {
			t.Errorf("publication: %s, %v", raw, err)
		}
	}
}

// HS-24, CL-10, CL-11: what the client sees of the server's close codes.
func TestDisconnectCodes(t *testing.T) {
	n := startNode(t)
	quick := options{"autoReconnect": true, "autoReconnectOptions": options{"initialDelay": 3600_000, "maxDelay": 3600_000}}
	for _, row := range []struct {
		name      string
		cfg       socketcluster.Config
		opts      options
		close     func(t *testing.T, c *client, s *socketcluster.Socket)
		code      int
		reason    string
		err       string // the client's error event
		reconnect bool
	}{
		{
			name:  "1000 Disconnect without a code",
			close: func(t *testing.T, _ *client, s *socketcluster.Socket) { s.Disconnect(0, "enough") },
			code:  1000, reason: "enough",
		},
		{
			name:  "1006 Terminate",
			close: func(t *testing.T, _ *client, s *socketcluster.Socket) { s.Terminate() },
			code:  1006, reason: "Socket hung up", err: "Socket hung up", reconnect: true,
		},
		{
			name: "1009 a message that is too large",
			cfg:  socketcluster.Config{Limits: socketcluster.Limits{MessageSize: 4096}},
			close: func(t *testing.T, c *client, _ *socketcluster.Socket) {
				c.do(t, "transmit", "note", strings.Repeat("x", 5000))
			},
			code: 1009, reason: "Message was too big to process", err: "Message was too big to process", reconnect: true,
		},
		{
			name: "4000 no pings",
			cfg:  socketcluster.Config{Timeouts: socketcluster.Timeouts{PingDisabled: true, Ping: 200 * time.Millisecond}},
			code: 4000, reason: "Server ping timed out", err: "Server ping timed out", reconnect: true,
		},
		{
			name:  "4001 no pongs",
			cfg:   socketcluster.Config{Timeouts: socketcluster.Timeouts{PingInterval: 20 * time.Millisecond, Ping: 400 * time.Millisecond}},
			opts:  options{"pingTimeoutDisabled": true},
			close: func(t *testing.T, c *client, _ *socketcluster.Socket) { c.do(t, "mute") },
			code:  4001, reason: "Client pong timed out", err: "Client pong timed out", reconnect: true,
		},
		{
			name: "4002 a token that cannot be signed",
			close: func(t *testing.T, _ *client, s *socketcluster.Socket) {
				if err := s.SetAuthToken(t.Context(), options{"exp": "tomorrow"}); err == nil {
					t.Error("no error")
				}
			},
			code: 4002, reason: "Server failed to sign auth token", err: "Server failed to sign auth token", reconnect: true,
		},
		{
			name: "4008 a second handshake",
			close: func(t *testing.T, c *client, _ *socketcluster.Socket) {
				c.do(t, "sendRaw", `{"event":"#handshake","data":{"authToken":null},"cid":99}`)
			},
			code: 4008, reason: "Server rejected handshake from client", err: "Server rejected handshake from client", reconnect: true,
		},
		{
			name:  "4321 an application's code",
			close: func(t *testing.T, _ *client, s *socketcluster.Socket) { s.Disconnect(4321, "move on") },
			code:  4321, reason: "move on", err: "Socket connection closed with status code 4321 and reason: move on", reconnect: true,
		},
		{
			name:  "4501 for good",
			close: func(t *testing.T, _ *client, s *socketcluster.Socket) { s.Disconnect(4501, "banned") },
			code:  4501, reason: "banned", err: "Socket connection closed with status code 4501 and reason: banned",
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			row.cfg.Auth.Key = key
			srv := startServer(t, row.cfg, nil)
			c := n.client(t, srv, nil, quick, row.opts)
			st := c.connect(t)
			if row.close != nil {
				row.close(t, c, srv.socket(t, st))
			}
			if got := decode[closed](t, c.wait(t, "disconnect")); got.Code != row.code || got.Reason != row.reason {
				t.Errorf("disconnect: %+v, want %d %s", got, row.code, row.reason)
			}
			if row.err != "" {
				e := decode[struct{ Error *jsError }](t, c.wait(t, "error"))
				if wantJSError(t, e.Error, "SocketProtocolError", row.err); e.Error.Fields["code"] != float64(row.code) {
					t.Errorf("error: %v", e.Error)
				}
			}
			events := "connecting connect disconnect close"
			if row.err != "" {
				events += " error"
			}
			got := c.diary(t)
			if row.code == 4000 || row.code == 4001 { // the client connects again at once
				got, _, _ = strings.Cut(got, " connecting")
				got = strings.TrimSpace(got)
				if !strings.HasPrefix(got, "connecting") {
					t.Errorf("the client's events: %s", got)
				}
				return
			}
			if got != events {
				t.Errorf("the client's events\ngot  %s\nwant %s", got, events)
			}
			if pending := c.state(t).PendingReconnect; pending != row.reconnect {
				t.Errorf("the client wants to connect again: %v", pending)
			}
		})
	}
}

// HS-7, HS-9: what ends a connection before its handshake.
func TestConnectAbortCodes(t *testing.T) {
	n := startNode(t)
	for _, row := range []struct {
		name   string
		cfg    socketcluster.Config
		send   string
		code   int
		reason string
	}{
		{
			name: "4005 no handshake", cfg: socketcluster.Config{Timeouts: socketcluster.Timeouts{Handshake: 50 * time.Millisecond}},
			code: 4005, reason: "Did not receive #handshake from client before timeout",
		},
		{
			name: "4009 something else before it", send: `{"event":"note","data":1}`,
			code: 4009, reason: "Server received a message before the client handshake",
		},
		{
			name: "4008 a handshake without an id", send: `{"event":"#handshake","data":{"authToken":null}}`,
			code: 4008, reason: "Server rejected handshake from client",
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			row.cfg.Auth.Key = key
			srv := startServer(t, row.cfg, nil)
			c := n.client(t, srv, nil)
			c.do(t, "stall")
			c.do(t, "dial")
			if row.send != "" {
				c.do(t, "sendRaw", row.send)
			}
			if got := decode[closed](t, c.wait(t, "connectAbort")); got.Code != row.code || got.Reason != row.reason {
				t.Errorf("connectAbort: %+v, want %d %s", got, row.code, row.reason)
			}
			notes := srv.events.until(t, "", "end")
			if e := find[socketcluster.ConnectAbortEvent](t, notes); int(e.Code) != row.code || e.Reason != row.reason {
				t.Errorf("the server's connectAbort: %+v", e)
			}
		})
	}
}
