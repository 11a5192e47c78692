package socketcluster_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/socketcluster-go/socketcluster"
)

// TR-3: requests at the server's path that are no upgrades are refused as
// malformed ones, and all other paths are the mux's.
func TestOrdinaryRequests(t *testing.T) {
	srv, err := socketcluster.New(socketcluster.Config{AuthKey: testKey})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	mux := http.NewServeMux()
	mux.Handle(socketcluster.DefaultPath, srv)
	mux.HandleFunc("GET /page", func(rw http.ResponseWriter, _ *http.Request) { io.WriteString(rw, "page") })
	for _, test := range []struct {
		method, path string
		status       int
		body         string
	}{
		{"GET", "/page", 200, "page"},
		{"GET", "/other", 404, "404 page not found\n"},
		{"GET", socketcluster.DefaultPath, 400, "Invalid Upgrade header"},
		{"POST", socketcluster.DefaultPath, 405, "Invalid HTTP method"},
		{"HEAD", socketcluster.DefaultPath, 405, "Invalid HTTP method"},
	} {
		t.Run(test.method+" "+test.path, func(t *testing.T) {
			rw := httptest.NewRecorder()
			mux.ServeHTTP(rw, httptest.NewRequest(test.method, test.path, nil))
			if rw.Code != test.status || rw.Body.String() != test.body {
				t.Errorf("got %d %q, want %d %q", rw.Code, rw.Body, test.status, test.body)
			}
		})
	}
}

// TR-10: a socket knows the address of the other end of its connection.
func TestRemoteAddr(t *testing.T) {
	srv, err := socketcluster.New(socketcluster.Config{AuthKey: testKey})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	addrs := make(chan net.Addr, 1)
	socketcluster.On(srv, func(e socketcluster.HandshakeEvent) { addrs <- e.Socket.RemoteAddr() })
	web := httptest.NewServer(srv)
	defer web.Close()
	conn, err := net.Dial("tcp", web.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: server\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", socketcluster.DefaultPath)
	if got, want := (<-addrs).String(), conn.LocalAddr().String(); got != want {
		t.Errorf("address %s, want %s", got, want)
	}
}
