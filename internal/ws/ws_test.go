package ws

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/socketcluster-go/socketcluster/internal/memnet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Opcodes and first-byte bits of raw frames.
const (
	cont, text, binry, clos, ping, pong = 0x0, 0x1, 0x2, 0x8, 0x9, 0xa
	fin                                 = 0x80
)

// frame is a masked client frame with the given first byte.
func frame[T string | []byte](first byte, payload T) []byte {
	return maskedFrame(first, payload, [4]byte{0x37, 0xfa, 0x21, 0x3d})
}

func maskedFrame[T string | []byte](first byte, payload T, mask [4]byte) []byte {
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	b = append(b, mask[:]...)
	for i := range len(payload) {
		b = append(b, payload[i]^mask[i%4])
	}
	return b
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// halfCloser is what all client ends of the tests are.
type halfCloser interface {
	net.Conn
	CloseWrite() error
}

// transport makes a connected pair.
type transport struct {
	name    string
	connect func(t testing.TB, o Options) (halfCloser, *Conn)
}

var transports = []transport{
	{"memnet", connectMemory},
	{"tcp", func(t testing.TB, o Options) (halfCloser, *Conn) {
		return connectHTTP(t, o, (*httptest.Server).Start, net.Dial)
	}},
	{"tls", func(t testing.TB, o Options) (halfCloser, *Conn) {
		return connectHTTP(t, o, (*httptest.Server).StartTLS, func(network, addr string) (net.Conn, error) {
			return tls.Dial(network, addr, &tls.Config{InsecureSkipVerify: true})
		})
	}},
	{"unix", connectUnix},
}

func connectMemory(t testing.TB, o Options) (halfCloser, *Conn) {
	client, server := memnet.Pipe(0)
	c := newConn(server, nil, o)
	t.Cleanup(func() { closeBoth(client, c) })
	return client.(halfCloser), c
}

func connectUnix(t testing.TB, o Options) (halfCloser, *Conn) {
	l := listenUnix(t)
	defer l.Close()
	return connectThrough(t, l, o)
}

func listenUnix(t testing.TB) net.Listener {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// connectTCP makes a pair without HTTP.
func connectTCP(t testing.TB, o Options) (halfCloser, *Conn) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return connectThrough(t, l, o)
}

func connectThrough(t testing.TB, l net.Listener, o Options) (halfCloser, *Conn) {
	client, err := net.Dial(l.Addr().Network(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c := newConn(server, nil, o)
	t.Cleanup(func() { closeBoth(client, c) })
	return client.(halfCloser), c
}

// awaitBytes returns when the reader has taken n bytes from the network.
func awaitBytes(c *Conn, n int) {
	for c.BytesRead() < int64(n) {
		runtime.Gosched()
		time.Sleep(time.Microsecond)
	}
}

func closeBoth(client net.Conn, c *Conn) {
	_ = client.Close()
	_ = c.Close()
}

// sampleKey and sampleAccept are the example of RFC 6455, section 1.3.
const (
	sampleKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	sampleAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
	request      = "GET /socketcluster/ HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + sampleKey + "\r\n"
	response = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: " + sampleAccept + "\r\n"
)

// connectHTTP upgrades over a real server.
func connectHTTP(
	t testing.TB, o Options, start func(*httptest.Server), dial func(network, addr string) (net.Conn, error),
) (halfCloser, *Conn) {
	accepted := make(chan *Conn, 1)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := Accept(w, r, o)
		if err != nil {
			t.Error(err)
		}
		accepted <- c
	}))
	start(srv)
	t.Cleanup(srv.Close)
	client, err := dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(client, request+"\r\n"); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(response)+2)
	if _, err := io.ReadFull(client, got); err != nil || string(got) != response+"\r\n" {
		t.Fatalf("upgrade answered %q, %v", got, err)
	}
	c := <-accepted
	if c == nil {
		t.FailNow()
	}
	t.Cleanup(func() { closeBoth(client, c) })
	return client.(halfCloser), c
}

// owner is an Owner of functions. Those that are missing do nothing.
type owner struct {
	ping   func(payload []byte)
	hold   func(n int) error
	take   func(text []byte) bool
	resume func()
}

func (o owner) Ping(payload []byte) {
	if o.ping != nil {
		o.ping(payload)
	}
}

func (o owner) Hold(n int) error {
	if o.hold == nil {
		return nil
	}
	return o.hold(n)
}

func (o owner) TakeShort(text []byte) bool { return o.take != nil && o.take(text) }

func (o owner) Resume() {
	if o.resume != nil {
		o.resume()
	}
}

// listen returns options that record pings and a function that reads to the
// end: it gives all events in order as text, and the final error.
func listen(o Options) (Options, func(c *Conn) ([]string, error)) {
	var events []string
	o.Owner = owner{ping: func(p []byte) { events = append(events, fmt.Sprintf("ping %q", p)) }}
	return o, func(c *Conn) ([]string, error) {
		for {
			m, err := c.Read()
			if err != nil {
				return events, err
			}
			kind := "text"
			if m.Binary {
				kind = "binary"
			}
			events = append(events, fmt.Sprintf("%s %q", kind, m.Data))
			m.Release()
		}
	}
}

// send writes all of p and ends the stream in the background, since a reader
// that has given up takes no more bytes.
func send(t testing.TB, client halfCloser, p []byte) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = client.Write(p)
		_ = client.CloseWrite()
	}()
	t.Cleanup(func() {
		_ = client.SetDeadline(time.Unix(1, 0))
		<-done
	})
}
