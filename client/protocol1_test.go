package client_test

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/socketcluster-go/socketcluster/client"
	"github.com/socketcluster-go/socketcluster/wire"
)

// version1 connects a client with a token to a server of version 1 that answers
// the handshake with these messages. It returns what Connect has returned.
func version1(t *testing.T, o client.Options, setup func(*client.Client), messages ...string) error {
	t.Helper()
	hs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, _, err := ws.UpgradeHTTP(r, w)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		answer(t, conn, messages)
	}))
	t.Cleanup(hs.Close)
	o.ProtocolVersion = wire.Version1
	c, err := client.New("ws"+strings.TrimPrefix(hs.URL, "http"), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	setup(c)
	return c.Connect(t.Context())
}

// answer reads the handshake, writes messages and waits for the close frame.
func answer(t *testing.T, conn net.Conn, messages []string) {
	if _, err := wsutil.ReadClientText(conn); err != nil {
		t.Error(err)
	}
	for _, m := range messages {
		if err := wsutil.WriteServerText(conn, []byte(m)); err != nil {
			t.Error(err)
		}
	}
	_, err := wsutil.ReadClientText(conn)
	if closed, ok := errors.AsType[wsutil.ClosedError](err); !ok {
		t.Errorf("the client ends with %v, %v", err, closed)
	}
}

// A refused handshake has its code beside the error.
func TestVersion1Refuses(t *testing.T) {
	aborted := make(chan client.ConnectAbortEvent, 1)
	var c *client.Client
	err := version1(t, client.Options{}, func(it *client.Client) {
		c = it
		client.On(c, func(e client.ConnectAbortEvent) { aborted <- e })
	}, `{"rid":1,"error":{"name":"DoorError","message":"no"},"data":{"code":4501}}`)
	if !errors.Is(err, &wire.Error{Name: "DoorError"}) {
		t.Errorf("Connect: %v", err)
	}
	if e := <-aborted; e.Code != 4501 || e.Reason != "DoorError: no" {
		t.Errorf("%d %q", e.Code, e.Reason)
	}
	if at, ok := c.NextAttempt(); ok {
		t.Errorf("the client connects again at %v", at)
	}
}

// A token that is refused is removed, although that is asked for before the
// handshake is answered.
func TestVersion1RefusesToken(t *testing.T) {
	store := new(client.MemoryStore)
	if err := store.Save(t.Context(), "name", "bad"); err != nil {
		t.Fatal(err)
	}
	removed := make(chan client.RemoveAuthTokenEvent, 1)
	err := version1(t, client.Options{TokenStore: store, AuthTokenName: "name"}, func(c *client.Client) {
		client.On(c, func(e client.RemoveAuthTokenEvent) { removed <- e })
	}, `{"event":"#removeAuthToken"}`, `{"rid":1,"data":{"id":"x","pingTimeout":20000,"isAuthenticated":false}}`)
	if err != nil {
		t.Fatal(err)
	}
	if e := <-removed; e.OldSignedAuthToken != "bad" {
		t.Errorf("the event has %q", e.OldSignedAuthToken)
	}
	if token, err := store.Load(t.Context(), "name"); token != "" || err != nil {
		t.Errorf("the store has %q, %v", token, err)
	}
}

// The reason for a disconnect comes in an event of its own.
func TestVersion1Disconnects(t *testing.T) {
	for _, test := range []struct{ data, reason string }{
		{`{"code":4444,"data":"enough"}`, "enough"},
		{`{"code":4444,"data":{"of":"that"}}`, `{"of":"that"}`},
		{`{"code":4444}`, ""},
		{`{"code":"x"}`, "-"},
		{`[]`, "-"},
		{`{"code":1006,"data":"may not be sent"}`, "-"},
	} {
		gone := make(chan client.DisconnectEvent, 1)
		received := make(chan struct{}, 1)
		var c *client.Client
		err := version1(t, client.Options{Reconnect: client.Reconnect{Disabled: true}}, func(it *client.Client) {
			c = it
			client.On(c, func(e client.DisconnectEvent) { gone <- e })
			client.On(c, func(e client.RawEvent) { received <- struct{}{} })
		}, `{"rid":1,"data":{"id":"x","pingTimeout":20000}}`, `{"event":"#disconnect","data":`+test.data+`}`, `"after"`)
		if err != nil {
			t.Fatal(err)
		}
		select {
		case e := <-gone:
			if e.Code != 4444 || e.Reason != test.reason {
				t.Errorf("%s: %d %q", test.data, e.Code, e.Reason)
			}
		case <-received:
			if test.reason != "-" {
				t.Errorf("%s has no effect", test.data)
			}
		}
		c.Close()
	}
}
