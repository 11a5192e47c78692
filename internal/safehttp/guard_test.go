package safehttp

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
)

func TestReach(t *testing.T) {
	for want, addresses := range map[reach][]string{
		public:  {"93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "172.32.0.1", "100.128.0.1", "::ffff:1.1.1.1", "64:ff9b::101:101", "2002:101:101::1"},
		private: {"10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.0.1", "100.64.0.1", "198.18.0.1", "255.255.255.255", "fd00::1", "fc00::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "64:ff9b:1::1", "2002:a00:1::1"},
		local:   {"127.0.0.1", "127.9.9.9", "0.0.0.0", "0.1.2.3", "169.254.169.254", "::1", "::", "fe80::1", "fe80::1%eth0", "224.0.0.1", "ff02::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::1", "::7f00:1"},
	} {
		for _, text := range addresses {
			if got := reachOf(netip.MustParseAddr(text)); got != want {
				t.Errorf("%s is %v, want %v", text, got, want)
			}
		}
	}
	for name, want := range map[string]reach{
		"localhost": local, "LOCALHOST": local, "localhost.": local, "a.localhost": local, "127.0.0.1": local, "10.0.0.1": private,
		"::1": local, "example.com": public, "localhost.example.com": public, "1.1.1.1": public,
	} {
		if got := reachOfName(name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
}

// network is one server at all addresses: names stand for what the test says.
type network struct {
	server *httptest.Server

	mu       sync.Mutex
	names    map[string]string // name: address
	dialed   []string
	requests []string // by host
}

func newNetwork(t *testing.T) *network {
	n := &network{names: map[string]string{
		"public.test": "93.184.215.14", "other.test": "1.1.1.1", "intranet.test": "10.0.0.1", "inside.test": "192.168.1.1", "here.test": "127.0.0.1", "proxy.test": "10.0.0.9",
	}}
	n.server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.mu.Lock()
		n.requests = append(n.requests, r.Host)
		n.mu.Unlock()
		if to := r.URL.Query().Get("to"); to != "" {
			http.Redirect(w, r, to, http.StatusFound)
			return
		}
		io.WriteString(w, "secret of "+r.Host)
	}))
	t.Cleanup(n.server.Close)
	return n
}

// conn is a connection that seems to lead somewhere else.
type conn struct {
	net.Conn
	remote net.Addr
}

func (c conn) RemoteAddr() net.Addr { return c.remote }

func (n *network) dial(ctx context.Context, _, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	n.dialed = append(n.dialed, host)
	to, known := n.names[host]
	n.mu.Unlock()
	if !known {
		to = host
	}
	addr, err := netip.ParseAddr(to)
	if err != nil {
		return nil, errors.New("no such host")
	}
	c, err := new(net.Dialer).DialContext(ctx, "tcp", n.server.Listener.Addr().String())
	if err != nil {
		return nil, err
	}
	return conn{c, net.TCPAddrFromAddrPort(netip.AddrPortFrom(addr, 443))}, nil
}

// transport makes the connections, and takes the server's certificate for any name.
func (n *network) transport() *http.Transport {
	t := n.server.Client().Transport.(*http.Transport).Clone()
	t.TLSClientConfig.ServerName = "example.com" // for which it is
	t.DialContext = n.dial
	return t
}

// get asks an address with a client that was configured with another.
func get(t *testing.T, configured string, inner http.RoundTripper, address string) error {
	t.Helper()
	u, err := url.Parse(configured)
	if err != nil {
		t.Fatal(err)
	}
	guard := NewGuard(inner, u)
	defer guard.CloseIdleConnections()
	client := &http.Client{Transport: guard, CheckRedirect: CheckRedirect(false)}
	for _, a := range []string{configured, address} {
		response, err := client.Get(a)
		if err != nil {
			return err
		}
		io.Copy(io.Discard, response.Body)
		response.Body.Close()
	}
	return nil
}

// What was configured does not lead nearer to this machine than it is itself, by a
// redirection or by what it tells, whether by a name or by an address.
func TestGuard(t *testing.T) {
	for _, c := range []struct {
		configured, to string
		refused        string
		dialed         bool // the name has to be looked up
	}{
		{"https://public.test/", "https://public.test/x", "", false},
		{"https://public.test/", "https://other.test/", "", true},
		{"https://public.test/", "https://1.1.1.1/", "", true},
		{"https://public.test/", "https://intranet.test/", "in a private network", true},
		{"https://public.test/", "https://here.test/", "on this machine", true},
		{"https://public.test/", "https://10.0.0.1/", "in a private network", false},
		{"https://public.test/", "https://127.0.0.1/", "on this machine", false},
		{"https://public.test/", "https://127.1/", "no such host", true},
		{"https://public.test/", "https://[::1]/", "on this machine", false},
		{"https://public.test/", "https://[::ffff:127.0.0.1]/", "on this machine", false},
		{"https://public.test/", "https://[fe80::1]/", "on this machine", false},
		{"https://public.test/", "https://169.254.169.254/latest/meta-data/", "on this machine", false},
		{"https://public.test/", "https://localhost:8443/", "on this machine", false},
		{"https://intranet.test/", "https://public.test/", "", true},
		{"https://intranet.test/", "https://inside.test/", "", true},
		{"https://intranet.test/", "https://192.168.7.7/", "", true},
		{"https://intranet.test/", "https://here.test/", "on this machine", true},
		{"https://10.0.0.1/", "https://inside.test/", "", true},
		{"https://here.test/", "https://127.0.0.1/", "", true},
		{"https://here.test/", "https://intranet.test/", "", true},
	} {
		for _, how := range []string{"told", "redirected"} {
			t.Run(how+" from "+c.configured+" to "+c.to, func(t *testing.T) {
				n := newNetwork(t)
				address := c.to
				if how == "redirected" {
					address = c.configured + "?to=" + url.QueryEscape(c.to)
				}
				err := get(t, c.configured, n.transport(), address)
				if (err == nil) != (c.refused == "") || err != nil && !strings.Contains(err.Error(), c.refused) {
					t.Errorf("got %v, want %q", err, c.refused)
				}
				u, _ := url.Parse(c.to)
				if last := n.requests[len(n.requests)-1]; (last == u.Host) != (c.refused == "") {
					t.Errorf("the last request went to %s", last)
				}
				if last := n.dialed[len(n.dialed)-1]; c.refused != "" && (last == u.Hostname()) != c.dialed {
					t.Errorf("the last connection was to %s", last)
				}
			})
		}
	}
}

// A name that stands for another address by now is looked at again.
func TestGuardAgainstRebinding(t *testing.T) {
	n := newNetwork(t)
	configured, _ := url.Parse("https://public.test/")
	guard := NewGuard(n.transport(), configured)
	client := &http.Client{Transport: guard}
	for _, c := range []struct {
		address string
		good    bool
	}{{"1.1.1.1", true}, {"10.0.0.1", false}, {"1.1.1.1", true}, {"127.0.0.1", false}} {
		n.mu.Lock()
		n.names["other.test"] = c.address
		n.mu.Unlock()
		response, err := client.Get("https://other.test/")
		if (err == nil) != c.good {
			t.Errorf("at %s: %v", c.address, err)
		}
		if err == nil {
			response.Body.Close()
		}
		guard.CloseIdleConnections()
	}
}

// The address of a proxy does not count; hosts behind it are known only by
// name.
func TestGuardWithProxy(t *testing.T) {
	n := newNetwork(t)
	var asked []string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { asked = append(asked, r.Host) }))
	defer proxy.Close()
	inner := n.transport()
	inner.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: proxy.Listener.Addr().String()})
	inner.DialContext = nil
	for address, good := range map[string]bool{"http://public.test/x": true, "http://other.test/": true, "http://127.0.0.1/": false, "http://10.0.0.1/": false} {
		configured, _ := url.Parse("http://public.test/")
		guard := NewGuard(inner, configured)
		response, err := (&http.Client{Transport: guard}).Get(address)
		if (err == nil) != good {
			t.Errorf("%s: %v", address, err)
		}
		if err == nil {
			response.Body.Close()
		}
		guard.CloseIdleConnections()
	}
	if len(asked) != 2 {
		t.Errorf("the proxy was asked for %v", asked)
	}
}

// roundTripper is a transport of another kind.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A transport of another kind makes connections that nobody sees; names count.
func TestGuardOfAnotherTransport(t *testing.T) {
	inner := roundTripper(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: r}, nil
	})
	for address, good := range map[string]bool{"https://intranet.test/": true, "https://10.0.0.1/": false, "https://localhost/": false} {
		if err := get(t, "https://public.test/", inner, address); (err == nil) != good {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// The functions for connections that a transport has had before contexts are used,
// and looked at, as well.
func TestGuardWithOldDial(t *testing.T) {
	n := newNetwork(t)
	inner := n.transport()
	inner.DialContext = nil
	//lint:ignore SA1019 it is about this
	inner.Dial = func(network, address string) (net.Conn, error) { return n.dial(t.Context(), network, address) }
	if err := get(t, "https://public.test/", inner, "https://intranet.test/"); err == nil || !strings.Contains(err.Error(), "private") {
		t.Errorf("got %v", err)
	}
	if len(n.dialed) != 2 {
		t.Errorf("dialed %v", n.dialed)
	}
}
