package admission

import "net/netip"

// Subnet returns the first address of the range that one customer of a provider
// has: an IPv4 address itself, or an IPv6 /64, in which a customer can use any
// address. It returns the zero Addr as it is.
func Subnet(addr netip.Addr) netip.Addr {
	if !addr.Is6() || addr.Is4In6() {
		return addr.Unmap()
	}
	p, _ := addr.WithZone("").Prefix(64) // fails only for too many bits
	return p.Addr()
}
