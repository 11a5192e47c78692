package socketcluster_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/wire"
)

// TR-3: requests at the server's path that are no upgrades are refused as
// malformed ones, and all other paths are the mux's.
func TestOrdinaryRequests(t *testing.T) {
	srv, err := socketcluster.New(socketcluster.Config{Auth: auth.Options{Key: testKey}})
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
	srv, err := socketcluster.New(socketcluster.Config{Auth: auth.Options{Key: testKey}})
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

// plainWriter hides all that a ResponseWriter can do besides.
type plainWriter struct{ http.ResponseWriter }

// openWriter shows it again.
type openWriter struct{ http.ResponseWriter }

func (w openWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// If the server is mounted so that no client can connect, the log has one
// warning that explains it, however many clients try.
func TestMountedWrongly(t *testing.T) {
	wrap := func(with func(http.ResponseWriter) http.ResponseWriter) func(http.Handler) http.Handler {
		return func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(with(w), r) })
		}
	}
	for _, test := range []struct {
		name   string
		cfg    socketcluster.Config
		mount  func(http.Handler) http.Handler
		edit   func(r *http.Request)
		status int
		want   []string // of the warning; none: there is none
	}{
		{
			name: "as it should be", status: http.StatusSwitchingProtocols,
		}, {
			name: "an open wrapper", status: http.StatusSwitchingProtocols,
			mount: wrap(func(w http.ResponseWriter) http.ResponseWriter { return openWriter{w} }),
		}, {
			name: "another path", status: http.StatusBadRequest,
			edit: func(r *http.Request) { r.URL.Path = "/ws/" },
			want: []string{"path=/ws/", "Config.Path=/socketcluster/"},
		}, {
			name: "two paths", status: http.StatusBadRequest, cfg: socketcluster.Config{Path: "/new/", Protocol1Path: "/old/"},
			want: []string{"path=/socketcluster/", "Config.Path=/new/", "Config.Protocol1Path=/old/"},
		}, {
			name: "a path that is taken off", status: http.StatusBadRequest,
			mount: func(h http.Handler) http.Handler { return http.StripPrefix("/socketcluster", h) },
			want:  []string{"path=/ ", "Config.Path=/socketcluster/"},
		}, {
			name: "a long path is cut", status: http.StatusBadRequest,
			edit: func(r *http.Request) { r.URL.Path = "/" + strings.Repeat("x", 10_000) },
			want: []string{"path=/" + strings.Repeat("x", 255) + " "},
		}, {
			name: "a wrapper", status: http.StatusInternalServerError,
			mount: wrap(func(w http.ResponseWriter) http.ResponseWriter { return openWriter{plainWriter{openWriter{w}}} }),
			want:  []string{"wrapper=socketcluster_test.plainWriter", "Unwrap"},
		}, {
			name: "http.TimeoutHandler", status: http.StatusInternalServerError,
			mount: func(h http.Handler) http.Handler { return http.TimeoutHandler(h, time.Minute, "late") },
			want:  []string{"wrapper=*http.timeoutWriter", "http.TimeoutHandler"},
		}, {
			name: "a proxy that drops headers", status: http.StatusBadRequest,
			edit: func(r *http.Request) { r.Header.Del("Upgrade"); r.Header.Set("Connection", "close") },
			want: []string{"has lost its Upgrade header", "a proxy must pass on Upgrade", "protocol=HTTP/1.1"},
		}, {
			name: "no WebSocket at all", status: http.StatusBadRequest,
			edit: func(r *http.Request) {
				for name := range r.Header {
					r.Header.Del(name)
				}
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, test.cfg, func(w *world) {
				if test.mount != nil {
					w.web.Handler = test.mount(w.srv)
				}
				for range 3 {
					p, resp := w.upgrade(test.edit)
					if resp.StatusCode != test.status {
						t.Errorf("got %s", resp.Status)
					}
					p.Conn.Close()
					io.Copy(io.Discard, p.In)
				}
				var warnings []string
				for line := range strings.Lines(w.logs.String()) {
					if strings.Contains(line, "level=WARN") {
						warnings = append(warnings, line)
					}
				}
				if len(test.want) == 0 {
					if len(warnings) > 0 {
						t.Errorf("warned: %s", warnings)
					}
					return
				}
				if len(warnings) != 1 {
					t.Fatalf("%d warnings: %s", len(warnings), warnings)
				}
				for _, want := range test.want {
					if !strings.Contains(warnings[0], want) {
						t.Errorf("%s is not in %s", want, warnings[0])
					}
				}
				if n := strings.Count(w.logs.String(), "level=DEBUG msg=\"upgrade "); n != 2 {
					t.Errorf("%d lines at level Debug, want the other 2:\n%s", n, w.logs)
				}
			})
		})
	}
}

