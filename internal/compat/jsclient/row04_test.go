package jsclient

import (
	"fmt"
	"net/http/httptest"
	"testing"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
)

func TestRow04_Login(t *testing.T) {
	n := startNode(t)
	srv := startServer(t, socketcluster.Config{Auth: auth.Options{Key: key}}, serveGuide)

	// AUTH-28, AUTH-54
	t.Run("4.1 Promise.all of the call and the authenticate event", func(t *testing.T) {
		c := n.client(t, srv, nil)
		st := c.connect(t)
		c.diary(t)
		token := decode[claims](t, c.do(t, "guide", "login", alice))
		if token.Username != alice.Username || len(token.Channels) != 2 {
			t.Errorf("the client has %+v", token)
		}
		c.wantUser(t, alice.Username)
		c.wantDiary(t, "authStateChange authenticate")
		s := c.state(t)
		if s.Stored != *s.SignedAuthToken {
			t.Errorf("the client keeps %v", s.Stored)
		}
		socket := srv.socket(t, st)
		if socket.AuthToken().Signed() != *s.SignedAuthToken {
			t.Error("the server has another token than the client")
		}
		if got, ok := socketcluster.Claims[claims](socket); !ok || got.Username != alice.Username {
			t.Errorf("the server reads %+v", got)
		}
	})

	// AUTH-62: the token leaves before the answer.
	t.Run("4.2 the client has its token when the call ends", func(t *testing.T) {
		c := n.connected(t, srv, nil)
		token := decode[claims](t, c.do(t, "guide", "shortLogin", alice))
		if token.Username != alice.Username {
			t.Errorf("the client has %+v", token)
		}
		c.wantOrder(t, `{"event":"#setAuthToken","data":{"token":"`, `{"rid":2}`)
	})

	t.Run("4.3 wrong user and wrong password look alike, and the next login works", func(t *testing.T) {
		c := n.connected(t, srv, nil)
		for _, wrong := range []credentials{{"nobody", alice.Password}, {alice.Username, "wrong"}, {}} {
			_, err := c.try(t, "guide", "login", wrong)
			e := wantJSError(t, err, "LoginError", "Invalid user credentials")
			if len(e.Fields) > 0 {
				t.Errorf("the error contains more: %v", e.Fields)
			}
			c.wantUser(t, "")
		}
		c.do(t, "guide", "login", alice)
		c.wantUser(t, alice.Username)
	})

	t.Run("4.4 credentials of another form", func(t *testing.T) {
		c := n.connected(t, srv, nil)
		_, err := c.try(t, "invoke", "login", options{"username": 5})
		wantJSError(t, err, "InvalidArgumentsError", "The data does not have the form that is expected here")
		c.do(t, "guide", "login", bob)
		c.wantUser(t, bob.Username)
	})

	t.Run("4.5 the loop over a socket's calls", func(t *testing.T) {
		srv := startServer(t, socketcluster.Config{Auth: auth.Options{Key: key}}, func(srv *socketcluster.Server) {
			socketcluster.On(srv, func(e socketcluster.ConnectEvent) { loginLoop(e.Socket) })
		})
		c := n.connected(t, srv, nil)
		_, err := c.try(t, "guide", "login", credentials{"nobody", "x"})
		wantJSError(t, err, "LoginError", "Invalid user credentials")
		c.do(t, "guide", "login", alice)
		c.wantUser(t, alice.Username)
		// It answers before it sets the token, as the guide does.
		c.wantOrder(t, `{"rid":2,"error":`, `{"rid":3}`, `{"event":"#setAuthToken"`)
	})

	// AUTH-60
	t.Run("4.6 the login outlives the connection", func(t *testing.T) {
		c := n.connected(t, srv, nil)
		c.login(t, alice)
		c.diary(t)
		if st := c.reconnect(t); !st.IsAuthenticated {
			t.Errorf("status: %+v", st)
		}
		c.wantUser(t, alice.Username)
		// The client has never stopped being authenticated (AUTH-59).
		c.wantDiary(t, "disconnect close connecting authenticate connect")
	})
}

// Every login signs the name that the table has, however it was typed: no two names
// stand for one user.
func TestSamplesSignTheNameOfTheTable(t *testing.T) {
	n := startNode(t)
	typed := credentials{"ALICE123", alice.Password}
	stock := decode[int](t, n.do(t, "serveGuide", key, 3600_000, "30m", false))
	ours := startServer(t, socketcluster.Config{Auth: auth.Options{Key: key}}, serveGuide)
	loop := startServer(t, socketcluster.Config{Auth: auth.Options{Key: key}}, func(srv *socketcluster.Server) {
		socketcluster.On(srv, func(e socketcluster.ConnectEvent) { loginLoop(e.Socket) })
	})
	for name, srv := range map[string]*server{"handler": ours, "loop": loop, "stock": {port: stock}} {
		t.Run(name, func(t *testing.T) {
			c := n.connected(t, srv, nil)
			c.do(t, "guide", "login", typed)
			c.wantUser(t, alice.Username)
		})
	}
	route := httptest.NewServer(httpLogin(ours.Server))
	t.Cleanup(route.Close)
	for name, url := range map[string]string{"route": route.URL, "stock route": fmt.Sprintf("http://127.0.0.1:%d/", stock)} {
		t.Run(name, func(t *testing.T) {
			signed := decode[string](t, n.do(t, "fetchToken", url, typed))
			if got := claimsOf(t, n, signed)["username"]; got != alice.Username {
				t.Errorf("the token is that of %v", got)
			}
		})
	}
}
