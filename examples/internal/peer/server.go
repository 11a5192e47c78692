package peer

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Server is an example that is being tested.
type Server struct {
	t   testing.TB
	URL string
}

// Serve runs a handler until the test ends.
func Serve(t testing.TB, handler http.Handler) *Server {
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return &Server{t, server.URL}
}

// Connect connects a Peer; see [Connect].
func (s *Server) Connect(token string) *Peer {
	s.t.Helper()
	return Connect(s.t, func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", strings.TrimPrefix(s.URL, "http://"))
	}, token)
}