// refused reads the answer to an upgrade that was refused and checks what all
// of them have in common.
func refused(t *testing.T, resp *http.Response, status int, body string) {
	t.Helper()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != status || string(text) != body {
		t.Errorf("got %d %q %v, want %d %q", resp.StatusCode, text, err, status, body)
	}
	if !resp.Close || resp.ContentLength != int64(len(body)) {
		t.Errorf("close %t, length %d", resp.Close, resp.ContentLength)
	}
	if typ := resp.Header.Get("Content-Type"); !strings.HasPrefix(typ, "text/plain") {
		t.Errorf("QK-9: type %q", typ)
	}
}

// TR-1, TR-5: requests that are not upgraded.
func TestUpgradeRefused(t *testing.T) {
	header := func(name, value string) func(r *http.Request) {
		return func(r *http.Request) {
			if value == "" {
				r.Header.Del(name)
			} else {
				r.Header.Set(name, value)
			}
		}
	}
	path := func(path string) func(r *http.Request) {
		return func(r *http.Request) { r.URL.Opaque = "//server" + path }
	}
	for _, test := range []struct {
		name   string
		edit   func(r *http.Request)
		status int
		body   string
	}{
		{"TR-5: method", func(r *http.Request) { r.Method = "POST" }, 405, "Invalid HTTP method"},
		{"TR-5: no upgrade", header("Upgrade", ""), 400, "Invalid Upgrade header"},
		{"TR-5: other upgrade", header("Upgrade", "h2c"), 400, "Invalid Upgrade header"},
		{"TR-5: no key", header("Sec-WebSocket-Key", ""), 400, "Missing or invalid Sec-WebSocket-Key header"},
		{"TR-5: short key", header("Sec-WebSocket-Key", "abc"), 400, "Missing or invalid Sec-WebSocket-Key header"},
		{"TR-5: no version", header("Sec-WebSocket-Version", ""), 400, "Missing or invalid Sec-WebSocket-Version header"},
		{"TR-5: version 12", header("Sec-WebSocket-Version", "12"), 400, "Missing or invalid Sec-WebSocket-Version header"},
		{"TR-5: subprotocol", header("Sec-WebSocket-Protocol", "a,,b"), 400, "Invalid Sec-WebSocket-Protocol header"},
		{"TR-1: no slash", path("/socketcluster"), 400, "Bad Request"},
		{"TR-1: more path", path("/socketcluster/x"), 400, "Bad Request"},
		{"TR-1: case", path("/SocketCluster/"), 400, "Bad Request"},
		{"TR-1: percent-encoded letter", path("/socketcluste%72/"), 400, "Bad Request"},
		{"TR-1: percent-encoded slash", path("/socketcluster%2F"), 400, "Bad Request"},
		{"TR-1: two slashes", path("//socketcluster/"), 400, "Bad Request"},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, socketcluster.Config{}, func(w *world) {
				_, resp := w.upgrade(test.edit)
				refused(t, resp, test.status, test.body)
				if strings.Contains(test.body, "Version") && resp.Header.Get("Sec-WebSocket-Version") != "13, 8" {
					t.Errorf("version %q", resp.Header.Get("Sec-WebSocket-Version"))
				}
				synctest.Wait()
				if n := w.srv.NumPendingClients(); n != 0 {
					t.Errorf("%d sockets", n)
				}
			})
		})
	}
}

