package jsclient

import (
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
)

// QK-13, AUTH-40, AUTH-42: without pings nothing is sent in either direction
// until the token dies. (The one ping is that of QK-53, as the client has sent
// nothing since its handshake.)
func TestRow10_Expiry(t *testing.T) {
	n := startNode(t)
	srv := startServer(t, socketcluster.Config{Auth: auth.Options{Key: key}, Timeouts: socketcluster.Timeouts{PingDisabled: true}}, serveGuide)
	silent := options{"pingTimeoutDisabled": true}

	const deathEvents = "authStateChange server:authenticationStateChange deauthenticate server:deauthentication"
	// wantDeath waits for the end of a client's login.
	wantDeath := func(t *testing.T, c *client, st status) {
		t.Helper()
		srv.events.until(t, st.ID, "server:authentication")
		c.wait(t, "removeAuthToken")
		srv.events.want(t, st.ID, deathEvents)
		c.wantUser(t, "")
		if s := c.state(t); s.Stored != nil {
			t.Errorf("the client keeps %v", s.Stored)
		}
		_, err := c.try(t, "publish", "news", "late")
		wantJSError(t, err, "PublishError", "You may not publish to news")
	}

	t.Run("10.1 a token that was set", func(t *testing.T) {
		c := n.client(t, srv, nil, silent)
		st := c.connect(t)
		if err := loginForAMoment(t.Context(), srv.socket(t, st), claims{"alice123", []string{"news"}}); err != nil {
			t.Fatal(err)
		}
		wantDeath(t, c, st)
		c.wantDiary(t, "connecting connect authStateChange authenticate authStateChange deauthenticate removeAuthToken")
		c.wantOrder(t, `{"rid":1,`, "", `{"event":"#setAuthToken"`, `{"event":"#removeAuthToken"}`, `{"rid":2,"error"`)
		if got := c.messages(t); len(got) != 5 {
			t.Errorf("the client got %q", got)
		}
	})

	t.Run("10.2 a token that came with the connection", func(t *testing.T) {
		// A machine that takes a second to connect needs a longer life.
		for life := 2 * time.Second; ; life *= 2 {
			token := sign(t, options{
				"username": "alice123", "channels": []string{"news"},
				"exp": time.Now().Add(life).Unix(), // whole seconds: dates have no fractions
			})
			c := n.client(t, srv, token, silent)
			st := c.connect(t)
			if !st.IsAuthenticated {
				continue
			}
			wantDeath(t, c, st)
			c.wantDiary(t, "connecting authStateChange authenticate connect authStateChange deauthenticate removeAuthToken")
			if got := c.messages(t); len(got) != 4 || got[1] != "" || got[2] != `{"event":"#removeAuthToken"}` {
				t.Errorf("the client got %q", got)
			}
			break
		}
	})
}
