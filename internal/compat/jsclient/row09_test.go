package jsclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/wire"
)

// refusals are the ways to block, and what the client gets to see. A verb in
// the message stands for the type of the action and its line.
var refusals = []struct {
	how     string
	err     error
	name    string
	message string
	fields  map[string]any
	emitted string // on the server
}{
	{
		"with a named error",
		&wire.Error{Name: "PolicyError", Message: "not today", Fields: []wire.Field{{Key: "retryIn", Value: 7}}},
		"PolicyError", "not today", map[string]any{"retryIn": 7.0},
		"PolicyError: not today",
	},
	{
		"silently",
		socketcluster.ErrBlocked,
		"SilentMiddlewareBlockedError", "The %s AGAction was blocked by %s middleware", nil,
		"was blocked by",
	},
	{
		"silently, with the reason for the server's eyes",
		socketcluster.Silent(errors.New("on the black list")),
		"SilentMiddlewareBlockedError", "The %s AGAction was blocked by %s middleware", nil,
		"on the black list",
	},
	{
		"with an error that is not made for clients",
		errors.New("database password rejected"),
		"InternalError", "An internal error occurred", map[string]any{},
		"database password rejected",
	},
}

// eachRefusal serves with middleware that blocks actions of one type in each
// of the ways, and has try find out what the client sees.
func eachRefusal[A socketcluster.Action](t *testing.T, n *node, line string,
	try func(t *testing.T, srv *server) (map[string]any, error)) {
	var none A
	for _, r := range refusals {
		t.Run("block "+r.how, func(t *testing.T) {
			srv := startServer(t, socketcluster.Config{Auth: auth.Options{Key: key}}, func(srv *socketcluster.Server) {
				socketcluster.Use(srv, func(context.Context, A) error { return r.err })
			})
			more, err := try(t, srv)
			message, fields := r.message, maps.Clone(r.fields)
			if strings.Contains(message, "%s") {
				message, fields = fmt.Sprintf(message, none.Type(), line), map[string]any{"type": line}
			}
			maps.Copy(fields, more)
			if e := wantJSError(t, err, r.name, message); !maps.Equal(e.Fields, fields) {
				t.Errorf("fields %v, want %v", e.Fields, fields)
			}
			warning := find[socketcluster.WarningEvent](t, srv.events.until(t, "", "server:warning"))
			if !strings.Contains(warning.Err.Error(), r.emitted) {
				t.Errorf("the server's warning is %v, want %s", warning.Err, r.emitted)
			}
		})
	}
}

