package jsclient

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/socketcluster-go/socketcluster"
)

// key is the Auth.Key of most servers here.
const key = "the auth key of the compatibility tests"

// server is a server on loopback in this process.
type server struct {
	*socketcluster.Server
	http   *httptest.Server
	port   int
	events *recorder
}

// startServer serves for the duration of a test. setup registers handlers
// before anybody can connect; it may be nil.
func startServer(t *testing.T, cfg socketcluster.Config, setup func(*socketcluster.Server)) *server {
	t.Helper()
	return startOn(t, "127.0.0.1:0", nil, cfg, setup)
}

// startOn is startServer on an address, with TLS if there is a configuration
// for it.
func startOn(t *testing.T, addr string, secure *tls.Config, cfg socketcluster.Config, setup func(*socketcluster.Server)) *server {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	srv, err := socketcluster.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	srv.Handle("ping", socketcluster.Proc(func(context.Context, json.RawMessage) error {
		return nil
	}))
	events := record(srv)
	if setup != nil {
		setup(srv)
	}
	mux := http.NewServeMux()
	mux.Handle(socketcluster.DefaultPath, srv)
	mux.Handle("POST /login", httpLogin(srv))
	pages(t, mux)

	listener, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewUnstartedServer(mux)
	h.Listener.Close()
	h.Listener = listener
	h.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that refuse the certificate
	if secure != nil {
		h.TLS = secure
		h.StartTLS()
	} else {
		h.Start()
	}
	s := &server{srv, h, listener.Addr().(*net.TCPAddr).Port, events}
	t.Cleanup(func() {
		srv.Close()
		h.Close()
	})
	return s
}

// only returns the socket of the server's only client.
func (s *server) only(t *testing.T) *socketcluster.Socket {
	t.Helper()
	var found *socketcluster.Socket
	for socket := range s.Clients() {
		if found != nil {
			t.Fatal("there are several clients")
		}
		found = socket
	}
	if found == nil {
		t.Fatal("there is no client")
	}
	return found
}

// socket returns the socket of a client.
func (s *server) socket(t *testing.T, st status) *socketcluster.Socket {
	t.Helper()
	socket := s.Client(st.ID)
	if socket == nil {
		t.Fatalf("the server has no client %s", st.ID)
	}
	return socket
}
