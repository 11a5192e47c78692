package cluster_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/cluster"
	"github.com/socketcluster-go/socketcluster/internal/sctest"
)

// key signs the tokens of the tests.
const key = "the key of the tests, of 32 bytes"

// station is the server of a node.
type station struct {
	*socketcluster.Server
	cfg  socketcluster.Config
	node *cluster.Node
	addr string
}

// openStation starts the server of a node.
func openStation(t testing.TB, node *cluster.Node, change func(*socketcluster.Config)) *station {
	t.Helper()
	cfg := socketcluster.Config{Auth: auth.Options{Key: key}, Broker: node.Broker(), Logger: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&cfg)
	}
	srv, err := socketcluster.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := node.Attach(srv); err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(srv)
	t.Cleanup(func() {
		srv.Close()
		web.Close()
	})
	return &station{srv, cfg, node, web.Listener.Addr().String()}
}

// revocations returns the revocations of the cluster.
func (s *station) revocations(t testing.TB) *cluster.Revocations {
	t.Helper()
	rv, ok := s.cfg.Revocations.(*cluster.Revocations)
	if !ok {
		t.Fatal("the server has others")
	}
	return rv
}

// openAll starts the servers of nodes.
func openAll(t testing.TB, nodes []*cluster.Node) (stations []*station) {
	t.Helper()
	for _, node := range nodes {
		stations = append(stations, openStation(t, node, nil))
	}
	return stations
}

// token signs a token.
func (s *station) token(t testing.TB, claims any, opts ...auth.SignOption) string {
	t.Helper()
	token, err := s.Auth().Sign(t.Context(), claims, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return token.Signed()
}

// client is a client with its socket.
type client struct {
	*sctest.Client
	socket *socketcluster.Socket
}

// connect connects a client, with a token of the claims if there are any.
func (s *station) connect(t testing.TB, claims any) *client {
	t.Helper()
	signed := ""
	if claims != nil {
		signed = s.token(t, claims)
	}
	return s.connectWith(t, signed)
}

// connectWith connects a client with a token that is good. The node finds it then.
func (s *station) connectWith(t testing.TB, signed string) *client {
	t.Helper()
	met := make(chan *socketcluster.Socket, 1)
	off := socketcluster.On(s.Server, func(e socketcluster.ConnectEvent) {
		if signed == "" {
			met <- e.Socket
		}
	})
	defer off()
	off = socketcluster.On(s.Server, func(e socketcluster.AuthenticateEvent) { met <- e.Socket })
	defer off()
	c := sctest.Connect(t, sctest.TCP(s.addr), signed)
	select {
	case socket := <-met:
		return &client{c, socket}
	case <-time.After(hangLimit): // a node that is cut off accepts no token
		var current error
		if rv, ok := s.cfg.Revocations.(*cluster.Revocations); ok {
			current = rv.Current()
		}
		t.Fatalf("node %s has not accepted the client's token: %v", s.node.Name(), current)
		return nil
	}
}

// user is the claims of a token.
type user struct {
	Sub      string `json:"sub,omitempty"`
	SID      string `json:"sid,omitempty"`
	Username string `json:"username,omitempty"`
	Role     string `json:"role,omitempty"`
}

// incoming is a call of the server to a client.
type incoming struct {
	Event string          `json:"event"`
	Data  json.RawMessage `json:"data"`
	CID   json.RawMessage `json:"cid"`
}

// call takes the next call or event of the server that is not the protocol's own.
func (c *client) call(t testing.TB) (in incoming) {
	t.Helper()
	for in.Event == "" || strings.HasPrefix(in.Event, "#") {
		if err := json.Unmarshal([]byte(c.Next()), &in); err != nil {
			t.Fatal(err)
		}
	}
	return in
}

// answer answers the next call of the server, with data or an error as JSON.
func (c *client) answer(t testing.TB, field, text string) {
	t.Helper()
	c.Send(`{"rid":` + string(c.call(t).CID) + `,"` + field + `":` + text + `}`)
}

// soon is a context that ends before a test is stuck.
func soon(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), hangLimit)
	t.Cleanup(cancel)
	return ctx
}

// wantError checks the text of an error.
func wantError(t testing.TB, err error, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("the error is %v, want %q in it", err, part)
		}
	}
}
