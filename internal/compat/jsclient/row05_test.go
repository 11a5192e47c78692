package jsclient

import (
	"maps"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
)

// authStatus is what socket.authenticate resolves with.
type authStatus struct {
	IsAuthenticated bool     `json:"isAuthenticated"`
	AuthError       *jsError `json:"authError"`
}

func TestRow05_Authenticate(t *testing.T) {
	n := startNode(t)
	srv := startServer(t, socketcluster.Config{Auth: auth.Options{Key: key}}, serveGuide)
	tokens := badTokens(t)

	// AUTH-35, AUTH-57
	t.Run("5.1 a good token on a connected socket", func(t *testing.T) {
		c := n.client(t, srv, nil)
		st := c.connect(t)
		srv.events.until(t, st.ID, "server:connection")
		c.diary(t)
		token := sign(t, claims{"alice123", nil})
		if got := decode[authStatus](t, c.do(t, "authenticate", token)); !got.IsAuthenticated || got.AuthError != nil {
			t.Errorf("status: %+v", got)
		}
		c.wantUser(t, "alice123")
		c.wantDiary(t, "authStateChange authenticate")
		if s := c.state(t); s.Stored != token {
			t.Errorf("the client keeps %v", s.Stored)
		}
		srv.events.want(t, st.ID, "authStateChange server:authenticationStateChange authenticate server:authentication")
		if srv.socket(t, st).AuthToken().Signed() != token {
			t.Error("the server's socket has another token")
		}
	})

	// AUTH-36
	for _, row := range []struct{ token, name, message string }{
		{"expired", "AuthTokenExpiredError", "jwt expired"},
		{"wrong key", "AuthTokenInvalidError", "invalid signature"},
		{"malformed", "AuthTokenInvalidError", "jwt malformed"},
		{"number", "AuthTokenError", "Invalid token format - Token must be a string"},
	} {
		t.Run("5.2 a bad token ends the login: "+row.token, func(t *testing.T) {
			c := n.client(t, srv, nil)
			st := c.connect(t)
			c.login(t, alice)
			srv.events.until(t, st.ID, "server:authentication")
			c.diary(t)
			_, err := c.try(t, "authenticate", tokens[row.token])
			e := wantJSError(t, err, row.name, row.message)
			if e.Fields["isBadToken"] != true {
				t.Errorf("fields %v", e.Fields)
			}
			c.wait(t, "removeAuthToken")
			c.wantUser(t, "")
			if s := c.state(t); s.Stored != nil {
				t.Errorf("the client keeps %v", s.Stored)
			}
			srv.events.want(t, st.ID, `error server:warning badAuthToken server:badSocketAuthToken
				authStateChange server:authenticationStateChange deauthenticate server:deauthentication`)
			if srv.socket(t, st).AuthState() != socketcluster.Unauthenticated {
				t.Error("the server's socket still has its token")
			}
		})
	}

	// AUTH-37
	t.Run("5.3 a token that is not active yet", func(t *testing.T) {
		c := n.connected(t, srv, nil)
		got := decode[authStatus](t, c.do(t, "authenticate", tokens["early"]))
		if got.IsAuthenticated || got.AuthError == nil || got.AuthError.Name != "AuthTokenNotBeforeError" ||
			!maps.Equal(got.AuthError.Fields, map[string]any{"isBadToken": false, "date": "2093-08-01T21:20:00.000Z"}) {
			t.Errorf("status: %+v", got)
		}
		c.wantUser(t, "")
		c.barrier(t)
		if s := c.state(t); s.Stored != tokens["early"] {
			t.Errorf("the client keeps %v", s.Stored)
		}
	})

	// AUTH-4
	t.Run("5.4 switching users", func(t *testing.T) {
		c := n.client(t, srv, nil)
		st := c.connect(t)
		c.login(t, alice)
		srv.events.until(t, st.ID, "server:authentication")
		c.diary(t)
		if !decode[bool](t, c.do(t, "guide", "switchUser", sign(t, claims{"bob", nil}))) {
			t.Error("not authenticated")
		}
		c.wantUser(t, "bob")
		c.wantDiary(t, "authenticate")
		srv.events.want(t, st.ID, "authenticate server:authentication")
		if got, _ := socketcluster.Claims[claims](srv.socket(t, st)); got.Username != "bob" {
			t.Errorf("the server reads %+v", got)
		}
		c.login(t, alice)
		c.wantUser(t, alice.Username)
	})

	// AUTH-32, AUTH-58
	t.Run("5.5 the client logs out", func(t *testing.T) {
		c := n.client(t, srv, nil)
		st := c.connect(t)
		c.login(t, alice)
		old := *c.state(t).SignedAuthToken
		srv.events.until(t, st.ID, "server:authentication")
		c.diary(t)
		c.do(t, "deauthenticate")
		c.wantUser(t, "")
		if got := decode[struct{ OldAuthToken string }](t, c.wait(t, "removeAuthToken")); got.OldAuthToken != old {
			t.Errorf("removeAuthToken has %q", got.OldAuthToken)
		}
		c.barrier(t)
		c.wantDiary(t, "authStateChange deauthenticate removeAuthToken removeAuthToken") // the server's too, see crossing.go
		notes := srv.events.want(t, st.ID, "authStateChange server:authenticationStateChange deauthenticate server:deauthentication")
		if e := find[socketcluster.DeauthenticateEvent](t, notes); e.OldAuthToken.Signed() != old {
			t.Error("the server's event has another token")
		}
		if srv.socket(t, st).AuthToken() != nil {
			t.Error("the server's socket still has its token")
		}
		if st := c.reconnect(t); st.IsAuthenticated || st.AuthToken != nil {
			t.Errorf("next connection: %+v", st)
		}
	})

	// AUTH-31, AUTH-55
	t.Run("5.6 the server logs the client out", func(t *testing.T) {
		for name, deauthenticate := range map[string]func(*socketcluster.Socket) error{
			"Deauthenticate":        func(s *socketcluster.Socket) error { s.Deauthenticate(t.Context()); return nil },
			"ConfirmDeauthenticate": func(s *socketcluster.Socket) error { return s.ConfirmDeauthenticate(t.Context()) },
		} {
			c := n.client(t, srv, nil)
			st := c.connect(t)
			c.login(t, alice)
			c.diary(t)
			if err := deauthenticate(srv.socket(t, st)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			c.wait(t, "removeAuthToken")
			c.wantUser(t, "")
			c.wantDiary(t, "authStateChange deauthenticate removeAuthToken")
			if s := c.state(t); s.Stored != nil {
				t.Errorf("%s: the client keeps %v", name, s.Stored)
			}
		}
	})

	t.Run("5.7 a logout procedure", func(t *testing.T) {
		c := n.connected(t, srv, nil)
		c.login(t, alice)
		c.do(t, "invoke", "logout", nil)
		c.wantUser(t, "")
		c.wantOrder(t, `{"event":"#setAuthToken"`, `{"event":"#removeAuthToken"}`, `{"rid":3}`)
	})

	// AUTH-30
	t.Run("5.8 DeauthenticateSelf leaves the client its token", func(t *testing.T) {
		c := n.client(t, srv, nil)
		st := c.connect(t)
		c.login(t, alice)
		srv.socket(t, st).DeauthenticateSelf()
		c.barrier(t)
		c.wantUser(t, alice.Username)
		if st := c.reconnect(t); !st.IsAuthenticated {
			t.Errorf("next connection: %+v", st)
		}
	})

	// AUTH-27
	t.Run("5.9 ConfirmAuthToken waits for the client", func(t *testing.T) {
		c := n.client(t, srv, nil)
		st := c.connect(t)
		if err := srv.socket(t, st).ConfirmAuthToken(t.Context(), claims{"frank", nil}); err != nil {
			t.Fatal(err)
		}
		c.wantUser(t, "frank") // no wait in between
		token := srv.socket(t, st).AuthToken()
		issued, _ := token.IssuedAt()
		if expires, ok := token.ExpiresAt(); !ok || expires.Sub(issued) != 24*time.Hour {
			t.Errorf("the token is good from %v to %v", issued, expires)
		}
	})
}
