package client_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/client"
	"github.com/socketcluster-go/socketcluster/wire"
	"github.com/socketcluster-go/socketcluster/wire/minbin"
)

// Clients over TCP and TLS, which share a runtime or not, work, follow a server that goes
// away and comes back, and leave nothing.
func TestNetworks(t *testing.T) {
	for name, secure := range map[string]bool{"TCP": false, "TLS": true} {
		for _, shared := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
				cfg := socketcluster.Config{Logger: slog.New(slog.DiscardHandler)}
				cfg.Auth.Key = testKey
				srv, err := socketcluster.New(cfg)
				if err != nil {
					t.Fatal(err)
				}
				defer srv.Close()
				web := httptest.NewUnstartedServer(srv)
				web.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
				o := client.Options{Logger: cfg.Logger, Reconnect: client.Reconnect{InitialDelay: -1, Randomness: -1}}
				if secure {
					web.StartTLS()
					roots := x509.NewCertPool()
					roots.AddCert(web.Certificate())
					o.TLS = &tls.Config{RootCAs: roots}
				} else {
					web.Start()
				}
				defer web.Close()
				if shared {
					o.Runtime = client.NewRuntime()
					defer o.Runtime.Close()
				}
				var subs []*client.Subscription
				for range 5 {
					c, err := client.Dial(t.Context(), web.URL, o)
					if err != nil {
						t.Fatal(err)
					}
					defer c.Close()
					sub, err := c.Subscribe(t.Context(), "a")
					if err != nil {
						t.Fatal(err)
					}
					subs = append(subs, sub)
				}
				if err := srv.Exchange().Publish(t.Context(), "a", strings.Repeat("x", 1_000_000)); err != nil {
					t.Fatal(err)
				}
				for _, sub := range subs {
					for data := range sub.All() {
						if len(data) != 1_000_002 {
							t.Errorf("%d bytes", len(data))
						}
						break
					}
				}
				c, err := client.New(web.URL, o)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				connects := client.Events[client.ConnectEvent](t.Context(), c)
				if err := c.Connect(t.Context()); err != nil {
					t.Fatal(err)
				}
				n := 0
				for range connects {
					if n++; n == 3 {
						break
					}
					for s := range srv.Clients() {
						s.Disconnect(4321, "")
					}
				}
				if !secure {
					return
				}
				o.TLS = nil
				if _, err := client.Dial(t.Context(), web.URL, o); err == nil {
					t.Error("a certificate that nobody has signed was accepted")
				}
			})
		}
	}
}

// With compression, large messages are small on the wire, in both directions, also those of a
// codec.
func TestCompression(t *testing.T) {
	for _, codec := range []wire.Codec{nil, minbin.Codec{}} {
		compression := socketcluster.Compression{Level: 6}
		withServer(t, socketcluster.Config{Compression: compression, Codec: codec}, func(t *testing.T, s *real) {
			c := s.connect(client.Options{Compression: compression, Codec: codec})
			big := strings.Repeat("compressible ", 10_000)
			echo, err := client.InvokeAs[string](t.Context(), c, "echo", big)
			if err != nil || echo != big {
				t.Fatal(err, len(echo))
			}
			if n := c.Stats().BytesReceived; n > 10_000 {
				t.Errorf("%d bytes received", n)
			}
			for socket := range s.Clients() {
				if n := socket.Stats().BytesReceived; n > 10_000 {
					t.Errorf("%d bytes received by the server", n)
				}
			}
		})
	}
}

// A proxy gets a CONNECT request, with its credentials, and sees the upgrade request only as
// bytes.
func TestProxy(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		var dialed string
		dial := dialer(s.listen)
		c := s.new(client.Options{
			Proxy: func(r *http.Request) (*url.URL, error) {
				if r.URL.String() != "http://server.test/socketcluster/" {
					t.Errorf("asked for the proxy of %s", r.URL)
				}
				return url.Parse("http://user:secret@proxy.test:3128")
			},
			DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
				dialed = addr
				return dial(ctx, network, addr)
			},
		})
		connected := connecting(c)
		nc, r := s.raw()
		if r.Method != http.MethodConnect || r.Host != "server.test:80" || dialed != "proxy.test:3128" || r.Header.Get("Proxy-Authorization") == "" {
			t.Errorf("%s %s at %s", r.Method, r.Host, dialed)
		}
		io.WriteString(nc, "HTTP/1.1 200 OK\r\n\r\n")
		in := bufio.NewReader(nc)
		r, err := http.ReadRequest(in)
		if err != nil {
			t.Fatal(err)
		}
		p := &peer{t: t, Conn: nc, in: in, request: r}
		p.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + acceptKey(r) + "\r\n\r\n")
		p.next()
		p.send(`{"rid":1,"data":{"id":"x"}}`)
		if err := <-connected; err != nil {
			t.Error(err)
		}
	})
}

// With a server of this module, an idle client stays connected, in both versions, and with a
// codec (CF-19).
func TestIdle(t *testing.T) {
	for _, v := range []wire.Version{wire.Version1, wire.Version2} {
		for _, codec := range []wire.Codec{nil, minbin.Codec{}} {
			withServer(t, socketcluster.Config{ProtocolVersion: v, Codec: codec}, func(t *testing.T, s *real) {
				c := s.connect(client.Options{ProtocolVersion: v, Codec: codec})
				r := record(t, c)
				time.Sleep(time.Hour)
				r.want()
				if _, err := c.Invoke(t.Context(), "echo", 1); err != nil {
					t.Error(err)
				}
			})
		}
	}
}
