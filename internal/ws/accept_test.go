package ws

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/socketcluster-go/socketcluster/internal/memnet"
)

func TestAcceptKey(t *testing.T) {
	// The first vector is RFC 6455's, section 1.3.
	for key, want := range map[string]string{
		sampleKey:                  sampleAccept,
		"x3JJHMbDL1EzLkh9GBhXDw==": "HSmrc0sMlYUkAGmm5OPpG2HaGWk=",
		"AAAAAAAAAAAAAAAAAAAAAA==": "ICX+Yqv66kxgM0FcWaLWlFLwTAI=",
	} {
		if got := acceptKey(key); got != want {
			t.Errorf("key %s: %s, want %s", key, got, want)
		}
	}
}

// exchange sends raw to a server that upgrades with o; it returns what the
// server made of it and the answer, read to the end of the header.
func exchange(t *testing.T, o Options, raw string) (c *Conn, answer string, err error) {
	t.Helper()
	l := memnet.Listen()
	type result struct {
		c   *Conn
		err error
	}
	results := make(chan result, 1)
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := Accept(w, r, o)
		results <- result{c, err}
	})}
	served := make(chan struct{})
	go func() {
		_ = srv.Serve(l)
		close(served)
	}()
	client, err := l.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = client.Close()
		_ = srv.Close()
		<-served
	})
	if _, err := io.WriteString(client, raw); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 0, 1024)
	for !strings.Contains(string(got), "\r\n\r\n") {
		n, err := client.Read(got[len(got):cap(got)])
		if err != nil {
			t.Fatalf("read %q: %v", got, err)
		}
		got = got[:len(got)+n]
	}
	res := <-results
	if res.c != nil {
		t.Cleanup(func() { _ = res.c.Close() })
	}
	return res.c, string(got), res.err
}

func TestAcceptAnswers(t *testing.T) {
	const offer = "Sec-WebSocket-Protocol: one, two\r\n"
	for _, tc := range []struct {
		name     string
		o        Options
		request  string
		response string
	}{
		{"plain", Options{}, request, response},
		{"TR-6 offered subprotocol", Options{Subprotocol: "two"}, request + offer, response + "Sec-WebSocket-Protocol: two\r\n"},
		{"TR-6 no subprotocol chosen", Options{}, request + offer, response},
		{"TR-6 subprotocol that was not offered", Options{Subprotocol: "three"}, request + offer, response},
		{"TR-7 no extension", Options{}, request + "Sec-WebSocket-Extensions: permessage-deflate\r\n", response},
		{"further headers", Options{Header: http.Header{"Set-Cookie": {"a=1", "b=2"}}}, request,
			response + "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n"},
		{"the upgrade's own headers stay", Options{Header: http.Header{
			"Upgrade": {"x"}, "Connection": {"x"}, "Sec-Websocket-Accept": {"x"}, "Sec-Websocket-Extensions": {"x"},
			"Sec-Websocket-Protocol": {"x"}, "Content-Length": {"1"}, "Transfer-Encoding": {"x"}}}, request, response},
		{"no header is smuggled in", Options{Header: http.Header{"A": {"1\r\nB: 2"}}}, request, response + "A: 1  B: 2\r\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, answer, err := exchange(t, tc.o, tc.request+"\r\n")
			if err != nil || c == nil {
				t.Fatal(err)
			}
			if want := tc.response + "\r\n"; answer != want {
				t.Errorf("answer\n%q, want\n%q", answer, want)
			}
		})
	}
}

func TestAcceptRefuses(t *testing.T) {
	c, answer, err := exchange(t, Options{Deflate: true}, request+"Sec-WebSocket-Extensions: ;\r\n\r\n")
	var refusal *Refusal
	if c != nil || !errors.As(err, &refusal) || refusal.Text != "Invalid or unacceptable Sec-WebSocket-Extensions header" {
		t.Errorf("got %v, %v", c, err)
	}
	if !strings.HasPrefix(answer, "HTTP/1.1 400 Bad Request\r\n") || !strings.Contains(answer, "Connection: close\r\n") {
		t.Errorf("answer %q", answer)
	}
}

func TestAcceptWithoutHijacker(t *testing.T) {
	w := httptest.NewRecorder()
	if _, err := Accept(w, upgradeRequest(), Options{}); !errors.Is(err, http.ErrNotSupported) {
		t.Errorf("Accept: %v", err)
	}
	if w.Code != http.StatusInternalServerError {
		t.Errorf("status %d", w.Code)
	}
}

// Frames that the peer sends ahead of the 101 response are kept, also when
// they end in the middle of a frame.
func TestAcceptKeepsWhatCameAhead(t *testing.T) {
	ahead := join(frame(fin|text, "early"), frame(fin|binry, strings.Repeat("x", 1000)), frame(fin|text, "torn")[:8])
	c, _, err := exchange(t, Options{}, request+"\r\n"+string(ahead))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"early", strings.Repeat("x", 1000)} {
		m, err := c.Read()
		if err != nil || string(m.Data) != want {
			t.Fatalf("Read = %q, %v", m.Data, err)
		}
	}
	if got := c.BytesRead(); got != int64(len(ahead)) {
		t.Errorf("BytesRead = %d, want %d", got, len(ahead))
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Read: %v", err)
	}
}

func TestAddresses(t *testing.T) {
	client, c := connectTCP(t, Options{})
	if c.RemoteAddr().String() != client.LocalAddr().String() || c.LocalAddr().String() != client.RemoteAddr().String() {
		t.Errorf("%v to %v", c.RemoteAddr(), c.LocalAddr())
	}
}
