package rfc6455_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/socketcluster-go/socketcluster/internal/memnet"
	"github.com/socketcluster-go/socketcluster/internal/ws/rfc6455"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var cases = sync.OnceValue(rfc6455.Cases)

// TestCases plays the table over connections in memory, whose bytes arrive in
// pieces of a known size, over TCP, where the server waits in the poller, and
// over TLS. That compression has been agreed upon changes nothing for the cases
// without it: those are played again in memory.
func TestCases(t *testing.T) {
	for _, tr := range []struct {
		name   string
		listen func(t *testing.T) (net.Listener, func(piece int) (net.Conn, error))
	}{{"memory", listenMemory}, {"tcp", listenTCP}, {"tls", listenTLS}} {
		t.Run(tr.name, func(t *testing.T) {
			t.Parallel()
			listener, dial := tr.listen(t)
			serve(t, listener)
			for _, c := range cases() {
				play := func(name string, compressed bool) {
					t.Run(c.Number+name, func(t *testing.T) {
						conn, err := dial(c.Piece)
						if err != nil {
							t.Fatal(err)
						}
						defer conn.Close()
						in, err := rfc6455.Upgrade(conn, "/", compressed)
						if err != nil {
							t.Fatal(err)
						}
						replies, code, err := c.Play(conn, in)
						if err != nil || code != c.Code {
							t.Errorf("%s (%s): closed with %d, %v; want %d", c.Name, c.Rule, code, err, c.Code)
						}
						check(t, &c, replies)
					})
				}
				if c.Mode != rfc6455.Compressed {
					play("", false)
				}
				if c.Mode == rfc6455.Compressed || c.Mode == rfc6455.Always && tr.name == "memory" {
					play(" deflate", true)
				}
			}
		})
	}
}

// check compares the answers; those that differ are shown shortened.
func check(t *testing.T, c *rfc6455.Case, got []rfc6455.Reply) {
	t.Helper()
	for i := range max(len(got), len(c.Replies)) {
		switch {
		case i >= len(got):
			t.Errorf("%s (%s): answer %d is missing: %v", c.Name, c.Rule, i, c.Replies[i])
		case i >= len(c.Replies):
			t.Errorf("%s (%s): a further answer: %v", c.Name, c.Rule, got[i])
		case got[i] != c.Replies[i]:
			t.Errorf("%s (%s): answer %d is %v, want %v", c.Name, c.Rule, i, got[i], c.Replies[i])
		default:
			continue
		}
		return
	}
}

// No topic has come out empty, and every case has a name of its own.
func TestTable(t *testing.T) {
	topics := make(map[string]int)
	names := make(map[string]string)
	for _, c := range cases() {
		topic, _, _ := strings.Cut(c.Number, ".")
		topics[topic]++
		if other := names[topic+c.Name]; other != "" {
			t.Errorf("%s and %s are both called %q", other, c.Number, c.Name)
		}
		names[topic+c.Name] = c.Number
		if c.Rule == "" || c.Code == 0 {
			t.Errorf("%s %s has rule %q and code %d", c.Number, c.Name, c.Rule, c.Code)
		}
	}
	for topic := 1; topic <= 9; topic++ {
		if n := topics[strconv.Itoa(topic)]; n < 30 {
			t.Errorf("topic %d has %d cases", topic, n)
		}
	}
	t.Logf("%d cases", len(cases()))
}

func serve(t *testing.T, l net.Listener) {
	web := &http.Server{Handler: rfc6455.Echo}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = web.Serve(l)
	}()
	t.Cleanup(func() {
		_ = web.Close()
		<-served
	})
}

// slicer hands what arrives to the server in pieces.
type slicer struct {
	net.Conn
	piece int
}

func (s slicer) Read(p []byte) (int, error) { return s.Conn.Read(p[:min(len(p), s.piece)]) }

func (s slicer) CloseWrite() error { return s.Conn.(interface{ CloseWrite() error }).CloseWrite() }

// pipeListener accepts one end of each pipe that it makes.
type pipeListener struct {
	net.Listener
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return l.Listener.Close()
}

func (l *pipeListener) dial(piece int) (net.Conn, error) {
	client, server := memnet.Pipe(0)
	if piece > 0 {
		server = slicer{server, piece}
	}
	l.conns <- server
	return client, nil
}

func listenMemory(t *testing.T) (net.Listener, func(int) (net.Conn, error)) {
	l := &pipeListener{Listener: memnet.Listen(), conns: make(chan net.Conn, 1), done: make(chan struct{})}
	return l, l.dial
}

func listenTCP(t *testing.T) (net.Listener, func(int) (net.Conn, error)) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l, func(int) (net.Conn, error) { return net.Dial("tcp", l.Addr().String()) }
}

func listenTLS(t *testing.T) (net.Listener, func(int) (net.Conn, error)) {
	l, dial := listenMemory(t)
	// The curve is a fast one, as for the certificate.
	client := &tls.Config{InsecureSkipVerify: true, ServerName: "test", CurvePreferences: []tls.CurveID{tls.CurveP256}}
	return tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{certificate(t)}}), func(piece int) (net.Conn, error) {
		conn, err := dial(piece)
		return tls.Client(conn, client), err
	}
}

// certificate is for this test alone, and of a kind that signs fast.
func certificate(t *testing.T) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
