package jsclient

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/wire"
)

// path20 is where the servers of these tests speak version 2. Clients of
// version 14, which are out there already, keep the default path.
const path20 = "/socketcluster/v20/"

// startNode14 starts a driver of clients of version 14.
func startNode14(t *testing.T) *node {
	t.Helper()
	return startNode(t, "CLIENT=socketcluster-client-14")
}

// startBoth serves both versions of the protocol.
func startBoth(t *testing.T, cfg socketcluster.Config, setup func(*socketcluster.Server)) *server {
	t.Helper()
	cfg.Auth.Key, cfg.Path, cfg.Protocol1Path = key, path20, socketcluster.DefaultPath
	return startServer(t, cfg, func(srv *socketcluster.Server) {
		serveGuide(srv)
		if setup != nil {
			setup(srv)
		}
	})
}

// HS-5, HS-11, HS-12, AUTH-22
func TestClient14Handshake(t *testing.T) {
	n := startNode14(t)
	srv := startBoth(t, socketcluster.Config{}, nil)

	t.Run("without a token", func(t *testing.T) {
		c := n.client(t, srv, nil)
		st := c.connect(t)
		if st.IsAuthenticated || st.AuthError != nil || st.PingTimeout != 30000 {
			t.Errorf("status: %+v", st)
		}
		if v := srv.socket(t, st).ProtocolVersion(); v != wire.Version1 {
			t.Errorf("version %d", v)
		}
		c.wantUser(t, "")
		c.wantDiary(t, "connect")
	})
	t.Run("with a token", func(t *testing.T) {
		token, err := srv.Auth().Sign(t.Context(), claims{Username: alice.Username})
		if err != nil {
			t.Fatal(err)
		}
		c := n.client(t, srv, token.Signed())
		st := c.connect(t)
		if !st.IsAuthenticated || srv.socket(t, st).AuthToken().Signed() != token.Signed() {
			t.Errorf("status: %+v", st)
		}
		c.wantUser(t, alice.Username)
		c.wantDiary(t, "authStateChange authenticate connect")
	})
	t.Run("with a bad token", func(t *testing.T) {
		c := n.client(t, srv, "a.b.c")
		st := c.connect(t)
		if st.AuthError == nil || st.AuthError.Name != wire.NameAuthTokenInvalid || st.AuthError.Fields["isBadToken"] != true {
			t.Errorf("status: %+v", st)
		}
		c.wait(t, "removeAuthToken")
		if s := c.state(t); s.Stored != nil {
			t.Errorf("the client keeps %v", s.Stored)
		}
	})
}

// AUTH-23, AUTH-27, AUTH-31, AUTH-32
func TestClient14Login(t *testing.T) {
	n := startNode14(t)
	srv := startBoth(t, socketcluster.Config{}, nil)
	c := n.client(t, srv, nil)
	socket := srv.socket(t, c.connect(t))

	_, err := c.try(t, "invoke", "login", credentials{alice.Username, "wrong"})
	wantJSError(t, err, "LoginError", "Invalid user credentials")
	c.login(t, alice)
	c.wantUser(t, alice.Username)

	if st := c.reconnect(t); !st.IsAuthenticated {
		t.Errorf("status of the next connection: %+v", st)
	} else {
		socket = srv.socket(t, st)
	}
	c.do(t, "invoke", "logout", nil)
	c.wantUser(t, "")

	if err := socket.ConfirmAuthToken(t.Context(), claims{Username: "bob"}); err != nil {
		t.Error(err)
	}
	c.wantUser(t, "bob")
	if err := socket.ConfirmDeauthenticate(t.Context()); err != nil {
		t.Error(err)
	}
	c.wantUser(t, "")

	c.login(t, alice)
	c.do(t, "deauthenticate")
	c.wantUser(t, "")
	c.barrier(t)
	if socket.AuthToken() != nil {
		t.Error("the server does not know of the logout")
	}
	if s := c.state(t); s.Stored != nil {
		t.Errorf("the client keeps %v", s.Stored)
	}
}

