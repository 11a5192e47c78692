package socketcluster

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// parseProxies checks Config.TrustedProxies.
func parseProxies(list []netip.Prefix) ([]netip.Prefix, error) {
	for i, p := range list {
		switch {
		case !p.IsValid():
			return nil, &ConfigError{fmt.Sprintf("TrustedProxies[%d]", i), "is no range of addresses"}
		case p.Addr().Is4In6():
			return nil, &ConfigError{fmt.Sprintf("TrustedProxies[%d]", i), fmt.Sprintf("is %v; write it as a range of IPv4 addresses", p)}
		}
	}
	return slices.Clone(list), nil
}

// ClientAddr is the address that a request comes from. It is that of the other
// end of the connection; if this is one of Config.TrustedProxies, it is the
// right-most address in X-Forwarded-For that is none of them. What stands
// further to the left may be invented by the client. The header Forwarded is
// not looked at.
//
// IPv4 addresses have their short form, and no address has a zone. The result
// is the zero Addr if the connection has no IP address, such as a Unix socket.
func (srv *Server) ClientAddr(r *http.Request) netip.Addr {
	addr := parseAddr(r.RemoteAddr)
	if !srv.trusts(addr) {
		return addr
	}
	lines := r.Header["X-Forwarded-For"]
	for i := len(lines) - 1; i >= 0; i-- {
		for rest, more := lines[i], true; more; {
			entry := rest
			comma := strings.LastIndexByte(rest, ',')
			if more = comma >= 0; more {
				rest, entry = rest[:comma], rest[comma+1:]
			}
			next := parseAddr(strings.TrimSpace(entry))
			if !next.IsValid() {
				return addr // the proxy that wrote it is all that is known
			}
			if addr = next; !srv.trusts(addr) {
				return addr
			}
		}
	}
	return addr
}

func (srv *Server) trusts(addr netip.Addr) bool {
	for _, p := range srv.proxies {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// parseAddr reads an address with or without a port. The result is the zero
// Addr if it is none.
func parseAddr(text string) netip.Addr {
	addr, err := netip.ParseAddr(text)
	if err != nil {
		withPort, err := netip.ParseAddrPort(text)
		if err != nil {
			return netip.Addr{}
		}
		addr = withPort.Addr()
	}
	return addr.Unmap().WithZone("")
}

// ClientAddr is the address that the socket was opened from, found as by
// [Server.ClientAddr]; the zero Addr if there is none.
func (s *Socket) ClientAddr() netip.Addr {
	if s.addr == ([16]byte{}) {
		return netip.Addr{}
	}
	return netip.AddrFrom16(s.addr).Unmap()
}