func TestRow09_Middleware(t *testing.T) {
	n := startNode(t)

	// MW-3
	t.Run("9.1 nine actions on four lines", func(t *testing.T) { testNineActions(t, n) })

	// MW-8
	t.Run("9.2 handshakeWS", func(t *testing.T) {
		srv := startServer(t, socketcluster.Config{Auth: auth.Options{Key: key}}, func(srv *socketcluster.Server) {
			socketcluster.Use(srv, func(_ context.Context, a *socketcluster.Upgrade) error {
				if a.Request.URL.Query().Get("door") != "open" {
					return socketcluster.Errorf("DoorError", "the door is shut")
				}
				return nil
			})
		})
		if st := n.client(t, srv, nil, options{"query": options{"door": "open"}}).connect(t); st.ID == "" {
			t.Error("not connected")
		}
		c := n.client(t, srv, nil)
		c.do(t, "dial")
		if got := decode[closed](t, c.wait(t, "connectAbort")); got.Code != 1006 {
			t.Errorf("connectAbort: %+v", got)
		}
		status, body := upgradeStatus(t, srv)
		if status != http.StatusUnauthorized || body != "the door is shut" {
			t.Errorf("status %d: %s", status, body)
		}
	})

	// HS-21, HS-22
	t.Run("9.3 handshakeSC", func(t *testing.T) {
		eachRefusal[*socketcluster.Handshake](t, n, "handshake",
			func(t *testing.T, srv *server) (map[string]any, error) {
				c := n.client(t, srv, nil)
				c.do(t, "dial")
				e := decode[struct{ Error *jsError }](t, c.wait(t, "error"))
				if got := decode[closed](t, c.wait(t, "connectAbort")); got.Code != 4008 || !strings.HasPrefix(got.Reason, e.Error.Name) {
					t.Errorf("connectAbort: %+v", got)
				}
				return map[string]any{"statusCode": 4008.0}, e.Error
			})
		t.Run("block with a close code", func(t *testing.T) {
			srv := startServer(t, socketcluster.Config{Auth: auth.Options{Key: key}}, func(srv *socketcluster.Server) {
				socketcluster.Use(srv, func(context.Context, *socketcluster.Handshake) error {
					return &wire.Error{Name: "GoneError", Message: "for good", Fields: []wire.Field{{Key: "statusCode", Value: 4501}}}
				})
			})
			c := n.client(t, srv, nil, options{"autoReconnect": true})
			c.do(t, "dial")
			if got := decode[closed](t, c.wait(t, "connectAbort")); got.Code != 4501 || got.Reason != "GoneError: for good" {
				t.Errorf("connectAbort: %+v", got)
			}
			if c.state(t).PendingReconnect {
				t.Error("the client wants to connect again")
			}
		})
	})

	// MW-5
	t.Run("9.4 message", func(t *testing.T) {
		srv, notes := startEcho(t, func(srv *socketcluster.Server) {
			socketcluster.Use(srv, func(_ context.Context, a *socketcluster.RawMessage) error {
				if bytes.Contains(a.Data, []byte("drop me")) {
					return socketcluster.ErrBlocked
				}
				a.Data = bytes.ReplaceAll(a.Data, []byte("before"), []byte("after"))
				return nil
			})
		})
		c := n.connected(t, srv, nil)
		wantEcho(t, c, "before", "after")
		c.do(t, "transmit", "note", "drop me")
		c.do(t, "transmit", "note", "before")
		c.do(t, "transmit", "note", "end")
		wantNotes(t, notes, "after", "end")
	})

	t.Run("9.5 transmit", func(t *testing.T) {
		srv, notes := startEcho(t, func(srv *socketcluster.Server) {
			socketcluster.Use(srv, func(_ context.Context, a *socketcluster.Transmit) error {
				switch string(a.Data) {
				case `"blocked"`:
					return socketcluster.Errorf("PolicyError", "not today")
				case `"before"`:
					a.Data = json.RawMessage(`"after"`)
				}
				return nil
			})
		})
		c := n.connected(t, srv, nil)
		for _, text := range []string{"blocked", "before", "end"} {
			c.do(t, "transmit", "note", text)
		}
		wantNotes(t, notes, "after", "end")
		c.barrier(t)
		c.wantDiary(t, "connecting connect") // the client receives nothing
	})

	t.Run("9.6 invoke", func(t *testing.T) {
		srv, _ := startEcho(t, func(srv *socketcluster.Server) {
			changeData(srv, func(a *socketcluster.Invoke) *json.RawMessage { return &a.Data })
		})
		wantEcho(t, n.connected(t, srv, nil), "before", "after")
		eachRefusal[*socketcluster.Invoke](t, n, "inbound",
			func(t *testing.T, srv *server) (map[string]any, error) {
				_, err := n.connected(t, srv, nil).try(t, "invoke", "echo", "x")
				return nil, err
			})
	})

	t.Run("9.7 subscribe", func(t *testing.T) {
		srv, _ := startEcho(t, func(srv *socketcluster.Server) {
			changeData(srv, func(a *socketcluster.Subscribe) *json.RawMessage { return &a.Data })
		})
		c := n.client(t, srv, nil)
		st := c.connect(t)
		c.do(t, "subscribe", "news", options{"data": "before"})
		e := find[socketcluster.SubscribeEvent](t, srv.events.until(t, st.ID, "subscribe"))
		if got := decode[struct{ Data string }](t, e.Options); e.Channel != "news" || got.Data != "after" {
			t.Errorf("subscribe: %+v", e)
		}
		eachRefusal[*socketcluster.Subscribe](t, n, "inbound",
			func(t *testing.T, srv *server) (map[string]any, error) {
				_, err := n.connected(t, srv, nil).try(t, "subscribe", "news", options{})
				return nil, err
			})
	})

	t.Run("9.8 publishIn", func(t *testing.T) {
		srv, _ := startEcho(t, func(srv *socketcluster.Server) {
			changeData(srv, func(a *socketcluster.PublishIn) *json.RawMessage { return &a.Data })
		})
		wantPublication(t, n.connected(t, srv, nil), "before", "after")
		eachRefusal[*socketcluster.PublishIn](t, n, "inbound",
			func(t *testing.T, srv *server) (map[string]any, error) {
				c := n.connected(t, srv, nil)
				c.do(t, "subscribe", "news")
				c.do(t, "collect", "news")
				_, err := c.try(t, "publish", "news", "x")
				c.barrier(t)
				if got := decode[[]string](t, c.do(t, "collected")); len(got) > 0 {
					t.Errorf("delivered: %s", got)
				}
				return nil, err
			})
	})

	// AUTH-37, AUTH-38, AUTH-39
	t.Run("9.9 authenticate", func(t *testing.T) {
		eachRefusal[*socketcluster.Authenticate](t, n, "inbound",
			func(t *testing.T, srv *server) (map[string]any, error) {
				c := n.connected(t, srv, nil)
				got := decode[authStatus](t, c.do(t, "authenticate", sign(t, claims{"alice123", nil})))
				if got.IsAuthenticated {
					t.Error("authenticated")
				}
				c.wantUser(t, "")
				if srv.only(t).AuthToken() != nil {
					t.Error("the socket has its token")
				}
				return nil, got.AuthError
			})
		t.Run("block with isBadToken", func(t *testing.T) {
			srv := startServer(t, socketcluster.Config{Auth: auth.Options{Key: key}}, func(srv *socketcluster.Server) {
				socketcluster.Use(srv, func(_ context.Context, a *socketcluster.Authenticate) error {
					if a.Socket.AuthToken() != nil || a.AuthToken.Signed() != a.SignedAuthToken {
						t.Error("the socket carries the token that is being decided about")
					}
					return &wire.Error{Name: "BannedError", Message: "not you", Fields: []wire.Field{{Key: "isBadToken", Value: true}}}
				})
			})
			c := n.connected(t, srv, nil)
			_, err := c.try(t, "authenticate", sign(t, claims{"alice123", nil}))
			wantJSError(t, err, "BannedError", "not you")
			c.wait(t, "removeAuthToken")
			c.wantUser(t, "")
		})
	})

	t.Run("9.10 publishOut", func(t *testing.T) {
		var fates sync.Map // by the ids of sockets
		srv, _ := startEcho(t, func(srv *socketcluster.Server) {
			socketcluster.Use(srv, func(_ context.Context, a *socketcluster.PublishOut) error {
				switch fate, _ := fates.Load(a.Socket.ID()); fate {
				case "block":
					return socketcluster.ErrBlocked
				case "change":
					a.Data = json.RawMessage(`"after"`)
				}
				return nil
			})
		})
		first, second, third := n.client(t, srv, nil), n.client(t, srv, nil), n.client(t, srv, nil)
		first.connect(t)
		fates.Store(second.connect(t).ID, "change")
		fates.Store(third.connect(t).ID, "block")
		for c, want := range map[*client]string{first: `["before"]`, second: `["after"]`, third: `[]`} {
			c.do(t, "subscribe", "news")
			c.do(t, "collect", "news")
			defer func() {
				c.barrier(t)
				if got := string(c.do(t, "collected")); got != want {
					t.Errorf("a subscriber got %s, want %s", got, want)
				}
			}()
		}
		// The answer shows that the publication is in all outboxes.
		first.do(t, "publish", "news", "before")
	})
}

