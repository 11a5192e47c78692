package socketcluster_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/httpauth"
	"github.com/socketcluster-go/socketcluster/auth/revoke"
	"github.com/socketcluster-go/socketcluster/wire"
)

const foreignPage = "Failed to authorize socket handshake - The cookie or session of the request is not accepted from a page of another origin"

// foreign is what a page gets that a cookie is not accepted from. It has the
// entry that is missing, if there is one that would help.
func foreign(entry string) string {
	return foreignPage + `. Add "` + entry + `" to Origins to trust it`
}

// An ambient token is taken from the server's own pages, and from those whose
// host is listed.
func TestAmbientTokenOrigin(t *testing.T) {
	const (
		none      = "-"
		malformed = "the Origin header is malformed"
		several   = "the request has several Origin headers"
	)
	for _, row := range []struct {
		host    string
		tls     bool
		origins []string
		origin  string
		admits  bool
		why     string // "" for an origin that is not in the list
	}{
		{"a.com", false, nil, none, true, ""}, // no page
		{"a.com", false, nil, "http://a.com", true, ""},
		{"a.com", false, nil, "http://a.com:80", true, ""},
		{"a.com", false, nil, "HTTP://A.Com", true, ""},
		{"A.COM", false, nil, "http://a.com", true, ""},
		{"a.com:80", false, nil, "http://a.com", true, ""},
		{"a.com:8000", false, nil, "http://a.com:8000", true, ""},
		{"[::1]:8000", false, nil, "http://[::1]:8000", true, ""},
		{"[::1]", false, nil, "http://[::1]", true, ""},
		// A proxy has ended TLS.
		{"a.com", false, nil, "https://a.com", true, ""},
		{"a.com:8443", false, nil, "https://a.com:8443", true, ""},
		{"a.com", true, nil, "https://a.com", true, ""},
		{"a.com:443", true, nil, "https://a.com", true, ""},
		{"a.com", true, nil, "http://a.com", false, ""},
		{"a.com", true, nil, "http://a.com:443", false, ""},

		{"a.com", false, nil, "http://a.com:8000", false, ""},
		{"a.com:80", false, nil, "https://a.com", false, ""},
		{"a.com:8000", false, nil, "http://a.com", false, ""},
		{"[::1]:8000", false, nil, "http://[::2]:8000", false, ""},
		{"a.com", false, nil, "http://b.com", false, ""},
		{"a.com", false, nil, "http://x.a.com", false, ""},
		{"x.a.com", false, nil, "http://a.com", false, ""},
		{"a.com", false, nil, "http://a.com.", false, ""},
		{"a.com", false, nil, "http://a.com.evil.org", false, ""},
		{"a.com", false, nil, "http://a.com@evil.org", false, malformed},
		{"a.com", false, nil, "http://evil.org@a.com", false, malformed},
		{"a.com", false, nil, "http://a.com/", false, malformed},
		{"a.com", false, nil, "http://a.com?", false, malformed},
		{"a.com", false, nil, "http://a.com#", false, malformed},
		{"a.com", false, nil, "ws://a.com", false, ""},
		{"a.com", false, nil, "chrome-extension://a.com", false, ""},
		{"a.com", false, nil, "//a.com", false, malformed},
		{"a.com", false, nil, "a.com", false, malformed},
		{"a.com", false, nil, "null", false, "the origin is null, as for files and sandboxed frames"},
		{"a.com", false, nil, "file://", false, ""},
		{"a.com", false, nil, "", false, malformed},
		{"a.com", false, nil, "http://a.com, http://b.com", false, malformed},
		{"a.com", false, nil, "http://b.com\nhttp://a.com", false, several}, // two headers
		{"a.com", false, nil, "http://a.com\nhttp://a.com", false, several},

		{"a.com", true, []string{"https://app.com"}, "https://app.com", true, ""},
		{"a.com", true, []string{"https://*.app.com"}, "https://x.app.com", true, ""},
		{"a.com", true, []string{"*:*", "https://app.com"}, "http://app.com", false, ""},
		{"a.com", true, []string{"capacitor://localhost"}, "capacitor://localhost", true, ""},
		{"a.com", true, []string{"*:*", "localhost:*"}, "capacitor://localhost", false, ""},
		{"a.com", true, []string{"app.com:443"}, "https://app.com", true, ""},
		{"a.com", false, []string{"app.com:8000"}, "http://APP.com:8000", true, ""},
		{"a.com", true, []string{"app.com:*"}, "https://app.com:8443", true, ""},
		{"a.com", false, []string{"[::2]:80"}, "http://[::2]", true, ""},
		{"a.com", true, []string{"*:*", "app.com:443"}, "https://app.com", true, ""},
		{"a.com", true, []string{"*:*", "app.com:443"}, "https://other.com", false, ""},
		{"a.com", true, []string{"*:*"}, "https://app.com", false, ""},
		{"a.com", true, []string{"*:*"}, "null", false, "the origin is null, as for files and sandboxed frames"},
		{"a.com", true, []string{"*:443"}, "https://app.com", false, ""},
		{"a.com", true, []string{"*:443"}, "https://a.com", true, ""},
		{"a.com", true, []string{"*:*"}, none, true, ""},
	} {
		t.Run(fmt.Sprint(row.host, row.tls, row.origins, row.origin), func(t *testing.T) {
			cfg := fromRequests()
			cfg.Origins = row.origins
			inBubble(t, cfg, func(w *world) {
				w.vouch()
				server := w.web.Handler
				w.web.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
					if row.tls {
						r.TLS = new(tls.ConnectionState)
					}
					server.ServeHTTP(rw, r)
				})
				var warning error
				socketcluster.On(w.srv, func(e socketcluster.WarningEvent) {
					if e.Socket == nil { // of a request that did not become one
						warning = e.Err
					}
				})
				page := func(r *http.Request) {
					r.Host = row.host
					if row.origin != none {
						r.Header["Origin"] = strings.Split(row.origin, "\n")
					}
				}
				for _, kind := range []struct {
					headers []string
					ambient bool
				}{
					{[]string{"Cookie", "token=" + w.sign(map[string]any{})}, true},
					{[]string{"Cookie", "token=nonsense"}, true},
					{[]string{"Cookie", "token=x; token=y"}, true},
					{[]string{"X-User", `{}`}, true},
					{[]string{"Authorization", "Bearer " + w.sign(map[string]any{})}, false},
					{[]string{"Sec-WebSocket-Protocol", "sc, token." + w.sign(map[string]any{})}, false},
					{nil, false},
				} {
					warning = nil
					_, resp := w.upgrade(func(r *http.Request) { page(r); with(kind.headers...)(r) })
					synctest.Wait()
					if row.admits || !kind.ambient {
						if resp.StatusCode != http.StatusSwitchingProtocols || warning != nil {
							t.Errorf("%v: refused: %s, %v", kind.headers, resp.Status, warning)
						}
						continue
					}
					text := foreign(strings.ToLower(row.origin))
					if row.why != "" {
						text = foreignPage + ": " + row.why
					}
					refused(t, resp, 403, text)
					if !errors.Is(warning, wire.ErrServerProtocol) || !strings.Contains(warning.Error(), text) {
						t.Errorf("%v: warning %v", kind.headers, warning)
					}
				}
			})
		})
	}
}

