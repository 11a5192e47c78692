package socketcluster_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster"
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
