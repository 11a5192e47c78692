package safehttp

import (
	"net/netip"
	"slices"
	"strings"
)

// reach is how near to this machine an address is.
type reach int

const (
	public  reach = iota
	private       // of a network that strangers cannot reach
	local         // of this machine, or of a service that only it can reach, such as the metadata of a cloud
)

func (r reach) String() string {
	return [...]string{"public", "in a private network", "on this machine"}[r]
}

// According to IANA's registries of special addresses, these cannot be reached
// from elsewhere (RFC 6890). The methods of netip.Addr know the others.
var (
	localNetworks = prefixes("0.0.0.0/8", "::/96")
	// In order: shared by customers of a carrier, for protocols, for
	// benchmarks, reserved, for translation within a network.
	privateNetworks = prefixes("100.64.0.0/10", "192.0.0.0/24", "198.18.0.0/15", "240.0.0.0/4", "64:ff9b:1::/48")
	// IPv6 addresses that stand for the IPv4 address in their last bytes, or
	// after their first two.
	translated = netip.MustParsePrefix("64:ff9b::/96")
	sixToFour  = netip.MustParsePrefix("2002::/16")
)

func prefixes(list ...string) []netip.Prefix {
	var all []netip.Prefix
	for _, text := range list {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

func reachOf(addr netip.Addr) reach {
	addr = addr.Unmap().WithZone("")
	in := func(p netip.Prefix) bool { return p.Contains(addr) }
	switch b := addr.As16(); {
	case translated.Contains(addr):
		return reachOf(netip.AddrFrom4([4]byte(b[12:])))
	case sixToFour.Contains(addr):
		return reachOf(netip.AddrFrom4([4]byte(b[2:6])))
	case addr.IsLoopback(), addr.IsLinkLocalUnicast(), addr.IsMulticast(), slices.ContainsFunc(localNetworks, in):
		return local
	case addr.IsPrivate(), slices.ContainsFunc(privateNetworks, in):
		return private
	}
	return public
}

// reachOfName returns the reach of a URL's host as far as it is known without a
// lookup.
func reachOfName(host string) reach {
	if addr, err := netip.ParseAddr(host); err == nil {
		return reachOf(addr)
	}
	if name := strings.ToLower(strings.TrimSuffix(host, ".")); name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return local
	}
	return public
}
