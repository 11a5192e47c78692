package admission_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/socketcluster-go/socketcluster/internal/admission"
)

func clientAddr(p *admission.Proxies, peer string, forwarded ...string) netip.Addr {
	return p.ClientAddr(&http.Request{RemoteAddr: peer, Header: http.Header{"X-Forwarded-For": forwarded}})
}

func parse(t testing.TB, entries ...string) *admission.Proxies {
	t.Helper()
	p, err := admission.ParseProxies(entries...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func proxied(t testing.TB) *admission.Proxies { return parse(t, "10.0.0.0/8", "2001:db8:ffff::/48") }

func TestClientAddr(t *testing.T) {
	p := proxied(t)
	for _, test := range []struct {
		name, peer string
		forwarded  []string
		want       string // "" for none
	}{
		{"no proxy", "192.0.2.1:80", nil, "192.0.2.1"},
		{"no proxy, with a header", "192.0.2.1:80", []string{"198.51.100.1"}, "192.0.2.1"},
		{"a proxy without a header", "10.0.0.1:80", nil, "10.0.0.1"},
		{"a proxy", "10.0.0.1:80", []string{"198.51.100.1"}, "198.51.100.1"},
		{"invented addresses", "10.0.0.1:80", []string{"127.0.0.1, 10.1.1.1,198.51.100.1"}, "198.51.100.1"},
		{"two proxies", "10.0.0.1:80", []string{"203.0.113.9, 198.51.100.1, 10.0.0.2"}, "198.51.100.1"},
		{"two lines", "10.0.0.1:80", []string{"203.0.113.9", "198.51.100.1 , 10.0.0.2"}, "198.51.100.1"},
		{"two lines, the last of proxies", "10.0.0.1:80", []string{"203.0.113.9,198.51.100.1", "10.0.0.3,10.0.0.2"}, "198.51.100.1"},
		{"proxies only", "10.0.0.1:80", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"garbage", "10.0.0.1:80", []string{"198.51.100.1, unknown"}, "10.0.0.1"},
		{"garbage before a proxy", "10.0.0.1:80", []string{"198.51.100.1, _hidden, 10.0.0.2"}, "10.0.0.2"},
		{"an empty header", "10.0.0.1:80", []string{""}, "10.0.0.1"},
		{"an empty entry", "10.0.0.1:80", []string{"198.51.100.1,"}, "10.0.0.1"},
		{"with a port", "10.0.0.1:80", []string{"198.51.100.1:4711"}, "198.51.100.1"},
		{"IPv6", "[2001:db8:ffff::1]:80", []string{"2001:db8::1"}, "2001:db8::1"},
		{"IPv6 with a port", "[2001:db8:ffff::1]:80", []string{"[2001:db8::1]:443"}, "2001:db8::1"},
		{"IPv6 in brackets", "10.0.0.1:80", []string{"[2001:db8::1]"}, "2001:db8::1"},
		{"IPv6 in brackets before a proxy", "10.0.0.1:80", []string{"[2001:db8::1], [2001:db8:ffff::1]:443, [2001:db8:ffff::2]"}, "2001:db8::1"},
		{"IPv4 in brackets", "10.0.0.1:80", []string{"[198.51.100.1]"}, "10.0.0.1"},
		{"one bracket", "10.0.0.1:80", []string{"[2001:db8::1"}, "10.0.0.1"},
		{"brackets around a port", "10.0.0.1:80", []string{"[198.51.100.1:80]"}, "10.0.0.1"},
		{"IPv4 in IPv6", "[::ffff:10.0.0.1]:80", []string{"::ffff:198.51.100.1"}, "198.51.100.1"},
		{"a zone", "[fe80::1%eth0]:80", nil, "fe80::1"},
		{"a Unix socket", "@", []string{"198.51.100.1"}, ""},
		{"nothing", "", []string{"198.51.100.1"}, ""},
		{"a name", "example.com:80", nil, ""},
	} {
		got := clientAddr(p, test.peer, test.forwarded...)
		if text := got.String(); got.IsValid() && text != test.want || !got.IsValid() && test.want != "" {
			t.Errorf("%s: got %v, want %s", test.name, got, test.want)
		}
	}
}

// Without proxies, nobody's header is believed.
func TestClientAddrByDefault(t *testing.T) {
	p := parse(t)
	for _, peer := range []string{"127.0.0.1:80", "10.0.0.1:80", "[::1]:80"} {
		if got, want := clientAddr(p, peer, "198.51.100.1"), netip.MustParseAddrPort(peer).Addr(); got != want {
			t.Errorf("got %v, want %v", got, want)
		}
	}
}

func TestProxiesRefused(t *testing.T) {
	for entry, want := range map[string]string{
		"":                    form,
		"proxy":               form,
		"10.0.0.0/33":         form,
		"10.0.0.1:80":         form,
		"fe80::1%eth0":        form,
		"Unix":                form,
		"::ffff:10.0.0.0/104": "write it as an IPv4 address or network",
		"::ffff:10.0.0.1":     "write it as an IPv4 address or network",
	} {
		_, err := admission.ParseProxies("10.0.0.0/8", "::1", "unix", entry)
		if want := fmt.Sprintf("has the entry %q; %s", entry, want); err == nil || err.Error() != want {
			t.Errorf("got %v\nwant %s", err, want)
		}
	}
}

const form = `each must be an address such as "::1", a network such as "10.0.0.0/8", or "unix"`

// Over a Unix socket, a proxy has no address that it could be known by.
func TestClientAddrOverUnixSocket(t *testing.T) {
	for _, test := range []struct {
		trusted   []string
		forwarded string
		want      string // "" for none
	}{
		{nil, "198.51.100.1", ""},
		{[]string{"10.0.0.0/8"}, "198.51.100.1", ""},
		{[]string{"unix"}, "198.51.100.1", "198.51.100.1"},
		{[]string{"unix"}, "203.0.113.9, 198.51.100.1", "198.51.100.1"},
		{[]string{"unix", "10.0.0.0/8"}, "203.0.113.9, 198.51.100.1, 10.0.0.1", "198.51.100.1"},
		{[]string{"unix"}, "unknown", ""},
		{[]string{"unix"}, "", ""},
	} {
		p := parse(t, test.trusted...)
		found := make(chan netip.Addr, 1)
		path := filepath.Join(t.TempDir(), "s")
		listener, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		web := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { found <- p.ClientAddr(r) })}
		go web.Serve(listener)
		defer web.Close()
		client := http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			return net.Dial("unix", path)
		}}}
		defer client.CloseIdleConnections()
		r, err := http.NewRequestWithContext(t.Context(), "GET", "http://server/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Forwarded-For", test.forwarded)
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		got := <-found
		if text := got.String(); got.IsValid() && text != test.want || !got.IsValid() && test.want != "" {
			t.Errorf("%v, forwarded for %q: got %v, want %q", test.trusted, test.forwarded, got, test.want)
		}
		// A request that says nothing of its connection.
		if bare := clientAddr(p, "@", test.forwarded); bare != got {
			t.Errorf("%v, forwarded for %q: got %v from @, want %v", test.trusted, test.forwarded, bare, got)
		}
		if other := clientAddr(p, "192.0.2.1:80", test.forwarded); other != netip.MustParseAddr("192.0.2.1") {
			t.Errorf("%v, forwarded for %q: %v over TCP", test.trusted, test.forwarded, other)
		}
	}
}

