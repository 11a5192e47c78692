package jsclient

import (
	"context"
	"maps"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/wire"
)

// Tokens of HS-11. The expired and the early one have the dates of the vectors
// of JWT-25.
func badTokens(t *testing.T) map[string]any {
	t.Helper()
	unsigned, err := jwt.NewWithClaims(jwt.SigningMethodNone, jwt.MapClaims{"username": "eve"}).SignedString(jwt.UnsafeAllowNoneSignatureType)
	if err != nil {
		t.Fatal(err)
	}
	stranger := newJWT(t, auth.Options{})
	return map[string]any{
		"expired":     sign(t, options{"username": "eve", "iat": 1700000000, "exp": 1700000060}),
		"wrong key":   signWith(t, stranger, options{"username": "eve"}),
		"malformed":   "no token",
		"undecodable": "a.b.c",
		"early":       sign(t, options{"username": "eve", "iat": 1700000000, "nbf": 3900000000, "exp": 4000000000}),
		"number":      5,
		"unsigned":    unsigned,
	}
}

const badTokenEvents = `server:handshake error server:warning badAuthToken server:badSocketAuthToken
	deauthenticate server:deauthentication connect server:connection`

func TestRow03_ConnectStatus(t *testing.T) {
	n := startNode(t)
	srv := startServer(t, socketcluster.Config{Auth: auth.Options{Key: key}}, nil)
	tokens := badTokens(t)

	t.Run("HS-11 row 1: 3.1 no token", func(t *testing.T) {
		c := n.client(t, srv, nil)
		st := c.connect(t)
		if st.IsAuthenticated || st.AuthError != nil || st.AuthToken != nil || st.PingTimeout != 30000 || len(st.ID) != 20 {
			t.Errorf("status: %+v", st)
		}
		srv.events.want(t, st.ID, "server:handshake connect server:connection")
		c.wantDiary(t, "connecting connect")
	})

	t.Run("HS-11 row 2: 3.2 a good token", func(t *testing.T) {
		token := sign(t, claims{"alice123", nil})
		c := n.client(t, srv, token)
		st := c.connect(t)
		if !st.IsAuthenticated || st.AuthError != nil || st.AuthToken != token {
			t.Errorf("status: %+v", st)
		}
		c.wantUser(t, "alice123")
		c.wantDiary(t, "connecting authStateChange authenticate connect")
		srv.events.want(t, st.ID, `server:handshake connect server:connection
			authStateChange server:authenticationStateChange authenticate server:authentication`)
		c.barrier(t)
		if all := strings.Join(c.messages(t), " "); strings.Contains(all, "AuthToken") {
			t.Errorf("a token was set or removed: %s", all)
		}
	})

	t.Run("3.3 the guide's choice of a screen", func(t *testing.T) {
		for screen, token := range map[string]any{"main": sign(t, claims{"alice123", nil}), "login": nil} {
			c := n.client(t, srv, token)
			chosen := c.start(t, "guide", "openScreen")
			c.do(t, "dial")
			raw, err := chosen()
			if got := decode[string](t, raw); err != nil || got != screen {
				t.Errorf("got %s, %v, want %s", got, err, screen)
			}
		}
	})

	for _, row := range []struct{ id, token, name, message, field, value string }{
		{"HS-11 row 3", "expired", "AuthTokenExpiredError", "jwt expired", "expiry", "2023-11-14T22:14:20.000Z"},
		{"HS-11 row 4", "wrong key", "AuthTokenInvalidError", "invalid signature", "", ""},
		{"HS-11 row 5", "malformed", "AuthTokenInvalidError", "jwt malformed", "", ""},
		{"HS-11 row 6", "undecodable", "AuthTokenInvalidError", "invalid token", "", ""},
		{"HS-11 row 8", "number", "AuthTokenError", "Invalid token format - Token must be a string", "", ""},
		{"HS-11 row 9", "unsigned", "AuthTokenInvalidError", "jwt signature is required", "", ""},
	} {
		t.Run(row.id+": 3.4 a bad token is removed: "+row.token, func(t *testing.T) {
			c := n.client(t, srv, tokens[row.token])
			st := c.connect(t)
			wantFields := map[string]any{"isBadToken": true}
			if row.field != "" {
				wantFields[row.field] = row.value
			}
			wantAuthError(t, st, row.name, row.message, wantFields)
			c.wait(t, "removeAuthToken")
			if s := c.state(t); s.Stored != nil {
				t.Errorf("the client still has %v", s.Stored)
			}
			c.wantUser(t, "")
			c.wantOrder(t, `{"rid":1,`, `{"event":"#removeAuthToken"}`) // HS-14
			bad := find[socketcluster.BadAuthTokenEvent](t, srv.events.want(t, st.ID, badTokenEvents))
			if !strings.HasSuffix(bad.AuthError.Error(), row.message) {
				t.Errorf("the server's event has %v", bad.AuthError)
			}
			if st := c.reconnect(t); st.AuthError != nil || st.AuthToken != nil {
				t.Errorf("next connection: %+v", st)
			}
		})
	}

	t.Run("HS-11 row 7: 3.5 a token that is not active yet stays", func(t *testing.T) {
		c := n.client(t, srv, tokens["early"])
		st := c.connect(t)
		wantAuthError(t, st, "AuthTokenNotBeforeError", "jwt not active",
			map[string]any{"isBadToken": false, "date": "2093-08-01T21:20:00.000Z"})
		c.barrier(t)
		c.wantUser(t, "")
		if s := c.state(t); s.Stored != tokens["early"] {
			t.Errorf("the client has %v", s.Stored)
		}
		c.wantDiary(t, "connecting connect")
		srv.events.want(t, st.ID, "server:handshake error server:warning connect server:connection")
	})

	t.Run("HS-11 row 10: 3.6 middleware refuses a good token", func(t *testing.T) {
		for _, bad := range []bool{false, true} {
			srv := startServer(t, socketcluster.Config{Auth: auth.Options{Key: key}}, func(srv *socketcluster.Server) {
				socketcluster.Use(srv, func(_ context.Context, a *socketcluster.Authenticate) error {
					return &wire.Error{Name: "BannedError", Message: "not you", Fields: []wire.Field{{Key: "isBadToken", Value: bad}}}
				})
			})
			c := n.client(t, srv, sign(t, claims{"alice123", nil}))
			wantAuthError(t, c.connect(t), "BannedError", "not you", map[string]any{"isBadToken": bad})
			c.barrier(t)
			c.wantUser(t, "")
			if kept := c.state(t).Stored != nil; kept == bad {
				t.Errorf("isBadToken %v: the token was kept: %v", bad, kept)
			}
		}
	})
}

func wantAuthError(t *testing.T, st status, name, message string, fields map[string]any) {
	t.Helper()
	if st.IsAuthenticated || st.AuthError == nil {
		t.Fatalf("status: %+v", st)
	}
	if e := st.AuthError; e.Name != name || e.Message != message || !maps.Equal(e.Fields, fields) {
		t.Errorf("authError is %v, want %s: %s %v", e, name, message, fields)
	}
}
