package socketcluster_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/httpauth"
	"github.com/socketcluster-go/socketcluster/auth/revoke"
	"github.com/socketcluster-go/socketcluster/wire"
)

// from makes requests come from the address in their header Test-Peer.
func (w *world) from() {
	w.web.Handler = http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if peer := r.Header.Get("Test-Peer"); peer != "" {
			r.RemoteAddr = peer
		}
		w.srv.ServeHTTP(out, r)
	})
}

// dialFrom opens a WebSocket from an address, or reports that it was refused
// with the text of the limit.
func (w *world) dialFrom(peer, refusal string) (p *peer, ok bool) {
	w.t.Helper()
	p, resp := w.upgrade(func(r *http.Request) { r.Header.Set("Test-Peer", peer) })
	switch resp.StatusCode {
	case http.StatusSwitchingProtocols:
		return p, true
	case http.StatusServiceUnavailable:
		text, _ := io.ReadAll(resp.Body)
		if string(text) != refusal || resp.Header.Get("Retry-After") != "10" {
			w.t.Errorf("refused with %q, Retry-After %q; want %q", text, resp.Header.Get("Retry-After"), refusal)
		}
		return nil, false
	}
	w.t.Fatalf("upgrade: %s", resp.Status)
	return nil, false
}

const handshake = `{"event":"#handshake","data":{},"cid":1}`

// Limits.Connections counts from the upgrade to the end of the connection.
func TestConnectionLimit(t *testing.T) {
	inBubble(t, socketcluster.Config{Limits: socketcluster.Limits{Connections: 3}}, func(w *world) {
		const refusal = "The server has too many connections"
		for range 3 {
			p, ok := w.dialFrom("", refusal)
			if !ok {
				t.Fatal("refused below the limit")
			}
			p.send(handshake)
			p.next()
		}
		for range 2 {
			if _, ok := w.dialFrom("", refusal); ok {
				t.Fatal("not refused at the limit")
			}
		}
		st := w.srv.Stats()
		if st.Connections != 3 || st.Clients != 3 || st.Pending != 0 || st.Accepted != 3 || st.LimitHits["Limits.Connections"] != 2 {
			t.Errorf("%+v", st)
		}
		// A connection that is being closed still counts.
		for s := range w.srv.Clients() {
			s.Disconnect(4500, "")
			break
		}
		synctest.Wait()
		if _, ok := w.dialFrom("", refusal); ok {
			t.Error("not refused while a connection lingers")
		}
		time.Sleep(10 * time.Second)
		if _, ok := w.dialFrom("", refusal); !ok {
			t.Error("refused after a connection has ended")
		}
		if n := strings.Count(w.logs.String(), "limit=Limits.Connections"); n != 1 {
			t.Errorf("%d lines in the log", n)
		}
	})
}

// Limits.PendingHandshakes counts until the handshake is complete, or has
// failed in any way.
func TestPendingHandshakeLimit(t *testing.T) {
	const refusal = "The server has too many connections that are being opened"
	inBubble(t, socketcluster.Config{Limits: socketcluster.Limits{PendingHandshakes: 2}}, func(w *world) {
		full := func() {
			t.Helper()
			synctest.Wait()
			if _, ok := w.dialFrom("", refusal); ok {
				t.Fatal("not refused at the limit")
			}
		}
		one := func() *peer {
			t.Helper()
			synctest.Wait()
			p, ok := w.dialFrom("", refusal)
			if !ok {
				t.Fatal("refused below the limit")
			}
			return p
		}
		a, b := one(), one()
		full()
		a.send(handshake)
		a.next()
		a = one()
		full()
		a.send("early") // 4009
		a.wantClose(4009, "")
		a = one()
		full()
		b.Conn.Close()
		b = one()
		full()
		time.Sleep(10 * time.Second) // 4005
		a.wantClose(4005, "")
		b.wantClose(4005, "")
		one()
		one()
		full()
		if st := w.srv.Stats(); st.Pending != 2 || st.LimitHits["Limits.PendingHandshakes"] != 5 || st.LimitHits["Timeouts.Handshake"] != 2 {
			t.Errorf("%+v", st)
		}
	})
}