// Origins refuses pages that are not in the list before tokens are checked, as
// it does without tokens.
func TestOriginsComeFirst(t *testing.T) {
	cfg := fromRequests()
	cfg.Origins = []string{"app.com:443"}
	inBubble(t, cfg, func(w *world) {
		for _, origin := range []string{"http://server", "https://other.com"} {
			_, resp := w.upgrade(with("Cookie", "token=x", "Origin", origin))
			refused(t, resp, 403, "Failed to authorize socket handshake - Invalid origin: "+origin+" is not in Origins")
		}
		_, resp := w.upgrade(with("Cookie", "token=x"))
		refused(t, resp, 403, "Failed to authorize socket handshake - Invalid origin: the request has no Origin header; AllowMissingOrigin admits such requests")
	})
}

// Upgrade middleware comes before; it may have set the principal.
func TestPrincipalOfMiddleware(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		socketcluster.Use(w.srv, func(_ context.Context, a *socketcluster.Upgrade) error {
			token, err := auth.NewToken("", []byte(`{"username":"alice"}`))
			*a.Request = *a.Request.WithContext(httpauth.NewContext(a.Request.Context(), token))
			return err
		})
		_, status := w.connect("null")
		if status["isAuthenticated"] != true || user(w.only()) != "alice" {
			t.Errorf("status %v", status)
		}
		_, resp := w.upgrade(with("Origin", "https://other.com"))
		refused(t, resp, 403, foreign("https://other.com"))
	})
}

// A principal that goes by the address of the client is nobody's under the name
// of a stranger.
func TestPrincipalByAddress(t *testing.T) {
	cfg := socketcluster.Config{Origins: []string{"*:*", "https://app.com"}}
	inBubble(t, cfg, func(w *world) {
		socketcluster.Use(w.srv, func(_ context.Context, a *socketcluster.Upgrade) error {
			token, err := auth.NewToken("", []byte(`{"username":"alice"}`))
			*a.Request = *a.Request.WithContext(httpauth.NewContextByAddress(a.Request.Context(), token))
			return err
		})
		record := w.audit()
		for host, admits := range map[string]bool{"localhost:8000": true, "app.com": true, "evil.org:8000": false} {
			for _, origin := range []string{"", "http://" + host} {
				_, resp := w.upgrade(func(r *http.Request) {
					if r.Host = host; origin != "" {
						r.Header.Set("Origin", origin)
					}
				})
				if admits {
					if resp.StatusCode != http.StatusSwitchingProtocols {
						t.Errorf("%s, origin %q: %s", host, origin, resp.Status)
					}
					continue
				}
				const reason = "The request has come to the host evil.org:8000, which is not in Origins: " +
					"who is known by address must come to a host that is listed there, to localhost or to an IP address"
				refused(t, resp, 403, "Failed to authorize socket handshake - "+reason)
				record.want("tokenRejected reason=" + reason)
			}
		}
	})
}

