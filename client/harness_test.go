package client_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
)

// testKey signs tokens of tests.
var testKey = auth.Options{Key: "a key for the tests of the client, long enough"}

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