// AUTH-35 to AUTH-37: the callback of authenticate gets the error, and a
// status that agrees with it.
func TestClient14Authenticate(t *testing.T) {
	n := startNode14(t)
	srv := startBoth(t, socketcluster.Config{}, nil)
	c := n.connected(t, srv, nil)
	sign := func(claims any) string {
		token, err := srv.Auth().Sign(t.Context(), claims)
		if err != nil {
			t.Fatal(err)
		}
		return token.Signed()
	}
	type result struct {
		Error  *jsError
		Status struct {
			IsAuthenticated any
			AuthError       *jsError
		}
	}

	got := decode[result](t, c.do(t, "authenticate", sign(claims{Username: "bob"})))
	if got.Error != nil || got.Status.IsAuthenticated != true || got.Status.AuthError != nil {
		t.Errorf("a good token: %+v", got)
	}
	c.wantUser(t, "bob")

	got = decode[result](t, c.do(t, "authenticate", "a.b.c"))
	wantJSError(t, got.Error, wire.NameAuthTokenInvalid, "invalid token")
	wantJSError(t, got.Status.AuthError, wire.NameAuthTokenInvalid, "invalid token")
	if got.Status.IsAuthenticated != false {
		t.Errorf("a bad token: isAuthenticated is %v", got.Status.IsAuthenticated)
	}
	c.wantUser(t, "")

	got = decode[result](t, c.do(t, "authenticate", sign(options{"nbf": time.Now().Add(time.Hour).Unix()})))
	wantJSError(t, got.Status.AuthError, wire.NameAuthTokenNotBefore, "jwt not active")
	if got.Error != nil || got.Status.IsAuthenticated != false {
		t.Errorf("a token of tomorrow: %+v", got)
	}
	c.wantUser(t, "")
}

// RPC-1, RPC-5, RPC-12, RPC-15
func TestClient14Calls(t *testing.T) {
	n := startNode14(t)
	notes := make(chan string, 1)
	srv := startBoth(t, socketcluster.Config{}, func(srv *socketcluster.Server) {
		srv.Handle("half", socketcluster.Func(func(_ context.Context, in int) (int, error) {
			if in%2 != 0 {
				return 0, (socketcluster.Errorf("MathError", "Odd")).With("given", in)
			}
			return in / 2, nil
		}))
		srv.Receive("note", socketcluster.Recv(func(_ context.Context, in string) error {
			notes <- in
			return nil
		}))
	})
	c := n.client(t, srv, nil)
	socket := srv.socket(t, c.connect(t))

	if got := decode[int](t, c.do(t, "invoke", "half", 42)); got != 21 {
		t.Errorf("half of 42 is %d", got)
	}
	_, err := c.try(t, "invoke", "half", 7)
	if e := wantJSError(t, err, "MathError", "Odd"); e.Fields["given"] != 7.0 {
		t.Errorf("error: %v", e)
	}
	_, err = c.try(t, "invoke", "nothing", nil)
	wantJSError(t, err, "UnknownProcedureError", "The server has no such procedure")
	c.do(t, "transmit", "note", "hello")
	wantNotes(t, notes, "hello")

	c.do(t, "procedure", "double")
	if got, err := socketcluster.InvokeAs[int](t.Context(), socket, "double", 21); err != nil || got != 42 {
		t.Errorf("the client's double of 21: %d, %v", got, err)
	}
	_, err = socket.Invoke(t.Context(), "double", "x")
	if e, ok := err.(*wire.Error); !ok || e.Name != "MathError" || e.Message != "No number" {
		t.Errorf("the client's error: %v", err)
	}
	c.do(t, "receive", "greeting")
	if err := socket.Transmit(t.Context(), "greeting", "hello"); err != nil {
		t.Error(err)
	}
	if got := decode[string](t, c.wait(t, "greeting")); got != "hello" {
		t.Errorf("the client has received %q", got)
	}
}

