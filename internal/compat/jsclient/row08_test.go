package jsclient

import (
	"errors"
	"fmt"
	"testing"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/wire"
)

// The order of what a socket and its server emit. The events before and around
// the connection are in TestRow03 too.
func TestRow08_Events(t *testing.T) {
	n := startNode(t)
	srv := startServer(t, socketcluster.Config{Auth: auth.Options{Key: key}}, serveGuide)

	// HS-16, HS-17, AUTH-28, AUTH-30
	t.Run("8.1 from connection to disconnection", func(t *testing.T) {
		c := n.client(t, srv, nil)
		st := c.connect(t)
		id := st.ID
		notes := srv.events.want(t, id, "server:handshake connect server:connection")
		connected := find[socketcluster.ConnectEvent](t, notes)
		if connected.ID != id || connected.IsAuthenticated || connected.AuthError != nil ||
			connected.PingTimeout != socketcluster.DefaultPingTimeout {
			t.Errorf("connect: %+v", connected)
		}

		c.login(t, alice)
		notes = srv.events.want(t, id, `authTokenSigned authStateChange server:authenticationStateChange
			authenticate server:authentication`)
		first := *c.state(t).SignedAuthToken
		if e := find[socketcluster.AuthTokenSignedEvent](t, notes); e.SignedAuthToken != first {
			t.Error("authTokenSigned has another token than the client")
		}
		change := find[socketcluster.AuthStateChangeEvent](t, notes)
		if change.OldAuthState != socketcluster.Unauthenticated || change.NewAuthState != socketcluster.Authenticated ||
			change.AuthToken.Signed() != first {
			t.Errorf("authStateChange: %+v", change)
		}
		if e := find[socketcluster.AuthenticateEvent](t, notes); e.AuthToken.Signed() != first {
			t.Error("authenticate has another token than the client")
		}

		c.login(t, bob) // who is authenticated already
		srv.events.want(t, id, "authTokenSigned authenticate server:authentication")
		second := *c.state(t).SignedAuthToken

		c.do(t, "authenticate", first)
		srv.events.want(t, id, "authenticate server:authentication")
		c.do(t, "authenticate", second)
		srv.events.want(t, id, "authenticate server:authentication")

		c.do(t, "deauthenticate")
		notes = srv.events.want(t, id, `authStateChange server:authenticationStateChange
			deauthenticate server:deauthentication`)
		change = find[socketcluster.AuthStateChangeEvent](t, notes)
		if change.OldAuthState != socketcluster.Authenticated || change.NewAuthState != socketcluster.Unauthenticated || change.AuthToken != nil {
			t.Errorf("authStateChange: %+v", change)
		}
		if e := find[socketcluster.DeauthenticateEvent](t, notes); e.OldAuthToken.Signed() != second {
			t.Error("deauthenticate has another token")
		}

		// AUTH-30: with nothing to lose, there is no change of state.
		c.do(t, "deauthenticate")
		notes = srv.events.want(t, id, "deauthenticate server:deauthentication")
		if e := find[socketcluster.DeauthenticateEvent](t, notes); e.OldAuthToken != nil {
			t.Error("deauthenticate has a token")
		}

		c.do(t, "subscribe", "news")
		srv.events.want(t, id, "subscribe server:subscription")
		c.do(t, "disconnect", 4321, "bye")
		notes = srv.events.want(t, id, `disconnect server:disconnection close server:closure
			error server:warning unsubscribe server:unsubscription end`)
		if e := find[socketcluster.DisconnectEvent](t, notes); e.Code != 4321 || e.Reason != "bye" {
			t.Errorf("disconnect: %+v", e)
		}
		c.wantDiary(t, `connecting connect authStateChange authenticate authenticate authenticate authenticate `+
			`authStateChange deauthenticate removeAuthToken removeAuthToken removeAuthToken `+ // one is the answer to the first logout
			`subscribeRequest subscribeStateChange subscribe `+
			`subscribeStateChange unsubscribe disconnect close error`)
	})

	// HS-16: a handler of the connection is in time for the events of a token
	// that came with it.
	t.Run("8.2 a restored session, heard from the connection on", func(t *testing.T) {
		heard := make(chan string, 8)
		srv := startServer(t, socketcluster.Config{Auth: auth.Options{Key: key}}, func(srv *socketcluster.Server) {
			socketcluster.On(srv, func(e socketcluster.ConnectEvent) {
				changes := socketcluster.Events[socketcluster.AuthStateChangeEvent](e.Socket.Context(), e.Socket)
				go func() {
					defer close(heard)
					for change := range changes {
						heard <- change.NewAuthState.String()
					}
				}()
			})
		})
		c := n.client(t, srv, sign(t, claims{"alice123", nil}))
		st := c.connect(t)
		notes := srv.events.want(t, st.ID, `server:handshake connect server:connection
			authStateChange server:authenticationStateChange authenticate server:authentication`)
		if e := find[socketcluster.ConnectEvent](t, notes); !e.IsAuthenticated {
			t.Errorf("connect: %+v", e)
		}
		if got := <-heard; got != "authenticated" {
			t.Errorf("heard %s", got)
		}
		c.do(t, "deauthenticate")
		if got := <-heard; got != "unauthenticated" {
			t.Errorf("heard %s", got)
		}
		c.do(t, "disconnect")
		if got, more := <-heard; more {
			t.Errorf("heard %s", got)
		}
	})

	// AUTH-21
	t.Run("8.3 a bad token", func(t *testing.T) {
		token := badTokens(t)["expired"]
		c := n.client(t, srv, token)
		st := c.connect(t)
		notes := srv.events.want(t, st.ID, badTokenEvents)
		bad := find[socketcluster.BadAuthTokenEvent](t, notes)
		if bad.SignedAuthToken != token || !errors.Is(bad.AuthError, wire.ErrAuthTokenExpired) {
			t.Errorf("badAuthToken: %+v", bad)
		}
		if e := find[socketcluster.ErrorEvent](t, notes); !errors.Is(e.Err, wire.ErrAuthTokenExpired) {
			t.Errorf("error: %v", e.Err)
		}
		if e := find[socketcluster.DeauthenticateEvent](t, notes); e.OldAuthToken != nil {
			t.Errorf("deauthenticate: %+v", e)
		}
		if e := find[socketcluster.ConnectEvent](t, notes); !errors.Is(e.AuthError, wire.ErrAuthTokenExpired) {
			t.Errorf("connect: %+v", e)
		}
		c.wait(t, "removeAuthToken")
		// CL-8: the client has no login to lose. Its removeAuthToken may come
		// on either side of connect (HS-14).
		if got := c.diary(t); got != "connecting connect removeAuthToken" && got != "connecting removeAuthToken connect" {
			t.Errorf("the client's events: %s", got)
		}
	})

	t.Run("8.4 the guide's log", func(t *testing.T) {
		lines := make(chan string, 16)
		srv := startServer(t, socketcluster.Config{Auth: auth.Options{Key: key}}, func(srv *socketcluster.Server) {
			serveGuide(srv)
			watch(srv, func(format string, args ...any) { lines <- fmt.Sprintf(format, args...) })
		})
		c := n.connected(t, srv, badTokens(t)["malformed"])
		c.login(t, alice)
		c.do(t, "deauthenticate")
		c.barrier(t)
		c.do(t, "disconnect")
		for _, want := range []string{
			"refused: AuthTokenInvalidError: jwt malformed", "<nil> is out", "connected, known: false",
			"alice123 is in", "alice123 is out", "gone: 1000",
		} {
			if got := <-lines; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
	})
}
