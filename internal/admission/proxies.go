package admission

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// Proxies are the proxies that are trusted to report the address from which a
// request comes.
type Proxies struct {
	networks []netip.Prefix
	unix     bool // whoever connects over a Unix socket
}

// unixProxies is the entry for proxies that have no address.
const unixProxies = "unix"

// ParseProxies parses addresses, networks, and "unix", which stands for all
// that connect over a Unix socket.
func ParseProxies(entries ...string) (*Proxies, error) {
	p := new(Proxies)
	for _, entry := range entries {
		if entry == unixProxies {
			p.unix = true
			continue
		}
		network, err := netip.ParsePrefix(entry)
		if err != nil {
			var addr netip.Addr
			if addr, err = netip.ParseAddr(entry); err == nil && addr.Zone() == "" {
				network = netip.PrefixFrom(addr, addr.BitLen())
			}
		}
		switch {
		case !network.IsValid():
			return nil, fmt.Errorf(`has the entry %q; each must be an address such as "::1", a network such as "10.0.0.0/8", or "unix"`, entry)
		case network.Addr().Is4In6():
			return nil, fmt.Errorf("has the entry %q; write it as an IPv4 address or network", entry)
		}
		p.networks = append(p.networks, network)
	}
	return p, nil
}

func (p *Proxies) has(addr netip.Addr) bool {
	for _, network := range p.networks {
		if network.Contains(addr) {
			return true
		}
	}
	return false
}

// ClientAddr returns the address from which a request comes: that of the peer
// of the connection or, if this is one of the proxies, the right-most address
// in X-Forwarded-For that is not one of them. The client may have invented the
// addresses further to the left. IPv4 addresses have their short form, and no
// address has a zone or port. The result is the zero Addr if there is none.
func (p *Proxies) ClientAddr(r *http.Request) netip.Addr {
	addr := parseAddr(r.RemoteAddr)
	if !p.has(addr) && !(p.unix && isUnix(r)) {
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
				return addr // only the proxy that wrote it is known
			}
			if addr = next; !p.has(addr) {
				return addr
			}
		}
	}
	return addr
}

// isUnix reports whether a request came over a Unix socket, whose peer usually
// has no name.
func isUnix(r *http.Request) bool {
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		return local.Network() == "unix"
	}
	return r.RemoteAddr == "" || r.RemoteAddr == "@"
}

// parseAddr reads an address with or without a port, and with or without
// brackets if it is an IPv6 one. The result is the zero Addr if text is not an
// address.
func parseAddr(text string) netip.Addr {
	bare := text
	if strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]") && strings.Count(text, ":") > 1 {
		bare = text[1 : len(text)-1]
	}
	addr, err := netip.ParseAddr(bare)
	if err != nil {
		withPort, err := netip.ParseAddrPort(text)
		if err != nil {
			return netip.Addr{}
		}
		addr = withPort.Addr()
	}
	return addr.Unmap().WithZone("")
}