// The result never is an address that nobody but the client has written.
func FuzzClientAddr(f *testing.F) {
	f.Add("198.51.100.1, 10.0.0.2", "1.2.3.4")
	f.Add("[2001:db8::1%eth0]:80,,", "::ffff:10.0.0.1")
	f.Add(strings.Repeat(",", 1000), "unknown")
	p := proxied(f)
	f.Fuzz(func(t *testing.T, invented, peer string) {
		// What a client sends, with the address that the proxy appends.
		got := clientAddr(p, "10.0.0.1:80", invented+", 203.0.113.5")
		if want := netip.MustParseAddr("203.0.113.5"); got != want {
			t.Fatalf("got %v, want %v", got, want)
		}
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = peer
		r.Header.Set("X-Forwarded-For", invented)
		if got := p.ClientAddr(r); got.Zone() != "" || got.Is4In6() {
			t.Fatalf("got %v of %q and %q", got, peer, invented)
		}
	})
}

func BenchmarkClientAddr(b *testing.B) {
	p := proxied(b)
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.RemoteAddr = "10.0.0.1:80"
	r.Header.Set("X-Forwarded-For", "203.0.113.9, 198.51.100.1, 10.0.0.2")
	b.ReportAllocs()
	for b.Loop() {
		p.ClientAddr(r)
	}
}