// Limits.ConnectionsPerAddress: by IPv4 address and IPv6 /64. Addresses that
// are those of proxies or tests are not counted.
func TestConnectionsPerAddressLimit(t *testing.T) {
	const refusal = "There are too many connections from this address"
	inBubble(t, socketcluster.Config{Limits: socketcluster.Limits{ConnectionsPerAddress: 2}}, func(w *world) {
		w.from()
		for _, test := range []struct {
			peers   [3]string
			refused bool // the third
		}{
			{[3]string{"192.0.2.1:1", "192.0.2.1:2", "[::ffff:192.0.2.1]:3"}, true},
			{[3]string{"192.0.2.2:1", "192.0.2.3:1", "192.0.2.4:1"}, false},
			{[3]string{"[2001:db8::1]:1", "[2001:db8::2:1]:1", "[2001:db8:0:0:ffff::1]:1"}, true},
			{[3]string{"[2001:db8:0:1::1]:1", "[2001:db8:0:2::1]:1", "[2001:db8:0:3::1]:1"}, false},
			{[3]string{"127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"}, false},
			{[3]string{"[::1]:1", "[::1]:2", "[::1]:3"}, false},
			{[3]string{"10.1.2.3:1", "10.1.2.3:2", "10.1.2.3:3"}, false},
			{[3]string{"192.168.1.1:1", "192.168.1.1:2", "192.168.1.1:3"}, false},
			{[3]string{"[fd00::1]:1", "[fd00::1]:2", "[fd00::1]:3"}, false},
			{[3]string{"[fe80::1%eth0]:1", "[fe80::1%eth0]:2", "[fe80::1%eth0]:3"}, false},
			{[3]string{"pipe", "pipe", "pipe"}, false},
		} {
			var last *peer
			for i, from := range test.peers {
				p, ok := w.dialFrom(from, refusal)
				if ok != (i < 2 || !test.refused) {
					t.Errorf("%s, connection %d: accepted %t", from, i+1, ok)
				}
				if ok {
					last = p
				}
			}
			if !test.refused {
				continue
			}
			last.Conn.Close()
			synctest.Wait()
			if _, ok := w.dialFrom(test.peers[2], refusal); !ok {
				t.Errorf("%s: refused after another has gone", test.peers[2])
			}
		}
		if n := w.srv.Stats().LimitHits["Limits.ConnectionsPerAddress"]; n != 2 {
			t.Errorf("%d hits", n)
		}
		logs := w.logs.String()
		if !strings.Contains(logs, "limit=Limits.ConnectionsPerAddress") || !strings.Contains(logs, "TrustedProxies") {
			t.Errorf("logged %s", logs)
		}
	})
}

// Requests that are refused for another reason leave no place taken; so do
// those whose upgrade fails.
func TestRefusedRequestsLeaveTheirPlace(t *testing.T) {
	cfg := socketcluster.Config{Origins: []string{"a.com:443"}, AllowMissingOrigin: true, Limits: socketcluster.Limits{Connections: 1}}
	inBubble(t, cfg, func(w *world) {
		socketcluster.Use(w.srv, func(_ context.Context, a *socketcluster.Upgrade) error {
			if a.Request.Header.Get("Test-Block") != "" {
				return socketcluster.ErrBlocked
			}
			return nil
		})
		for i := range 3 {
			for _, test := range []struct {
				header, value string
				status        int
			}{
				{"Upgrade", "h2c", 400},
				{"Origin", "https://b.com", 403},
				{"Test-Block", "yes", 401},
			} {
				_, resp := w.upgrade(func(r *http.Request) { r.Header.Set(test.header, test.value) })
				if resp.StatusCode != test.status {
					t.Errorf("%s: %s, want %d", test.header, resp.Status, test.status)
				}
			}
			if st := w.srv.Stats(); st.Connections != 0 || st.Pending != 0 || fmt.Sprint(st.Refused) != fmt.Sprintf("{%[1]d 0 %[1]d %[1]d}", i+1) {
				t.Errorf("%+v", st)
			}
		}
		w.dial()
		synctest.Wait()
		w.srv.Close()
		synctest.Wait()
		if st := w.srv.Stats(); st.Connections != 0 || st.Pending != 0 {
			t.Errorf("after Close: %+v", st)
		}
		if _, resp := w.upgrade(nil); resp.StatusCode != 503 || w.srv.Stats().Refused.Closed != 1 {
			t.Errorf("after Close: %s", resp.Status)
		}
	})
}