// The rules that the documentation shows, here and on the stock server.
func TestRow09_HouseRules(t *testing.T) {
	n := startNode(t)
	ours, _ := startEcho(t, func(srv *socketcluster.Server) { srv.UseInbound(houseRules) })
	stock := &server{port: decode[int](t, n.do(t, "serveGuide", key, 3600_000, "30m", true))}
	for name, srv := range map[string]*server{"here": ours, "stock": stock} {
		t.Run(name, func(t *testing.T) {
			loud := n.connected(t, srv, sign(t, claims{"alice123", nil}))
			_, err := loud.try(t, "publish", "news", 1)
			wantJSError(t, err, "PublishError", "Only text can be published")
			wantPublication(t, loud, "loud\n<é>", "LOUD\n<É>")
			st := n.client(t, srv, sign(t, options{"username": "eve", "iss": "elsewhere"})).connect(t)
			wantAuthError(t, st, "IssuerError", "Tokens from elsewhere are not taken", map[string]any{})
			_, err = n.connected(t, srv, nil).try(t, "subscribe", "staff", options{})
			wantJSError(t, err, "SilentMiddlewareBlockedError", "The subscribe AGAction was blocked by inbound middleware")
		})
	}
}

// testNineActions notes which action passes which line.
func testNineActions(t *testing.T, n *node) {
	var mu sync.Mutex
	seen := make(map[string]string)
	on := func(line string) socketcluster.Middleware {
		return func(_ context.Context, a socketcluster.Action) error {
			mu.Lock()
			defer mu.Unlock()
			seen[a.Type()] += line
			return nil
		}
	}
	srv, _ := startEcho(t, func(srv *socketcluster.Server) {
		// Once is enough, however often an action comes.
		for line, use := range map[string]func(...socketcluster.Middleware) func(){
			"handshake": srv.UseHandshake, "inboundRaw": srv.UseInboundRaw, "inbound": srv.UseInbound, "outbound": srv.UseOutbound,
		} {
			use(on(line + " "))
		}
	})
	c := n.connected(t, srv, sign(t, claims{"alice123", nil}))
	c.do(t, "transmit", "note", "hello")
	wantEcho(t, c, "same", "same")
	wantPublication(t, c, "same", "same")

	want := map[string]string{
		"handshakeWS": "handshake", "handshakeSC": "handshake", "message": "inboundRaw", "transmit": "inbound", "invoke": "inbound",
		"subscribe": "inbound", "publishIn": "inbound", "authenticate": "inbound", "publishOut": "outbound",
	}
	mu.Lock()
	defer mu.Unlock()
	for action, line := range want {
		if strings.ReplaceAll(seen[action], line+" ", "") != "" || seen[action] == "" {
			t.Errorf("%s passed %q, want %s alone", action, seen[action], line)
		}
	}
	if len(seen) != len(want) {
		t.Errorf("seen %v", seen)
	}
}