// The middleware for ordinary routes has the server's engine, sources,
// revocations and origins.
func TestServerAuthenticator(t *testing.T) {
	cfg := fromRequests()
	cfg.Revocations = new(revoke.Memory)
	cfg.Origins = []string{"app.com:443", "[::1]:80", "[::1]:8000", "any.com:*", "*:8080", "https://*.sub.com"}
	inBubble(t, cfg, func(w *world) {
		if err := w.srv.Revoke(context.Background(), revoke.Revocation{Session: "7"}); err != nil {
			t.Fatal(err)
		}
		h := w.srv.Authenticator().Require(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		ask := func(headers ...string) int {
			r := httptest.NewRequest("POST", "http://server/", nil)
			with(headers...)(r)
			rw := httptest.NewRecorder()
			h.ServeHTTP(rw, r)
			return rw.Code
		}
		good := w.sign(map[string]any{"sid": "1"})
		for _, row := range []struct {
			want    int
			headers []string
		}{
			{401, nil},
			{200, []string{"Cookie", "token=" + good}},
			{200, []string{"Authorization", "Bearer " + good}},
			{401, []string{"Cookie", "token=" + w.sign(map[string]any{"sid": "7"})}},
			{403, []string{"Cookie", "token=" + good, "Origin", "https://other.com"}},
			{200, []string{"Cookie", "token=" + good, "Origin", "https://app.com"}},
			{200, []string{"Cookie", "token=" + good, "Origin", "http://app.com:443"}},
			{403, []string{"Cookie", "token=" + good, "Origin", "http://app.com"}},
			{200, []string{"Cookie", "token=" + good, "Origin", "http://[::1]"}},
			{200, []string{"Cookie", "token=" + good, "Origin", "http://[::1]:8000"}},
			{200, []string{"Cookie", "token=" + good, "Origin", "https://any.com"}},
			{200, []string{"Cookie", "token=" + good, "Origin", "https://x.sub.com"}},
			{403, []string{"Cookie", "token=" + good, "Origin", "https://sub.com"}},
			{403, []string{"Cookie", "token=" + good, "Origin", "http://other.com:8080"}},
		} {
			if got := ask(row.headers...); got != row.want {
				t.Errorf("%v: %d, want %d", row.headers, got, row.want)
			}
		}
	})
	// Without any source, as with the zero Authenticator.
	inBubble(t, socketcluster.Config{}, func(w *world) {
		h := w.srv.Authenticator().Require(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		r := httptest.NewRequest("GET", "http://server/", nil)
		r.Header.Set("Authorization", "Bearer "+w.sign(map[string]any{}))
		rw := httptest.NewRecorder()
		if h.ServeHTTP(rw, r); rw.Code != 200 {
			t.Errorf("bearer: %d", rw.Code)
		}
	})
}

// Whatever a page's origin and the server's host are: a cookie is taken only if
// they name the same host and port.
func FuzzAmbientTokenOrigin(f *testing.F) {
	f.Add("https://a.com", "a.com", true)
	f.Add("http://a.com:80", "A.com", false)
	f.Add("http://[::1]:8000", "[::1]:8000", false)
	f.Add("https://a.com@evil.org", "a.com", false)
	f.Add("null", "null", true)
	f.Add("http://", "", false)
	cfg := fromRequests()
	cfg.Auth.Key, cfg.Logger = testKey, slog.New(slog.DiscardHandler)
	srv, err := socketcluster.New(cfg)
	if err != nil {
		f.Fatal(err)
	}
	defer srv.Close()
	withPort := func(host, scheme string) string {
		host = strings.ToLower(strings.TrimSuffix(host, ":"))
		if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
			return host
		}
		return host + map[string]string{"http": ":80", "https": ":443"}[scheme]
	}
	f.Fuzz(func(t *testing.T, origin, host string, secure bool) {
		r := httptest.NewRequest("GET", socketcluster.DefaultPath, nil)
		with("Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13",
			"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==", "Cookie", "token=x", "Origin", origin)(r)
		r.Host = host
		if secure {
			r.TLS = new(tls.ConnectionState)
		}
		rw := httptest.NewRecorder() // with which no upgrade succeeds
		srv.ServeHTTP(rw, r)
		if rw.Code == http.StatusForbidden {
			return
		}
		scheme, rest, _ := strings.Cut(strings.ToLower(origin), "://")
		if scheme != "https" && (scheme != "http" || secure) || rest == "" || withPort(rest, scheme) != withPort(host, scheme) {
			t.Errorf("a cookie is taken by %q from a page of %q: %d", host, origin, rw.Code)
		}
	})
}
