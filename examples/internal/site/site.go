// Package site serves an example to its tests, and connects clients to it.
package site

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/socketcluster-go/socketcluster/internal/sctest"
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

// Connect connects a client with a token, or without one if it is empty. It answers
// pings by itself.
func (s *Server) Connect(token string) *sctest.Client {
	s.t.Helper()
	return sctest.Connect(s.t, sctest.TCP(strings.TrimPrefix(s.URL, "http://")), token).Follow()
}

// Do sends an HTTP request with a header of alternating names and values, and
// returns the status and the body of the response.
func (s *Server) Do(method, path, body string, header ...string) (status int, answer string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.URL+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}
