package jsclient

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/wire"
	"github.com/socketcluster-go/socketcluster/wire/minbin"
)

// notePongs hands out the pongs of version 1, and whether they were binary.
func notePongs(srv *socketcluster.Server, pongs chan<- string) {
	socketcluster.Use(srv, func(_ context.Context, a *socketcluster.RawMessage) error {
		switch text := string(a.Data); text {
		case "#2", "\xa2#2":
			select {
			case pongs <- fmt.Sprintf("%q %v", text, a.Binary):
			default:
			}
		}
		return nil
	})
}

// wantPongs checks the next pongs.
func wantPongs(t *testing.T, pongs <-chan string, n int, want string) {
	t.Helper()
	for range n {
		select {
		case got := <-pongs:
			if got != want {
				t.Fatalf("the pong is %s, want %s", got, want)
			}
		case <-time.After(hangLimit):
			t.Fatalf("no pong %s", want)
		}
	}
}

// QK-56, PP-1: clients of v14 with a codec answer coded pings; the client of v20
// that is set to version 1 gets plain ones when it does not answer these. All of
// one server, whose clients of version 2 have their own pings.
func TestCodecPingsOfVersion1(t *testing.T) {
	pongs := make(chan string, 64)
	// A client that never reads a ping closes after 6 s; plain ones begin after 3.
	srv := startBoth(t, socketcluster.Config{Codec: minbin.Codec{}, Timeouts: socketcluster.Timeouts{PingInterval: 100 * time.Millisecond, Ping: 6 * time.Second}}, func(srv *socketcluster.Server) {
		notePongs(srv, pongs)
	})
	works := func(c *client) {
		t.Helper()
		c.do(t, "invoke", "ping", nil)
		c.login(t, alice)
		c.wantUser(t, alice.Username)
		c.do(t, "subscribe", "news")
		next := c.start(t, "nextPublication", "news")
		c.do(t, "publish", "news", "hello")
		if raw, err := next(); err != nil || decode[string](t, raw) != "hello" {
			t.Errorf("publication: %s, %v", raw, err)
		}
	}
	t.Run("14", func(t *testing.T) {
		c := startNode14(t).connected(t, srv, nil, options{"codec": minBin})
		wantPongs(t, pongs, 10, `"\xa2#2" true`)
		works(c)
		c.wantDiary(t, "connect authStateChange authenticate subscribe")
		socket := srv.only(t)
		c.do(t, "disconnect")
		for socket.State() != socketcluster.Closed {
			time.Sleep(time.Millisecond)
		}
		for len(pongs) > 0 { // those that came meanwhile
			<-pongs
		}
	})
	t.Run("20 in version 1", func(t *testing.T) {
		c := startNode(t).connected(t, srv, nil, options{"codec": minBin, "protocolVersion": 1})
		wantPongs(t, pongs, 40, `"#2" false`) // for longer than its timeout
		works(c)
		c.do(t, "disconnect")
	})
	t.Run("20 in version 2", func(t *testing.T) {
		c := startNode(t).connected(t, srv, nil, options{"codec": minBin, "path": path20})
		works(c)
		c.wantDiary(t, "connecting connect authStateChange authenticate subscribeRequest subscribeStateChange subscribe")
		c.do(t, "disconnect")
	})
}

// HS-6, QK-55, QK-57: the clients of v2 to v5 as they are: calls, events without
// an answer that have a cid nevertheless, channels, a login that lasts for a
// second connection, and the reason why they leave.
func TestOldClients(t *testing.T) {
	for _, version := range []string{"2", "3", "5"} {
		t.Run(version, func(t *testing.T) {
			n := startNode(t, "CLIENT=socketcluster-client-"+version)
			notes, pongs := make(chan string, 4), make(chan string, 64)
			srv := startBoth(t, socketcluster.Config{Timeouts: socketcluster.Timeouts{PingInterval: 100 * time.Millisecond, Ping: time.Minute}}, func(srv *socketcluster.Server) {
				srv.Receive("note", socketcluster.Recv(func(_ context.Context, in string) error {
					notes <- in
					return nil
				}))
				notePongs(srv, pongs)
			})
			c := n.client(t, srv, nil)
			st := c.connect(t)
			socket := srv.socket(t, st)
			if v := socket.ProtocolVersion(); v != wire.Version1 || st.IsAuthenticated {
				t.Errorf("version %d, status %+v", v, st)
			}
			c.do(t, "transmit", "note", "noted") // with a cid
			wantNotes(t, notes, "noted")
			c.do(t, "subscribe", "news")
			if !socket.IsSubscribed("news") {
				t.Error("not subscribed")
			}
			c.login(t, alice)
			c.barrier(t)
			if token := socket.AuthToken(); token == nil {
				t.Error("the login has not worked")
			}
			next := c.start(t, "nextPublication", "news")
			c.do(t, "publish", "news", "hello")
			if raw, err := next(); err != nil || decode[string](t, raw) != "hello" {
				t.Errorf("publication: %s, %v", raw, err)
			}
			if version != "2" { // whose pings are "1"
				wantPongs(t, pongs, 3, `"#2" false`)
			}
			if st := c.reconnect(t); !st.IsAuthenticated {
				t.Errorf("the status of the second connection: %+v", st)
			} else {
				socket = srv.socket(t, st)
			}
			c.do(t, "disconnect", 4321, "bye")
			told := find[socketcluster.DisconnectEvent](t, srv.events.until(t, socket.ID(), "end"))
			if told.Code != 4321 || told.Reason != "bye" {
				t.Errorf("told %d %q", told.Code, told.Reason)
			}
		})
	}
}