// PS-1 to PS-4: clients of both versions in one channel.
func TestClient14Channels(t *testing.T) {
	n, m := startNode14(t), startNode(t)
	srv := startBoth(t, socketcluster.Config{}, func(srv *socketcluster.Server) {
		socketcluster.Use(srv, func(_ context.Context, a *socketcluster.Subscribe) error {
			if a.Channel == "closed" {
				return socketcluster.Errorf("SubscribeError", "Members only")
			}
			return nil
		})
	})
	c := n.client(t, srv, nil)
	socket := srv.socket(t, c.connect(t))
	other := m.connected(t, srv, nil, options{"path": path20})
	for _, c := range []*client{c, other} {
		c.login(t, alice)
		c.do(t, "subscribe", "news", options{"data": options{"since": 3}})
		c.do(t, "collect", "news")
	}
	c.do(t, "publish", "news", "from 14")
	other.do(t, "publish", "news", "from 20")
	if err := srv.Exchange().Publish(t.Context(), "news", "from the server"); err != nil {
		t.Error(err)
	}
	want := []string{"from 14", "from 20", "from the server"}
	for _, c := range []*client{c, other} {
		c.barrier(t)
		if got := decode[[]string](t, c.do(t, "collected")); !slices.Equal(got, want) {
			t.Errorf("publications: %q, want %q", got, want)
		}
	}

	_, err := c.try(t, "publish", "other", 1)
	wantJSError(t, err, "PublishError", "You may not publish to other")
	_, err = c.try(t, "subscribe", "closed")
	wantJSError(t, err, "SubscribeError", "Members only")

	c.do(t, "subscribeBatched", []string{"a", "b", "c"})
	if n := socket.Stats().Subscriptions; n != 4 {
		t.Errorf("%d subscriptions, want 4", n)
	}
	c.do(t, "unsubscribe", "a") // leaves in a batch, as the subscription did
	srv.events.until(t, socket.ID(), "unsubscribe")
	if socket.IsSubscribed("a") {
		t.Error("a is still subscribed")
	}
	if err := socket.KickOut(t.Context(), "b", "enough"); err != nil {
		t.Error(err)
	}
	kicked := decode[struct{ Channel, Message string }](t, c.wait(t, "kickOut"))
	if kicked.Channel != "b" || kicked.Message != "enough" {
		t.Errorf("kickOut: %+v", kicked)
	}
}

// A channel with waitForAuth is subscribed after the login, suspended by a
// logout, and back after the next login.
func TestClient14WaitForAuth(t *testing.T) {
	n := startNode14(t)
	srv := startBoth(t, socketcluster.Config{}, func(srv *socketcluster.Server) {
		socketcluster.Use(srv, func(_ context.Context, a *socketcluster.Subscribe) error {
			if a.Socket.AuthToken() == nil {
				return socketcluster.Errorf("SubscribeError", "Members only")
			}
			return nil
		})
	})
	c := n.client(t, srv, nil)
	socket := srv.socket(t, c.connect(t))
	done := c.start(t, "subscribe", "news", options{"waitForAuth": true})
	c.barrier(t)
	if socket.IsSubscribed("news") {
		t.Error("subscribed before the login")
	}
	c.login(t, alice)
	if _, err := done(); err != nil {
		t.Fatal(err)
	}
	next := c.start(t, "nextPublication", "news")
	c.do(t, "publish", "news", "hello")
	if raw, err := next(); err != nil || decode[string](t, raw) != "hello" {
		t.Errorf("publication: %s, %v", raw, err)
	}
	c.do(t, "invoke", "logout", nil)
	c.barrier(t)
	if socket.IsSubscribed("news") {
		t.Error("subscribed after the logout")
	}
	c.login(t, alice)
	c.barrier(t)
	if !socket.IsSubscribed("news") {
		t.Error("not subscribed after the next login")
	}
}

// PP-1 to PP-4, PP-8: the client lives on its answers to pings.
func TestClient14Pings(t *testing.T) {
	n := startNode14(t)
	pongs := make(chan struct{}, 1024)
	srv := startBoth(t, socketcluster.Config{Timeouts: socketcluster.Timeouts{PingInterval: 20 * time.Millisecond, Ping: 5 * time.Second}}, func(srv *socketcluster.Server) {
		socketcluster.Use(srv, func(_ context.Context, a *socketcluster.RawMessage) error {
			if !a.Binary && string(a.Data) == "#2" {
				pongs <- struct{}{}
			}
			return nil
		})
	})
	c := n.connected(t, srv, nil)
	for range 10 {
		<-pongs
	}
	pings := 0
	for _, m := range c.messages(t) {
		if m == "#1" {
			pings++
		}
	}
	if pings < 10 {
		t.Errorf("the client has got %d pings, but answered 10", pings)
	}
	c.wantDiary(t, "connect")
}

