package socketcluster_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/socketcluster-go/socketcluster"
)

// A server that compresses messages of 2000 bytes and more for those who offer it.
func ExampleCompression() {
	srv, err := socketcluster.New(socketcluster.Config{
		AuthKey:     strings.Repeat("k", 32),
		Compression: socketcluster.Compression{Level: 1, Threshold: 2000},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer srv.Close()
	web := httptest.NewServer(srv)
	defer web.Close()

	r, _ := http.NewRequest("GET", web.URL+socketcluster.DefaultPath, nil)
	for name, value := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
		"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits", // as browsers do
	} {
		r.Header.Set(name, value)
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	fmt.Println(resp.StatusCode, resp.Header.Get("Sec-WebSocket-Extensions"))
	// Output: 101 permessage-deflate; server_no_context_takeover; client_no_context_takeover
}
