package admission

import "net/netip"

// Subnet returns the range of addresses that one customer of a provider has, by
// its first address: an IPv4 address itself, or an IPv6 /64, in which a
// customer is free to take any address. The zero Addr stays as it is.
func Subnet(addr netip.Addr) netip.Addr {
	if !addr.Is6() || addr.Is4In6() {
		return addr.Unmap()
	}
	p, _ := addr.WithZone("").Prefix(64) // fails only for more bits than there are
	return p.Addr()
}
