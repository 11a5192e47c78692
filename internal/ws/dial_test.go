package ws

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/memnet"
)

// echoServer accepts connections and sends back what it is sent, compressed if
// it may be.
func echoServer(t *testing.T, o Options, start func(*httptest.Server)) *httptest.Server {
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := Accept(w, r, o)
		if err != nil {
			return
		}
		defer c.Close()
		for {
			m, err := c.Read()
			if e, ok := errors.AsType[*CloseError](err); ok {
				_ = c.WriteAll(CloseFrame(e.Code, e.Reason), time.Minute)
			}
			if err != nil {
				return
			}
			op := OpText
			if m.Binary {
				op = OpBinary
			}
			frame := Seal(append(NewBuffer(len(m.Data)), m.Data...), op)
			m.Release()
			if c.Compressed() {
				frame = Deflate(frame, 1, 0)
			}
			if err := c.WriteAll(frame, time.Minute); err != nil {
				return
			}
		}
	}))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	start(srv)
	t.Cleanup(srv.Close)
	return srv
}

func wsURL(srv *httptest.Server) string { return "ws" + strings.TrimPrefix(srv.URL, "http") }

// roots trusts the certificate of a server.
func roots(srv *httptest.Server) *tls.Config {
	pool := x509.NewCertPool()
	if cert := srv.Certificate(); cert != nil {
		pool.AddCert(cert)
	}
	return &tls.Config{RootCAs: pool}
}

func mustDial(t *testing.T, url string, o DialOptions) *Conn {
	t.Helper()
	c, err := Dial(t.Context(), url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// echoed sends a message and returns the answer.
func echoed(t *testing.T, c *Conn, op Opcode, payload string) string {
	t.Helper()
	frame := Seal(append(NewBuffer(len(payload)), payload...), op)
	if c.Compressed() {
		frame = Deflate(frame, 1, 0)
	}
	if err := c.WriteAll(Mask(frame), time.Minute); err != nil {
		t.Fatal(err)
	}
	m, err := c.Read()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Release()
	if m.Binary != (op == OpBinary) {
		t.Errorf("binary: %t", m.Binary)
	}
	return string(m.Data)
}

// Messages of all sizes go both ways, in all forms, and so does the closing
// handshake.
func TestDial(t *testing.T) {
	for name, start := range map[string]func(*httptest.Server){"tcp": (*httptest.Server).Start, "tls": (*httptest.Server).StartTLS} {
		for _, deflate := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, deflate %t", name, deflate), func(t *testing.T) {
				srv := echoServer(t, Options{Deflate: deflate, Subprotocol: "chat"}, start)
				c := mustDial(t, wsURL(srv)+"/path?query", DialOptions{Options: Options{Deflate: true, Subprotocol: "chat"}, TLS: roots(srv)})
				if c.Compressed() != deflate {
					t.Errorf("compressed: %t", c.Compressed())
				}
				for _, n := range []int{0, 1, 125, 126, 5000, 65535, 65536, 1 << 20} {
					for _, op := range []Opcode{OpText, OpBinary} {
						message := strings.Repeat("abcdefg", n/7+1)[:n]
						if got := echoed(t, c, op, message); got != message {
							t.Fatalf("%d bytes came back as %d others", n, len(got))
						}
					}
				}
				if err := c.WriteAll(Mask(CloseFrame(1000, "bye")), time.Minute); err != nil {
					t.Fatal(err)
				}
				_, err := c.Read()
				if e, ok := errors.AsType[*CloseError](err); !ok || *e != (CloseError{1000, "bye"}) {
					t.Errorf("closed with %v", err)
				}
			})
		}
	}
}

// The error of a refusal is one line, and never empty.
func TestRefusalError(t *testing.T) {
	for text, want := range map[string]string{"": "Not Found", "404 page not found\n": "404 page not found"} {
		if got := (&Refusal{Status: 404, Text: text}).Error(); got != "ws: upgrade refused with 404: "+want {
			t.Errorf("%q: %q", text, got)
		}
	}
}