// TR-1, TR-2: a query means nothing to the server and is kept; version 8 is
// admitted too.
func TestUpgradeAdmitted(t *testing.T) {
	inBubble(t, socketcluster.Config{Path: "/some%20where", Compat: socketcluster.Compat{KeepRequest: true}}, func(w *world) {
		p, resp := w.upgrade(func(r *http.Request) {
			r.URL.Opaque = "//server/some%20where?a=1&token=x"
			r.Header.Set("Sec-WebSocket-Version", "8")
			r.Header.Set("User-Agent", "test")
		})
		if resp.StatusCode != http.StatusSwitchingProtocols || resp.Header.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
			t.Fatalf("got %s %v", resp.Status, resp.Header)
		}
		p.send(`{"event":"#handshake","cid":1}`)
		p.next()
		s := w.only()
		if s.URL() != "/some%20where?a=1&token=x" || s.Request().Header.Get("User-Agent") != "test" {
			t.Errorf("URL %q, request %v", s.URL(), s.Request())
		}
	})
}

// TR-11: ids are 20 characters of the URL-safe alphabet, and no two alike.
func TestSocketID(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		form := regexp.MustCompile(`^[A-Za-z0-9_-]{20}$`)
		seen := map[string]bool{}
		for range 20 {
			w.dial()
		}
		synctest.Wait()
		for s := range w.srv.PendingClients() {
			if !form.MatchString(s.ID()) || seen[s.ID()] {
				t.Errorf("id %q", s.ID())
			}
			if w.srv.Client(s.ID()) != nil {
				t.Error("HS-18: a pending socket is found among the clients")
			}
			seen[s.ID()] = true
		}
		if len(seen) != 20 {
			t.Errorf("%d ids", len(seen))
		}
	})
}

// TR-12, TR-13, TR-14, TR-15, TR-16, QK-8, QK-9: whose pages may connect.
func TestOrigins(t *testing.T) {
	const (
		none      = "-"
		missing   = "the request has no Origin header; AllowMissingOrigin admits such requests"
		null      = "the origin is null, as for files and sandboxed frames"
		malformed = "the Origin header is malformed"
	)
	for _, test := range []struct {
		entries []string
		origin  string
		missing bool // AllowMissingOrigin
		admits  bool
		why     string // "" for an origin that is not in the list
	}{
		{[]string{"https://a.com"}, "https://a.com", false, true, ""},
		{[]string{"https://a.com"}, "http://a.com:443", false, false, ""},
		{[]string{"https://*.a.com"}, "https://x.a.com", false, true, ""},
		{[]string{"https://*.a.com"}, "https://a.com", false, false, ""},
		{[]string{"chrome-extension://abc"}, "chrome-extension://abc", false, true, ""},
		{[]string{"localhost:80"}, "capacitor://localhost", false, true, ""},
		{nil, "http://any.example", false, true, ""},
		{nil, none, false, true, ""},
		{[]string{"*:*"}, "null", false, true, ""},
		{[]string{"a.com:80", "*:*"}, none, false, true, ""},
		{[]string{"a.com:80"}, "http://a.com", false, true, ""},
		{[]string{"a.com:80"}, "http://A.COM", false, true, ""},
		{[]string{"A.com:80"}, "http://a.com:80", false, true, ""},
		{[]string{"a.com:443"}, "https://a.com", false, true, ""},
		{[]string{"a.com:80"}, "https://a.com", false, false, ""},
		{[]string{"a.com:80"}, "http://a.com:8080", false, false, ""},
		{[]string{"a.com:*"}, "https://a.com:8443", false, true, ""},
		{[]string{"*:8080"}, "http://b.example:8080", false, true, ""},
		{[]string{"*:8080"}, "http://b.example", false, false, ""},
		{[]string{"::1:80"}, "http://[::1]", false, true, ""},
		{[]string{"[::1]:80"}, "http://[::1]:80", false, true, ""},
		{[]string{"a.com:80"}, "http://com", false, false, ""},
		{[]string{"a.com:80"}, "http://com:8", false, false, ""},
		{[]string{"example.com:*"}, "https://ple.com", false, false, ""},
		{[]string{"example.com:*"}, "https://example.com.evil.org", false, false, ""},
		{[]string{"example.com:*"}, "https://example.com@evil.org", false, false, malformed},
		{[]string{"example.com:*"}, "https://example.com:443@evil.org", false, false, malformed},
		{[]string{"example.com:*"}, "https://evil.org/#example.com:443", false, false, malformed},
		{[]string{"*:80"}, "null", false, false, null},
		{[]string{"*:80"}, none, false, false, missing},
		{[]string{"*:80"}, "", false, false, malformed},
		{[]string{"*:80"}, "://", false, false, malformed},
		{[]string{"*:80"}, "http://a:b:c", false, false, malformed},
		{[]string{"*:80"}, none, true, true, ""},
		{[]string{"*:80"}, "null", true, false, null},
	} {
		t.Run(strings.Join(test.entries, " ")+" "+test.origin, func(t *testing.T) {
			cfg := socketcluster.Config{Origins: test.entries, AllowMissingOrigin: test.missing}
			inBubble(t, cfg, func(w *world) {
				var warning error
				socketcluster.On(w.srv, func(e socketcluster.WarningEvent) { warning = e.Err })
				_, resp := w.upgrade(func(r *http.Request) {
					if test.origin != none {
						r.Header["Origin"] = []string{test.origin}
					}
				})
				synctest.Wait()
				if test.admits {
					if resp.StatusCode != http.StatusSwitchingProtocols || warning != nil {
						t.Errorf("refused: %s, %v", resp.Status, warning)
					}
					return
				}
				// QK-9: only what is well-formed is sent back.
				reason := test.why
				if reason == "" {
					reason = test.origin + " is not in Origins"
				}
				text := "Failed to authorize socket handshake - Invalid origin: " + reason
				refused(t, resp, 403, text)
				if !errors.Is(warning, wire.ErrServerProtocol) || warning.Error() != "ServerProtocolError: "+text {
					t.Errorf("TR-15: warning %v", warning)
				}
			})
		})
	}
	t.Run("two headers", func(t *testing.T) {
		inBubble(t, socketcluster.Config{Origins: []string{"a.com:80"}}, func(w *world) {
			_, resp := w.upgrade(func(r *http.Request) { r.Header["Origin"] = []string{"http://a.com", "http://b.com"} })
			refused(t, resp, 403, "Failed to authorize socket handshake - Invalid origin: the request has several Origin headers")
		})
	})
}

