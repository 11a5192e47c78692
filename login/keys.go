package login

import (
	"hash/maphash"
	"net/netip"

	"github.com/socketcluster-go/socketcluster/internal/admission"
)

// keyer makes the keys of buckets. They have a fixed size, whatever the name,
// and depend on a random seed, so that nobody can construct names that share a
// bucket with another.
type keyer struct{ seed maphash.Seed }

func (k keyer) socket(id string) uint64 { return maphash.String(k.seed, id) }

func (k keyer) address(addr netip.Addr) uint64 {
	return maphash.Comparable(k.seed, admission.Subnet(addr))
}

// network returns false if addr is not an IPv6 address.
func (k keyer) network(addr netip.Addr) (key uint64, ok bool) {
	if !addr.Is6() || addr.Is4In6() {
		return 0, false
	}
	p, _ := addr.WithZone("").Prefix(48) // fails only for too many bits
	return maphash.Comparable(k.seed, p), true
}

// user hashes the normal form of a name. addr may be the zero Addr.
func (k keyer) user(name string, addr netip.Addr) uint64 {
	var h maphash.Hash
	h.SetSeed(k.seed)
	b := admission.Subnet(addr).As16()
	h.Write(b[:])
	h.WriteString(NormalName(name))
	return h.Sum64()
}
