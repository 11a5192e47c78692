package nginx_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	_ "embed"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/httpauth"
	"github.com/socketcluster-go/socketcluster/internal/compat/nginx"
)

// sample is what the documentation shows.
//
//go:embed socketcluster.conf
var sample string

// backend is the address of the server in the sample.
const backend = "127.0.0.1:8000"

func TestSampleIsDocumented(t *testing.T) {
	text := testDocumented(t, "OPERATIONS.md", sample)
	if n := strings.Count(text, "```nginx"); n != 1 {
		t.Errorf("docs/OPERATIONS.md shows %d configurations", n)
	}
}

// testDocumented compares a configuration with one that a document shows, and returns the document.
func testDocumented(t *testing.T, document, config string) string {
	t.Helper()
	text, err := os.ReadFile("../../../docs/" + document)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "\n```nginx\n"+config+"```\n") {
		t.Errorf("docs/%s shows another configuration than the tests have", document)
	}
	return string(text)
}

// balance runs nginx in front of the servers of an upstream, which is named socketcluster.
func balance(t *testing.T, upstream string) *nginx.Site {
	t.Helper()
	site := nginx.NewSite(t)
	site.Start(t, fmt.Sprintf("%s\nserver {\nlisten %s ssl;\nssl_certificate %s;\nssl_certificate_key %s;\n%s\n}",
		upstream, site.HTTPS, site.Cert, site.Key, strings.ReplaceAll(sample, backend, "socketcluster")))
	return site
}

// serve runs nginx in front of the server at an address, and returns the URL of
// the site and the certificate that it shows.
func serve(t *testing.T, address string) (url string, roots *x509.CertPool) {
	t.Helper()
	site := nginx.NewSite(t)
	site.Start(t, fmt.Sprintf("server {\nlisten %s ssl;\nssl_certificate %s;\nssl_certificate_key %s;\n%s\n}",
		site.HTTPS, site.Cert, site.Key, strings.ReplaceAll(sample, backend, address)))
	return "https://" + site.HTTPS, site.Roots
}

const cookie = "__Host-token"

// start runs a server with a cookie login, at a listener.
func start(t *testing.T, listener net.Listener, proxy string) *socketcluster.Server {
	t.Helper()
	srv, err := socketcluster.New(socketcluster.Config{
		Auth:           auth.Options{Key: "a key of these tests, 32 bytes or more"},
		TokenSources:   []httpauth.Source{httpauth.Cookie(cookie)},
		TrustedProxies: []string{proxy},
		Logger:         slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	srv.Handle("whoami", socketcluster.Func(func(ctx context.Context, _ socketcluster.None) (string, error) {
		s := socketcluster.FromContext(ctx)
		me, _ := socketcluster.Claims[struct{ Username string }](s)
		return me.Username + " at " + s.ClientAddr().String(), nil
	}))
	mux := http.NewServeMux()
	mux.Handle(socketcluster.DefaultPath, srv)
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		token, err := srv.Auth().Sign(r.Context(), map[string]string{"username": "alice"})
		if err == nil {
			err = httpauth.SetCookie(w, cookie, token)
		}
		if err != nil {
			t.Error(err)
		}
		fmt.Fprint(w, srv.ClientAddr(r))
	})
	web := &http.Server{Handler: srv.Authenticator().Protect(mux)}
	go web.Serve(listener)
	t.Cleanup(func() {
		srv.Close()
		web.Close()
	})
	return srv
}

// client is a browser with an address of its own.
const client = "127.0.0.2"

func TestSample(t *testing.T) {
	for network, proxy := range map[string]string{"tcp": "127.0.0.1", "unix": "unix"} {
		t.Run(network, func(t *testing.T) {
			address := "127.0.0.1:0"
			if network == "unix" {
				address = filepath.Join(t.TempDir(), "s")
			}
			listener, err := net.Listen(network, address)
			if err != nil {
				t.Fatal(err)
			}
			start(t, listener, proxy)
			if address = listener.Addr().String(); network == "unix" {
				address = "unix:" + address
			}
			url, roots := serve(t, address)
			jar, err := cookiejar.New(nil)
			if err != nil {
				t.Fatal(err)
			}
			dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(client)}}
			browser := &http.Client{Jar: jar, Transport: &http.Transport{
				DialContext:     dialer.DialContext,
				TLSClientConfig: &tls.Config{RootCAs: roots},
			}}
			defer browser.CloseIdleConnections()
			withoutPort, _, _ := strings.Cut(strings.TrimPrefix(url, "https://"), ":")

			for _, foreign := range []string{"https://" + withoutPort, "https://evil.example"} {
				if status, text := logIn(t, browser, url, foreign); status != http.StatusForbidden {
					t.Errorf("login from %s: %d: %s", foreign, status, text)
				}
			}
			status, text := logIn(t, browser, url, url)
			if status != http.StatusOK || text != client {
				t.Fatalf("login: %d: %s", status, text)
			}
			connect(t, browser, url)

			resp := foreignSocket(t, browser, url)
			if want := `Failed to authorize socket handshake - The cookie or session of the request is not accepted from a page of another origin. Add "https://evil.example" to Origins to trust it`; resp != want {
				t.Errorf("a socket of another page: %s", resp)
			}
		})
	}
}

// logIn logs in as a page of an origin, which has also sent a header of its own
// invention.
func logIn(t *testing.T, browser *http.Client, url, origin string) (status int, text string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "POST", url+"/login", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Origin", origin)
	r.Header.Set("X-Forwarded-For", "203.0.113.9")
	resp, err := browser.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// connect opens a socket with the cookie, and asks who it is.
func connect(t *testing.T, browser *http.Client, url string) {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), "wss"+strings.TrimPrefix(url, "https")+socketcluster.DefaultPath,
		&websocket.DialOptions{HTTPClient: browser, HTTPHeader: http.Header{"Origin": {url}, "X-Forwarded-For": {"203.0.113.9"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	for _, exchange := range []struct{ ask, answer string }{
		{`{"event":"#handshake","data":{"authToken":null},"cid":1}`, `"isAuthenticated":true`},
		{`{"event":"whoami","cid":2}`, `{"rid":2,"data":"alice at ` + client + `"}`},
	} {
		if err := conn.Write(t.Context(), websocket.MessageText, []byte(exchange.ask)); err != nil {
			t.Fatal(err)
		}
		_, text, err := conn.Read(t.Context())
		if err != nil || !strings.Contains(string(text), exchange.answer) {
			t.Errorf("%s: %s, %v", exchange.ask, text, err)
		}
	}
}

// foreignSocket returns how the socket of a stranger's page, with the cookie, is
// refused.
func foreignSocket(t *testing.T, browser *http.Client, url string) string {
	t.Helper()
	conn, resp, err := websocket.Dial(t.Context(), "wss"+strings.TrimPrefix(url, "https")+socketcluster.DefaultPath,
		&websocket.DialOptions{HTTPClient: browser, HTTPHeader: http.Header{"Origin": {"https://evil.example"}}})
	if err == nil {
		conn.CloseNow()
		return "open"
	}
	if resp == nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