// HS-21, HS-24, TR-33: what each side learns of the other's close.
func TestClient14Close(t *testing.T) {
	n := startNode14(t)
	quick := options{"autoReconnect": true, "autoReconnectOptions": options{"initialDelay": 3600_000, "maxDelay": 3600_000}}
	srv := startBoth(t, socketcluster.Config{}, nil)

	for _, row := range []struct {
		name      string
		close     func(c *client, s *socketcluster.Socket)
		code      int
		reason    string // as the client tells it
		told      string // as the server tells it
		reconnect bool
	}{
		{"the server", func(_ *client, s *socketcluster.Socket) { s.Disconnect(4321, "move on") }, 4321, "move on", "move on", true},
		{"the server, for good", func(_ *client, s *socketcluster.Socket) { s.Disconnect(4501, "banned") }, 4501, "banned", "banned", false},
		{"the server, ordinarily", func(_ *client, s *socketcluster.Socket) { s.Disconnect(0, "enough") }, 1000, "enough", "enough", false},
		{"the server, a second handshake", func(c *client, _ *socketcluster.Socket) {
			c.do(t, "transmit", "#handshake", nil)
		}, 4008, "", "Server rejected handshake from client", true},
		{"the client", func(c *client, _ *socketcluster.Socket) { c.do(t, "disconnect", 4321, "bye") }, 4321, "bye", "bye", true},
		{"the client, ordinarily", func(c *client, _ *socketcluster.Socket) { c.do(t, "disconnect") }, 1000, "", "", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := n.client(t, srv, nil, quick)
			socket := srv.socket(t, c.connect(t))
			row.close(c, socket)
			if got := decode[closed](t, c.wait(t, "disconnect")); got.Code != row.code || got.Reason != row.reason {
				t.Errorf("disconnect: %+v, want %d %q", got, row.code, row.reason)
			}
			notes := srv.events.until(t, socket.ID(), "end")
			if e := find[socketcluster.DisconnectEvent](t, notes); int(e.Code) != row.code || e.Reason != row.told {
				t.Errorf("the server's disconnect: %+v, want %q", e, row.told)
			}
			if pending := c.state(t).PendingReconnect; pending != row.reconnect {
				t.Errorf("the client wants to connect again: %v", pending)
			}
		})
	}

	t.Run("a refused handshake", func(t *testing.T) {
		for code, reconnect := range map[int]bool{4008: true, 4501: false} {
			remove := socketcluster.Use(srv.Server, func(context.Context, *socketcluster.Handshake) error {
				return (socketcluster.Errorf("E", "Not you")).With("statusCode", code)
			})
			c := n.client(t, srv, nil, quick)
			c.do(t, "dial")
			if got := decode[closed](t, c.wait(t, "connectAbort")); got.Code != code || got.Reason != "E: Not you" {
				t.Errorf("connectAbort: %+v, want %d", got, code)
			}
			if pending := c.state(t).PendingReconnect; pending != reconnect {
				t.Errorf("after %d, the client wants to connect again: %v", code, pending)
			}
			remove()
		}
	})
}

// CL-11, CL-26: the client comes back to the next server by itself, with its
// token and channels.
func TestClient14Reconnect(t *testing.T) {
	n := startNode14(t)
	first := startServer(t, socketcluster.Config{Auth: auth.Options{Key: key}, ProtocolVersion: wire.Version1}, serveGuide)
	c := n.connected(t, first, nil, options{
		"autoReconnect": true, "autoReconnectOptions": options{"initialDelay": 20, "randomness": 0, "maxDelay": 50},
	})
	c.login(t, alice)
	c.do(t, "subscribe", "news")
	c.wait(t, "subscribe")
	if err := first.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := decode[closed](t, c.wait(t, "disconnect")); got.Code != 1001 {
		t.Errorf("disconnect: %+v", got)
	}
	addr := first.http.Listener.Addr().String()
	first.http.Close()

	second := startOn(t, addr, nil, socketcluster.Config{Auth: auth.Options{Key: key}, ProtocolVersion: wire.Version1}, serveGuide)
	st := decode[status](t, c.wait(t, "connect"))
	if !st.IsAuthenticated {
		t.Errorf("status: %+v", st)
	}
	c.wait(t, "subscribe")
	if !second.socket(t, st).IsSubscribed("news") {
		t.Error("the second server does not have the subscription")
	}
	c.wantUser(t, alice.Username)
	next := c.start(t, "nextPublication", "news")
	c.do(t, "publish", "news", "still here")
	if raw, err := next(); err != nil || decode[string](t, raw) != "still here" {
		t.Errorf("publication: %s, %v", raw, err)
	}
}
