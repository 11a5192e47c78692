package safehttp

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
)

// A Guard is a transport that never leads from a configured address to one that
// is nearer to this machine: neither a document from there nor a redirect, nor
// a host name in one of them, can make it call services of this machine or of
// its network. The configured host itself may be anywhere; other hosts may be
// as near as it.
//
// It checks the address of each connection before anything is sent, so the
// current address of a name counts. Behind a proxy, and with a transport that
// is not an *http.Transport, it sees only the host of the URL, and checks
// literal addresses and the name localhost.
type Guard struct {
	host    string // the configured one
	inner   http.RoundTripper
	own     *http.Transport // inner, if it was made here
	nearest atomic.Int32    // a reach: the nearest that others may have
}

// NewGuard makes a guard over a transport, which it does not change.
func NewGuard(inner http.RoundTripper, configured *url.URL) *Guard {
	g := &Guard{host: configured.Hostname(), inner: inner}
	g.nearest.Store(int32(reachOfName(g.host)))
	if t, ok := inner.(*http.Transport); ok {
		g.own = g.guarded(t)
		g.inner = g.own
	}
	return g
}

// proxied marks the context of a request that a proxy makes.
type proxied struct{}

// guarded returns a copy of a transport whose connections are checked.
func (g *Guard) guarded(t *http.Transport) *http.Transport {
	t = t.Clone()
	//lint:ignore SA1019 a transport that has only this would lose it
	dial := withContext(t.DialContext, t.Dial)
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	t.DialContext = g.dialer(dial)
	//lint:ignore SA1019 as above
	if dial := withContext(t.DialTLSContext, t.DialTLS); dial != nil {
		t.DialTLSContext = g.dialer(dial)
	}
	return t
}

type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// withContext returns the one of two functions that a transport uses.
func withContext(dial dialFunc, old func(network, address string) (net.Conn, error)) dialFunc {
	if dial != nil || old == nil {
		return dial
	}
	return func(_ context.Context, network, address string) (net.Conn, error) { return old(network, address) }
}

func (g *Guard) dialer(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil || ctx.Value(proxied{}) != nil {
			return conn, err
		}
		if err := g.check(address, conn.RemoteAddr()); err != nil {
			conn.Close()
			return nil, err
		}
		return conn, nil
	}
}

// check checks the remote address of a connection.
func (g *Guard) check(address string, remote net.Addr) error {
	at, err := netip.ParseAddrPort(remote.String())
	if err != nil {
		return nil // a connection of a kind that has no address
	}
	r := reachOf(at.Addr())
	if host, _, err := net.SplitHostPort(address); err == nil && strings.EqualFold(host, g.host) {
		g.widen(r)
		return nil
	}
	return g.allow(r)
}

func (g *Guard) widen(r reach) {
	for {
		known := g.nearest.Load()
		if int32(r) <= known || g.nearest.CompareAndSwap(known, int32(r)) {
			return
		}
	}
}

func (g *Guard) allow(r reach) error {
	if known := reach(g.nearest.Load()); r > known {
		return fmt.Errorf("its address is %v, which the configured one is not", r)
	}
	return nil
}

// CheckHost reports why a host must not be called, as far as its name shows
// this.
func (g *Guard) CheckHost(u *url.URL) error {
	if strings.EqualFold(u.Hostname(), g.host) {
		return nil
	}
	return g.allow(reachOfName(u.Hostname()))
}

// RoundTrip implements [http.RoundTripper].
func (g *Guard) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := g.CheckHost(r.URL); err != nil {
		return nil, err
	}
	if g.own != nil && g.own.Proxy != nil {
		if proxy, err := g.own.Proxy(r); err == nil && proxy != nil {
			r = r.WithContext(context.WithValue(r.Context(), proxied{}, true))
		}
	}
	return g.inner.RoundTrip(r)
}

// CloseIdleConnections closes the guard's own idle connections.
func (g *Guard) CloseIdleConnections() {
	if g.own != nil {
		g.own.CloseIdleConnections()
	}
}
