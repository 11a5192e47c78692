package socketcluster

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

// Places agree with a list of the connections that there are, and remember no
// address that has gone.
func TestPlacesAgreeWithTheModel(t *testing.T) {
	addresses := []netip.Addr{{}}
	for _, text := range []string{"192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2", "127.0.0.1", "10.0.0.1"} {
		addresses = append(addresses, netip.MustParseAddr(text))
	}
	type conn struct {
		addr    netip.Addr
		pending bool
	}
	rapid.Check(t, func(t *rapid.T) {
		l := &Limits{
			Connections:           rapid.IntRange(1, 12).Draw(t, "connections"),
			PendingHandshakes:     rapid.IntRange(1, 6).Draw(t, "pending"),
			ConnectionsPerAddress: rapid.IntRange(1, 4).Draw(t, "per address"),
		}
		var p places
		var all []conn
		t.Repeat(map[string]func(*rapid.T){
			"take": func(t *rapid.T) {
				addr := rapid.SampledFrom(addresses).Draw(t, "address")
				pending, same := 0, 0
				for _, c := range all {
					if c.pending {
						pending++
					}
					key, counts := counted(addr)
					if other, _ := counted(c.addr); counts && key == other {
						same++
					}
				}
				want := len(all) < l.Connections && pending < l.PendingHandshakes && same < l.ConnectionsPerAddress
				if _, ok := p.take(addr, l); ok != want {
					t.Fatalf("taken %t, want %t with %d connections, %d pending, %d of the address", ok, want, len(all), pending, same)
				}
				if want {
					all = append(all, conn{addr, true})
				}
			},
			"settle": func(t *rapid.T) {
				for i := range all {
					if all[i].pending {
						all[i].pending = false
						p.settled()
						return
					}
				}
			},
			"leave": func(t *rapid.T) {
				for i, c := range all {
					if !c.pending {
						p.leave(c.addr)
						all = append(all[:i], all[i+1:]...)
						return
					}
				}
			},
			"": func(t *rapid.T) {
				keys := make(map[netip.Addr]bool)
				for _, c := range all {
					if key, ok := counted(c.addr); ok {
						keys[key] = true
					}
				}
				if taken, _ := p.count(); taken != len(all) || len(p.from) != len(keys) {
					t.Fatalf("%d places taken, %d addresses; want %d and %d", taken, len(p.from), len(all), len(keys))
				}
			},
		})
	})
}
