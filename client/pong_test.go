package client_test

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/socketcluster-go/socketcluster/client"
)

// heldConn writes nothing after the upgrade request until it is released.
type heldConn struct {
	net.Conn
	released chan struct{}
}

func (c heldConn) Write(b []byte) (int, error) {
	if !bytes.HasPrefix(b, []byte("GET ")) {
		<-c.released
	}
	return c.Conn.Write(b)
}

// The pong to a ping that comes before the handshake has left does not overtake
// it: servers close such a connection with 4009.
func TestPongFollowsHandshake(t *testing.T) {
	first := make(chan string, 1)
	hs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, _, err := ws.UpgradeHTTP(r, w)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		for _, m := range []string{"", `"a message"`} {
			if err := wsutil.WriteServerText(conn, []byte(m)); err != nil {
				t.Error(err)
			}
		}
		message, err := wsutil.ReadClientText(conn)
		if err != nil {
			t.Error(err)
		}
		first <- string(message)
	}))
	t.Cleanup(hs.Close)
	released := make(chan struct{})
	c, err := client.New("ws"+strings.TrimPrefix(hs.URL, "http"), client.Options{
		Reconnect: client.Reconnect{Disabled: true},
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			return heldConn{conn, released}, err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	client.On(c, func(client.RawEvent) { close(released) }) // which follows the ping
	go func() { _ = c.Connect(t.Context()) }()              // the server ends the connection
	if m := <-first; !strings.Contains(m, "#handshake") {
		t.Errorf("the first message is %q", m)
	}
}