// A client asks as RFC 6455, section 4.1, says, with a new key each time; what
// else is in Header comes along, and cannot spoil it.
func TestDialRequest(t *testing.T) {
	requests := make(chan *http.Request, 2)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests <- r
		(&Refusal{Status: 503, Text: "no"}).WriteTo(w)
	}))
	defer srv.Close()
	header := http.Header{"Cookie": {"a=b"}, "Connection": {"close"}, "Content-Length": {"5"}, "Host": {"virtual.test"}, "Sec-Websocket-Key": {"x"}, "X-Long": {"a\r\nb"}}
	keys := make(map[string]bool)
	for range 2 {
		address := strings.Replace(wsURL(srv), "://", "://user:secret@", 1)
		_, err := Dial(t.Context(), address+"/path?query#fragment", DialOptions{Options: Options{Header: header, Subprotocol: "chat", Deflate: true}})
		if refusal, ok := errors.AsType[*Refusal](err); !ok || refusal.Status != 503 || refusal.Text != "no" {
			t.Errorf("got %v", err)
		}
		r := <-requests
		if refusal := CheckRequest(r); refusal != nil {
			t.Errorf("not an upgrade: %v", refusal)
		}
		user, password, _ := r.BasicAuth()
		for what, pair := range map[string][2]string{
			"URI": {r.RequestURI, "/path?query"}, "Host": {r.Host, "virtual.test"}, "Cookie": {r.Header.Get("Cookie"), "a=b"},
			"version": {r.Header.Get("Sec-WebSocket-Version"), "13"}, "subprotocol": {r.Header.Get("Sec-WebSocket-Protocol"), "chat"},
			"user": {user + ":" + password, "user:secret"}, "line break": {r.Header.Get("X-Long"), "a  b"},
		} {
			if pair[0] != pair[1] {
				t.Errorf("%s is %q, want %q", what, pair[0], pair[1])
			}
		}
		if answer, ok := negotiateDeflate(r.Header); !ok || answer == "" {
			t.Errorf("permessage-deflate is not offered: %v", r.Header)
		}
		keys[r.Header.Get("Sec-WebSocket-Key")] = true
	}
	if len(keys) != 2 || len(header) != 6 {
		t.Errorf("keys %v, header %v", keys, header)
	}
}

