package upstream_test

import (
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/broker/upstream"
)

// hangLimit ends a test in which something does not happen at all.
const hangLimit = 30 * time.Second

// server is an upstream server on loopback.
type server struct {
	*socketcluster.Server
	http *httptest.Server
	url  string
	addr string
}

// serve starts an upstream server. setup, if not nil, registers its middleware.
func serve(t *testing.T, addr string, setup func(*socketcluster.Server)) *server {
	t.Helper()
	srv, err := socketcluster.New(socketcluster.Config{
		Logger: slog.New(slog.DiscardHandler),
		Limits: socketcluster.Limits{Channels: 200_000, PublishRate: 1 << 30, SubscribeRate: 1 << 30},
	})
	if err != nil {
		t.Fatal(err)
	}
	if setup != nil {
		setup(srv)
	}
	mux := http.NewServeMux()
	mux.Handle(socketcluster.DefaultPath, srv)
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewUnstartedServer(mux)
	h.Listener.Close()
	h.Listener = listener
	h.Start()
	s := &server{Server: srv, http: h, addr: listener.Addr().String()}
	s.url = "ws://" + s.addr
	t.Cleanup(s.stop)
	return s
}

// stop ends the server, and its connections without a close frame.
func (s *server) stop() {
	s.http.CloseClientConnections()
	s.Close()
	s.http.Close()
}

// newNode returns a broker. A test that does not start it need not close it.
func newNode(t *testing.T, o upstream.Options) *upstream.Broker {
	t.Helper()
	if o.Client.Logger == nil {
		o.Client.Logger = slog.New(slog.DiscardHandler)
	}
	b, err := upstream.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
