package jsclient

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// options are those of socketClusterClient.create.
type options map[string]any

// client is a stock client in the driver.
type client struct {
	node *node
	id   int
}

// status is what a client's connect event carries.
type status struct {
	ID              string   `json:"id"`
	PingTimeout     int      `json:"pingTimeout"`
	IsAuthenticated bool     `json:"isAuthenticated"`
	AuthError       *jsError `json:"authError"`
	AuthToken       any      `json:"authToken"` // the text that was sent
}

// clientState is what a client thinks of itself.
type clientState struct {
	State            string         `json:"state"`
	AuthState        string         `json:"authState"`
	AuthToken        map[string]any `json:"authToken"`
	SignedAuthToken  *string        `json:"signedAuthToken"`
	Stored           any            `json:"stored"` // the token in its store
	TokenName        string         `json:"tokenName"`
	PendingReconnect bool           `json:"pendingReconnect"`
}

// closed is what the events of a lost connection carry.
type closed struct {
	Code   int    `json:"code"`
	Reason string `json:"reason"`
}

// client makes a client for a server. stored is the token that it has in its
// store, nil for none.
func (n *node) client(t *testing.T, srv *server, stored any, extra ...options) *client {
	t.Helper()
	opts := options{"port": srv.port}
	for _, o := range extra {
		for k, v := range o {
			opts[k] = v
		}
	}
	n.mu.Lock()
	n.clients++
	c := &client{n, n.clients}
	n.mu.Unlock()
	n.do(t, "create", c.id, opts, stored)
	return c
}

// connected makes a client and connects it.
func (n *node) connected(t *testing.T, srv *server, stored any, extra ...options) *client {
	t.Helper()
	c := n.client(t, srv, stored, extra...)
	c.connect(t)
	return c
}

func (c *client) args(args []any) []any { return append([]any{c.id}, args...) }

func (c *client) try(t *testing.T, step string, args ...any) (json.RawMessage, error) {
	t.Helper()
	return c.node.try(t, step, c.args(args)...)
}

func (c *client) do(t *testing.T, step string, args ...any) json.RawMessage {
	t.Helper()
	return c.node.do(t, step, c.args(args)...)
}

func (c *client) start(t *testing.T, step string, args ...any) func() (json.RawMessage, error) {
	t.Helper()
	return c.node.start(t, step, c.args(args)...)
}

func (c *client) connect(t *testing.T) status {
	t.Helper()
	return decode[status](t, c.do(t, "connect"))
}

// reconnect closes the connection and makes a new one, as a page that is
// loaded again does.
func (c *client) reconnect(t *testing.T) status {
	t.Helper()
	c.do(t, "disconnect")
	return c.connect(t)
}

func (c *client) state(t *testing.T) clientState {
	t.Helper()
	return decode[clientState](t, c.do(t, "state"))
}

// wait returns what the next event of a name carries that has not been waited
// for yet.
func (c *client) wait(t *testing.T, event string) json.RawMessage {
	t.Helper()
	return c.do(t, "wait", event)
}

// login calls the login procedure.
func (c *client) login(t *testing.T, who credentials) {
	t.Helper()
	c.do(t, "invoke", "login", who)
}

// barrier returns when the client has got everything that it was sent before.
// The server must handle ping.
func (c *client) barrier(t *testing.T) {
	t.Helper()
	c.do(t, "invoke", "ping", nil)
}

// diary returns the names of the client's events since the last call.
func (c *client) diary(t *testing.T) string {
	t.Helper()
	return strings.Join(decode[[]string](t, c.do(t, "diary")), " ")
}

func (c *client) wantDiary(t *testing.T, events string) {
	t.Helper()
	if got := c.diary(t); got != events {
		t.Errorf("the client's events\ngot  %s\nwant %s", got, events)
	}
}

// messages returns what the client has received since it was made.
func (c *client) messages(t *testing.T) []string {
	t.Helper()
	return decode[[]string](t, c.do(t, "messages"))
}

// wantOrder checks that a client has received messages that begin like these,
// in this order.
func (c *client) wantOrder(t *testing.T, prefixes ...string) {
	t.Helper()
	all := c.messages(t)
	rest := all
	for _, p := range prefixes {
		i := slices.IndexFunc(rest, func(m string) bool { return strings.HasPrefix(m, p) })
		if i < 0 {
			t.Errorf("no %s in its place in %q", p, all)
			return
		}
		rest = rest[i+1:]
	}
}

// wantUser checks who the client thinks it is; "" is nobody.
func (c *client) wantUser(t *testing.T, name string) {
	t.Helper()
	s := c.state(t)
	if name == "" {
		if s.AuthState != "unauthenticated" || s.AuthToken != nil || s.SignedAuthToken != nil {
			t.Errorf("the client is still %+v", s)
		}
		return
	}
	if s.AuthState != "authenticated" || s.AuthToken["username"] != name || s.SignedAuthToken == nil {
		t.Errorf("the client is %+v, want %s", s, name)
	}
}