// TR-4: what is looked at first.
func TestUpgradeOrder(t *testing.T) {
	inBubble(t, socketcluster.Config{Origins: []string{"a.com:80"}}, func(w *world) {
		ran := 0
		socketcluster.Use(w.srv, func(_ context.Context, a *socketcluster.Upgrade) error {
			ran++
			if a.Request.URL.RawQuery == "no" {
				return &wire.Error{Name: "E", Message: "<b>go away</b>"}
			}
			return nil
		})
		_, resp := w.upgrade(func(r *http.Request) { r.URL.Path = "/other/" })
		refused(t, resp, 400, "Bad Request")
		if ran != 0 {
			t.Error("the middleware ran before the check of the path")
		}
		_, resp = w.upgrade(func(r *http.Request) { r.URL.RawQuery = "no" })
		refused(t, resp, 401, "<b>go away</b>")
		_, resp = w.upgrade(func(r *http.Request) { r.Header.Set("Origin", "http://b.com") })
		refused(t, resp, 403, "Failed to authorize socket handshake - Invalid origin: http://b.com is not in Origins")
		if ran != 2 {
			t.Errorf("the middleware ran %d times, want 2: before the check of the origin", ran)
		}
	})
}

// TR-6: subprotocols.
func TestSubprotocol(t *testing.T) {
	pick := func(name string) func([]string, *http.Request) string {
		return func(offered []string, r *http.Request) string {
			if len(offered) == 0 || r == nil {
				t.Error("asked without an offer")
			}
			return name
		}
	}
	for _, test := range []struct {
		offered []string
		pick    func([]string, *http.Request) string
		want    string
	}{
		{nil, nil, ""},
		{nil, pick("x"), ""},
		{[]string{"a, b"}, nil, "a"},
		{[]string{"a", "b"}, pick("b"), "b"},
		{[]string{"a,b"}, pick("c"), ""},
		{[]string{"a,b"}, pick(""), ""},
		{[]string{"a,b"}, pick("b\r\nX: 1"), ""},
	} {
		inBubble(t, socketcluster.Config{Subprotocol: test.pick}, func(w *world) {
			_, resp := w.upgrade(func(r *http.Request) { r.Header["Sec-Websocket-Protocol"] = test.offered })
			if got := resp.Header.Get("Sec-WebSocket-Protocol"); resp.StatusCode != 101 || got != test.want || resp.Header.Get("X") != "" {
				t.Errorf("offered %q: %s, %q, want %q", test.offered, resp.Status, got, test.want)
			}
		})
	}
}
