package login

import (
	"hash/maphash"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"
)

// keyer makes the keys of buckets. They are of a fixed size, whatever a name
// is, and depend on a random seed, so that nobody can make names that share a
// bucket with another.
type keyer struct{ seed maphash.Seed }

func (k keyer) socket(id string) uint64 { return maphash.String(k.seed, id) }

func (k keyer) address(addr netip.Addr) uint64 { return maphash.Comparable(k.seed, network(addr)) }

// user hashes a name without regard to its case and to spaces around it. addr
// may be the zero Addr.
func (k keyer) user(name string, addr netip.Addr) uint64 {
	var h maphash.Hash
	h.SetSeed(k.seed)
	b := network(addr).As16()
	h.Write(b[:])
	for _, r := range strings.TrimSpace(name) {
		var buf [utf8.UTFMax]byte
		h.Write(buf[:utf8.EncodeRune(buf[:], fold(r))])
	}
	return h.Sum64()
}

// network is what one customer has: an IPv4 address, or an IPv6 /64.
func network(addr netip.Addr) netip.Addr {
	if !addr.Is6() || addr.Is4In6() {
		return addr.Unmap()
	}
	p, _ := addr.WithZone("").Prefix(64) // fails only for more bits than there are
	return p.Addr()
}

// fold returns the smallest of the characters that differ only in case.
func fold(r rune) rune {
	if r < utf8.RuneSelf {
		if 'a' <= r && r <= 'z' {
			r -= 'a' - 'A'
		}
		return r
	}
	least := r
	for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
		least = min(least, other)
	}
	return least
}
