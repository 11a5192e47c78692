package main

import (
	"encoding/json"
	"errors"
	"net"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/wire"
)

// client is what the tests need of the protocol.
type client struct {
	t    *testing.T
	conn net.Conn
	cid  int
	kept []packet // events that nobody has waited for yet
}

type packet struct {
	Event string
	RID   int
	Data  json.RawMessage
	Error json.RawMessage
}

// connect opens a socket with a token, or without one if it is empty.
func connect(t *testing.T, site *httptest.Server, token string) *client {
	t.Helper()
	conn, _, _, err := ws.Dial(t.Context(), "ws"+strings.TrimPrefix(site.URL, "http")+socketcluster.DefaultPath)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	c := &client{t: t, conn: conn}
	if _, err := c.call("#handshake", map[string]string{"authToken": token}); err != nil {
		t.Fatal(err)
	}
	return c
}

// read returns the next packet, and answers pings.
func (c *client) read() packet {
	c.t.Helper()
	for {
		text, err := wsutil.ReadServerText(c.conn)
		if err != nil {
			c.t.Fatal(err)
		}
		var p packet
		if len(text) > 0 {
			if err := json.Unmarshal(text, &p); err != nil {
				c.t.Fatalf("%s: %v", text, err)
			}
			return p
		}
		_ = wsutil.WriteClientText(c.conn, nil) // reading finds out
	}
}

// call calls a procedure. The error is the server's.
func (c *client) call(procedure string, data any) (json.RawMessage, error) {
	c.t.Helper()
	c.cid++
	text, err := json.Marshal(map[string]any{"event": procedure, "data": data, "cid": c.cid})
	if err != nil {
		c.t.Fatal(err)
	}
	if err := wsutil.WriteClientText(c.conn, text); err != nil {
		c.t.Fatal(err)
	}
	for {
		p := c.read()
		if p.RID == c.cid {
			return p.Data, wire.ParseError(p.Error)
		}
		c.kept = append(c.kept, p)
	}
}

// event waits for an event and decodes its data into v.
func (c *client) event(name string, v any) {
	c.t.Helper()
	for {
		var p packet
		if len(c.kept) > 0 {
			p, c.kept = c.kept[0], c.kept[1:]
		} else {
			p = c.read()
		}
		if p.Event != name {
			continue
		}
		if p.Data != nil {
			if err := json.Unmarshal(p.Data, v); err != nil {
				c.t.Fatal(err)
			}
		}
		return
	}
}

// closeCode waits for the server to close the socket, and answers.
func (c *client) closeCode() ws.StatusCode {
	c.t.Helper()
	var closed wsutil.ClosedError
	if text, err := wsutil.ReadServerText(c.conn); !errors.As(err, &closed) {
		c.t.Fatalf("%s, %v", text, err)
	}
	return closed.Code
}

// login logs in and returns the token.
func (c *client) login(username string) (signed string) {
	c.t.Helper()
	if _, err := c.call("login", credentials{username, secret}); err != nil {
		c.t.Fatal(err)
	}
	var data struct{ Token string }
	c.event("#setAuthToken", &data)
	return data.Token
}

func (c *client) subscribe(channel string) error {
	c.t.Helper()
	_, err := c.call("#subscribe", map[string]string{"channel": channel})
	return err
}

func (c *client) publish(channel string, data any) error {
	c.t.Helper()
	_, err := c.call("#publish", map[string]any{"channel": channel, "data": data})
	return err
}
