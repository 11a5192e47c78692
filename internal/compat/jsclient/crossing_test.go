package jsclient

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
)

// A logout counts although it crosses a token on its way to the client, and a login right
// after it counts too. The server does not handle the logout until the client has the token.
func TestLogoutCrossesToken(t *testing.T) {
	type gate struct{ entered, open chan struct{} }
	var closed atomic.Pointer[gate]
	srv := startServer(t, socketcluster.Config{Auth: auth.Options{Key: key}}, func(srv *socketcluster.Server) {
		serveGuide(srv)
		srv.UseInboundRaw(func(context.Context, socketcluster.Action) error {
			if g := closed.Swap(nil); g != nil {
				close(g.entered)
				<-g.open
			}
			return nil
		})
	})
	n := startNode(t)
	for name, again := range map[string]bool{"logout": false, "logout and login": true} {
		t.Run(name, func(t *testing.T) {
			c := n.client(t, srv, nil)
			st := c.connect(t)
			c.barrier(t)
			g := &gate{make(chan struct{}), make(chan struct{})}
			closed.Store(g)
			c.do(t, "deauthenticate")
			<-g.entered
			if err := srv.socket(t, st).SetAuthToken(t.Context(), claims{"bob", nil}); err != nil {
				t.Fatal(err)
			}
			c.wait(t, "authenticate")
			close(g.open)
			want := ""
			if again {
				c.login(t, alice)
				want = alice.Username
			}
			c.barrier(t)
			c.wantUser(t, want)
			if s := c.state(t); (s.Stored != nil) != again {
				t.Errorf("the client keeps %v", s.Stored)
			}
			if st := c.reconnect(t); st.IsAuthenticated != again {
				t.Errorf("next connection: %+v", st)
			}
		})
	}
}
