package jsclient

import (
	"fmt"
	"testing"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
)

// guideTokenName is where the guide has pages keep the token.
const guideTokenName = "socketcluster.authToken"

// AUTH-3
func TestRow02_HTTPFlow(t *testing.T) {
	n := startNode(t)
	srv := startServer(t, socketcluster.Config{Auth: auth.Options{Key: key}}, nil)

	// wantSession connects a page that has put a token into its localStorage.
	wantSession := func(t *testing.T, token, username string) {
		t.Helper()
		n.do(t, "keepInLocalStorage", guideTokenName, token)
		defer n.do(t, "dropLocalStorage")
		c := n.client(t, srv, nil, options{"authTokenName": guideTokenName})
		st := c.connect(t)
		if !st.IsAuthenticated || st.AuthError != nil {
			t.Fatalf("status: %+v", st)
		}
		c.wantUser(t, username)
		if s := c.state(t); s.Stored != token || *s.SignedAuthToken != token {
			t.Errorf("the client has %+v", s)
		}
		if got, ok := socketcluster.Claims[claims](srv.socket(t, st)); !ok || got.Username != username || got.Channels[0] != "news" {
			t.Errorf("the server reads %+v", got)
		}
	}

	t.Run("2.1 a Go route signs with Server.Auth", func(t *testing.T) {
		token := decode[string](t, n.do(t, "fetchToken", srv.http.URL+"/login", alice))
		wantSession(t, token, alice.Username)
	})

	t.Run("2.2 a wrong password gets no token", func(t *testing.T) {
		_, err := n.try(t, "fetchToken", srv.http.URL+"/login", credentials{"alice123", "wrong"})
		e := wantJSError(t, err, "HTTPError", "Invalid user credentials")
		if e.Fields["status"] != 401.0 {
			t.Errorf("status %v", e.Fields["status"])
		}
	})

	t.Run("2.3 another program signs with golang-jwt", func(t *testing.T) {
		token, err := signElsewhere(key, "carol", []string{"news"})
		if err != nil {
			t.Fatal(err)
		}
		wantSession(t, token, "carol")
	})

	t.Run("2.4 a Node.js route signs with jsonwebtoken", func(t *testing.T) {
		port := decode[int](t, n.do(t, "serveLogin", key))
		token := decode[string](t, n.do(t, "fetchToken", fmt.Sprintf("http://127.0.0.1:%d/", port), credentials{Username: "dave"}))
		wantSession(t, token, "dave")
	})

	// AUTH-53: without authTokenName the name has the address in it.
	t.Run("2.5 the default token name of the client", func(t *testing.T) {
		token := sign(t, claims{"erin", []string{"news"}})
		c := n.client(t, srv, token)
		if st := c.connect(t); !st.IsAuthenticated {
			t.Fatalf("status: %+v", st)
		}
		if got, want := c.state(t).TokenName, fmt.Sprintf("%s.127.0.0.1:%d", guideTokenName, srv.port); got != want {
			t.Errorf("the token is kept as %s, want %s", got, want)
		}
	})
}