func TestDialRefusesURLs(t *testing.T) {
	for _, text := range []string{"", "example.com", "http://example.com", "ws://", "ws://:80", "wss:///path", "ws://a b", ":"} {
		c, err := Dial(t.Context(), text, DialOptions{DialContext: func(context.Context, string, string) (net.Conn, error) {
			return nil, errors.New("dialed")
		}})
		if c != nil || err == nil || strings.Contains(err.Error(), "dialed") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// dialScript dials a server of the test's own; answer writes what it has to say
// to a request.
func dialScript(t *testing.T, ctx context.Context, o DialOptions, answer func(to net.Conn, r *http.Request)) (*Conn, error) {
	t.Helper()
	client, server := memnet.Pipe(0)
	done := make(chan struct{})
	t.Cleanup(func() {
		client.Close()
		server.Close()
		<-done
	})
	go func() {
		defer close(done)
		r, err := http.ReadRequest(bufio.NewReader(server))
		if err == nil {
			answer(server, r)
		}
	}()
	o.DialContext = func(_ context.Context, network, addr string) (net.Conn, error) {
		if network != "tcp" || addr != "server.test:80" {
			t.Errorf("dials %s over %s", addr, network)
		}
		return client, nil
	}
	return Dial(ctx, "ws://server.test", o)
}

// accepting is a response to a request, with more headers.
func accepting(r *http.Request, more string) string {
	return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: keep-alive, upgrade\r\n" +
		"Sec-WebSocket-Accept: " + acceptKey(r.Header.Get("Sec-WebSocket-Key")) + "\r\n" + more + "\r\n"
}

// Invalid responses of a server end the connection, with a reason.
func TestDialOfMisbehavingServers(t *testing.T) {
	const extension = "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover"
	for _, test := range []struct {
		name   string
		o      Options
		answer func(r *http.Request) string
		want   string
	}{
		{"200", Options{}, func(*http.Request) string { return "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello" }, "200: hello"},
		{"a long refusal", Options{}, func(*http.Request) string {
			return "HTTP/1.1 403 Forbidden\r\n\r\n" + strings.Repeat("x", 2000)
		}, "403: " + strings.Repeat("x", maxRefusal)},
		{"a redirection", Options{}, func(*http.Request) string {
			return "HTTP/1.1 302 Found\r\nLocation: ws://elsewhere.test\r\nContent-Length: 0\r\n\r\n"
		}, "refused with 302: "},
		{"no HTTP", Options{}, func(*http.Request) string { return "SSH-2.0-OpenSSH\r\n" }, "malformed HTTP"},
		{"the end", Options{}, func(*http.Request) string { return "" }, io.ErrUnexpectedEOF.Error()},
		{"the end within headers", Options{}, func(*http.Request) string { return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n" }, io.ErrUnexpectedEOF.Error()},
		{"no Upgrade", Options{}, func(r *http.Request) string {
			return strings.Replace(accepting(r, ""), "Upgrade: WebSocket", "Upgrade: h2c", 1)
		}, "not an upgrade to WebSocket"},
		{"no Connection", Options{}, func(r *http.Request) string {
			return strings.Replace(accepting(r, ""), "Connection: ", "X: ", 1)
		}, "not an upgrade to WebSocket"},
		{"a wrong key", Options{}, func(r *http.Request) string {
			return strings.Replace(accepting(r, ""), acceptKey(r.Header.Get("Sec-WebSocket-Key")), sampleAccept, 1)
		}, "Sec-WebSocket-Accept is wrong"},
		{"two keys", Options{}, func(r *http.Request) string {
			return accepting(r, "Sec-WebSocket-Accept: "+sampleAccept+"\r\n")
		}, "Sec-WebSocket-Accept is wrong"},
		{"a subprotocol unasked", Options{}, func(r *http.Request) string {
			return accepting(r, "Sec-WebSocket-Protocol: chat\r\n")
		}, `selected the subprotocol "chat"; it was offered ""`},
		{"another subprotocol", Options{Subprotocol: "chat"}, func(r *http.Request) string {
			return accepting(r, "Sec-WebSocket-Protocol: mqtt\r\n")
		}, `selected the subprotocol "mqtt"; it was offered "chat"`},
		{"no subprotocol", Options{Subprotocol: "chat"}, func(r *http.Request) string { return accepting(r, "") }, `selected the subprotocol ""`},
		{"compression unasked", Options{}, func(r *http.Request) string { return accepting(r, extension+"\r\n") }, "extensions"},
		{"another extension", Options{Deflate: true}, func(r *http.Request) string {
			return accepting(r, "Sec-WebSocket-Extensions: bzip\r\n")
		}, "extensions"},
		{"compression with memory", Options{Deflate: true}, func(r *http.Request) string {
			return accepting(r, "Sec-WebSocket-Extensions: permessage-deflate\r\n")
		}, "extensions"},
		{"a window that was not offered", Options{Deflate: true}, func(r *http.Request) string {
			return accepting(r, extension+"; client_max_window_bits=9\r\n")
		}, "extensions"},
		{"extensions that are none", Options{Deflate: true}, func(r *http.Request) string {
			return accepting(r, "Sec-WebSocket-Extensions: ;;\r\n")
		}, "extensions"},
		{"endless headers", Options{}, func(r *http.Request) string {
			return strings.TrimSuffix(accepting(r, ""), "\r\n") + strings.Repeat("A: b\r\n", maxResponse)
		}, "too large"},
		{"an endless line", Options{}, func(*http.Request) string { return "HTTP/1.1 101 " + strings.Repeat("x", 2*maxResponse) }, "too large"},
		{"endless interim responses", Options{}, func(*http.Request) string {
			return strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", maxResponse)
		}, "too large"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := dialScript(t, t.Context(), DialOptions{Options: test.o}, func(to net.Conn, r *http.Request) {
				_, _ = io.WriteString(to, test.answer(r))
				_ = to.(halfCloser).CloseWrite()
			})
			if c != nil || err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v\nwant %s", err, test.want)
			}
		})
	}
}

// Valid responses of a server, with frames directly after them.
func TestDialOfUnusualServers(t *testing.T) {
	for name, answer := range map[string]func(r *http.Request) string{
		"interim responses": func(r *http.Request) string { return "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + accepting(r, "") },
		"compression with a window": func(r *http.Request) string {
			return accepting(r, "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=9; server_no_context_takeover\r\n")
		},
		"all of compression": func(r *http.Request) string { return accepting(r, "Sec-WebSocket-Extensions: "+deflateAnswer+"\r\n") },
		"an empty list":      func(r *http.Request) string { return accepting(r, "Sec-WebSocket-Extensions: \r\n") },
		"many and long values": func(r *http.Request) string {
			return accepting(r, strings.Repeat("A: "+strings.Repeat("b", 100)+"\r\n", 500))
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := dialScript(t, t.Context(), DialOptions{Options: Options{Deflate: true}}, func(to net.Conn, r *http.Request) {
				_, _ = io.WriteString(to, answer(r)+string(sealedText("first"))+string(sealedText("second")))
			})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			for _, want := range []string{"first", "second"} {
				if m, err := c.Read(); err != nil || string(m.Data) != want {
					t.Errorf("got %q, %v; want %q", m.Data, err, want)
				}
			}
		})
	}
}

// Frames that a server must not send break the connection with 1002.
func TestFramesOfMisbehavingServers(t *testing.T) {
	for name, sent := range map[string]string{
		"masked":                  string(frame(fin|text, "hello")),
		"masked ping":             string(frame(fin|ping, "")),
		"compressed without need": string(Deflate(sealedText(strings.Repeat("hello", 100)), 1, 0)),
	} {
		t.Run(name, func(t *testing.T) {
			c, err := dialScript(t, t.Context(), DialOptions{}, func(to net.Conn, r *http.Request) {
				_, _ = io.WriteString(to, accepting(r, "")+sent)
			})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := c.Read(); !isProtocolError(err, 1002) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func isProtocolError(err error, code int) bool {
	e, ok := errors.AsType[*ProtocolError](err)
	return ok && int(e.Code) == code
}

// A server reads nothing else from the masked frames than from those of another
// client, and each has a key of its own.
func TestMask(t *testing.T) {
	keys := make(map[string]bool)
	for _, n := range []int{0, 1, 125, 126, 65535, 65536} {
		sealed := Seal(append(NewBuffer(n), strings.Repeat("x", n)...), OpText)
		before := string(sealed)
		masked := Mask(sealed)
		if string(sealed) != before {
			t.Error("the frame was changed")
		}
		header := len(masked) - n
		key := [4]byte(masked[header-4 : header])
		if want := maskedFrame(fin|text, strings.Repeat("x", n), key); string(masked) != string(want) {
			t.Errorf("%d bytes: got %.20x, want %.20x", n, masked, want)
		}
		keys[string(key[:])] = true
	}
	if len(keys) < 5 {
		t.Errorf("%d keys", len(keys))
	}
}

// ctx ends what Dial waits for: the network, a proxy, TLS, the response and the
// text of a refusal. It has no effect afterwards.
func TestDialEndsWithItsContext(t *testing.T) {
	silent := func(net.Conn, *http.Request) {}
	for name, dial := range map[string]func(ctx context.Context) (*Conn, error){
		"the network": func(ctx context.Context) (*Conn, error) {
			return Dial(ctx, "ws://server.test", DialOptions{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}})
		},
		"a proxy": func(ctx context.Context) (*Conn, error) {
			return dialScript(t, ctx, DialOptions{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: "server.test"})}, silent)
		},
		"TLS": func(ctx context.Context) (*Conn, error) {
			client, server := memnet.Pipe(0)
			t.Cleanup(func() { server.Close() })
			return Dial(ctx, "wss://server.test", DialOptions{DialContext: func(context.Context, string, string) (net.Conn, error) { return client, nil }})
		},
		"a response": func(ctx context.Context) (*Conn, error) { return dialScript(t, ctx, DialOptions{}, silent) },
		"the rest of a response": func(ctx context.Context) (*Conn, error) {
			return dialScript(t, ctx, DialOptions{}, func(to net.Conn, r *http.Request) {
				_, _ = io.WriteString(to, strings.TrimSuffix(accepting(r, ""), "\r\n"))
			})
		},
		"the text of a refusal": func(ctx context.Context) (*Conn, error) {
			return dialScript(t, ctx, DialOptions{}, func(to net.Conn, r *http.Request) {
				_, _ = io.WriteString(to, "HTTP/1.1 403 Forbidden\r\n\r\nno")
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			cause := errors.New("enough")
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(10*time.Millisecond, func() { cancel(cause) })
			if c, err := dial(ctx); c != nil || !errors.Is(err, cause) {
				t.Errorf("got %v", err)
			}
		})
	}
	srv := echoServer(t, Options{}, (*httptest.Server).Start)
	ctx, cancel := context.WithCancel(t.Context())
	c, err := Dial(ctx, wsURL(srv), DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	cancel()
	if got := echoed(t, c, OpText, "still here"); got != "still here" {
		t.Errorf("got %q", got)
	}
}

// proxyServer is a proxy that tunnels to whatever it is asked for.
func proxyServer(t *testing.T, start func(*httptest.Server)) (srv *httptest.Server, asked chan *http.Request) {
	asked = make(chan *http.Request, 10)
	srv = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r
		if r.Header.Get("Proxy-Authorization") == "" {
			w.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
		to, err := net.Dial("tcp", r.Host)
		if err != nil {
			t.Error(err)
			return
		}
		defer to.Close()
		from, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer from.Close()
		_, _ = io.WriteString(from, "HTTP/1.1 200 Connection established\r\n\r\n")
		go func() {
			_, _ = io.Copy(to, from)
			_ = to.(halfCloser).CloseWrite()
		}()
		_, _ = io.Copy(from, to)
	}))
	start(srv)
	t.Cleanup(srv.Close)
	return srv, asked
}

// A proxy is asked to connect, for ws as for wss, and is itself reached over TLS
// where its URL says so.
func TestDialThroughProxy(t *testing.T) {
	for proxyName, startProxy := range map[string]func(*httptest.Server){"http": (*httptest.Server).Start, "https": (*httptest.Server).StartTLS} {
		for name, start := range map[string]func(*httptest.Server){"ws": (*httptest.Server).Start, "wss": (*httptest.Server).StartTLS} {
			t.Run(name+" through "+proxyName, func(t *testing.T) {
				srv := echoServer(t, Options{}, start)
				proxy, asked := proxyServer(t, startProxy)
				via, err := url.Parse(proxy.URL)
				if err != nil {
					t.Fatal(err)
				}
				o := DialOptions{TLS: roots(srv), Proxy: func(r *http.Request) (*url.URL, error) {
					if want := srv.URL + "/path"; r.URL.String() != want {
						t.Errorf("asked for the proxy of %s, want %s", r.URL, want)
					}
					return via, nil
				}}
				if cert := proxy.Certificate(); cert != nil {
					o.TLS.RootCAs.AddCert(cert)
				}
				_, err = Dial(t.Context(), wsURL(srv)+"/path", o)
				if err == nil || !strings.Contains(err.Error(), "407") {
					t.Errorf("without a password: %v", err)
				}
				<-asked
				via.User = url.UserPassword("alice", "secret")
				c := mustDial(t, wsURL(srv)+"/path", o)
				if got := echoed(t, c, OpText, "hello"); got != "hello" {
					t.Errorf("got %q", got)
				}
				r := <-asked
				credentials := "Basic " + base64.StdEncoding.EncodeToString([]byte("alice:secret"))
				if r.Method != "CONNECT" || r.Host != srv.Listener.Addr().String() || r.Header.Get("Proxy-Authorization") != credentials {
					t.Errorf("asked to %s %s by %v", r.Method, r.Host, r.Header)
				}
			})
		}
	}
}

func TestDialOfProxiesThatCannotBeUsed(t *testing.T) {
	for name, test := range map[string]struct {
		proxy  func(*http.Request) (*url.URL, error)
		answer string
		want   string
	}{
		"an error":     {func(*http.Request) (*url.URL, error) { return nil, errors.New("no such proxy") }, "", "no such proxy"},
		"SOCKS":        {http.ProxyURL(&url.URL{Scheme: "socks5", Host: "server.test:80"}), "", `begins with "socks5"`},
		"an early one": {http.ProxyURL(&url.URL{Scheme: "http", Host: "server.test"}), "HTTP/1.1 200 OK\r\n\r\nhello", "before the request was made"},
		"another":      {http.ProxyURL(&url.URL{Scheme: "http", Host: "server.test"}), "HTTP/1.1 502 Bad Gateway\r\n\r\n", "502 Bad Gateway"},
		"endless":      {http.ProxyURL(&url.URL{Scheme: "http", Host: "server.test"}), "HTTP/1.1 200 " + strings.Repeat("x", 2*maxResponse), "too large"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := dialScript(t, t.Context(), DialOptions{Proxy: test.proxy}, func(to net.Conn, _ *http.Request) {
				_, _ = io.WriteString(to, test.answer)
			})
			if c != nil || err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

// A server whose certificate is not for its host is not spoken to, unless the
// caller's TLS says by what name it goes.
func TestDialChecksCertificates(t *testing.T) {
	srv := echoServer(t, Options{}, (*httptest.Server).StartTLS)
	o := DialOptions{TLS: roots(srv), DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, srv.Listener.Addr().String())
	}}
	_, err := Dial(t.Context(), "wss://server.test", o)
	if _, ok := errors.AsType[x509.HostnameError](err); !ok {
		t.Errorf("got %v", err)
	}
	o.TLS.ServerName = "example.com" // as httptest's certificate has it
	if got := echoed(t, mustDial(t, "wss://server.test", o), OpText, "hello"); got != "hello" {
		t.Errorf("got %q", got)
	}
}

// Whatever a server answers, reading it ends within its bound, and only what
// proves that the request was understood makes a connection.
func FuzzDialResponse(f *testing.F) {
	r := &http.Request{Method: http.MethodGet, URL: &url.URL{Scheme: "http", Host: "server.test"}, Header: http.Header{"Sec-Websocket-Key": {sampleKey}}}
	for _, more := range []string{"", "Sec-WebSocket-Extensions: " + deflateAnswer + "\r\n", "Sec-WebSocket-Protocol: chat\r\n", "Transfer-Encoding: chunked\r\n"} {
		f.Add([]byte(accepting(r, more)+"\x81\x05hello"), true)
	}
	f.Add([]byte("HTTP/1.1 103 Early Hints\r\n\r\n"+accepting(r, "")), false)
	f.Add([]byte("HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\nno"), false)
	f.Add([]byte("HTTP/1.0 200 OK\r\nContent-Length: 9999999999\r\n\r\n"), false)
	f.Fuzz(func(t *testing.T, answer []byte, deflate bool) {
		o := DialOptions{Options: Options{Deflate: deflate}}
		from := strings.NewReader(string(answer))
		resp, ahead, err := readResponse(from, r)
		if err != nil {
			return
		}
		if !strings.HasSuffix(string(answer[:len(answer)-from.Len()]), string(ahead)) {
			t.Fatalf("%q was read ahead of %q", ahead, answer)
		}
		compressed, err := o.accepted(r, resp)
		if read := len(answer) - from.Len(); read > maxResponse {
			t.Fatalf("%d bytes were read", read)
		}
		if refusal, ok := errors.AsType[*Refusal](err); ok && (refusal.Status == 101 || len(refusal.Text) > maxRefusal) {
			t.Fatalf("refused with %d and %d bytes", refusal.Status, len(refusal.Text))
		}
		if err == nil && (!strings.Contains(string(answer), sampleAccept) || compressed && !deflate) {
			t.Fatalf("accepted %q, compressed: %t", answer, compressed)
		}
	})
}