// While all together hold too much, a request is refused that alone is more
// than a socket's share. Small ones are let in, and all of them when there is
// room again.
func TestLargeRequestsOverBudget(t *testing.T) {
	within(t, 500_000, func(w *world) {
		const text = "The server holds too many messages"
		ask := func(size int) (status int) {
			t.Helper()
			p, resp := w.upgrade(func(r *http.Request) {
				r.Header.Set("Cookie", strings.Repeat("c", size/2))
				r.URL.RawQuery = strings.Repeat("q", size/2)
			})
			if resp.StatusCode == http.StatusServiceUnavailable {
				if body, _ := io.ReadAll(resp.Body); string(body) != text || resp.Header.Get("Retry-After") != "10" {
					t.Errorf("refused with %q, Retry-After %q", body, resp.Header.Get("Retry-After"))
				}
			}
			p.Conn.Close()
			synctest.Wait()
			return resp.StatusCode
		}
		for range 40 { // so that a share is 6250 bytes
			w.client()
		}
		// A loop of the server's that has not begun: nobody can make room for
		// what waits for it.
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		if _, err := w.srv.Exchange().Subscribe(ctx, "slow"); err != nil {
			t.Fatal(err)
		}
		w.srv.Exchange().Publish(ctx, "slow", strings.Repeat("x", 480_000))
		if status := ask(8000); status != http.StatusSwitchingProtocols {
			t.Errorf("status %d with %d bytes held", status, w.used())
		}
		w.srv.Exchange().Publish(ctx, "slow", strings.Repeat("x", 60_000))
		synctest.Wait()
		hits := func() uint64 { return w.srv.Stats().LimitHits["Limits.Budget"] }
		before := hits()
		for _, size := range []int{8000, 800, 8000} {
			want := http.StatusSwitchingProtocols
			if size == 8000 {
				want = http.StatusServiceUnavailable
			}
			if status := ask(size); status != want {
				t.Errorf("a request of %d bytes: status %d, want %d; %d bytes held", size, status, want, w.used())
			}
		}
		if n := hits() - before; n != 2 {
			t.Errorf("%d hits of the limit, want 2", n)
		}
		if !strings.Contains(w.logs.String(), "large requests are refused") {
			t.Errorf("logged %s", w.logs)
		}
		cancel()
		synctest.Wait()
		if status := ask(8000); status != http.StatusSwitchingProtocols {
			t.Errorf("status %d when there is room again", status)
		}
	})
}

// A socket keeps its address when its request has gone.
func TestSocketClientAddr(t *testing.T) {
	cfg := socketcluster.Config{TrustedProxies: []string{"10.0.0.0/8"}}
	for peer, want := range map[string]string{"10.0.0.1:80": "198.51.100.1", "192.0.2.1:80": "192.0.2.1", "[2001:db8::1]:80": "2001:db8::1", "pipe": ""} {
		inBubble(t, cfg, func(w *world) {
			w.web.Handler = http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
				r.RemoteAddr = peer
				r.Header.Set("X-Forwarded-For", "198.51.100.1")
				w.srv.ServeHTTP(out, r)
			})
			w.client()
			s := w.only()
			if got := s.ClientAddr(); s.Request() != nil || got.IsValid() != (want != "") || got.IsValid() && got.String() != want {
				t.Errorf("from %s: got %v, want %s", peer, got, want)
			}
		})
	}
}

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
