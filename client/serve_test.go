package client_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/socketcluster-go/socketcluster"
)

// serve serves over TCP, for tests that are not in a bubble.
func serve(t *testing.T, srv *socketcluster.Server) (url string) {
	mux := http.NewServeMux()
	mux.Handle(socketcluster.DefaultPath, srv)
	hs := httptest.NewServer(mux)
	t.Cleanup(func() {
		srv.Close()
		hs.Close()
	})
	return "ws" + strings.TrimPrefix(hs.URL, "http")
}
